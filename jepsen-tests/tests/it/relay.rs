//! The harness's own worker: what it writes down is what it did.

use rekindle_jepsen::checkers::sessions::standing;
use rekindle_jepsen::load::relay::{Part, play};
use rekindle_jepsen::outside;

const START: &str = r#"{"type":"start","session":"s","role":"B","incarnation":1,"position":0,"base":0,"state":"1","next":["A?work"],"roles":["A","B","C"],"mode":"replay","checkpoint":null}"#;

#[test]
fn a_role_writes_down_what_it_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let part = Part { folder: folder.path().to_owned(), rounds: 1, pause: 0 };
    let input = format!(
        "{START}\n{}\n{}\n",
        r#"{"type":"message","from":"A","label":"work","payload":1}"#,
        r#"{"type":"message","from":"A","label":"bye","payload":null}"#
    );
    let mut output = Vec::new();
    play(&part, input.as_bytes(), &mut output).expect("it plays");
    let written = String::from_utf8(output).expect("UTF-8");
    assert!(written.contains(r#""label":"half","payload":1"#), "{written}");
    let (roles, broken) = standing(&outside::read(folder.path(), "s").expect("a log"));
    assert_eq!(broken, Vec::<String>::new());
    assert_eq!(roles["B"].events.len(), 4);
    assert_eq!(roles["B"].result, Some(1.into()));
}

#[test]
fn a_line_that_a_kill_cut_off_is_left_out_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = outside::path(folder.path(), "s");
    let whole = r#"{"at":1,"session":"s","role":"A","incarnation":1,"pid":2,"host":"h","what":{"did":"ask"}}"#;
    std::fs::write(&path, format!("{whole}\n{{\"at\":2,")).expect("written");
    assert_eq!(outside::read(folder.path(), "s").expect("readable").len(), 1);
    std::fs::write(&path, format!("nonsense\n{whole}\n")).expect("written");
    assert!(outside::read(folder.path(), "s").is_err());
    assert!(outside::read(folder.path(), "another").is_err());
}

#[test]
fn the_second_process_of_a_role_is_not_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = outside::Pen::open(folder.path(), "s", "A", 1, "h").expect("a pen");
    assert!(first.alone());
    assert!(!outside::Pen::open(folder.path(), "s", "A", 2, "h").expect("a pen").alone());
    drop(first);
    assert!(outside::Pen::open(folder.path(), "s", "A", 3, "h").expect("a pen").alone());
}
