//! Nonsense is refused; it never panics, and it never grows what it should not.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rekindle_protocol::history::History;
use rekindle_protocol::image::{Action, Direction, Edge, Image, Machine, RoleId, State, StateId};
use rekindle_protocol::recovery::policy::{FailureKind, Mode, Retention};
use rekindle_protocol::recovery::table::{RecoveryTable, Row};
use rekindle_statemachine::StateMachine;
use rekindle_statemachine::codec::{decode_entry, encode_entry};
use rekindle_statemachine::command::{Command, Entry, FailureCause};
use rekindle_statemachine::ids::{
    AgentId, AgentInstance, EntryTime, Generation, Incarnation, NodeId, ProtocolId, RecoveryNumber, RequestId,
    SessionId,
};
use rekindle_statemachine::protocols::protocol_id;
use rekindle_statemachine::spec::{RestartBudget, RoleSpec, SessionSpec};

use crate::fixture::Fixture;
use crate::images::{TALK, image};

fn role() -> impl Strategy<Value = RoleId> {
    (0..7u16).prop_map(RoleId)
}

fn incarnation() -> impl Strategy<Value = Incarnation> {
    (0..4u64).prop_map(Incarnation)
}

fn recovery() -> impl Strategy<Value = RecoveryNumber> {
    (0..4u32).prop_map(RecoveryNumber)
}

fn session() -> impl Strategy<Value = SessionId> {
    prop_oneof![8 => Just("s1"), 1 => Just("s2"), 1 => Just("no such")].prop_map(|id| SessionId(id.to_owned()))
}

fn history() -> impl Strategy<Value = History> {
    prop::collection::vec(prop_oneof![9 => Just(0u16), 1 => any::<u16>()], 0..5).prop_map(|steps| History { steps })
}

fn any_image() -> impl Strategy<Value = Image> {
    let direction = prop_oneof![Just(Direction::Send), Just(Direction::Receive)];
    let action = (direction, 0..3u16, "[a-c]?").prop_map(|(direction, peer, label)| Action {
        direction,
        peer: RoleId(peer),
        label,
        payload: Vec::new(),
    });
    let edge = (action, 0..4u32).prop_map(|(action, to)| Edge { action, to: StateId(to) });
    let state = prop::collection::vec(edge, 0..3).prop_map(|edges| State { name: "s".to_owned(), edges });
    let machine = (0..4u32, prop::collection::vec(state, 0..4))
        .prop_map(|(initial, states)| Machine { initial: StateId(initial), states });
    let roles = prop::collection::vec("[A-C]?", 0..4);
    (roles, prop::collection::vec(machine, 0..4)).prop_map(|(roles, machines)| Image {
        name: "P".to_owned(),
        roles,
        machines,
    })
}

fn spec(roles: usize) -> impl Strategy<Value = SessionSpec> {
    let mode = prop_oneof![Just(Mode::Restart), Just(Mode::Checkpoint), Just(Mode::Stateless), Just(Mode::Replay)];
    let agent = prop_oneof![3 => Just(None), 1 => Just(Some(AgentId("a1".to_owned())))];
    let role = (mode, prop::collection::vec("[a-z]?", 0..3), agent).prop_map(|(mode, command, agent)| RoleSpec {
        mode,
        command,
        environment: BTreeMap::new(),
        agent,
        stall_timeout_ms: None,
    });
    let retention = prop_oneof![Just(Retention::Volatile), Just(Retention::Retained), Just(Retention::Durable)];
    let budget = (0..3u32, any::<u64>());
    (retention, prop::collection::vec(role, roles..=roles), budget).prop_map(
        |(retention, roles, (max_restarts, window_ms))| SessionSpec {
            retention,
            roles,
            budget: RestartBudget { max_restarts, window_ms },
            folder: String::new(),
        },
    )
}

fn table(image: &Image) -> RecoveryTable {
    let named = |machine: &Machine| (0..u32::try_from(machine.states.len()).expect("few")).map(StateId).collect();
    let row = Row { roles: image.machines.iter().map(named).collect() };
    RecoveryTable { rows: image.machines.iter().map(|machine| vec![row.clone(); machine.states.len()]).collect() }
}

fn command() -> impl Strategy<Value = Command> {
    let agent = prop_oneof![Just("a1"), Just("a2"), Just("bad name")].prop_map(|id| AgentId(id.to_owned()));
    let instance = (0..3u64).prop_map(AgentInstance);
    let kind = prop_oneof![Just(FailureKind::Worker), Just(FailureKind::Supervisor), Just(FailureKind::Host)];
    let cause = prop_oneof![
        9 => Just(FailureCause::Stalled { timeout_ms: 1 }),
        1 => Just(FailureCause::CannotRun { message: "ä".repeat(4_000) })
    ];
    let start = (session(), spec(5)).prop_map(|(session, spec)| {
        let image = image("P", TALK);
        Command::StartSession { session, protocol: protocol_id(&image), spec, table: table(&image), generation: None }
    });
    let failure = (session(), role(), incarnation(), kind, cause, history(), any::<u64>()).prop_map(
        |(session, role, incarnation, kind, cause, history, age_ms)| Command::ReportFailure {
            session,
            generation: Generation::UNNAMED,
            role,
            incarnation,
            kind,
            cause,
            history,
            age_ms,
        },
    );
    let checkpoint = (session(), role(), incarnation(), 0..6u64, history(), 0..9usize).prop_map(
        |(session, role, incarnation, after, history, size)| Command::StoreCheckpoint {
            session,
            generation: Generation::UNNAMED,
            role,
            incarnation,
            after,
            steps: history.steps,
            data: vec![7; size],
        },
    );
    prop_oneof![
        1 => any_image().prop_map(|image| Command::RegisterProtocol { image }),
        4 => start,
        1 => session().prop_map(|session| Command::CancelSession { session }),
        4 => (agent.clone(), instance.clone(), prop_oneof![Just("h:1"), Just("h")]).prop_map(
            |(agent, instance, address)| Command::RegisterAgent { agent, instance, address: address.to_owned() }),
        1 => (agent, instance).prop_map(|(agent, instance)| Command::ExpireAgent { agent, instance }),
        6 => failure,
        6 => (session(), role(), incarnation(), recovery(), history()).prop_map(
            |(session, role, incarnation, recovery, history)|
                Command::ReportPosition { session, generation: Generation::UNNAMED, role, incarnation, recovery, history }),
        12 => (session(), role(), incarnation(), recovery(), prop::option::of(0..3u64)).prop_map(
            |(session, role, incarnation, recovery, revision)|
                Command::AcknowledgeRestore {
                    session, generation: Generation::UNNAMED, role, incarnation, recovery, revision,
                }),
        4 => (session(), role(), incarnation(), history()).prop_map(
            |(session, role, incarnation, history)|
                Command::FinishRole { session, generation: Generation::UNNAMED, role, incarnation, history }),
        1 => session().prop_map(|session| Command::DeleteSession { session }),
        1 => any::<bool>().prop_map(|known| {
            let known = if known { protocol_id(&image("P", TALK)) } else { ProtocolId("no such".to_owned()) };
            Command::DeleteProtocol { protocol: known }
        }),
        6 => checkpoint,
    ]
}

proptest! {
    #[test]
    fn any_commands_are_applied(
        commands in prop::collection::vec((command(), 0..2_000u64, prop::option::of(0..9u8)), 1..120),
    ) {
        let mut fixture = Fixture::default();
        fixture.apply(Command::RegisterProtocol { image: image("P", TALK) });
        for (command, time, request) in commands {
            // Clocks of leaders differ: time may go back.
            fixture.time = time;
            let reply = fixture.apply_request(command, request.map(|byte| RequestId([byte; 16]))).reply;
            if let rekindle_statemachine::command::Reply::Rejected(rejection) = reply {
                prop_assert!(!rejection.to_string().is_empty());
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(mut bytes in prop::collection::vec(any::<u8>(), 0..200), version in 0..4u8) {
        if let Some(first) = bytes.first_mut() {
            *first = version;
        }
        if let Ok(entry) = decode_entry(&bytes) {
            StateMachine::default().apply(2, &entry);
        }
        if let Ok(mut machine) = StateMachine::restore(&bytes) {
            machine.apply(2, &probe());
        }
    }

    /// A damaged snapshot is refused, or it is a state that goes on without a panic.
    #[test]
    fn a_damaged_snapshot_is_refused_or_goes_on(
        commands in prop::collection::vec(command(), 1..60),
        place in any::<prop::sample::Index>(),
        bit in 0..8u8,
        after in prop::collection::vec(command(), 1..20),
    ) {
        let mut fixture = Fixture::default();
        fixture.apply(Command::RegisterProtocol { image: image("P", TALK) });
        for command in commands {
            fixture.apply(command);
        }
        let mut bytes = fixture.machine.snapshot();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        if let Ok(mut machine) = StateMachine::restore(&bytes) {
            for command in after {
                machine.apply(2, &Entry { time: EntryTime(1), proposer: NodeId(1), request: None, command });
            }
            machine.agents().for_each(|agent| drop(machine.outstanding(&agent.id)));
            drop(machine.awaited());
        }
        prop_assert!(StateMachine::restore(&bytes[..place]).is_err());
    }
}

fn probe() -> Entry {
    let command = Command::CancelSession { session: SessionId("s1".to_owned()) };
    Entry { time: EntryTime(1), proposer: NodeId(1), request: None, command }
}

#[test]
fn other_versions_are_refused_by_number() {
    let mut bytes = encode_entry(&probe());
    bytes[0] = 9;
    let error = decode_entry(&bytes).expect_err("another version");
    assert_eq!(error.to_string(), "format version 9, this program reads 2 and earlier ones");
    bytes[0] = 2;
    bytes.push(0);
    assert_eq!(decode_entry(&bytes).expect_err("too long").to_string(), "damaged: 1 bytes too many");
    assert_eq!(decode_entry(&[]).expect_err("nothing").to_string(), "damaged: no bytes");
}
