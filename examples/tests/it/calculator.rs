use std::collections::BTreeMap;

use serde_json::json;

use crate::driver::{Finished, Order, Session};
use crate::folder;
use crate::process::{Program, start};

fn program() -> (tempfile::TempDir, Program) {
    let results = tempfile::tempdir().expect("a folder");
    let program = Program::new(env!("CARGO_BIN_EXE_rekindle-calculator"), folder("calculator"))
        .env("CALCULATOR_RESULTS", &results.path().join("results.txt").display());
    (results, program)
}

fn run(program: &Program, order: Order) -> Finished {
    let next = BTreeMap::from([("K", vec!["C?constants"])]);
    Session { next, order, ..Session::of(&["C", "A", "K"], program) }.run()
}

#[test]
fn evaluates_all_expressions() {
    let (results, program) = program();
    let finished = run(&program.env("CALCULATOR_REPEAT", &2), Order::Eager);
    let text = std::fs::read_to_string(results.path().join("results.txt")).expect("results");
    let source = std::fs::read_to_string(folder("calculator").join("expressions.txt")).expect("a file");
    let expressions = source.lines().filter(|line| line.contains('=') && !line.starts_with('#')).count();
    assert_eq!(text.lines().count(), 2 * expressions);
    assert!(text.starts_with("1 + 2 = 3\n"), "{text}");
    assert!(text.contains("\n7 / 0 = undefined\n"), "{text}");
    assert!(finished.events["A"] > 400, "{:?}", finished.events);
    assert!(finished.checkpoints["A"].len() > 3);
}

#[test]
fn the_order_of_things_does_not_matter() {
    let (first, program_one) = program();
    run(&program_one, Order::Eager);
    let (second, program_two) = program();
    run(&program_two, Order::LastFirst);
    let read = |folder: &tempfile::TempDir| std::fs::read(folder.path().join("results.txt")).expect("results");
    assert_eq!(read(&first), read(&second));
}

#[test]
fn the_stateless_server_goes_on_in_any_state() {
    let (_results, program) = program();
    let sent = run(&program, Order::Eager).sent.remove("K").expect("constants");
    assert_eq!(sent.len(), 3);
    for (done, next) in ["C!pi", "C!e", "C!phi"].into_iter().enumerate() {
        let mut line = start("K", &[next]);
        line["base"] = json!(done + 1);
        let (mut process, lines) = program.spawn(&line);
        assert_eq!(lines.collect::<Vec<_>>(), sent[done..]);
        assert!(process.succeeds());
    }
    let (mut process, lines) = program.spawn(&start("K", &[]));
    assert_eq!(lines.count(), 0);
    assert!(process.succeeds());
}

#[test]
fn a_wrong_value_is_a_failure() {
    let (_results, program) = program();
    let (mut process, mut lines) = program.spawn(&start("C", &["K!constants"]));
    lines.next().expect("asks for the constants");
    for (name, value) in [("pi", 3.0), ("e", 2.7), ("phi", 1.6)] {
        lines.next().expect("asks");
        process.give("K", name, &json!(value));
    }
    assert!(lines.next().expect("a question").contains("add"));
    lines.next().expect("asks");
    process.give("A", "value", &json!(4));
    assert!(!process.succeeds());
}
