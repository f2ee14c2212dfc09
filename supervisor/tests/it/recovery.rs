//! Recoveries, as a leader orders them.

use std::time::Duration;

use rekindle_protocol::history::History;
use rekindle_protocol::recovery::policy::Mode;
use rekindle_statemachine::command::FailureCause;
use rekindle_statemachine::effect::Goal;
use rekindle_supervisor::CrashAt;

use crate::host::{
    A, B, Host, IDLER, PINGER, PONGER, acknowledged, failed, finished, folder, gone, order, position, run,
};
use crate::leader::Leader;
use crate::plan::{Plan, ping_pong};

const LEASE: Duration = Duration::from_secs(30);

/// Ping-pong in which `B` is killed after `events` events, frozen and reported.
async fn crashed(events: u64, mode: Mode, ponger: &str) -> (Leader, Host, Plan) {
    let leader = Leader::start(1, LEASE).await;
    let fault = CrashAt { role: "B".to_owned(), events };
    let host = Host::with("one", &[&leader.address], folder(), |config| config.faults.push(fault)).await;
    let mut plan = host.plan(ping_pong(), mode, &[("one", &host), ("one", &host)], &[PINGER, ponger]);
    run(&leader, &["one"], &mut plan).await;
    assert_eq!(failed(&leader, B).await, (FailureCause::Signalled { signal: 9 }, events));
    (leader, host, plan)
}

/// Ping and pong in turn.
fn rounds(steps: usize) -> History {
    History { steps: vec![0; steps] }
}

#[tokio::test]
async fn a_worker_runs_again_up_to_its_position_and_its_peer_notices_nothing() {
    let (leader, host, mut plan) = crashed(4, Mode::Replay, PONGER).await;
    let freeze = plan.freeze(&[A]);
    order(&leader, &["one"], &freeze).await;
    assert!((4..=5).contains(&position(&leader, A).await));
    let restore = plan.recover(&[(B, rounds(4), 0)]);
    order(&leader, &["one"], &restore).await;
    acknowledged(&leader, 1, &[A, B]).await;
    host.logged(r#""incarnation":2,"position":4,"base":0,"state":"1|3""#).await;
    let go = plan.next(Goal::Run);
    order(&leader, &["one"], &go).await;
    assert_eq!((finished(&leader, A).await, finished(&leader, B).await), (7, 7));
    host.agent.shutdown().await;
}

#[tokio::test]
async fn a_repeated_send_that_differs_is_a_violation() {
    const FICKLE: &str = r#"
read start
while :; do
  echo '{"type":"receive"}'
  read message || exit 1
  echo '{"type":"send","to":"A","label":"pong","payload":'"$REKINDLE_INCARNATION"'}'
done
"#;
    let (leader, _host, mut plan) = crashed(4, Mode::Replay, FICKLE).await;
    let restore = plan.recover(&[(B, rounds(4), 0)]);
    order(&leader, &["one"], &restore).await;
    let (cause, position) = failed(&leader, B).await;
    assert_eq!(position, 4, "its events stand");
    assert_eq!(
        cause,
        FailureCause::Violation {
            state: "2".to_owned(),
            expected: vec!["A!pong as before".to_owned()],
            got: "A!pong with another payload than before: it differs as a whole".to_owned(),
        }
    );
}

#[tokio::test]
async fn a_stateless_worker_goes_on_in_the_state_it_is_told() {
    const STATELESS: &str = r#"
read start
case "$start" in *'"next":["A!pong"]'*) echo '{"type":"send","to":"A","label":"pong","payload":0}';; esac
while :; do
  echo '{"type":"receive"}'
  read message || exit 1
  case "$message" in *'"label":"done"'*) exit 0;; esac
  echo '{"type":"send","to":"A","label":"pong","payload":0}'
done
"#;
    let (leader, _host, mut plan) = crashed(3, Mode::Stateless, STATELESS).await;
    let restore = plan.recover(&[(B, rounds(3), 3)]);
    order(&leader, &["one"], &restore).await;
    acknowledged(&leader, 1, &[A, B]).await;
    let go = plan.next(Goal::Run);
    order(&leader, &["one"], &go).await;
    assert_eq!((finished(&leader, A).await, finished(&leader, B).await), (7, 7));
}

#[tokio::test]
async fn everybody_from_the_start_under_new_incarnations() {
    let (leader, host, mut plan) = crashed(3, Mode::Restart, PONGER).await;
    let old = host.pid("A", 1).await;
    let restore = plan.recover(&[(A, rounds(0), 0), (B, rounds(0), 0)]);
    order(&leader, &["one"], &restore).await;
    acknowledged(&leader, 1, &[A, B]).await;
    gone(old).await;
    let go = plan.next(Goal::Run);
    order(&leader, &["one"], &go).await;
    assert_eq!((finished(&leader, A).await, finished(&leader, B).await), (7, 7));
}

#[tokio::test]
async fn a_role_that_moves_away_is_dropped_and_comes_up_where_it_belongs() {
    let leader = Leader::start(1, LEASE).await;
    let (west, east) = (Host::start(&leader, "west").await, Host::start(&leader, "east").await);
    let mut plan = west.plan(ping_pong(), Mode::Restart, &[("west", &west), ("east", &east)], &[IDLER, IDLER]);
    run(&leader, &["west", "east"], &mut plan).await;
    let old = east.pid("B", 1).await;

    plan.places[1].agent = plan.places[0].agent.clone();
    plan.places[1].address.clone_from(&west.address);
    for (index, script) in [PINGER, PONGER].iter().enumerate() {
        crate::host::write_script(west.folder.path(), &format!("role-{index}.sh"), script);
    }
    let restore = plan.recover(&[(A, rounds(0), 0), (B, rounds(0), 0)]);
    order(&leader, &["west", "east"], &restore).await;
    acknowledged(&leader, 1, &[A, B]).await;
    gone(old).await;
    let go = plan.next(Goal::Run);
    order(&leader, &["west", "east"], &go).await;
    assert_eq!((finished(&leader, A).await, finished(&leader, B).await), (7, 7));
}
