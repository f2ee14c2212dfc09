//! Every checker must reject bad histories, and every run must be what its seed says.

mod cuts;
mod linearizable;
mod live;
mod netns;
mod order;
mod overlap;
mod relay;
mod replicas;
mod schedule;
mod sessions;
mod verdict;

use rekindle_jepsen::checkers::Judgement;
use rekindle_jepsen::checkers::names::{Answer, Call};
use rekindle_jepsen::history::{Operation, Outcome};

/// An operation on a name, from `invoked` to `returned`.
fn operation(client: u32, call: Call, outcome: Outcome<Answer>, span: (u64, u64)) -> Operation<Call, Answer> {
    Operation { client, call, outcome, invoked: span.0, returned: span.1, index: None }
}

fn start(variant: u8) -> Call {
    Call::Start { name: "n".to_owned(), variant }
}

fn cancel() -> Call {
    Call::Cancel { name: "n".to_owned() }
}

fn get() -> Call {
    Call::Get { name: "n".to_owned() }
}

/// The judgement rejects, and says so with these words.
#[track_caller]
fn rejects(judgement: &Judgement, words: &str) {
    match judgement {
        Judgement::Violated(findings) => {
            assert!(findings.iter().any(|finding| finding.contains(words)), "{words:?} is not in {findings:#?}");
        }
        other => panic!("not rejected: {other:?}"),
    }
}

#[track_caller]
fn accepts(judgement: &Judgement) {
    assert!(matches!(judgement, Judgement::Holds { .. }), "{judgement:?}");
}
