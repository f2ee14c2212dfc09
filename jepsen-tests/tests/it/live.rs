//! Clusters that do not come back.

use rekindle_jepsen::checkers::liveness::{Aftermath, Gap, Span, check, longest_gap, progress};

use crate::{accepts, rejects};

fn aftermath(phase: &str, first_change_ms: Option<u64>) -> Aftermath {
    Aftermath { sessions: vec![("s1".to_owned(), phase.to_owned())], first_change_ms, waited_ms: 60_000 }
}

#[test]
fn a_session_that_hangs_is_rejected() {
    accepts(&check(&aftermath("completed", Some(3))));
    rejects(&check(&aftermath("recovering", Some(3))), "session `s1` is `recovering`");
    rejects(&check(&aftermath("unknown", Some(3))), "`unknown`");
}

#[test]
fn a_cluster_that_takes_no_change_is_rejected() {
    rejects(&check(&aftermath("completed", None)), "no change was acknowledged");
}

#[test]
fn the_longest_time_without_progress_touches_the_fault() {
    let successes = [10, 20, 30, 90, 95, 200];
    assert_eq!(longest_gap(&successes, 25, 40), Gap { from: 30, length: 60 });
    assert_eq!(longest_gap(&successes, 91, 94), Gap { from: 90, length: 5 });
    assert_eq!(longest_gap(&successes, 210, 260), Gap { from: 200, length: 60 });
    assert_eq!(longest_gap(&[], 10, 50), Gap { from: 0, length: 50 });
}

#[test]
fn a_majority_that_stands_still_is_rejected() {
    let bridge = |from, to| [Span { fault: "bridge".to_owned(), from, to }];
    accepts(&progress(&[5, 12, 19, 25], &bridge(10, 20), 7));
    rejects(&progress(&[5, 12, 25], &bridge(10, 20), 7), "during bridge");
    rejects(&progress(&[5, 25], &bridge(10, 20), 7), "no change was acknowledged");
    // What came before or after does not count against the fault.
    accepts(&progress(&[1, 100], &bridge(10, 15), 7));
}
