use std::collections::BTreeMap;

use serde_json::json;
use tempfile::TempDir;

use crate::driver::{Finished, Order, Session};
use crate::folder;
use crate::process::{Program, start};

const ROLES: [&str; 6] = ["M", "W1", "W2", "W3", "R1", "R2"];

fn program() -> (TempDir, Program) {
    let results = tempfile::tempdir().expect("a folder");
    let program = Program::new(env!("CARGO_BIN_EXE_rekindle-map-reduce"), folder("map-reduce"))
        .env("WORDS_RESULTS", &results.path().display());
    (results, program)
}

fn run(program: &Program, order: Order) -> Finished {
    let next = ["W1", "W2", "W3"].map(|mapper| (mapper, vec!["M?finish", "M?map"]));
    Session { next: BTreeMap::from(next), order, ..Session::of(&ROLES, program) }.run()
}

fn read(results: &TempDir) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for file in ["word-count-R1.txt", "word-count-R2.txt"] {
        let text = std::fs::read_to_string(results.path().join(file)).expect("a result");
        for line in text.lines() {
            let (count, word) = line.trim().split_once(' ').expect("a count and a word");
            assert_eq!(counts.insert(word.to_owned(), count.parse().expect("a number")), None, "{word} twice");
        }
    }
    counts
}

#[test]
fn counts_all_words() {
    let mut expected = BTreeMap::new();
    for file in folder("map-reduce/texts").read_dir().expect("a folder") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("a text");
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            *expected.entry(word.to_lowercase()).or_insert(0) += 1;
        }
    }
    for (piece, order) in [(8192, Order::Eager), (5000, Order::LastFirst)] {
        let (results, program) = program();
        let finished = run(&program.env("WORDS_PIECE", &piece), order);
        assert_eq!(read(&results), expected, "pieces of {piece} bytes");
        assert!(finished.events["W1"] >= 30, "{:?}", finished.events);
    }
    assert!(expected.len() > 300);
}

#[test]
fn counts_texts_as_often_as_asked() {
    let (once, program_once) = program();
    run(&program_once, Order::Eager);
    let (thrice, program_thrice) = program();
    run(&program_thrice.env("WORDS_REPEAT", &3), Order::Eager);
    let tripled: BTreeMap<_, _> = read(&once).into_iter().map(|(word, count)| (word, 3 * count)).collect();
    assert_eq!(read(&thrice), tripled);
}

#[test]
fn a_mapper_goes_on_in_any_state() {
    let (_results, program) = program();
    let sent = run(&program, Order::Eager).sent.remove("W2").expect("counts");
    let rounds = sent.len() / 2 - 1;
    let last = rounds * 3;
    for (base, next, expected) in [
        (1, "R1!counts", &sent[..2]),
        (2, "R2!counts", &sent[1..2]),
        (10, "R1!counts", &sent[6..8]),
        (11, "R2!counts", &sent[7..8]),
        (last + 1, "R1!finish", &sent[2 * rounds..]),
        (last + 2, "R2!finish", &sent[2 * rounds + 1..]),
    ] {
        let mut line = start("W2", &[next]);
        line["base"] = json!(base);
        let (_process, lines) = program.spawn(&line);
        let lines: Vec<_> = lines.take_while(|line| !line.contains("receive")).collect();
        assert_eq!(lines, expected, "from {base}");
    }
}

#[test]
fn a_reducer_goes_on_from_its_checkpoint() {
    let (_results, program) = program();
    let finished = run(&program, Order::Eager);
    let mut line = start("R1", &["W1?counts", "W1?finish"]);
    line["checkpoint"] = finished.checkpoints["R1"].last().expect("a checkpoint").clone();
    let (mut process, mut lines) = program.spawn(&line);
    for mapper in ["W1", "W2", "W3"] {
        lines.next().expect("asks");
        process.give(mapper, "finish", &json!(null));
    }
    assert_eq!(lines.next().as_ref(), finished.sent["R1"].last());
}
