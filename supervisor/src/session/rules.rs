//! Single rules of a session that no random schedule would miss or notice.

use std::time::Duration;

use rekindle_proto::v1;
use rekindle_protocol::image::{Image, RoleId};
use rekindle_protocol::recovery::policy::{Mode, Retention};
use rekindle_statemachine::command::{Command, FailureCause, Rejection, Reply};
use rekindle_statemachine::effect::{Goal, Order};
use rekindle_statemachine::ids::{AgentId, Generation, Incarnation};
use tokio::time::Instant;

use super::testing::{GENERATION, Plan, image, session_id};
use super::{Effect, Session, Setup};
use crate::limits::Limits;
use crate::role::Exit;
use crate::worker_api::WorkerLine;

const ONE: Incarnation = Incarnation(1);
const A: RoleId = RoleId(0);
const B: RoleId = RoleId(1);
const C: RoleId = RoleId(2);

/// `A` and `B` send to `C`, which takes what comes first.
fn fan_in() -> Image {
    image(
        "FanIn",
        &["A", "B", "C"],
        &[&[("1", &[("C!m", 0)])], &[("2", &[("C!n", 0)])], &[("1|2", &[("A?m", 0), ("B?n", 0)])]],
    )
}

/// The agent `here` of a running session; roles of other agents are elsewhere.
fn running(mut plan: Plan, limits: Limits, now: Instant) -> Session {
    let order = plan.order();
    let Goal::Restore(restore) = &order.goal else { panic!("no restore") };
    let setup = Setup { me: AgentId("here".to_owned()), limits, faults: vec![] };
    let mut session = Session::new(setup, session_id(), GENERATION, restore);
    session.obey(order, now);
    for role in plan.image.role_ids() {
        session.started(role, ONE, now);
    }
    session.obey(plan.next(Goal::Run), now);
    session.take_effects();
    session
}

fn write(session: &mut Session, role: RoleId, lines: &[&str], now: Instant) {
    let lines = lines.iter().map(|line| (WorkerLine::parse(line.as_bytes()), line.len())).collect();
    session.lines(role, ONE, lines, now);
}

fn reports(session: &mut Session) -> Vec<Command> {
    let effects = session.take_effects().into_iter();
    effects
        .filter_map(|effect| match effect {
            Effect::Report(report) => Some(report.command),
            _ => None,
        })
        .collect()
}

fn messages(session: &mut Session) -> Vec<String> {
    let effects = session.take_effects().into_iter();
    effects
        .filter_map(|effect| match effect {
            Effect::Write { line, .. } => Some(String::from_utf8(line).expect("text").trim().to_owned()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_role_is_done_only_when_every_send_of_it_is_held() {
    let now = Instant::now();
    let once = image(
        "Once",
        &["A", "B", "C"],
        &[&[("1", &[("C!m", 1)]), ("end", &[])], &[("end", &[])], &[("1", &[("A?m", 1)]), ("end", &[])]],
    );
    let plan = Plan::launch(once, Mode::Restart, Retention::Retained, &["here", "there", "there"]);
    let mut session = running(plan, Limits::default(), now);
    write(&mut session, A, &[r#"{"type":"send","to":"C","label":"m"}"#], now);
    session.exited(A, ONE, Exit::Status(0), now);
    let finished =
        |session: &mut Session| reports(session).iter().any(|command| matches!(command, Command::FinishRole { .. }));
    assert!(!finished(&mut session), "the message may still be lost with this supervisor");
    session.acknowledged(&[v1::Acknowledgement { held: 1, incarnation: 1, from: 0, to: 2, ..Default::default() }], now);
    assert!(finished(&mut session));
    assert!(!finished(&mut session), "once");
}

#[test]
fn a_checkpoint_waits_until_every_send_before_it_is_held() {
    let now = Instant::now();
    let plan = Plan::launch(fan_in(), Mode::Checkpoint, Retention::Retained, &["here", "there", "there"]);
    let mut session = running(plan, Limits::default(), now);
    let send = r#"{"type":"send","to":"C","label":"m"}"#;
    write(&mut session, A, &[send, send, r#"{"type":"checkpoint","data":1}"#, send], now);
    let held = |held, incarnation| v1::Acknowledgement { held, incarnation, from: 0, to: 2, ..Default::default() };
    session.acknowledged(&[held(1, 1)], now);
    assert_eq!(reports(&mut session), []);
    session.acknowledged(&[held(2, 1)], now);
    let expected = Command::StoreCheckpoint {
        session: session_id(),
        generation: GENERATION,
        role: A,
        incarnation: ONE,
        after: 0,
        steps: vec![0, 0],
        data: b"1".to_vec(),
    };
    assert_eq!(reports(&mut session), [expected]);
    session.answered(A, ONE, &Reply::Done, now);
    assert_eq!(messages(&mut session), [r#"{"type":"stored","position":2}"#]);
}

#[test]
fn messages_are_received_in_the_order_in_which_they_came() {
    let now = Instant::now();
    let plan = Plan::launch(fan_in(), Mode::Restart, Retention::Retained, &["here"; 3]);
    let mut session = running(plan, Limits::default(), now);
    let line =
        |label: &str, payload: u8| format!(r#"{{"type":"send","to":"C","label":"{label}","payload":{payload}}}"#);
    write(&mut session, B, &[&line("n", 1), &line("n", 2)], now);
    write(&mut session, A, &[&line("m", 3)], now);
    write(&mut session, B, &[&line("n", 4)], now);
    session.take_effects();
    let (any, from_a) = (r#"{"type":"receive"}"#, r#"{"type":"receive","from":"A"}"#);
    write(&mut session, C, &[any, from_a, any, any, any], now);
    let payloads: Vec<String> =
        messages(&mut session).iter().map(|line| line[line.len() - 2..line.len() - 1].to_owned()).collect();
    assert_eq!(payloads, ["1", "3", "2", "4"]);
}

#[test]
fn what_is_kept_is_limited_and_past_the_limit_the_role_fails_for_good() {
    let now = Instant::now();
    for (retention, fails) in [(Retention::Retained, true), (Retention::Volatile, false)] {
        let plan = Plan::launch(fan_in(), Mode::Restart, retention, &["here"; 3]);
        let mut session = running(plan, Limits { kept_bytes: 1000, ..Limits::default() }, now);
        for _ in 0..20 {
            write(&mut session, A, &[r#"{"type":"send","to":"C","label":"m"}"#], now);
            write(&mut session, C, &[r#"{"type":"receive"}"#], now);
        }
        let failures: Vec<FailureCause> = reports(&mut session)
            .into_iter()
            .filter_map(|command| match command {
                Command::ReportFailure { role, cause, .. } if role == C => Some(cause),
                _ => None,
            })
            .collect();
        let message = "more than 1000 bytes of messages to it are kept, the limit of retention `retained`".to_owned();
        let expected = if fails { vec![FailureCause::CannotRun { message }] } else { vec![] };
        assert_eq!(failures, expected);
    }
}

#[test]
fn only_a_worker_that_could_act_is_stuck() {
    let start = Instant::now();
    let mut plan = Plan::launch(fan_in(), Mode::Restart, Retention::Retained, &["here"; 3]);
    for role in &mut plan.spec.roles {
        role.stall_timeout_ms = Some(100);
    }
    let limits = Limits { channel_bytes: 1, ..Limits::default() };
    let mut freeze = plan.freeze(&[B]);
    let mut session = running(plan, limits, start);
    // A has no room, B is frozen, C waits for a message of B.
    write(&mut session, A, &[r#"{"type":"send","to":"C","label":"m"}"#; 3], start);
    freeze.revision += 1;
    session.obey(freeze.clone(), start);
    write(&mut session, C, &[r#"{"type":"receive","from":"B"}"#], start);
    assert_eq!(session.next_deadline(), None);

    let later = start + Duration::from_millis(60);
    session.obey(Order { goal: Goal::Run, ..freeze }, later);
    assert_eq!(session.next_deadline(), Some(later + Duration::from_millis(100)), "B may act again");
    session.on_time(later + Duration::from_millis(99));
    assert_eq!(session.take_effects().iter().filter(|effect| matches!(effect, Effect::Stop { .. })).count(), 0);
    session.on_time(later + Duration::from_millis(100));
    let stopped: Vec<RoleId> = session
        .take_effects()
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Stop { role } => Some(role),
            _ => None,
        })
        .collect();
    assert_eq!(stopped, [B]);
}

#[test]
fn old_orders_are_ignored() {
    let now = Instant::now();
    let mut plan = Plan::launch(fan_in(), Mode::Restart, Retention::Retained, &["here"; 3]);
    let launch = plan.order();
    let freeze = plan.freeze(&[A]);
    let mut session = running(plan, Limits::default(), now);
    session.obey(launch, now);
    session.obey(freeze.clone(), now);
    assert_eq!(reports(&mut session), [], "orders from before `Run`");
    // Not below that of the last order.
    session.obey(Order { revision: freeze.revision + 1, ..freeze }, now);
    let frozen = reports(&mut session);
    assert!(matches!(frozen.as_slice(), [Command::ReportPosition { .. }]), "{frozen:?}");
}

/// What was said before the last order may never have come, or may be forgotten with the supervisor that heard it.
#[test]
fn every_order_says_where_everybody_is() {
    let now = Instant::now();
    let mut plan = Plan::launch(fan_in(), Mode::Restart, Retention::Retained, &["here", "there", "there"]);
    let mut session = running(plan.clone(), Limits::default(), now);
    assert!(session.involves("there:1"));
    plan.revision += 1;
    for place in &mut plan.places[1..] {
        "elsewhere:2".clone_into(&mut place.address);
    }
    session.obey(plan.next(Goal::Run), now);
    assert!(session.involves("elsewhere:2") && !session.involves("there:1"));
    let freeze = plan.freeze(&[]);
    session.obey(Order { places: plan.places[..1].to_vec(), ..freeze }, now);
    assert!(!session.involves("elsewhere:2"));
}

#[test]
fn an_acknowledgement_names_the_order_that_was_carried_out_last() {
    let now = Instant::now();
    let mut plan = Plan::launch(fan_in(), Mode::Restart, Retention::Retained, &["here", "there", "there"]);
    let Goal::Restore(restore) = plan.order().goal else { panic!("no restore") };
    let setup = Setup { me: AgentId("here".to_owned()), limits: Limits::default(), faults: vec![] };
    let mut session = Session::new(setup, session_id(), GENERATION, &restore);
    let acknowledged = |session: &mut Session| -> Vec<u64> {
        let revision = |command| match command {
            Command::AcknowledgeRestore { revision, .. } => revision,
            _ => None,
        };
        reports(session).into_iter().filter_map(revision).collect()
    };
    session.obey(plan.order(), now);
    assert_eq!(acknowledged(&mut session), [0; 0], "its process is not started yet");
    plan.revision += 1;
    session.obey(plan.order(), now);
    session.started(A, ONE, now);
    assert_eq!(acknowledged(&mut session), [2]);
    plan.revision += 1;
    session.obey(plan.order(), now);
    assert_eq!(acknowledged(&mut session), [3], "the same for an order that says more");
}

#[test]
fn a_role_whose_report_is_refused_ends_its_session_and_says_why() {
    let now = Instant::now();
    let plan = Plan::launch(fan_in(), Mode::Restart, Retention::Retained, &["here", "there", "there"]);
    let mut session = running(plan, Limits::default(), now);
    let rejection = Rejection::Invalid("event 0 of role `A` is another one in the log".to_owned());
    session.refused(A, Incarnation(7), &rejection, now);
    assert_eq!(reports(&mut session), [], "that process is another one");
    session.refused(A, ONE, &rejection, now);
    match reports(&mut session).as_slice() {
        [Command::ReportFailure { role: A, cause: FailureCause::CannotRun { message }, .. }] => {
            assert!(message.contains("is another one in the log"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn orders_to_another_session_of_the_name_are_ignored() {
    let now = Instant::now();
    let mut plan = Plan::launch(fan_in(), Mode::Restart, Retention::Retained, &["here"; 3]);
    let mut session = running(plan.clone(), Limits::default(), now);
    plan.revision += 10;
    session.obey(Order { generation: Generation(GENERATION.0 - 1), ..plan.freeze(&[A]) }, now);
    assert_eq!(reports(&mut session), []);
}
