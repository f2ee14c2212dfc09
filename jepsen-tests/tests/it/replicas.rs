//! Nodes that contradict each other or themselves.

use rekindle_jepsen::checkers::replicas::{Observation, check};

use crate::{accepts, rejects};

fn seen(node: u64, run: u32, term: u64, leads: bool, applied: u64, digest: &str) -> Observation {
    Observation { at: 0, node, run, term, leads, applied, digest: digest.to_owned() }
}

#[test]
fn nodes_that_agree_are_accepted() {
    accepts(&check(&[
        seen(1, 1, 1, true, 5, "aa"),
        seen(1, 1, 1, true, 5, ""),
        seen(2, 1, 1, false, 5, "aa"),
        seen(2, 2, 2, true, 3, ""),
        seen(2, 2, 2, true, 6, "bb"),
        seen(1, 1, 2, false, 6, "bb"),
    ]));
}

#[test]
fn two_digests_of_one_index_are_rejected() {
    let found = check(&[seen(1, 1, 1, false, 5, "aa"), seen(2, 1, 1, false, 5, "bb")]);
    rejects(&found, "at index 5 node 2 has the digest bb, node 1 has aa");
}

#[test]
fn two_leaders_of_a_term_are_rejected() {
    let claims = [1, 2, 1, 2].map(|node| seen(node, 1, 3, true, 5, ""));
    rejects(&check(&claims), "term 3 is led by node 1 and by node 2");
}

#[test]
fn a_leader_that_leads_its_old_term_after_a_restart_is_rejected() {
    let claims = [1, 1, 2, 2].map(|run| seen(1, run, 3, true, 5, ""));
    rejects(&check(&claims), "node 1 leads term 3 again");
}

#[test]
fn a_single_claim_may_be_a_term_read_a_moment_later() {
    accepts(&check(&[seen(1, 1, 3, true, 5, ""), seen(1, 1, 3, true, 5, ""), seen(2, 1, 3, true, 5, "")]));
}

#[test]
fn a_node_that_goes_back_is_rejected() {
    rejects(&check(&[seen(1, 1, 3, false, 5, ""), seen(1, 1, 3, false, 4, "")]), "went back");
    rejects(&check(&[seen(1, 1, 3, false, 5, ""), seen(1, 1, 2, false, 5, "")]), "went back");
}
