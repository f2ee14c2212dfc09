//! Sessions that lost something, did something twice, or came to something else.

use std::collections::BTreeMap;

use rekindle_jepsen::checkers::Judgement;
use rekindle_jepsen::checkers::sessions::{Event, Seen, check, standing};
use rekindle_jepsen::outside::{Line, What};
use serde_json::json;

use crate::{accepts, rejects};

fn line(role: &str, incarnation: u64, what: What) -> Line {
    Line {
        at: incarnation,
        session: "s".to_owned(),
        role: role.to_owned(),
        incarnation,
        pid: u32::try_from(incarnation).expect("small"),
        host: "a1".to_owned(),
        what,
    }
}

fn begins(base: u64) -> What {
    What::Start { base, position: base, alone: true }
}

fn sends(payload: u64) -> What {
    What::Send { peer: "B".to_owned(), label: "x".to_owned(), payload: json!(payload) }
}

fn receives(payload: u64) -> What {
    What::Receive { peer: "A".to_owned(), label: "x".to_owned(), payload: json!(payload) }
}

fn finishes(result: u64) -> What {
    What::Finish { result: json!(result) }
}

/// A sends 1, 2, 3 to B, which adds them up.
fn calm() -> Vec<Line> {
    let first = [begins(0), sends(1), sends(2), sends(3), finishes(3)].map(|what| line("A", 1, what));
    let second = [begins(0), What::Ask, receives(1), What::Ask, receives(2), What::Ask, receives(3), finishes(6)]
        .map(|what| line("B", 1, what));
    first.into_iter().chain(second).collect()
}

/// The calm run with another B.
fn with_second(second: Vec<(u64, What)>) -> Judgement {
    let first = calm().into_iter().filter(|line| line.role == "A");
    let lines = first.chain(second.into_iter().map(|(incarnation, what)| line("B", incarnation, what))).collect();
    let seen = Seen { session: "s".to_owned(), completed: true, lines };
    check(&[(seen, expected())])
}

fn expected() -> BTreeMap<String, rekindle_jepsen::checkers::sessions::Standing> {
    let (calm, broken) = standing(&calm());
    assert_eq!(broken, Vec::<String>::new());
    calm
}

#[test]
fn a_run_that_recovers_to_the_same_is_accepted() {
    accepts(&with_second(vec![
        (1, begins(0)),
        (1, What::Ask),
        (1, receives(1)),
        (1, What::Ask),
        (1, receives(2)),
        (2, begins(1)),
        (2, What::Ask),
        (2, receives(2)),
        (2, What::Ask),
        (2, receives(3)),
        (2, finishes(6)),
    ]));
}

#[test]
fn a_receive_that_was_done_but_not_written_stays_open() {
    // The process died between the two; its successor is told that two events are done.
    let lines = vec![
        (1, begins(0)),
        (1, What::Ask),
        (1, receives(1)),
        (1, What::Ask),
        (2, begins(2)),
        (2, What::Ask),
        (2, receives(3)),
        (2, finishes(6)),
    ];
    accepts(&with_second(lines.clone()));
    // Without the request nothing can have been done.
    let unasked = lines.into_iter().enumerate().filter(|(place, _)| *place != 3).map(|(_, line)| line).collect();
    rejects(&with_second(unasked), "is told that 2 events are done, its predecessors did 1");
}

#[test]
fn a_lost_message_is_rejected() {
    let lines =
        vec![(1, begins(0)), (1, What::Ask), (1, receives(1)), (1, What::Ask), (1, receives(3)), (1, finishes(4))];
    let found = with_second(lines);
    rejects(&found, "event 1 of role `B`");
    rejects(&found, "3 messages sent, 2 received");
    rejects(&found, "came to");
}

#[test]
fn a_message_delivered_twice_is_rejected() {
    let lines =
        vec![(1, begins(0)), (1, receives(1)), (1, receives(2)), (1, receives(2)), (1, receives(3)), (1, finishes(6))];
    rejects(&with_second(lines), "3 messages sent, 4 received");
}

#[test]
fn another_result_is_rejected() {
    let lines = vec![(1, begins(0)), (1, receives(1)), (1, receives(2)), (1, receives(3)), (1, finishes(7))];
    rejects(&with_second(lines), "came to Some(Number(7))");
}

#[test]
fn a_role_that_never_finished_is_rejected() {
    let lines = vec![(1, begins(0)), (1, receives(1)), (1, receives(2)), (1, receives(3)), (2, begins(3))];
    rejects(&with_second(lines), "came to None");
}

#[test]
fn a_role_that_never_ran_is_rejected() {
    rejects(&with_second(Vec::new()), "role `B` did 0 events");
}

#[test]
fn what_was_undone_does_not_stand() {
    let (roles, broken) = standing(&[
        line("A", 1, begins(0)),
        line("A", 1, sends(1)),
        line("A", 1, sends(2)),
        line("A", 2, begins(1)),
        line("A", 2, sends(9)),
    ]);
    assert_eq!(broken, Vec::<String>::new());
    let payloads: Vec<_> = roles["A"]
        .events
        .iter()
        .map(|event| match event {
            Event::Send { payload, .. } => payload.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(payloads, [json!(1), json!(9)]);
}
