//! Logs that do not explain the answers.

use rekindle_jepsen::checkers::Judgement;
use rekindle_jepsen::checkers::names::{Answer, Call, Names};
use rekindle_jepsen::checkers::order::check;
use rekindle_jepsen::history::Operation;
use rekindle_jepsen::history::Outcome::{self, Known, Unknown};

use crate::{accepts, cancel, get, operation, rejects, start};

fn at(index: u64, call: Call, outcome: Outcome<Answer>, span: (u64, u64)) -> Operation<Call, Answer> {
    Operation { index: Some(index), ..operation(0, call, outcome, span) }
}

fn judge(operations: &[Operation<Call, Answer>]) -> Judgement {
    check(&Names, operations, |call| call.name().to_owned())
}

#[test]
fn an_order_that_explains_all_is_accepted() {
    accepts(&judge(&[
        at(5, start(0), Known(Answer::Started), (0, 10)),
        at(6, cancel(), Known(Answer::Cancelled), (5, 30)),
        at(9, get(), Known(Answer::SeenCancelled), (20, 40)),
    ]));
}

#[test]
fn an_answer_that_the_log_does_not_explain_is_rejected() {
    let history = [at(5, start(0), Known(Answer::Started), (0, 10)), at(6, get(), Known(Answer::Absent), (0, 10))];
    rejects(&judge(&history), "entry 6");
}

#[test]
fn an_order_against_real_time_is_rejected() {
    // Between different names, which a check per key does not see.
    let other = Call::Start { name: "m".to_owned(), variant: 0 };
    let history = [at(7, start(0), Known(Answer::Started), (0, 10)), at(6, other, Known(Answer::Started), (20, 30))];
    rejects(&judge(&history), "was asked for only at");
}

#[test]
fn two_operations_of_one_entry_are_rejected() {
    let history =
        [at(7, start(0), Known(Answer::Started), (0, 10)), at(7, cancel(), Known(Answer::Cancelled), (0, 10))];
    rejects(&judge(&history), "entry 7 answers two");
}

#[test]
fn a_key_with_an_unknown_outcome_is_not_replayed() {
    let history = [operation(1, start(0), Unknown, (0, 10)), at(6, get(), Known(Answer::SeenOpen), (20, 30))];
    accepts(&judge(&history));
}

#[test]
fn without_indices_nothing_is_decided() {
    let history = [operation(0, start(0), Known(Answer::Started), (0, 10))];
    assert!(matches!(judge(&history), Judgement::Undecided(_)));
}
