//! Two processes of a role at once.

use rekindle_jepsen::checkers::overlap::check;
use rekindle_jepsen::outside::{Line, What};

use crate::{accepts, rejects};

fn line(at: u64, incarnation: u64, pid: u32, what: What) -> Line {
    let (session, role, host) = ("s".to_owned(), "A".to_owned(), "a1".to_owned());
    Line { at, session, role, incarnation, pid, host, what }
}

fn begins(alone: bool) -> What {
    What::Start { base: 0, position: 0, alone }
}

#[test]
fn one_after_the_other_is_accepted() {
    accepts(&check(&[
        line(1, 1, 10, begins(true)),
        line(5, 1, 10, What::Ask),
        line(6, 2, 11, begins(true)),
        line(9, 2, 11, What::Ask),
    ]));
}

#[test]
fn a_process_that_acts_after_its_successor_began_is_rejected() {
    let lines = [line(1_000, 1, 10, begins(true)), line(6_000, 2, 11, begins(true)), line(9_000, 1, 10, What::Ask)];
    rejects(&check(&lines), "acted 3 µs after incarnation 2");
}

#[test]
fn two_processes_of_one_incarnation_are_rejected() {
    let lines = [line(1, 1, 10, begins(true)), line(6, 1, 11, begins(true)), line(9, 1, 10, What::Ask)];
    rejects(&check(&lines), "process 10");
}

#[test]
fn a_lock_that_another_process_holds_is_rejected() {
    let lines = [line(1, 1, 10, begins(true)), line(6, 2, 11, begins(false))];
    rejects(&check(&lines), "while another process held the role");
}
