//! Two agents, their processes, the network between them, and the cluster, under a random schedule.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rekindle_protocol::image::{Direction, Image, RoleId, StateId};
use rekindle_protocol::recovery::policy::{Mode, Retention};
use rekindle_statemachine::command::Command;
use rekindle_statemachine::effect::{Goal, Order};
use rekindle_statemachine::ids::{AgentId, Incarnation};
use tokio::time::Instant;

use super::cluster::Cluster;
use super::network::Stream;
use super::programs::{Deed, PROTOCOLS, Program};
use crate::limits::Limits;
use crate::role::Exit;
use crate::session::testing::{Plan, session_id};
use crate::session::{Effect, Launch, Session, Setup, Wanted};

const AGENTS: [&str; 2] = ["west", "east"];
const STEPS: usize = 60_000;

#[derive(Clone, Debug)]
pub(super) struct WorldSetup {
    pub(super) protocol: usize,
    /// Per role; the first ones are used.
    pub(super) modes: Vec<Mode>,
    pub(super) retention: Retention,
    /// Per role: whether it runs on the second agent.
    pub(super) east: Vec<bool>,
    pub(super) crashes: u32,
    pub(super) channel_bytes: usize,
    pub(super) seed: u64,
}

/// What went over a channel, as its ends have it.
pub(super) struct Channel {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) sent: Vec<String>,
    pub(super) received: Vec<String>,
}

#[derive(Default)]
struct Agent {
    session: Option<Session>,
    orders: VecDeque<Order>,
    last: Option<Order>,
    launches: VecDeque<Launch>,
    programs: BTreeMap<RoleId, Program>,
    /// Processes that are dead, and whose end is not told.
    dead: VecDeque<(RoleId, u64, Exit)>,
    /// The stream to the other agent.
    stream: Stream,
}

pub(super) struct World {
    rng: StdRng,
    now: Instant,
    image: Image,
    setup: WorldSetup,
    agents: [Agent; 2],
    reports: VecDeque<(usize, Command, bool)>,
    cluster: Cluster,
    logs: BTreeMap<RoleId, Vec<Deed>>,
    routes: u64,
    crashes: u32,
}

impl World {
    pub(super) fn run(setup: &WorldSetup) -> Self {
        let image = PROTOCOLS[setup.protocol]();
        let agents: Vec<&str> = image.role_ids().map(|role| AGENTS[usize::from(setup.east[role.index()])]).collect();
        let mut plan = Plan::launch(image.clone(), Mode::Restart, setup.retention, &agents);
        for (role, mode) in plan.spec.roles.iter_mut().zip(&setup.modes) {
            role.mode = *mode;
        }
        let launch = plan.order();
        let mut world = World {
            rng: StdRng::seed_from_u64(setup.seed),
            now: Instant::now(),
            logs: image.role_ids().map(|role| (role, vec![])).collect(),
            image,
            setup: setup.clone(),
            agents: Default::default(),
            reports: VecDeque::new(),
            cluster: Cluster::launch(plan),
            routes: 0,
            crashes: setup.crashes,
        };
        world.send(&[launch]);
        for _ in 0..STEPS {
            if world.cluster.ended() {
                break;
            }
            world.step();
        }
        world
    }

    pub(super) fn ended(&self) -> bool {
        self.cluster.ended()
    }

    pub(super) fn restarts(&self) -> usize {
        self.cluster.restarts
    }

    pub(super) fn stuck(&self) -> String {
        let roles: Vec<String> = self
            .agents
            .iter()
            .flat_map(|agent| &agent.session)
            .flat_map(|session| &session.roles)
            .map(|(id, role)| format!("{id:?} {:?} held {} wait {:?}", role.stage, role.held, role.wait))
            .collect();
        format!("{}; {}", self.cluster.describe(), roles.join(", "))
    }

    pub(super) fn channels(&self) -> Vec<Channel> {
        let mut channels = vec![];
        for from in self.image.role_ids() {
            for to in self.image.role_ids().filter(|to| *to != from) {
                let of = |role: RoleId, direction: Direction, peer: RoleId| {
                    let deeds = self.logs[&role].iter().filter(|deed| deed.0 == direction && deed.1 == peer);
                    deeds.map(|deed| deed.2.clone()).collect()
                };
                channels.push(Channel {
                    from: self.image.role_name(from).to_owned(),
                    to: self.image.role_name(to).to_owned(),
                    sent: of(from, Direction::Send, to),
                    received: of(to, Direction::Receive, from),
                });
            }
        }
        channels
    }

    fn step(&mut self) {
        let at = self.rng.random_range(0..2);
        match self.rng.random_range(0..100) {
            0..8 => self.deliver_order(at),
            8..20 => self.deliver_report(),
            20..30 => self.start_process(at),
            30..60 => self.run_process(at),
            60..72 => self.carry(at),
            72..84 => self.answer(at),
            84..92 => self.bury(at),
            92..95 => self.connection(at),
            95 => self.repeat_order(at),
            96 => self.crash(at),
            _ => self.pass_time(),
        }
    }

    fn send(&mut self, orders: &[Order]) {
        for agent in &mut self.agents {
            agent.orders.extend(orders.iter().cloned());
        }
    }

    fn deliver_order(&mut self, at: usize) {
        if let Some(order) = self.agents[at].orders.pop_front() {
            self.agents[at].last = Some(order.clone());
            self.obey(at, order);
        }
    }

    fn repeat_order(&mut self, at: usize) {
        if let Some(order) = self.agents[at].last.clone() {
            self.obey(at, order);
        }
    }

    fn obey(&mut self, at: usize, order: Order) {
        let now = self.now;
        let agent = &mut self.agents[at];
        if agent.session.is_none() {
            let Goal::Restore(restore) = &order.goal else { return };
            let limits = Limits { channel_bytes: self.setup.channel_bytes, ..Limits::default() };
            let setup = Setup { me: AgentId(AGENTS[at].to_owned()), limits, faults: vec![] };
            agent.session = Some(Session::new(setup, session_id(), order.generation, restore));
        }
        self.session(at, |session| session.obey(order, now));
    }

    fn deliver_report(&mut self) {
        let now = self.now;
        let Some((at, command, asked)) = self.reports.pop_front() else { return };
        let who = match &command {
            Command::StoreCheckpoint { role, incarnation, .. } if asked => Some((*role, *incarnation)),
            _ => None,
        };
        let (orders, reply) = self.cluster.apply(command);
        self.send(&orders);
        if let Some((role, incarnation)) = who {
            self.session(at, |session| session.answered(role, incarnation, &reply, now));
        }
    }

    fn start_process(&mut self, at: usize) {
        let now = self.now;
        let agent = &mut self.agents[at];
        // Every earlier process of the role is gone first.
        let free = |launch: &Launch| {
            !agent.programs.contains_key(&launch.role) && !agent.dead.iter().any(|(role, ..)| *role == launch.role)
        };
        let Some(next) = agent.launches.iter().position(free) else { return };
        let Some(launch) = agent.launches.remove(next) else { return };
        let start: serde_json::Value = serde_json::from_slice(&launch.start).expect("JSON");
        let base = usize::try_from(start["base"].as_u64().expect("a number")).expect("small");
        let (role, incarnation) = (launch.role, launch.incarnation);
        let machine = &self.image.machines[role.index()];
        let name = start["state"].as_str().expect("a state");
        let state = machine.states.iter().position(|state| state.name == name).expect("a state of the machine");
        let log = self.logs.get_mut(&role).expect("a role");
        log.truncate(base);
        let mode = self.setup.modes[role.index()];
        let state = StateId(u32::try_from(state).expect("small"));
        self.agents[at].programs.insert(role, Program::new(incarnation.0, mode, state, log.clone()));
        self.session(at, |session| session.started(role, incarnation, now));
    }

    fn run_process(&mut self, at: usize) {
        let now = self.now;
        let Some(role) = self.some_program(at) else { return };
        let image = &self.image;
        let Some(program) = self.agents[at].programs.get_mut(&role) else { return };
        let incarnation = Incarnation(program.incarnation);
        if let Some(line) = program.line(image, role) {
            self.session(at, |session| session.lines(role, incarnation, vec![(line, 1)], now));
        } else if program.has_ended(image, role) {
            self.die(at, role, Exit::Status(0));
        }
    }

    fn crash(&mut self, at: usize) {
        if self.crashes > 0
            && let Some(role) = self.some_program(at)
        {
            self.crashes -= 1;
            self.die(at, role, Exit::Signal(9));
        }
    }

    fn die(&mut self, at: usize, role: RoleId, exit: Exit) {
        let agent = &mut self.agents[at];
        if let Some(program) = agent.programs.remove(&role) {
            agent.dead.push_back((role, program.incarnation, exit));
            self.logs.insert(role, program.done);
        }
    }

    fn bury(&mut self, at: usize) {
        let now = self.now;
        if let Some((role, incarnation, exit)) = self.agents[at].dead.pop_front() {
            self.session(at, |session| session.exited(role, Incarnation(incarnation), exit, now));
        }
    }

    fn some_program(&mut self, at: usize) -> Option<RoleId> {
        let programs: Vec<RoleId> = self.agents[at].programs.keys().copied().collect();
        (!programs.is_empty()).then(|| programs[self.rng.random_range(0..programs.len())])
    }

    /// A message of the stream of `at` arrives at the other agent.
    fn carry(&mut self, at: usize) {
        let now = self.now;
        let Some(envelope) = self.agents[at].stream.envelopes.pop_front() else { return };
        let (from, to, session) = (envelope.from, envelope.to, envelope.session.clone());
        let mut answers = vec![];
        self.session(1 - at, |there| answers = there.incoming(vec![envelope], now));
        if answers.is_empty() {
            answers.push(rekindle_proto::v1::Acknowledgement {
                session,
                from,
                to,
                unknown: true,
                ..Default::default()
            });
        }
        self.agents[at].stream.answers.extend(answers);
    }

    fn answer(&mut self, at: usize) {
        let now = self.now;
        if let Some(answer) = self.agents[at].stream.answers.pop_front() {
            self.session(at, |session| session.acknowledged(&[answer], now));
        }
    }

    /// Breaks the stream of `at`, or connects it.
    fn connection(&mut self, at: usize) {
        if self.agents[at].stream.route.is_some() {
            if self.rng.random_range(0..4) == 0 {
                self.agents[at].stream.cut();
            }
            return;
        }
        self.routes += 1;
        self.agents[at].stream.route = Some(self.routes);
        let address = format!("{}:1", AGENTS[1 - at]);
        self.session(at, |session| session.connected(&address));
    }

    fn pass_time(&mut self) {
        self.now += Duration::from_millis(7);
        let now = self.now;
        for at in 0..2 {
            self.session(at, |session| session.on_time(now));
        }
    }

    /// Does something to the session of an agent, and carries out its effects as its actor would.
    fn session(&mut self, at: usize, act: impl FnOnce(&mut Session)) {
        let now = self.now;
        let agent = &mut self.agents[at];
        let Some(session) = &mut agent.session else { return };
        act(session);
        session.pump(&mut agent.stream, now);
        for effect in session.take_effects() {
            self.perform(at, effect);
        }
    }

    fn perform(&mut self, at: usize, effect: Effect) {
        let now = self.now;
        let agent = &mut self.agents[at];
        match effect {
            Effect::Start(launch) => agent.launches.push_back(*launch),
            Effect::Stop { role } => {
                agent.launches.retain(|launch| launch.role != role);
                self.die(at, role, Exit::Signal(9));
            }
            Effect::Write { role, incarnation, line } => {
                self.write(at, role, incarnation, &line);
                self.session(at, |session| session.written(role, incarnation, 1, now));
            }
            Effect::Report(report) => self.reports.push_back((at, report.command, report.answer == Wanted::Always)),
            Effect::Consumed { .. } | Effect::Log { .. } | Effect::End => {}
            Effect::Crash { .. } => unreachable!("no faults are injected here"),
        }
    }

    fn write(&mut self, at: usize, role: RoleId, incarnation: Incarnation, line: &[u8]) {
        let line: serde_json::Value = serde_json::from_slice(line).expect("JSON");
        if line["type"] != "message" {
            return;
        }
        let text = |field: &str| line[field].as_str().expect("text").to_owned();
        let agent = &mut self.agents[at];
        if let Some(program) = agent.programs.get_mut(&role).filter(|it| it.incarnation == incarnation.0) {
            program.take(&self.image, role, &text("from"), &text("label"), line["payload"].to_string());
        } else if agent.dead.iter().any(|(dead, number, _)| *dead == role && *number == incarnation.0) {
            // Answered before its death was seen: the event is done all the same.
            let sender = self.image.role(&text("from")).expect("a role");
            let log = self.logs.get_mut(&role).expect("a role");
            log.push((Direction::Receive, sender, line["payload"].to_string()));
        }
    }
}
