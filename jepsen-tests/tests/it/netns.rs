//! What can be said of runs without making one.

use std::process::Command;

#[test]
fn wrong_arguments_are_refused_before_anything_is_made() {
    if let Some(obstacle) = rekindle_jepsen::netns::enter::obstacle() {
        // The refusal of a machine that cannot do it comes first.
        let output = Command::new(env!("CARGO_BIN_EXE_rekindle-jepsen")).arg("netns").output().expect("it runs");
        assert_eq!(output.status.code(), Some(77), "{obstacle}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("skipped: "), "{output:?}");
        return;
    }
    for arguments in [&["--nodes", "2"][..], &["--faults", "earthquake"], &["--faults", "bridge", "--nodes", "3"]] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_rekindle-jepsen")).arg("netns").args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_history_is_written_as_edn() {
    use rekindle_jepsen::checkers::names::{Answer, Call};
    use rekindle_jepsen::history::{Outcome, edn};
    let name = "a\"b".to_owned();
    let history = [
        crate::operation(0, Call::Start { name, variant: 1 }, Outcome::Unknown, (5, 20)),
        crate::operation(1, crate::get(), Outcome::Known(Answer::Absent), (7, 9)),
    ];
    let expected = r#"{:index 0, :time 5, :process 0, :type :invoke, :f :start, :value ["a\"b" 1]}
{:index 1, :time 7, :process 1, :type :invoke, :f :get, :value ["n"]}
{:index 2, :time 9, :process 1, :type :ok, :f :get, :value [["n"] :absent]}
{:index 3, :time 20, :process 0, :type :info, :f :start, :value ["a\"b" 1]}
"#;
    assert_eq!(edn::history(&history), expected);
}
