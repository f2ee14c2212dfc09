//! Limits that a script would be too long for.

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Image, RoleId};
use rekindle_protocol::recovery::policy::{FailureKind, Mode, Retention};
use rekindle_protocol::recovery::table::{Policy, recovery_table};
use rekindle_statemachine::command::{Command, Entry, FailureCause, Rejection, Reply};
use rekindle_statemachine::ids::{
    AgentId, AgentInstance, EntryTime, Generation, Incarnation, NodeId, RequestId, SessionId,
};
use rekindle_statemachine::protocols::protocol_id;
use rekindle_statemachine::session::Phase;
use rekindle_statemachine::spec::{RestartBudget, RoleSpec, SessionSpec};
use rekindle_statemachine::{StateMachine, limits};

use crate::images::{history, image};

struct Bare {
    machine: StateMachine,
    time: u64,
    index: u64,
}

impl Bare {
    fn new() -> Self {
        let mut bare = Bare { machine: StateMachine::default(), time: 0, index: 1 };
        bare.done(register(0));
        bare
    }

    fn apply(&mut self, command: Command, request: Option<RequestId>) -> Reply {
        let entry = Entry { time: EntryTime(self.time), proposer: NodeId(1), request, command };
        self.index += 1;
        self.machine.apply(self.index, &entry).reply
    }

    fn done(&mut self, command: Command) {
        let reply = self.apply(command, None);
        assert!(!matches!(reply, Reply::Rejected(_)), "{reply:?}");
    }

    fn refused(&mut self, command: Command, what: &str) {
        match self.apply(command, None) {
            Reply::Rejected(Rejection::Limit { what: found, .. }) => assert_eq!(found, what),
            other => panic!("{other:?}"),
        }
    }
}

fn register(number: usize) -> Command {
    let agent = AgentId(format!("a{number}"));
    Command::RegisterAgent { agent, instance: AgentInstance(1), address: "host:1".to_owned() }
}

fn endless() -> Image {
    image("Endless", "A: *B!x\nB: *A?x")
}

fn start(number: usize) -> Command {
    let image = endless();
    let role = RoleSpec {
        mode: Mode::Stateless,
        command: vec!["worker".to_owned()],
        environment: std::collections::BTreeMap::new(),
        agent: None,
        stall_timeout_ms: None,
    };
    let budget = RestartBudget { max_restarts: limits::RESTARTS, window_ms: 1 };
    let folder = "/srv".to_owned();
    let spec = SessionSpec { retention: Retention::Retained, roles: vec![role.clone(), role], budget, folder };
    let policy = Policy { retention: Retention::Retained, modes: vec![Mode::Stateless; 2] };
    let table = recovery_table(&image, &policy);
    Command::StartSession { session: session(number), protocol: protocol_id(&image), spec, table, generation: None }
}

fn session(number: usize) -> SessionId {
    SessionId(format!("s{number}"))
}

fn failure(incarnation: u64, history: History) -> Command {
    Command::ReportFailure {
        session: session(0),
        generation: Generation::UNNAMED,
        role: RoleId(0),
        incarnation: Incarnation(incarnation),
        kind: FailureKind::Worker,
        cause: FailureCause::Exited { status: 1 },
        history,
        age_ms: 0,
    }
}

fn acknowledge_all(bare: &mut Bare) {
    let known = bare.machine.session(&session(0)).expect("the session").clone();
    let recovery = known.open_recovery().expect("an open recovery").opening.number;
    let (generation, revision) = (known.generation, Some(known.revision));
    for (role, state) in known.numbered_roles() {
        let incarnation = state.incarnation;
        let session = session(0);
        bare.done(Command::AcknowledgeRestore { session, generation, role, incarnation, recovery, revision });
    }
}

#[test]
fn live_sessions_are_limited_and_ended_ones_forgotten() {
    let mut bare = Bare::new();
    bare.done(Command::RegisterProtocol { image: endless() });
    (0..limits::SESSIONS).for_each(|number| bare.done(start(number)));
    bare.refused(start(limits::SESSIONS), "live sessions");
    // A session that exists is no new one.
    bare.done(start(7));
    bare.done(Command::CancelSession { session: session(7) });
    bare.done(start(limits::SESSIONS));
    bare.refused(start(limits::SESSIONS + 1), "live sessions");
    for number in 8..=8 + limits::ENDED_SESSIONS {
        assert!(bare.machine.session(&session(number - 1)).is_some());
        bare.done(Command::CancelSession { session: session(number) });
    }
    assert!(bare.machine.session(&session(7)).is_none());
    assert!(bare.machine.session(&session(8)).is_none());
    assert!(bare.machine.session(&session(9)).is_some());
    assert_eq!(StateMachine::restore(&bare.machine.snapshot()).as_ref(), Ok(&bare.machine));
    // A name that was forgotten is free again, and its session is another one than before.
    let before = bare.machine.session(&session(9)).expect("an ended session").generation;
    bare.done(Command::DeleteSession { session: session(9) });
    bare.done(start(9));
    assert!(bare.machine.session(&session(9)).expect("a new session").generation > before);
    bare.done(start(7));
    // What is outstanding is what is remembered.
    let orders = bare.machine.outstanding(&AgentId("a0".to_owned()));
    assert_eq!(orders.len(), bare.machine.sessions().count());
}

#[test]
fn sessions_that_cannot_start_do_not_fill_the_table() {
    let mut bare = Bare::new();
    bare.done(Command::RegisterProtocol { image: endless() });
    bare.done(Command::ExpireAgent { agent: AgentId("a0".to_owned()), instance: AgentInstance(1) });
    (0..limits::WAITING_SESSIONS).for_each(|number| bare.done(start(number)));
    let next = limits::WAITING_SESSIONS;
    bare.refused(start(next), "sessions that wait for a local supervisor");
    // One that goes makes room.
    bare.done(Command::CancelSession { session: session(0) });
    bare.done(start(next));
    bare.refused(start(next + 1), "sessions that wait for a local supervisor");
    assert_eq!(StateMachine::restore(&bare.machine.snapshot()).as_ref(), Ok(&bare.machine));
    // With an agent all of them are placed, and so is another one.
    bare.done(register(1));
    bare.done(start(next + 1));
    // Sessions that ran and lost their agents wait, too, and are not refused; only new ones are.
    bare.done(Command::ExpireAgent { agent: AgentId("a1".to_owned()), instance: AgentInstance(1) });
    bare.refused(start(next + 2), "sessions that wait for a local supervisor");
    bare.done(register(2));
    bare.done(start(next + 2));
}

#[test]
fn agents_are_limited_and_known_ones_come_back() {
    let mut bare = Bare::new();
    (1..limits::AGENTS).for_each(|number| bare.done(register(number)));
    bare.refused(register(limits::AGENTS), "agents");
    bare.done(Command::RegisterAgent {
        agent: AgentId("a3".to_owned()),
        instance: AgentInstance(2),
        address: "host:1".to_owned(),
    });
    bare.done(Command::ExpireAgent { agent: AgentId("a4".to_owned()), instance: AgentInstance(1) });
    bare.done(register(limits::AGENTS));
}

#[test]
fn protocols_are_limited_in_number_and_size() {
    let mut bare = Bare::new();
    let named = |number: usize| Command::RegisterProtocol { image: Image { name: format!("P{number}"), ..endless() } };
    (0..limits::PROTOCOLS).for_each(|number| bare.done(named(number)));
    bare.done(named(3));
    bare.refused(named(limits::PROTOCOLS), "protocols");

    let roles: String = (0..=limits::ROLES).map(|number| format!("R{number}:\n")).collect();
    bare.refused(Command::RegisterProtocol { image: image("Wide", roles.trim_end()) }, "roles of a protocol");
    let mut long = endless();
    long.machines[0].states[0].name = "x".repeat(limits::IMAGE_BYTES);
    bare.refused(Command::RegisterProtocol { image: long }, "bytes of a protocol");
}

#[test]
fn answers_are_forgotten_by_number_and_by_time() {
    let mut bare = Bare::new();
    let request = |number: usize| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        Some(RequestId(bytes))
    };
    let cancel = || Command::CancelSession { session: session(0) };
    let refused = Reply::Rejected(Rejection::UnknownSession(session(0)));
    for number in 0..=limits::REQUESTS {
        assert_eq!(bare.apply(cancel(), request(number)), refused);
    }
    bare.done(Command::RegisterProtocol { image: endless() });
    bare.done(start(0));
    // The newest is still answered as before, the oldest is asked for the first time.
    assert_eq!(bare.apply(cancel(), request(limits::REQUESTS)), refused);
    assert_eq!(bare.apply(cancel(), request(0)), Reply::Done);
    bare.time = limits::REQUEST_TTL_MS - 1;
    assert_eq!(bare.apply(cancel(), request(limits::REQUESTS)), refused);
    bare.time = limits::REQUEST_TTL_MS;
    assert_eq!(bare.apply(cancel(), request(limits::REQUESTS)), Reply::Done);
}

#[test]
fn a_role_that_did_too_much_fails_its_session() {
    let mut bare = Bare::new();
    bare.done(Command::RegisterProtocol { image: endless() });
    bare.done(start(0));
    acknowledge_all(&mut bare);
    bare.done(failure(1, history(limits::HISTORY)));
    acknowledge_all(&mut bare);
    bare.done(failure(2, history(limits::HISTORY + 1)));
    match &bare.machine.session(&session(0)).expect("the session").phase {
        Phase::Ended { reason: Some(reason), .. } => assert_eq!(reason, "role `A` has done more than 262144 events"),
        other => panic!("{other:?}"),
    }
}

/// Each crash further on leaves a floor that no later one replaces, and records of recoveries and events.
#[test]
fn floors_are_never_forgotten_and_records_are() {
    let mut bare = Bare::new();
    bare.done(Command::RegisterProtocol { image: endless() });
    bare.done(start(0));
    acknowledge_all(&mut bare);
    for crash in 1..=limits::FLOORS {
        bare.time += 10;
        bare.done(failure(crash as u64, history(crash)));
        acknowledge_all(&mut bare);
        let session = bare.machine.session(&session(0)).expect("the session");
        assert_eq!(session.phase, Phase::Running);
        assert_eq!(session.recoveries().count(), limits::RECOVERIES.min(crash + 1));
        assert!(session.events.len() <= limits::EVENTS);
    }
    let last = bare.machine.session(&session(0)).expect("the session").events.back().expect("events").sequence;
    assert_eq!(last, 2 + 4 * limits::FLOORS as u64);
    bare.done(failure(limits::FLOORS as u64 + 1, history(limits::FLOORS + 1)));
    match &bare.machine.session(&session(0)).expect("the session").phase {
        Phase::Ended { reason: Some(reason), .. } => assert!(reason.contains("floors"), "{reason}"),
        other => panic!("{other:?}"),
    }
}
