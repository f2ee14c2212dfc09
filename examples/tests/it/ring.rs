use serde_json::{Value, json};

use crate::driver::{Order, Session};
use crate::folder;
use crate::process::{Program, json as json_of, start};

const ROLES: [&str; 5] = ["R1", "R2", "R3", "R4", "R5"];

fn program() -> (tempfile::TempDir, Program) {
    let results = tempfile::tempdir().expect("a folder");
    let program = Program::new(env!("CARGO_BIN_EXE_rekindle-ring"), folder("ring"))
        .env("RING_RESULT", &results.path().join("result.json").display());
    (results, program)
}

#[test]
fn finds_all_primes() {
    for (rounds, order) in [(1, Order::Eager), (20, Order::LastFirst)] {
        let (results, program) = program();
        let program = program.env("RING_NUMBERS", &1_000_000).env("RING_ROUNDS", &rounds);
        let finished = Session { order, ..Session::of(&ROLES, &program) }.run();
        let result = std::fs::read(results.path().join("result.json")).expect("a result");
        let result: Value = serde_json::from_slice(&result).expect("JSON");
        assert_eq!(result["primes"], 78_498);
        assert_eq!(result["largest"], 999_983);
        assert_eq!((&result["widest_gap"], &result["gap_after"]), (&json!(114), &json!(492_113)));
        assert_eq!(finished.events["R3"], 2 * (rounds + 1));
        assert_eq!(finished.checkpoints["R1"].len() as u64, rounds);
    }
}

#[test]
fn goes_on_from_a_checkpoint() {
    let (_results, program) = program();
    let program = program.env("RING_NUMBERS", &1000).env("RING_ROUNDS", &4);
    let finished = Session::of(&ROLES, &program).run();
    for (role, before) in [("R1", "R5"), ("R4", "R3")] {
        // The second round is over for it, and it was killed in the third.
        let mut line = start(role, &[]);
        line["checkpoint"] = finished.checkpoints[role][1].clone();
        let (mut process, mut lines) = program.spawn(&line);
        lines.next().expect("asks");
        let third = usize::from(role != "R1") + 1;
        process.give(before, "token", &json_of(&finished.sent[before][third])["payload"]);
        assert_eq!(lines.next().as_ref(), finished.sent[role].get(2));
        assert_eq!(lines.next().map(|line| json_of(&line)["data"].clone()).as_ref(), finished.checkpoints[role].get(2));
    }
}

#[test]
fn a_wrong_tally_is_not_reported() {
    let (_results, program) = program();
    let (mut process, mut lines) = program.env("RING_NUMBERS", &1000).env("RING_ROUNDS", &1).spawn(&start("R1", &[]));
    let mut tally = json_of(&lines.next().expect("a token"))["payload"].take();
    lines.next().expect("a checkpoint");
    lines.next().expect("asks");
    tally["next"] = json!(1000);
    process.give("R5", "token", &tally);
    assert!(!process.succeeds());
}
