//! The link to the cluster: leases, leaders that die.

use std::time::{Duration, Instant};

use rekindle_protocol::recovery::policy::Mode;
use rekindle_statemachine::command::Command;
use rekindle_statemachine::effect::Goal;
use rekindle_statemachine::ids::AgentId;
use rekindle_supervisor::{Agent, AgentConfig, AgentError, LocalEvent, StartError};

use crate::host::{A, B, Host, IDLER, PINGER, PONGER, acknowledged, failed, finished, folder, gone, order, run};
use crate::leader::{Leader, PATIENCE};
use crate::plan::ping_pong;

const LEASE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn without_a_lease_no_worker_runs() {
    // Long enough for a busy machine to renew it, for it is to be lost only when the test wants it.
    let leader = Leader::start(1, Duration::from_secs(10)).await;
    let host = Host::start(&leader, "one").await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[IDLER, IDLER]);
    run(&leader, &["one"], &mut plan).await;
    let (pids, before) = ([host.pid("A", 1).await, host.pid("B", 1).await], leader.hello("one", 0).await);
    leader.grant(false);
    host.event(|event| matches!(event, LocalEvent::LeaseLost { .. }).then_some(())).await;
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid} runs without a lease");
    }
    // It comes back as somebody else, who owns nothing.
    leader.grant(true);
    let mut number = 1;
    while leader.hello("one", number).await.instance == before.instance {
        number += 1;
    }
    let mut again = plan.order();
    again.session.0 = "s2".to_owned();
    order(&leader, &["one"], &again).await;
    acknowledged(&leader, 0, &[A, B]).await;
    host.agent.shutdown().await;
}

#[tokio::test]
async fn a_dismissed_agent_kills_its_workers_and_begins_anew() {
    let leader = Leader::start(1, LEASE).await;
    let host = Host::start(&leader, "one").await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[IDLER, IDLER]);
    run(&leader, &["one"], &mut plan).await;
    let pid = host.pid("A", 1).await;
    leader.dismiss("one").await;
    gone(pid).await;
    assert_ne!(leader.hello("one", 1).await.instance, leader.hello("one", 0).await.instance);
    assert_eq!(leader.untaken(), [], "the end of killed workers is nobody's failure");
}

#[tokio::test]
async fn an_agent_whose_name_another_took_over_ends() {
    let leader = Leader::start(1, LEASE).await;
    let host = Host::start(&leader, "one").await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[IDLER, IDLER]);
    run(&leader, &["one"], &mut plan).await;
    let pid = host.pid("A", 1).await;
    assert_eq!(host.agent.failed(), None);
    leader.supersede("one", "127.0.0.1:7299").await;
    tokio::time::timeout(PATIENCE, host.agent.wait()).await.expect("it ends");
    gone(pid).await;
    let agent = AgentId("one".to_owned());
    let failed = host.agent.failed().expect("a reason");
    assert_eq!(failed, AgentError::Superseded { agent, address: "127.0.0.1:7299".to_owned() });
    assert!(failed.to_string().starts_with("another local supervisor named `one` took over from 127.0.0.1:7299;"));
    assert_eq!(leader.hellos("one"), 1, "it does not come back");
}

#[tokio::test]
async fn an_agent_says_which_lease_its_process_held() {
    let leader = Leader::start(1, LEASE).await;
    let host = Host::start(&leader, "one").await;
    let first = leader.hello("one", 0).await;
    assert_eq!(first.held_instance, 0);
    host.event(|event| matches!(event, LocalEvent::LeaderChanged { .. }).then_some(())).await;
    leader.dismiss("one").await;
    let second = leader.hello("one", 1).await;
    assert_eq!(second.held_instance, first.instance);
    host.agent.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_is_refused_again_and_again_backs_off() {
    let leader = Leader::start(1, LEASE).await;
    leader.refuse(true);
    let begin = Instant::now();
    let host = Host::start(&leader, "one").await;
    leader.hello("one", 6).await;
    // Pauses of at least half of 20, 40, 80, 160, 320 and 640 ms; a slow machine only makes them longer.
    assert!(begin.elapsed() >= Duration::from_millis(630), "in {:?}", begin.elapsed());
    leader.refuse(false);
    host.event(|event| matches!(event, LocalEvent::LeaderChanged { .. }).then_some(())).await;
    host.agent.shutdown().await;
}

#[tokio::test]
async fn a_name_or_address_that_the_cluster_would_refuse_is_refused_at_the_start() {
    let long = "x".repeat(65);
    let good = "127.0.0.1:1";
    for (name, address) in
        [("", good), ("a b", good), ("é", good), (&long, good), ("east", "zzz"), ("east", "a:0"), ("east", "a\u{1b}:1")]
    {
        let config = AgentConfig::new(AgentId(name.to_owned()), vec!["127.0.0.1:1".to_owned()]);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = Agent::start(config, listener, address.to_owned()).await;
        assert!(matches!(refused, Err(StartError::Refused(_))), "{name:?} {address:?}");
    }
}

#[tokio::test]
async fn what_a_dead_leader_left_unanswered_goes_to_the_next_under_the_same_id() {
    let (first, second) = (Leader::start(1, LEASE).await, Leader::start(2, LEASE).await);
    // The second one does not lead until the first is dead.
    second.grant(false);
    let host = Host::with("one", &[&first.address, &second.address], folder(), |_| {}).await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[PINGER, PONGER]);
    order(&first, &["one"], &plan.order()).await;
    acknowledged(&first, 0, &[A, B]).await;
    first.reply(false);
    let go = plan.next(Goal::Run);
    order(&first, &["one"], &go).await;
    let finish = |command: &Command| matches!(command, Command::FinishRole { role, .. } if *role == B).then_some(());
    let (request, ()) = first.command(finish).await;
    let hello = first.hello("one", 0).await;
    second.stand(vec![go]);
    second.grant(true);
    first.die();

    assert_eq!(second.command(finish).await, (request, ()));
    assert_eq!(finished(&second, A).await, 7);
    assert_eq!(second.hello("one", 0).await.instance, hello.instance, "the lease went on");
    host.event(|event| {
        (*event == LocalEvent::LeaderChanged { node: rekindle_statemachine::ids::NodeId(2) }).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_dies_while_nobody_leads_is_reported_with_its_age() {
    let (first, second) = (Leader::start(1, LEASE).await, Leader::start(2, LEASE).await);
    second.grant(false);
    let host = Host::with("one", &[&first.address, &second.address], folder(), |_| {}).await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[IDLER, IDLER]);
    run(&first, &["one"], &mut plan).await;
    first.die();
    let pid = host.pid("A", 1).await;
    std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    gone(pid).await;
    second.stand(vec![plan.next(Goal::Run)]);
    second.grant(true);
    let (_, position) = failed(&second, A).await;
    assert_eq!(position, 0);
}

#[tokio::test]
async fn a_session_that_no_longer_stands_when_the_next_leader_comes_is_over() {
    let (first, second) = (Leader::start(1, LEASE).await, Leader::start(2, LEASE).await);
    second.grant(false);
    let host = Host::with("one", &[&first.address, &second.address], folder(), |_| {}).await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[IDLER, IDLER]);
    run(&first, &["one"], &mut plan).await;
    let mut other = plan.order();
    other.session.0 = "s2".to_owned();
    order(&first, &["one"], &other).await;
    acknowledged(&first, 0, &[A, B]).await;
    let pid = |session: &'static str| {
        host.event(move |event| match event {
            LocalEvent::WorkerStarted { session: id, pid, .. } if id.0 == session => Some(*pid),
            _ => None,
        })
    };
    let (over, stands) = (pid("s1").await, pid("s2").await);
    second.stand(vec![other]);
    second.grant(true);
    first.die();
    gone(over).await;
    acknowledged(&second, 0, &[A, B]).await;
    assert!(std::path::Path::new(&format!("/proc/{stands}")).exists());
    assert_eq!(second.untaken(), []);
}

#[tokio::test]
async fn a_data_folder_serves_one_agent() {
    let leader = Leader::start(1, LEASE).await;
    let data = tempfile::tempdir().unwrap();
    let here = data.path().to_owned();
    let host = Host::with("one", &[&leader.address], folder(), |config| config.data_dir = Some(here)).await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[IDLER, IDLER]);
    run(&leader, &["one"], &mut plan).await;
    assert_eq!(std::fs::read_dir(data.path().join("workers")).unwrap().count(), 2);

    let mut config = AgentConfig::new(AgentId("two".to_owned()), vec![leader.address.clone()]);
    config.data_dir = Some(data.path().to_owned());
    let listener = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = Agent::start(config.clone(), listener(), "127.0.0.1:1".to_owned()).await;
    assert!(matches!(refused, Err(StartError::DataDirInUse { .. })));
    host.agent.shutdown().await;
    assert_eq!(std::fs::read_dir(data.path().join("workers")).unwrap().count(), 0);
    Agent::start(config, listener(), "127.0.0.1:1".to_owned()).await.unwrap().shutdown().await;
}
