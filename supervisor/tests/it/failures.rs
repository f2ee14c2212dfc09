//! Workers that fail, in every way.

use std::time::Duration;

use rekindle_protocol::recovery::policy::Mode;
use rekindle_statemachine::command::FailureCause;
use rekindle_supervisor::{CrashAt, LocalEvent};

use crate::host::{
    A, B, Host, IDLER, PINGER, PONGER, failed, finished, folder, gate, gone, open_gate, order, position, run,
};
use crate::leader::Leader;
use crate::plan::{Plan, ping_pong};

const LEASE: Duration = Duration::from_secs(30);

/// Runs `script` as `A` against an idle `B`, and gives how it failed and at which position. It begins when all run.
async fn fails(script: &str, change: impl FnOnce(&mut Plan)) -> (FailureCause, u64, Host, Leader) {
    let leader = Leader::start(1, LEASE).await;
    let host = Host::start(&leader, "one").await;
    let script = format!("read start; read go < gate\n{script}");
    gate(host.folder.path(), "gate");
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[&script, IDLER]);
    change(&mut plan);
    run(&leader, &["one"], &mut plan).await;
    // When `Run` has done its work, a freeze is answered.
    let freeze = plan.freeze(&[B]);
    order(&leader, &["one"], &freeze).await;
    position(&leader, B).await;
    open_gate(host.folder.path(), "gate").await;
    let (cause, position) = failed(&leader, A).await;
    (cause, position, host, leader)
}

#[tokio::test]
async fn what_a_worker_wrote_before_it_died_counts() {
    let script = r#"
echo '{"type":"send","to":"B","label":"ping"}'
echo '{"type":"receive"}'
echo '{"type":"send","to":"B","label":"ping"}'
kill -9 $$
"#;
    let (cause, position, ..) = fails(script, |_| {}).await;
    assert_eq!(cause, FailureCause::Signalled { signal: 9 });
    assert_eq!(position, 1, "up to the first receive that is not answered");

    let script = r#"
printf '{"type":"send","to":"B","label":"ping"}'
kill -9 $$
"#;
    let (_, position, ..) = fails(script, |_| {}).await;
    assert_eq!(position, 0, "a line without its end is no line");
}

#[tokio::test]
async fn a_worker_that_closes_its_output_and_lives_on_has_failed() {
    let script = "echo '{\"type\":\"send\",\"to\":\"B\",\"label\":\"ping\"}'; exec >&-; read never";
    let (cause, position, host, _leader) = fails(script, |_| {}).await;
    let FailureCause::Violation { expected, got, .. } = cause else { panic!("{cause:?}") };
    assert_eq!((expected, got.as_str(), position), (vec!["B?pong".to_owned()], "end of output", 1));
    gone(host.pid("A", 1).await).await;
}

#[tokio::test]
async fn a_worker_that_is_done_may_close_its_output_before_it_exits() {
    let leader = Leader::start(1, LEASE).await;
    let host = Host::start(&leader, "one").await;
    let script = "read start\necho '{\"type\":\"send\",\"to\":\"B\",\"label\":\"done\"}'\nexec >&-; sleep 2; exit 0";
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[script, PONGER]);
    run(&leader, &["one"], &mut plan).await;
    assert_eq!(finished(&leader, A).await, 1);
}

#[tokio::test]
async fn what_a_worker_wrote_is_reported_without_control_characters() {
    let script = "printf '\\0332Jhe\\007llo\\n'";
    let (cause, ..) = fails(script, |_| {}).await;
    let FailureCause::Violation { got, .. } = cause else { panic!("{cause:?}") };
    assert_eq!(got, r"a line on standard output that is no JSON object: \u{1b}2Jhe\u{7}llo");
}

#[tokio::test]
async fn an_exit_before_the_end_is_a_failure_whatever_its_status() {
    let (cause, position, ..) = fails("exit 0", |_| {}).await;
    assert_eq!((cause, position), (FailureCause::Exited { status: 0 }, 0));
    let (cause, position, ..) =
        fails("echo '{\"type\":\"send\",\"to\":\"B\",\"label\":\"done\"}'; exit 3", |_| {}).await;
    assert_eq!((cause, position), (FailureCause::Exited { status: 3 }, 1));
}

#[tokio::test]
async fn the_whole_group_dies_with_its_worker_and_strangers_delay_nothing() {
    let script = r#"
sleep 1000 &
echo "child $!" >&2
setsid sleep 1000 &
echo "stranger $!" >&2
echo '{"type":"send","to":"B","label":"ping"}'
exit 7
"#;
    let (cause, position, host, _leader) = fails(script, |_| {}).await;
    assert_eq!((cause, position), (FailureCause::Exited { status: 7 }, 1));
    let number = |line: String| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap();
    gone(number(host.logged("child").await)).await;
    // `setsid` may have started a process of its own; whichever it is has left the group, and holds the pipes open.
    let stranger = number(host.logged("stranger").await);
    std::process::Command::new("kill").args(["-9", &stranger.to_string()]).status().unwrap();
    host.agent.shutdown().await;
}

#[tokio::test]
async fn a_violation_is_stopped_and_reported_with_state_expected_and_got() {
    let script = r#"
echo '{"type":"send","to":"B","label":"pong"}'
read never
"#;
    let (cause, position, host, leader) = fails(script, |_| {}).await;
    let violation = |state: &str, expected: &[&str], got: &str| FailureCause::Violation {
        state: state.to_owned(),
        expected: expected.iter().map(|event| (*event).to_owned()).collect(),
        got: got.to_owned(),
    };
    assert_eq!((cause, position), (violation("1|3", &["B!ping", "B!done"], "B!pong"), 0));
    gone(host.pid("A", 1).await).await;
    assert_eq!(leader.untaken(), [], "it is reported once");

    let (cause, ..) = fails("echo '{\"type\":\"receive\",\"from\":\"B\"}'; read never", |_| {}).await;
    assert_eq!(cause, violation("1|3", &["B!ping", "B!done"], "receive from B"));
    let (cause, ..) = fails("echo 'Traceback'; read never", |_| {}).await;
    assert_eq!(
        cause,
        violation("1|3", &["B!ping", "B!done"], "a line on standard output that is no JSON object: Traceback")
    );
}

#[tokio::test]
async fn an_oversized_checkpoint_is_a_violation() {
    let script = r#"
printf '{"type":"checkpoint","data":"'
head -c 70000 /dev/zero | tr '\0' x
echo '"}'
read never
"#;
    let (cause, ..) = fails(script, |plan| plan.spec.roles[0].mode = Mode::Checkpoint).await;
    let FailureCause::Violation { got, .. } = cause else { panic!("{cause:?}") };
    assert_eq!(got, "a checkpoint of 70002 bytes; at most 65536 are stored");
}

#[tokio::test]
async fn a_worker_that_could_act_and_does_not_is_stuck() {
    let leader = Leader::start(1, LEASE).await;
    let host = Host::start(&leader, "one").await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[IDLER, IDLER]);
    plan.spec.roles[0].stall_timeout_ms = Some(50);
    run(&leader, &["one"], &mut plan).await;
    assert_eq!(failed(&leader, A).await, (FailureCause::Stalled { timeout_ms: 50 }, 0));
    gone(host.pid("A", 1).await).await;
    assert_eq!(leader.untaken(), []);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_with_the_places_looked_at() {
    let leader = Leader::start(1, LEASE).await;
    let host = Host::start(&leader, "one").await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[IDLER, IDLER]);
    plan.spec.roles[0].command = vec!["no-such-program".to_owned()];
    order(&leader, &["one"], &plan.order()).await;
    let (cause, _) = failed(&leader, A).await;
    let FailureCause::CannotRun { message } = cause else { panic!("{cause:?}") };
    let beside = host.folder.path().join("no-such-program");
    let start = format!("the command of role `A`: `no-such-program` is not found (looked at {}, ", beside.display());
    assert!(message.starts_with(&start), "{message}");
    assert!(message.contains("/bin/no-such-program"), "PATH is named: {message}");

    plan.spec.folder = "/no/such/folder".to_owned();
    let (mut order_2, session) = (plan.order(), "s2");
    order_2.session.0 = session.to_owned();
    order(&leader, &["one"], &order_2).await;
    let (cause, _) = failed(&leader, B).await;
    let FailureCause::CannotRun { message } = cause else { panic!("{cause:?}") };
    assert_eq!(message, "role `B` is to run in `/no/such/folder`, which is no folder on this host");
}

#[tokio::test]
async fn an_injected_crash_happens_at_its_event_and_the_hook_knows_before() {
    let leader = Leader::start(3, LEASE).await;
    let fault = CrashAt { role: "B".to_owned(), events: 3 };
    let host = Host::with("one", &[&leader.address], folder(), |config| config.faults.push(fault)).await;
    let mut plan = host.plan(ping_pong(), Mode::Restart, &[("one", &host), ("one", &host)], &[PINGER, PONGER]);
    run(&leader, &["one"], &mut plan).await;
    assert_eq!(failed(&leader, B).await, (FailureCause::Signalled { signal: 9 }, 3));
    let told = host.events().into_iter().find_map(|event| match event {
        LocalEvent::WorkerCrashedByFault { role, incarnation, events, leader, .. } => {
            Some((role, incarnation.0, events, leader.map(|node| node.0)))
        }
        _ => None,
    });
    assert_eq!(told, Some(("B".to_owned(), 1, 3, Some(3))));
}
