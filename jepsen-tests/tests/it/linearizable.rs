//! Histories that no order explains, and some that one does.

use rekindle_jepsen::checkers::Judgement;
use rekindle_jepsen::checkers::Model as _;
use rekindle_jepsen::checkers::linearizable::check;
use rekindle_jepsen::checkers::names::{Answer, Call, Name, Names};
use rekindle_jepsen::history::Operation;
use rekindle_jepsen::history::Outcome::{Failed, Known, Unknown};
use rekindle_jepsen::schedule::Dice;

use crate::{accepts, cancel, get, operation, rejects, start};

fn judge(operations: &[Operation<Call, Answer>]) -> Judgement {
    check(&Names, operations, |call| call.name().to_owned())
}

#[test]
fn a_stale_read_is_rejected() {
    let history =
        [operation(0, start(0), Known(Answer::Started), (0, 10)), operation(1, get(), Known(Answer::Absent), (20, 30))];
    rejects(&judge(&history), "no order explains `n`");
}

#[test]
fn an_acknowledged_change_that_vanishes_is_rejected() {
    let history = [
        operation(0, start(0), Known(Answer::Started), (0, 10)),
        operation(1, get(), Known(Answer::SeenOpen), (20, 30)),
        operation(0, cancel(), Known(Answer::Cancelled), (40, 50)),
        operation(1, get(), Known(Answer::SeenOpen), (60, 70)),
    ];
    rejects(&judge(&history), "client 1");
}

#[test]
fn a_name_given_twice_is_rejected() {
    let history = [
        operation(0, start(0), Known(Answer::Started), (0, 50)),
        operation(1, start(1), Known(Answer::Started), (10, 40)),
    ];
    rejects(&judge(&history), "no order");
}

#[test]
fn a_name_that_ended_and_is_given_again_is_rejected() {
    let ended = [
        operation(0, start(0), Known(Answer::Started), (0, 10)),
        operation(0, cancel(), Known(Answer::Cancelled), (20, 30)),
    ];
    let again = |answer| ended.iter().cloned().chain([operation(1, start(0), Known(answer), (40, 50))]);
    accepts(&judge(&again(Answer::Ended).collect::<Vec<_>>()));
    rejects(&judge(&again(Answer::Started).collect::<Vec<_>>()), "no order");
}

#[test]
fn an_answer_between_two_reads_of_the_other_is_rejected() {
    // The cancel overlaps both reads; the first has seen it, the second, later one has not.
    let history = [
        operation(0, start(0), Known(Answer::Started), (0, 10)),
        operation(0, cancel(), Known(Answer::Cancelled), (20, 100)),
        operation(1, get(), Known(Answer::SeenCancelled), (30, 40)),
        operation(1, get(), Known(Answer::SeenOpen), (50, 60)),
    ];
    rejects(&judge(&history), "no order");
}

#[test]
fn something_that_failed_must_not_be_seen() {
    let history = [operation(0, start(0), Failed, (0, 10)), operation(1, get(), Known(Answer::SeenOpen), (20, 30))];
    rejects(&judge(&history), "no order");
}

#[test]
fn an_unknown_outcome_stays_open() {
    // It takes effect long after its client gave up, or never.
    let asked = operation(0, start(0), Unknown, (0, 10));
    let absent = operation(1, get(), Known(Answer::Absent), (100, 110));
    let open = operation(1, get(), Known(Answer::SeenOpen), (200, 210));
    accepts(&judge(&[asked.clone(), absent.clone(), open.clone()]));
    accepts(&judge(&[asked.clone(), absent.clone()]));
    accepts(&judge(&[asked.clone(), open.clone()]));
    // Once it has taken effect it stands.
    let absent_again = operation(1, get(), Known(Answer::Absent), (300, 310));
    rejects(&judge(&[asked, absent, open, absent_again]), "no order");
}

#[test]
fn keys_are_judged_apart() {
    let other = Call::Get { name: "m".to_owned() };
    let history =
        [operation(0, start(0), Known(Answer::Started), (0, 10)), operation(1, other, Known(Answer::Absent), (20, 30))];
    accepts(&judge(&history));
}

/// Histories that are linearizable by construction: each operation takes effect at a moment within its span.
fn constructed(seed: u64, count: u64) -> Vec<Operation<Call, Answer>> {
    let mut dice = Dice::new(seed);
    let mut free = [0_u64; 8];
    let mut asked: Vec<(u64, u64, u64, u32, Call)> = Vec::new();
    for _ in 0..count {
        let client = dice.below(free.len());
        let invoked = free[client] + dice.roll() % 5;
        let effect = invoked + 1 + dice.roll() % 40;
        let returned = effect + 1 + dice.roll() % 40;
        free[client] = returned + 1;
        let call = match dice.below(10) {
            0 => cancel(),
            1..3 => start(u8::from(dice.below(2) == 0)),
            _ => get(),
        };
        asked.push((effect, invoked, returned, u32::try_from(client).expect("few clients"), call));
    }
    asked.sort_by_key(|(effect, ..)| *effect);
    let mut state = Name::Absent;
    let every = [
        Answer::Started,
        Answer::Cancelled,
        Answer::SeenOpen,
        Answer::SeenCancelled,
        Answer::Exists,
        Answer::Ended,
        Answer::Absent,
    ];
    let mut history = Vec::new();
    for (_, invoked, returned, client, call) in asked {
        let answer = every.into_iter().find(|answer| Names.step(&state, &call, Some(answer)).is_some());
        let answer = answer.expect("some answer is allowed");
        state = Names.step(&state, &call, Some(&answer)).expect("allowed");
        let outcome = if dice.below(20) == 0 { Unknown } else { Known(answer) };
        history.push(operation(client, call, outcome, (invoked, returned)));
    }
    history
}

#[test]
fn histories_with_an_order_are_accepted_and_a_flipped_answer_is_not() {
    let mut rejected = 0;
    for seed in 0..50 {
        let mut history = constructed(seed, 60);
        accepts(&judge(&history));
        // The last read is told the opposite.
        let last = history.iter_mut().rev().find_map(|operation| match &mut operation.outcome {
            Known(answer @ Answer::SeenOpen) => Some((answer, Answer::Absent)),
            Known(answer @ Answer::SeenCancelled) => Some((answer, Answer::SeenOpen)),
            _ => None,
        });
        if let Some((answer, opposite)) = last {
            *answer = opposite;
            rejected += usize::from(matches!(judge(&history), Judgement::Violated(_)));
        }
    }
    assert!(rejected > 35, "only {rejected} of 50 flipped histories are rejected");
}

#[test]
fn a_long_history_of_one_key_is_decided() {
    accepts(&judge(&constructed(7, 10_000)));
}
