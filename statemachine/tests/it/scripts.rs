//! Scripts with traces: one file per rule in `testdata/`, each a test of its own. `make bless` writes the traces anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use datadriven::TestCase;
use rekindle_protocol::image::{Image, RoleId};
use rekindle_protocol::recovery::policy::{FailureKind, Mode, Retention};
use rekindle_protocol::recovery::table::{Policy, RecoveryTable, recovery_table};
use rekindle_statemachine::command::{Command, FailureCause};
use rekindle_statemachine::ids::{
    AgentId, AgentInstance, Generation, Incarnation, ProtocolId, RecoveryNumber, RequestId, SessionId,
};
use rekindle_statemachine::protocols::protocol_id;
use rekindle_statemachine::session::Session;
use rekindle_statemachine::spec::{RestartBudget, RoleSpec, SessionSpec};
use rekindle_statemachine::{Applied, StateMachine};

use crate::fixture::Fixture;
use crate::images::{history, image};
use crate::trace;

macro_rules! scripts {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name));
            }
        )*

        #[test]
        fn every_script_is_a_test() {
            let listed = BTreeSet::from([$(stringify!($name).to_owned()),*]);
            let folder = std::fs::read_dir("testdata").expect("the folder of scripts");
            let files = folder.map(|entry| entry.expect("an entry").path());
            let scripts = files.filter(|file| file.extension().is_some_and(|extension| extension == "txt"));
            let found: BTreeSet<String> =
                scripts.map(|file| file.file_stem().unwrap_or_default().to_string_lossy().into_owned()).collect();
            assert_eq!(listed, found, "list each file of testdata/ in scripts.rs");
        }
    };
}

scripts! {
    acknowledgements
    agent_lost
    agent_replaced
    budget
    budget_spares_agents
    cancel
    checkpoint_of_failed_role
    checkpoints
    complete
    crash_alone
    crash_with_positions
    detached_agent
    done_role_rolled_back
    failure_during_launch
    finish_while_asked
    floors
    held_by_an_earlier_recovery
    invalid
    last_agent_lost
    launch
    leader_change
    limits
    memory_lost_earlier
    names
    oldest_checkpoint
    placement
    repeated_request
    scope_is_kept
    second_failure_gathering
    second_failure_restoring
    stale_reports
}

fn run(name: &str) {
    let path = format!("testdata/{name}.txt");
    assert!(Path::new(&path).is_file(), "no script {path}");
    datadriven::walk(&path, |file| {
        let mut script = Script::default();
        file.run(|case| script.run(case));
    });
}

#[derive(Default)]
struct Script {
    fixture: Fixture,
    /// By simple name.
    protocols: BTreeMap<String, Image>,
}

/// Arguments of one directive.
struct Arguments<'a>(&'a mut TestCase);

impl Arguments<'_> {
    fn word(&mut self, name: &str) -> Option<String> {
        self.0.try_take_arg::<String>(name).expect("one value")
    }

    fn number(&mut self, name: &str) -> Option<u64> {
        self.0.try_take_arg::<u64>(name).expect("a number")
    }

    fn words(&mut self, name: &str) -> Vec<String> {
        self.0.try_take_args::<String>(name).expect("values").unwrap_or_default()
    }

    fn flag(&mut self, name: &str) -> bool {
        self.0.take_flag(name).expect("a flag")
    }

    fn session(&mut self) -> SessionId {
        SessionId(self.word("session").unwrap_or_else(|| "s1".to_owned()))
    }

    fn agent(&mut self) -> AgentId {
        AgentId(self.word("agent").expect("agent="))
    }

    fn instance(&mut self) -> AgentInstance {
        AgentInstance(self.number("instance").unwrap_or(1))
    }

    fn incarnation(&mut self) -> Incarnation {
        Incarnation(self.number("incarnation").expect("incarnation="))
    }

    fn recovery(&mut self) -> RecoveryNumber {
        let number = self.number("recovery").expect("recovery=");
        RecoveryNumber(u32::try_from(number).expect("a small number"))
    }

    fn position(&mut self) -> usize {
        usize::try_from(self.number("at").expect("at=")).expect("a small position")
    }
}

impl Script {
    fn run(&mut self, case: &mut TestCase) -> String {
        let directive = case.directive.clone();
        let input = case.input.clone();
        let mut arguments = Arguments(case);
        let text = match directive.as_str() {
            "acknowledge-all" => self.acknowledge_all(&mut arguments),
            "outstanding" => {
                let agent = arguments.agent();
                let orders = self.fixture.machine.outstanding(&agent);
                orders.iter().map(|order| format!("{}\n", trace::order(order, self.image(&order.session)))).collect()
            }
            "awaited" => trace::awaited(&self.fixture.machine.awaited(), self.image(&SessionId("s1".to_owned()))),
            "show" => self.show(&mut arguments),
            "agents" => {
                let line = |agent: &rekindle_statemachine::agents::Agent| {
                    format!("{} instance={} {} since {}\n", agent.id, agent.instance, agent.address, agent.registered)
                };
                self.fixture.machine.agents().map(line).collect()
            }
            "leader-change" => {
                self.fixture.node = arguments.number("node").expect("node=");
                self.fixture.machine =
                    StateMachine::restore(&self.fixture.machine.snapshot()).expect("a snapshot restores");
                String::new()
            }
            _ => self.entry(&directive, &input, &mut arguments),
        };
        case.expect_empty().expect("known arguments");
        text
    }

    fn entry(&mut self, directive: &str, input: &str, arguments: &mut Arguments<'_>) -> String {
        self.fixture.time = arguments.number("time").unwrap_or(self.fixture.time + 10);
        let request = arguments.number("request");
        let request = request.map(|number| RequestId([u8::try_from(number).expect("a small number"); 16]));
        let repeat = arguments.number("times").unwrap_or(1);
        let command = match directive {
            "protocol" => {
                let image = image(&arguments.word("name").expect("name="), input);
                self.protocols.insert(image.name.clone(), image.clone());
                Command::RegisterProtocol { image }
            }
            "start" => self.start(arguments),
            "cancel" => Command::CancelSession { session: arguments.session() },
            "register" => {
                let (agent, instance) = (arguments.agent(), arguments.instance());
                let address = arguments.word("port").map_or(format!("{agent}:1"), |port| format!("{agent}:{port}"));
                Command::RegisterAgent { agent, instance, address }
            }
            "delete" => Command::DeleteSession { session: arguments.session() },
            "delete-protocol" => {
                let name = arguments.word("name").expect("name=");
                let protocol = self.protocols.get(&name).map_or_else(|| ProtocolId(name), protocol_id);
                Command::DeleteProtocol { protocol }
            }
            "expire" => Command::ExpireAgent { agent: arguments.agent(), instance: arguments.instance() },
            _ => self.report(directive, arguments),
        };
        (0..repeat).map(|_| self.apply(command.clone(), request)).collect()
    }

    fn report(&mut self, directive: &str, arguments: &mut Arguments<'_>) -> Command {
        let session = arguments.session();
        let role = self.role(&session, &arguments.word("role").expect("role="));
        let incarnation = arguments.incarnation();
        let known = self.fixture.machine.session(&session);
        let current = known.map_or((Generation(0), 0), |known| (known.generation, known.revision));
        let generation = arguments.number("generation").map_or(current.0, Generation);
        let revision = Some(arguments.number("revision").unwrap_or(current.1));
        match directive {
            "report-failure" => Command::ReportFailure {
                session,
                generation,
                role,
                incarnation,
                kind: match arguments.word("kind").as_deref() {
                    None | Some("worker") => FailureKind::Worker,
                    Some("supervisor") => FailureKind::Supervisor,
                    Some(other) => panic!("kind {other}"),
                },
                cause: match arguments.word("cannot-start") {
                    Some(message) => FailureCause::CannotRun { message },
                    None => FailureCause::Signalled { signal: 9 },
                },
                history: history(arguments.position()),
                age_ms: arguments.number("age").unwrap_or(0),
            },
            "report-position" => Command::ReportPosition {
                session,
                generation,
                role,
                incarnation,
                recovery: arguments.recovery(),
                history: history(arguments.position()),
            },
            "acknowledge" => {
                let recovery = arguments.recovery();
                Command::AcknowledgeRestore { session, generation, role, incarnation, recovery, revision }
            }
            "finish" => {
                Command::FinishRole { session, generation, role, incarnation, history: history(arguments.position()) }
            }
            "checkpoint" => {
                let after = arguments.number("after").expect("after=");
                let steps = arguments.position() - usize::try_from(after).expect("a small position");
                let bytes = arguments.number("bytes").unwrap_or(1);
                Command::StoreCheckpoint {
                    session,
                    generation,
                    role,
                    incarnation,
                    after,
                    steps: vec![0; steps],
                    data: vec![0; usize::try_from(bytes).expect("a small size")],
                }
            }
            other => panic!("no directive `{other}`"),
        }
    }

    fn start(&mut self, arguments: &mut Arguments<'_>) -> Command {
        let session = arguments.session();
        let name = arguments.word("protocol").unwrap_or_else(|| "P".to_owned());
        let known = self.protocols.get(&name).cloned();
        let protocol = known.as_ref().map_or_else(|| ProtocolId(name), protocol_id);
        let image = known.unwrap_or(Image { name: String::new(), roles: Vec::new(), machines: Vec::new() });
        let spec = Self::spec(arguments, &image);
        let modes = spec.roles.iter().map(|role| role.mode).collect();
        let mut table = recovery_table(&image, &Policy { retention: spec.retention, modes });
        if arguments.flag("wrong-table") {
            table = RecoveryTable { rows: Vec::new() };
        }
        Command::StartSession { session, protocol, spec, table, generation: None }
    }

    fn spec(arguments: &mut Arguments<'_>, image: &Image) -> SessionSpec {
        let mode = |text: &str| match text {
            "restart" => Mode::Restart,
            "checkpoint" => Mode::Checkpoint,
            "stateless" => Mode::Stateless,
            "replay" => Mode::Replay,
            other => panic!("mode {other}"),
        };
        let default_mode = arguments.word("mode").map_or(Mode::Restart, |text| mode(&text));
        // `modes=(A,replay,B,restart)`, `pin=(A,a1)`
        let pairs = |words: Vec<String>| -> BTreeMap<String, String> {
            words.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
        };
        let (modes, pins) = (pairs(arguments.words("modes")), pairs(arguments.words("pin")));
        let command = if arguments.flag("no-command") { Vec::new() } else { vec!["worker".to_owned()] };
        let words = usize::try_from(arguments.number("words").unwrap_or(0)).expect("a small number");
        let roles = image.roles.iter().map(|name| RoleSpec {
            mode: modes.get(name).map_or(default_mode, |text| mode(text)),
            command: command.iter().cloned().chain(vec!["argument".to_owned(); words]).collect(),
            environment: BTreeMap::new(),
            agent: pins.get(name).cloned().map(AgentId),
            stall_timeout_ms: None,
        });
        let mut roles: Vec<RoleSpec> = roles.collect();
        if arguments.flag("one-role-less") {
            roles.pop();
        }
        SessionSpec {
            retention: match arguments.word("retention").as_deref() {
                None | Some("retained") => Retention::Retained,
                Some("volatile") => Retention::Volatile,
                Some("durable") => Retention::Durable,
                Some(other) => panic!("retention {other}"),
            },
            roles,
            budget: RestartBudget {
                max_restarts: arguments.number("restarts").map_or(5, |number| u32::try_from(number).expect("small")),
                window_ms: arguments.number("window").unwrap_or(60_000),
            },
            folder: "/srv".to_owned(),
        }
    }

    /// Each role, as it is now, acknowledges the open recovery. Only the last trace is shown.
    fn acknowledge_all(&mut self, arguments: &mut Arguments<'_>) -> String {
        let id = arguments.session();
        let except = arguments.words("except");
        self.fixture.time += 10;
        let session = self.fixture.session(&id.0).clone();
        let recovery = session.open_recovery().expect("an open recovery").opening.number;
        let (generation, revision) = (session.generation, Some(session.revision));
        let mut last = String::new();
        for (role, known) in session.numbered_roles() {
            if except.contains(&self.image(&id).expect("an image").role_name(role).to_owned()) {
                continue;
            }
            let (session, incarnation) = (id.clone(), known.incarnation);
            let command = Command::AcknowledgeRestore { session, generation, role, incarnation, recovery, revision };
            last = self.apply(command, None);
        }
        last
    }

    fn show(&mut self, arguments: &mut Arguments<'_>) -> String {
        let id = arguments.session();
        let session = self.fixture.session(&id.0);
        let image = self.image(&id).expect("the image of the session");
        if arguments.flag("events") {
            return trace::events(session, image);
        }
        if arguments.flag("recoveries") {
            return session.recoveries().skip(1).map(|recovery| trace::recovery(recovery, image)).collect();
        }
        trace::session(session, image)
    }

    fn apply(&mut self, command: Command, request: Option<RequestId>) -> String {
        let before = self.phases();
        let session = match &command {
            Command::RegisterProtocol { .. }
            | Command::DeleteProtocol { .. }
            | Command::RegisterAgent { .. }
            | Command::ExpireAgent { .. } => None,
            Command::DeleteSession { session }
            | Command::StartSession { session, .. }
            | Command::CancelSession { session }
            | Command::ReportFailure { session, .. }
            | Command::ReportPosition { session, .. }
            | Command::AcknowledgeRestore { session, .. }
            | Command::FinishRole { session, .. }
            | Command::StoreCheckpoint { session, .. } => Some(session.clone()),
        };
        let Applied { reply, effects } = self.fixture.apply_request(command, request);
        let image = self.image(&session.unwrap_or_else(|| SessionId("s1".to_owned())));
        let mut text = trace::reply(&reply) + &trace::effects(&effects, image);
        for (id, phase) in self.phases() {
            let earlier = before.get(&id).map_or("none", String::as_str);
            if earlier != phase {
                text += &format!("{id}: {earlier} -> {phase}\n");
            }
        }
        let gone = before.keys().filter(|id| self.fixture.machine.session(id).is_none());
        text += &gone.map(|id| format!("{id}: forgotten\n")).collect::<String>();
        text
    }

    fn phases(&self) -> BTreeMap<SessionId, String> {
        let phase = |session: &Session| (session.id.clone(), trace::phase(&session.phase));
        self.fixture.machine.sessions().map(phase).collect()
    }

    fn image(&self, session: &SessionId) -> Option<&Image> {
        let session = self.fixture.machine.session(session)?;
        self.fixture.machine.protocol(&session.protocol)
    }

    /// A role by name, or `NUMBER` for one that the protocol may not have.
    fn role(&self, session: &SessionId, text: &str) -> RoleId {
        let named = self.image(session).and_then(|image| image.role(text));
        named.unwrap_or_else(|| RoleId(text.parse().expect("a role's name or number")))
    }
}
