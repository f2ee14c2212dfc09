//! Sessions without failures.

use std::time::Duration;

use rekindle_protocol::recovery::policy::Mode;
use rekindle_statemachine::command::Command;
use rekindle_statemachine::effect::Goal;

use crate::host::{A, B, Host, IDLER, PINGER, PONGER, acknowledged, failed, finished, gone, order, position, run};
use crate::leader::Leader;
use crate::plan::ping_pong;

const LEASE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn workers_exchange_messages_and_finish() {
    let leader = Leader::start(1, LEASE).await;
    let host = Host::start(&leader, "one").await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[PINGER, PONGER]);

    order(&leader, &["one"], &plan.order()).await;
    acknowledged(&leader, 0, &[A, B]).await;
    // Nobody moves before `Run`.
    let freeze = plan.freeze(&[A, B]);
    order(&leader, &["one"], &freeze).await;
    assert_eq!((position(&leader, A).await, position(&leader, B).await), (0, 0));
    let go = plan.next(Goal::Run);
    order(&leader, &["one"], &go).await;

    assert_eq!((finished(&leader, A).await, finished(&leader, B).await), (7, 7));
    let start = host.logged("\"type\":\"start\"").await;
    assert_eq!(
        start,
        concat!(
            r#"B: {"type":"start","session":"s1","role":"B","incarnation":1,"position":0,"base":0,"state":"1|3","#,
            r#""next":["A?ping","A?done"],"roles":["A","B"],"mode":"restart","checkpoint":null}"#
        )
    );
    assert_eq!(leader.untaken(), []);
    assert_eq!(host.agent.leader().map(|node| node.0), Some(1));
    host.agent.shutdown().await;
}

#[tokio::test]
async fn the_same_order_again_is_acknowledged_again_and_not_redone() {
    let leader = Leader::start(1, LEASE).await;
    let host = Host::start(&leader, "one").await;
    let plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[IDLER, IDLER]);
    for _ in 0..2 {
        order(&leader, &["one"], &plan.order()).await;
        acknowledged(&leader, 0, &[A, B]).await;
    }
    let started = host.events().into_iter().filter(|event| format!("{event:?}").starts_with("WorkerStarted")).count();
    assert_eq!(started, 2);
    host.agent.shutdown().await;
}

#[tokio::test]
async fn the_end_of_a_session_and_of_the_agent_leaves_no_worker() {
    let leader = Leader::start(1, LEASE).await;
    let host = Host::start(&leader, "one").await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[IDLER, IDLER]);
    run(&leader, &["one"], &mut plan).await;
    let pids = [host.pid("A", 1).await, host.pid("B", 1).await];
    let end = plan.next(Goal::End);
    order(&leader, &["one"], &end).await;
    for pid in pids {
        gone(pid).await;
    }

    let mut next = plan.order();
    next.session.0 = "s2".to_owned();
    order(&leader, &["one"], &next).await;
    acknowledged(&leader, 0, &[A, B]).await;
    let all: Vec<u32> = host
        .events()
        .into_iter()
        .filter_map(|event| match event {
            rekindle_supervisor::LocalEvent::WorkerStarted { pid, .. } => Some(pid),
            _ => None,
        })
        .collect();
    assert_eq!(all.len(), 4);
    host.agent.shutdown().await;
    for pid in all {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid} outlived its agent");
    }
}

#[tokio::test]
async fn a_checkpoint_is_stored_at_its_place_and_confirmed() {
    const SAVER: &str = r#"
read start
echo '{"type":"send","to":"B","label":"ping","payload":1}'
echo '{"type":"checkpoint","data":{"rounds":1}}'
echo '{"type":"log","text":"one\\ntwo"}'
read stored
echo "$stored" >&2
read never
"#;
    let leader = Leader::start(1, LEASE).await;
    let host = Host::start(&leader, "one").await;
    let mut plan = host.plan(ping_pong(), Mode::Checkpoint, &[("one", &host), ("one", &host)], &[SAVER, IDLER]);
    run(&leader, &["one"], &mut plan).await;
    let stored = leader.command(|command| match command {
        Command::StoreCheckpoint { role, after, steps, data, .. } => Some((*role, *after, steps.clone(), data.clone())),
        _ => None,
    });
    assert_eq!(stored.await.1, (A, 0, vec![0], br#"{"rounds":1}"#.to_vec()));
    assert_eq!((host.logged("one").await, host.logged("two").await), ("A: one".to_owned(), "A: two".to_owned()));
    assert_eq!(host.logged("stored").await, r#"A: {"type":"stored","position":1}"#);
    host.agent.shutdown().await;
}

/// The name of a session that the cluster forgot is started again: whatever is left of the one before goes, and the new one
/// runs, though its orders have low numbers.
#[tokio::test]
async fn another_session_of_the_same_name_takes_the_place_of_the_one_before() {
    let leader = Leader::start(1, LEASE).await;
    let host = Host::start(&leader, "one").await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[IDLER, IDLER]);
    run(&leader, &["one"], &mut plan).await;
    let old = host.pid("A", 1).await;
    let late = plan.next(Goal::Run);

    plan.revision = 1;
    let mut next = plan.order();
    next.generation.0 += 1;
    order(&leader, &["one"], &next).await;
    gone(old).await;
    acknowledged(&leader, 0, &[A, B]).await;
    // An order to the one before comes late and changes nothing.
    order(&leader, &["one"], &late).await;
    let end = plan.next(Goal::End);
    order(&leader, &["one"], &rekindle_statemachine::effect::Order { generation: next.generation, ..end }).await;
    next.generation.0 += 1;
    order(&leader, &["one"], &next).await;
    acknowledged(&leader, 0, &[A, B]).await;
    host.agent.shutdown().await;
}

/// A refusal that is not merely late ends the session, whose reason the cluster is told, and is an event.
#[tokio::test]
async fn a_report_that_is_refused_is_told_and_never_hangs_the_session() {
    let leader = Leader::start(1, LEASE).await;
    let host = Host::start(&leader, "one").await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[PINGER, PONGER]);
    order(&leader, &["one"], &plan.order()).await;
    acknowledged(&leader, 0, &[A, B]).await;
    leader.reject(true);
    let go = plan.next(Goal::Run);
    order(&leader, &["one"], &go).await;
    let reason = host
        .event(|event| match event {
            rekindle_supervisor::LocalEvent::ReportRefused { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await;
    assert_eq!(reason, "invalid: the test says so");
    let (cause, _) = failed(&leader, A).await;
    assert!(cause.to_string().contains("the test says so"), "{cause}");
    host.agent.shutdown().await;
}
