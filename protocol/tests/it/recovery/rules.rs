//! One test for each rule of the definition.

use std::collections::BTreeSet;

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Image, RoleId, StateId};
use rekindle_protocol::recovery::explain::explain;
use rekindle_protocol::recovery::line::{Cause, Lost, RecoveryLine, RoleRun, Run, RunError, recovery_line};
use rekindle_protocol::recovery::policy::FailureKind::{Host, Supervisor, Worker};
use rekindle_protocol::recovery::policy::Mode::{Checkpoint, Replay, Restart, Stateless};
use rekindle_protocol::recovery::policy::Retention::{Durable, Retained, Volatile};
use rekindle_protocol::recovery::policy::{FailureKind, Mode, Retention};

use super::sequence::sequence;

/// A run of a protocol without choice. Every role is in mode `stateless` unless told otherwise.
struct Scene {
    image: Image,
    retention: Retention,
    roles: Vec<Option<RoleRun>>,
}

impl Scene {
    fn new(roles: &[&str], messages: &[(&str, &str)], retention: Retention, done: &[usize]) -> Self {
        let role = |&events: &usize| {
            Some(RoleRun {
                history: History { steps: vec![0; events] },
                mode: Stateless,
                checkpoints: BTreeSet::new(),
                failed: None,
                lost: Lost::default(),
            })
        };
        let roles_run = done.iter().map(role).collect();
        Scene { image: sequence("Scene", roles, messages), retention, roles: roles_run }
    }

    fn with(mut self, role: usize, change: impl FnOnce(&mut RoleRun)) -> Self {
        change(self.roles[role].as_mut().expect("asked"));
        self
    }

    fn mode(self, role: usize, mode: Mode, checkpoints: &[u64]) -> Self {
        self.with(role, |run| {
            run.mode = mode;
            run.checkpoints = checkpoints.iter().copied().collect();
        })
    }

    fn failed(self, role: usize, kind: FailureKind) -> Self {
        self.with(role, |run| run.failed = Some(kind))
    }

    fn try_line(&self) -> Result<RecoveryLine, RunError> {
        recovery_line(&Run { image: &self.image, retention: self.retention, roles: self.roles.clone() })
    }

    fn line(&self) -> RecoveryLine {
        self.try_line().expect("a run of the protocol")
    }

    fn positions(&self) -> Vec<u64> {
        self.line().roles.iter().map(|role| role.position.expect("asked")).collect()
    }

    fn restarted(&self) -> Vec<bool> {
        self.line().roles.iter().map(|role| role.restarted).collect()
    }

    fn sentence(&self, role: u16) -> String {
        explain(RoleId(role), &self.line().roles[usize::from(role)], &self.image)
    }
}

/// A sends twice to B.
fn two_messages(retention: Retention, done: [usize; 2]) -> Scene {
    Scene::new(&["A", "B"], &[("A", "B"), ("A", "B")], retention, &done)
}

/// A to B to C to A.
fn ring(retention: Retention, done: [usize; 3]) -> Scene {
    Scene::new(&["A", "B", "C"], &[("A", "B"), ("B", "C"), ("C", "A")], retention, &done)
}

#[test]
fn nobody_moves_when_nobody_fails() {
    let scene = ring(Volatile, [1, 2, 0]);
    assert_eq!(scene.positions(), [1, 2, 0]);
    assert_eq!(scene.restarted(), [false, false, false]);
    assert_eq!(scene.sentence(0), "A untouched: nothing that it received is undone, nothing that it sent is lost");
}

#[test]
fn a_failed_role_restarts_even_where_it_stood() {
    let scene = ring(Retained, [1, 1, 0]).failed(1, Worker);
    assert_eq!(scene.positions(), [1, 1, 0]);
    assert_eq!(scene.restarted(), [false, true, false]);
}

#[test]
fn restart_goes_back_to_the_start_only() {
    let scene = two_messages(Retained, [2, 1]).mode(0, Restart, &[1]).failed(0, Worker);
    assert_eq!(scene.positions()[0], 0);
    assert_eq!(scene.sentence(0), "A back to 0 (state 1): it failed (worker), and can only start over");
}

#[test]
fn checkpoint_goes_back_to_the_latest_checkpoint() {
    let scene = two_messages(Retained, [2, 1]).mode(0, Checkpoint, &[1]).failed(0, Worker);
    assert_eq!(scene.positions(), [1, 1]);
    let scene = two_messages(Retained, [2, 1]).mode(0, Checkpoint, &[]).failed(0, Worker);
    assert_eq!(scene.positions(), [0, 0]);
}

#[test]
fn stateless_resumes_where_it_stood() {
    assert_eq!(two_messages(Retained, [2, 1]).failed(0, Worker).positions(), [2, 1]);
}

#[test]
fn replay_runs_again_from_its_latest_base() {
    let scene = two_messages(Retained, [2, 2]).mode(1, Replay, &[1]).failed(1, Worker);
    assert_eq!(scene.positions(), [2, 2]);
    assert_eq!(scene.line().roles[1].base, 1);
    assert_eq!(scene.sentence(1), "B back to 2 (state end): it failed (worker), and replays what it did since 1");
}

#[test]
fn replay_stops_before_the_first_message_that_is_not_kept() {
    // B sends, receives, sends: nothing that it received is kept under `volatile`.
    let messages = [("B", "A"), ("A", "B"), ("B", "A")];
    let scene = |checkpoints: &[u64]| {
        Scene::new(&["A", "B"], &messages, Volatile, &[3, 3]).mode(1, Replay, checkpoints).failed(1, Worker)
    };
    assert_eq!(scene(&[]).positions(), [1, 1]);
    assert_eq!(scene(&[2]).positions(), [3, 3]);
    assert_eq!(scene(&[2]).line().roles[1].base, 2);
}

#[test]
fn replay_needs_a_supervisor_that_lives() {
    let scene = |kind| two_messages(Retained, [2, 2]).mode(1, Replay, &[]).failed(1, kind);
    assert_eq!(scene(Worker).positions(), [2, 2]);
    assert_eq!(scene(Supervisor).positions(), [0, 0]);
}

#[test]
fn a_role_that_has_not_failed_may_stay_without_a_recovery_point() {
    let scene = ring(Retained, [1, 2, 1]).mode(0, Restart, &[]).failed(2, Worker);
    assert_eq!(scene.positions(), [1, 2, 1]);
}

#[test]
fn who_received_what_is_not_sent_any_more_goes_back() {
    let scene = two_messages(Retained, [2, 2]).mode(0, Checkpoint, &[1]).failed(0, Worker);
    assert_eq!(scene.positions(), [1, 1]);
    assert_eq!(
        scene.sentence(1),
        "B back to 1 (state 2): it received message 2 (`l2`) from A, and A goes back to 1, before it sent that"
    );
}

#[test]
fn orphans_spread_through_others() {
    let scene = ring(Retained, [2, 2, 2]).mode(0, Restart, &[]).failed(0, Worker);
    assert_eq!(scene.positions(), [0, 0, 0]);
}

#[test]
fn a_mailbox_is_lost_with_its_worker() {
    let scene = two_messages(Volatile, [2, 0]).failed(1, Worker);
    assert_eq!(scene.positions(), [0, 0]);
    assert_eq!(scene.sentence(0), "A back to 0 (state 1): its message 1 (`l1`) to B was in B's mailbox, lost with B");
}

#[test]
fn what_a_failed_role_had_received_is_not_in_its_mailbox() {
    assert_eq!(two_messages(Volatile, [1, 1]).failed(1, Worker).positions(), [1, 1]);
    assert_eq!(two_messages(Volatile, [2, 1]).failed(1, Worker).positions(), [1, 1]);
}

#[test]
fn a_mailbox_is_lost_too_when_its_role_is_moved_back() {
    // C's message waits at B; A starts over, so B goes back before A's message and takes its mailbox along.
    let two = [("A", "B"), ("C", "B")];
    let scene = Scene::new(&["A", "B", "C"], &two, Volatile, &[1, 1, 1]).mode(0, Restart, &[]).failed(0, Worker);
    assert_eq!(scene.positions(), [0, 0, 0]);
    assert_eq!(
        scene.sentence(2),
        "C back to 0 (state 2): its message 1 (`l2`) to B was in B's mailbox, emptied when B went back"
    );
}

#[test]
fn what_must_be_received_again_under_volatile_must_be_sent_again() {
    let messages = [("C", "B"), ("A", "B")];
    let scene = Scene::new(&["A", "B", "C"], &messages, Volatile, &[1, 2, 1]).mode(1, Restart, &[]).failed(1, Worker);
    assert_eq!(scene.positions(), [0, 0, 0]);
    assert_eq!(
        scene.sentence(2),
        "C back to 0 (state 1): its message 1 (`l1`) to B must be received again by B and is not kept"
    );
}

#[test]
fn a_mailbox_of_an_untouched_role_keeps_its_messages() {
    let messages = [("A", "B"), ("C", "A")];
    let scene = Scene::new(&["A", "B", "C"], &messages, Volatile, &[1, 0, 1]).failed(2, Worker);
    assert_eq!(scene.positions(), [1, 0, 1]);
    let transit: Vec<(u16, u16, u64, String)> =
        scene.line().in_transit.into_iter().map(|m| (m.from.0, m.to.0, m.index, m.label)).collect();
    assert_eq!(transit, [(0, 1, 1, "l1".to_owned()), (2, 0, 1, "l2".to_owned())]);
}

#[test]
fn retained_messages_outlive_the_worker_and_not_its_supervisor() {
    let scene = |kind| two_messages(Retained, [2, 0]).failed(1, kind);
    assert_eq!(scene(Worker).positions(), [2, 0]);
    assert_eq!(scene(Supervisor).positions(), [0, 0]);
    assert_eq!(scene(Host).positions(), [0, 0]);
    assert_eq!(
        scene(Host).sentence(0),
        "A back to 0 (state 1): its message 1 (`l1`) to B was kept by B's supervisor, lost with it"
    );
}

#[test]
fn retained_messages_are_delivered_again_to_a_role_that_goes_back() {
    assert_eq!(two_messages(Retained, [2, 2]).mode(1, Restart, &[]).failed(1, Worker).positions(), [2, 0]);
}

#[test]
fn durable_messages_outlive_all_but_both_disks() {
    let scene = |kind| two_messages(Durable, [2, 0]).failed(1, kind);
    assert_eq!(scene(Supervisor).positions(), [2, 0]);
    assert_eq!(scene(Host).positions(), [2, 0]);
    let sender_too = |kind| scene(Host).failed(0, kind);
    assert_eq!(sender_too(Supervisor).positions(), [2, 0]);
    assert_eq!(sender_too(Host).positions(), [0, 0]);
    assert_eq!(
        sender_too(Host).sentence(0),
        "A back to 0 (state 1): its message 1 (`l1`) to B was on the disks of A and B, both lost"
    );
}

#[test]
fn durable_replay_needs_one_of_both_disks() {
    let scene = two_messages(Durable, [2, 2]).mode(1, Replay, &[]).failed(1, Host);
    assert_eq!(scene.positions(), [2, 2]);
    assert_eq!(scene.failed(0, Host).positions(), [0, 0]);
}

#[test]
fn several_failures_are_one_recovery() {
    let scene = ring(Volatile, [1, 2, 0]).failed(0, Worker).failed(2, Worker);
    assert_eq!(scene.positions(), [1, 1, 0]);
    assert_eq!(scene.restarted(), [true, true, true]);
}

#[test]
fn a_position_that_nothing_proves_leaves_orphans() {
    // A had sent twice; after the loss of its supervisor only one send is proved.
    let scene = two_messages(Retained, [1, 2]).failed(0, Supervisor);
    assert_eq!(scene.positions(), [1, 1]);
}

#[test]
fn roles_outside_the_row_are_neither_asked_nor_moved() {
    let mut scene = two_messages(Volatile, [1, 1]).failed(1, Worker);
    scene.roles[0] = None;
    let line = scene.line();
    assert_eq!((line.roles[0].position, line.roles[0].restarted), (None, false));
    assert_eq!(line.roles[0].cause, Cause::NotConcerned);
    assert_eq!(line.roles[1].position, Some(1));
    assert_eq!(line.roles[1].received, [1, 0]);
    assert_eq!(scene.sentence(0), "A untouched: whatever this failure undoes, it cannot reach this role");
}

#[test]
fn a_line_counts_messages_and_names_the_state() {
    let line = two_messages(Retained, [2, 1]).failed(1, Worker).line();
    assert_eq!((line.roles[0].sent.as_slice(), line.roles[0].received.as_slice()), (&[0, 2][..], &[0, 0][..]));
    assert_eq!((line.roles[1].sent.as_slice(), line.roles[1].received.as_slice()), (&[0, 0][..], &[1, 0][..]));
    assert_eq!((line.roles[0].state, line.roles[1].state), (Some(StateId(2)), Some(StateId(1))));
}

#[test]
fn what_a_supervisor_took_stays_lost() {
    let first = two_messages(Retained, [2, 1]).mode(1, Checkpoint, &[1]).failed(1, Supervisor);
    assert_eq!(first.positions(), [1, 1], "message 2 was lost with the supervisor");
    let lost = first.line().roles[1].lost.clone();
    assert_eq!(lost, Lost { sent: vec![], received: vec![1, 0] });
    // Later the worker starts over; without the memory of the first failure message 1 would be awaited for ever.
    let second = two_messages(Retained, [2, 1]).mode(1, Restart, &[]).failed(1, Worker).with(1, |run| run.lost = lost);
    assert_eq!(second.positions(), [0, 0]);
    assert_eq!(
        second.sentence(0),
        "A back to 0 (state 1): its message 1 (`l1`) to B was kept by B's supervisor, lost with it in an earlier failure"
    );
    assert!(second.line().roles[1].lost.is_empty(), "what is sent again is kept again");
}

#[test]
fn what_one_disk_after_the_other_took_is_lost_under_durable() {
    let first = two_messages(Durable, [2, 2]).mode(1, Checkpoint, &[2]).failed(1, Host).line();
    assert_eq!(first.roles[1].lost, Lost { sent: vec![], received: vec![2, 0] });
    let second = two_messages(Durable, [2, 2]).failed(0, Host).with(1, |run| run.lost = first.roles[1].lost.clone());
    assert_eq!(second.positions(), [2, 2]);
    let lost: Vec<Lost> = second.line().roles.into_iter().map(|role| role.lost).collect();
    assert_eq!(lost[0], Lost { sent: vec![0, 2], received: vec![] });
    let third = two_messages(Durable, [2, 2])
        .mode(1, Restart, &[])
        .failed(1, Worker)
        .with(0, |run| run.lost = lost[0].clone())
        .with(1, |run| run.lost = lost[1].clone());
    assert_eq!(third.positions(), [0, 0]);
}

#[test]
fn a_run_that_is_none_is_refused() {
    let mut short = two_messages(Retained, [1, 1]);
    short.roles.pop();
    assert_eq!(short.try_line(), Err(RunError::RoleCount { expected: 2, found: 1 }));
    let role = RoleId(1);
    assert_eq!(two_messages(Retained, [1, 3]).try_line(), Err(RunError::NotAPath { role, position: 2 }));
    assert_eq!(
        two_messages(Retained, [1, 1]).mode(1, Restart, &[0, 2]).try_line(),
        Err(RunError::CheckpointPastEnd { role, checkpoint: 2, position: 1 })
    );
    assert_eq!(
        two_messages(Retained, [1, 1]).with(1, |run| run.lost.received = vec![1]).try_line(),
        Err(RunError::LostCount { role, expected: 2, found: 1 })
    );
}
