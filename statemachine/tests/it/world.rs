//! Local supervisors and workers that do what they are told, over a network that loses, repeats and reorders.
//!
//! This is the reference of what orders mean. Messages between workers pass through the outbox of the sender's supervisor
//! into the store of the receiver's; floors and counters are applied as `docs/recovery.md` defines them. Whenever a session
//! resumes, its configuration is checked: nothing is received that was not sent, and all that is in transit is held.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rekindle_protocol::image::{Direction, Image, RoleId};
use rekindle_protocol::recovery::policy::{Mode, Retention};
use rekindle_protocol::recovery::table::{Policy, recovery_table};
use rekindle_statemachine::command::{Command, Rejection, Reply};
use rekindle_statemachine::effect::{Effect, Order, Place};
use rekindle_statemachine::ids::{AgentId, AgentInstance, Generation, RecoveryNumber, SessionId};
use rekindle_statemachine::protocols::protocol_id;
use rekindle_statemachine::session::{Phase, Role, Session};
use rekindle_statemachine::spec::{RestartBudget, RoleSpec, SessionSpec};

use self::host::{Host, Message, Worker, count, undone};
use crate::fixture::Fixture;

mod host;

/// What a world is made of.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) image: Image,
    pub(crate) modes: Vec<Mode>,
    pub(crate) retention: Retention,
    pub(crate) agents: usize,
    pub(crate) max_restarts: u32,
    /// Whether each role may run on one agent only.
    pub(crate) pinned: bool,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting { image, modes, retention, agents, max_restarts, pinned } = self;
        let pinned = if *pinned { "pinned" } else { "free" };
        write!(f, "{} {modes:?} {retention:?} {pinned} on {agents} agents, {max_restarts} restarts", image.name)
    }
}

/// A session, its agents, and what is on its way.
pub(crate) struct World {
    pub(crate) fixture: Fixture,
    setting: Setting,
    hosts: BTreeMap<AgentId, Host>,
    network: Vec<Parcel>,
    instances: u64,
    /// Roles whose messages do not get through at the moment.
    cut_off: BTreeSet<RoleId>,
    resumed: BTreeSet<RecoveryNumber>,
}

#[derive(Clone)]
enum Parcel {
    Order(AgentId, AgentInstance, Order),
    Report(Command),
    Data(RoleId, RoleId, Message),
}

/// Something that may happen next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Something on its way arrives.
    Deliver(usize),
    /// It arrives, and will arrive again.
    Repeat(usize),
    /// It never arrives.
    Lose(usize),
    /// All orders and reports arrive, and what comes of them.
    Settle,
    /// Messages of a role get stuck, or through again.
    CutOff(RoleId),
    /// The leader dies, and what it was about to send with it.
    LeaderChange,
    /// Every supervisor reports what it has to report.
    Resend,
    /// A worker does one event, if it can.
    Work(RoleId, u16),
    /// A message reaches its receiver's supervisor.
    Carry(RoleId, usize),
    /// It does, and a copy of it will later.
    Echo(RoleId, usize),
    /// A worker saves its state, if it can.
    Save(RoleId),
    /// A worker dies.
    Crash(RoleId),
    /// A supervisor dies with its workers, and comes back at once or not.
    Kill(AgentId, bool),
    /// A supervisor loses what it believes of where the roles are, and its stream; it attaches again and gets its orders.
    Reattach(AgentId),
    /// A supervisor starts, if it is not there.
    Boot(AgentId),
}

pub(crate) fn session_id() -> SessionId {
    SessionId("s1".to_owned())
}

/// A report that came twice: the role is done since.
fn is_over(rejection: &Rejection) -> bool {
    matches!(rejection, Rejection::Invalid(reason) if reason.ends_with("is done"))
}

fn agent_id(number: usize) -> AgentId {
    AgentId(format!("a{number}"))
}

impl World {
    pub(crate) fn new(setting: Setting) -> Self {
        let mut world = World {
            fixture: Fixture::default(),
            setting,
            hosts: BTreeMap::new(),
            network: Vec::new(),
            instances: 0,
            cut_off: BTreeSet::new(),
            resumed: BTreeSet::new(),
        };
        let image = world.setting.image.clone();
        let protocol = protocol_id(&image);
        world.apply(Command::RegisterProtocol { image: image.clone() });
        (0..world.setting.agents).for_each(|number| world.boot(&agent_id(number)));
        let Setting { agents, pinned, .. } = world.setting;
        let role = |(number, mode): (usize, &Mode)| RoleSpec {
            mode: *mode,
            command: vec!["worker".to_owned()],
            environment: BTreeMap::new(),
            agent: pinned.then(|| agent_id(number % agents)),
            stall_timeout_ms: None,
        };
        let spec = SessionSpec {
            retention: world.setting.retention,
            roles: world.setting.modes.iter().enumerate().map(role).collect(),
            budget: RestartBudget { max_restarts: world.setting.max_restarts, window_ms: 400 },
            folder: "/srv".to_owned(),
        };
        let policy = Policy { retention: world.setting.retention, modes: world.setting.modes.clone() };
        let table = recovery_table(&image, &policy);
        let reply =
            world.apply(Command::StartSession { session: session_id(), protocol, spec, table, generation: None });
        assert_eq!(reply, Reply::Done);
        world
    }

    pub(crate) fn phase(&self) -> Phase {
        self.fixture.session("s1").phase.clone()
    }

    /// Where every role stands, by its supervisor, or by the log once the session has ended.
    pub(crate) fn cut(&self) -> Vec<u64> {
        let position =
            |(role, known): (RoleId, &Role)| self.find(role).map_or(known.known, |worker| worker.history.position());
        self.fixture.session("s1").numbered_roles().map(position).collect()
    }

    /// One of the things that may happen now, by choice.
    pub(crate) fn step(&self, choice: u32, faults: bool) -> Step {
        let (kind, choice) = (choice % 32, choice as usize / 32);
        let role = RoleId(u16::try_from(choice % self.setting.image.roles.len()).expect("few roles"));
        let choice = choice / self.setting.image.roles.len();
        let waiting = self.find(role).map_or(0, |worker| worker.outbox.len());
        match kind {
            0..=9 => Step::Work(role, u16::try_from(choice % 2).expect("small")),
            10..=13 if waiting > 0 => Step::Carry(role, choice % waiting),
            14 if waiting > 0 => Step::Echo(role, choice % waiting),
            15..=16 => Step::Save(role),
            17..=20 if !self.network.is_empty() => Step::Deliver(choice % self.network.len()),
            21 if !self.network.is_empty() => Step::Repeat(choice % self.network.len()),
            22 if !self.network.is_empty() => Step::Lose(choice % self.network.len()),
            23..=24 => Step::Settle,
            25 => Step::Reattach(agent_id(choice % self.setting.agents)),
            26 => Step::LeaderChange,
            27..=28 if faults => Step::Crash(role),
            29 if faults => Step::Kill(agent_id(choice % self.setting.agents), choice.is_multiple_of(2)),
            30 => Step::Boot(agent_id(choice % self.setting.agents)),
            31 => Step::CutOff(role),
            _ => Step::Resend,
        }
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match step {
            Step::Deliver(index) => {
                let parcel = self.network.swap_remove(*index);
                self.deliver(parcel);
            }
            Step::Repeat(index) => self.deliver(self.network[*index].clone()),
            Step::Lose(index) => drop(self.network.swap_remove(*index)),
            Step::Settle => (0..3).for_each(|_| self.exchange()),
            Step::CutOff(role) => {
                if !self.cut_off.remove(role) {
                    self.cut_off.insert(*role);
                }
            }
            Step::LeaderChange => self.change_leader(),
            Step::Resend => self.resend(),
            Step::Work(role, choice) => self.work(*role, *choice),
            Step::Carry(role, index) => {
                self.carry(*role, *index);
            }
            Step::Echo(role, index) => {
                if let Some((to, message)) = self.find(*role).and_then(|worker| worker.outbox.get(*index)).cloned() {
                    self.network.push(Parcel::Data(*role, to, message));
                }
                self.carry(*role, *index);
            }
            Step::Save(role) => self.save(*role),
            Step::Crash(role) => self.crash(*role),
            Step::Kill(agent, back) => self.kill(agent, *back),
            Step::Reattach(agent) => self.reattach(agent),
            Step::Boot(agent) => {
                if !self.hosts.contains_key(agent) {
                    self.boot(agent);
                }
            }
        }
    }

    /// Lets everything go well until the session has ended.
    pub(crate) fn finish(&mut self) {
        for _ in 0..2_000 {
            if matches!(self.phase(), Phase::Ended { .. }) {
                return;
            }
            self.settle_once();
            for role in self.setting.image.role_ids() {
                self.work(role, 0);
                self.save(role);
            }
        }
        panic!("stuck: {:?} at {:?}", self.fixture.session("s1"), self.cut());
    }

    /// Delivers all orders, reports and messages; no worker goes on.
    pub(crate) fn settle_once(&mut self) {
        self.cut_off.clear();
        (0..self.setting.agents).for_each(|number| self.take(&Step::Boot(agent_id(number))));
        self.change_leader();
        self.exchange();
        for role in self.setting.image.role_ids() {
            let waiting = self.find(role).map_or(0, |worker| worker.outbox.len());
            let mut place = 0;
            for _ in 0..waiting {
                place += usize::from(!self.carry(role, place));
            }
        }
    }

    /// Supervisors report, and all that is on its way arrives.
    fn exchange(&mut self) {
        self.resend();
        while !self.network.is_empty() {
            let parcel = self.network.remove(0);
            self.deliver(parcel);
        }
    }

    pub(crate) fn crash(&mut self, role: RoleId) {
        let Some(worker) = self.find_mut(role) else { return };
        if !worker.dead && !worker.done {
            worker.dead = true;
            self.resend();
        }
    }

    fn apply(&mut self, command: Command) -> Reply {
        self.fixture.time += 10;
        let applied = self.fixture.apply(command);
        for effect in applied.effects {
            if let Effect::Send { agent, order } = effect {
                let instance = self.hosts[&agent].instance;
                self.network.push(Parcel::Order(agent, instance, order));
            }
        }
        applied.reply
    }

    fn boot(&mut self, agent: &AgentId) {
        self.instances += 1;
        let instance = AgentInstance(self.instances);
        let address = format!("{agent}:{}", self.instances);
        let host = Host {
            instance,
            address: address.clone(),
            generation: Generation::UNNAMED,
            revision: 0,
            places: Vec::new(),
            workers: BTreeMap::new(),
            asked: None,
            restored: None,
            floors: Vec::new(),
        };
        self.hosts.insert(agent.clone(), host);
        assert_eq!(self.apply(Command::RegisterAgent { agent: agent.clone(), instance, address }), Reply::Done);
    }

    fn kill(&mut self, agent: &AgentId, back: bool) {
        let Some(host) = self.hosts.remove(agent) else { return };
        if back {
            self.boot(agent);
        } else {
            let instance = host.instance;
            assert_eq!(self.apply(Command::ExpireAgent { agent: agent.clone(), instance }), Reply::Done);
        }
    }

    /// Whatever the old leader was about to send is gone; the new one sends what is outstanding.
    fn change_leader(&mut self) {
        self.fixture.node += 1;
        self.network.retain(|parcel| !matches!(parcel, Parcel::Order(..)));
        for (agent, host) in &self.hosts {
            let orders = self.fixture.machine.outstanding(agent).into_iter();
            self.network.extend(orders.map(|order| Parcel::Order(agent.clone(), host.instance, order)));
        }
    }

    fn reattach(&mut self, agent: &AgentId) {
        let Some(host) = self.hosts.get_mut(agent) else { return };
        host.places.clear();
        let instance = host.instance;
        self.network.retain(|parcel| !matches!(parcel, Parcel::Order(to, ..) if to == agent));
        let orders = self.fixture.machine.outstanding(agent).into_iter();
        self.network.extend(orders.map(|order| Parcel::Order(agent.clone(), instance, order)));
    }

    /// Every supervisor reports again what it has to report.
    fn resend(&mut self) {
        let reports: Vec<Command> = self.hosts.values().flat_map(Host::reports).collect();
        self.network.extend(reports.into_iter().map(Parcel::Report));
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Report(command) => {
                let reply = self.apply(command.clone());
                if let Reply::Rejected(rejection) = &reply {
                    assert!(rejection.is_stale() || is_over(rejection), "{rejection}: {command:?}");
                }
                self.check_resume();
            }
            Parcel::Data(from, to, message) => {
                if let Some(agent) = self.fixture.session("s1").roles[to.index()].agent.clone() {
                    self.arrive(&agent, from, to, message);
                }
            }
            Parcel::Order(agent, instance, order) => {
                let setting = self.setting.clone();
                if let Some(host) = self.hosts.get_mut(&agent).filter(|host| host.instance == instance) {
                    host.obey(&agent, &order, &setting);
                }
            }
        }
    }

    fn find(&self, role: RoleId) -> Option<&Worker> {
        let agent = self.fixture.session("s1").roles[role.index()].agent.as_ref()?;
        self.hosts.get(agent)?.workers.get(&role)
    }

    fn find_mut(&mut self, role: RoleId) -> Option<&mut Worker> {
        let agent = self.fixture.session("s1").roles[role.index()].agent.as_ref()?;
        self.hosts.get_mut(agent)?.workers.get_mut(&role)
    }

    /// Whether a message is the one that its sender sent, by the sender's history, as far as the sender is at large.
    fn is_genuine(&self, from: RoleId, to: RoleId, message: &Message) -> bool {
        let Some(sender) = self.find(from).filter(|sender| !sender.held) else { return true };
        let events = sender.history.walk(&self.setting.image.machines[from.index()]).map_while(Result::ok);
        let mut sends = events.filter(|(action, _)| action.direction == Direction::Send && action.peer == to);
        let place = usize::try_from(message.index - 1).expect("a short history");
        sends.nth(place).is_some_and(|(action, _)| action.label == message.label)
    }

    fn worker(&self, role: RoleId) -> &Worker {
        self.find(role).expect("a worker for each role")
    }

    /// A worker does one event, or exits when it has none left.
    fn work(&mut self, role: RoleId, choice: u16) {
        let image = self.setting.image.clone();
        let machine = &image.machines[role.index()];
        let volatile = self.setting.retention == Retention::Volatile;
        let Some(worker) = self.find(role) else { return };
        if worker.held || worker.dead || worker.done {
            return;
        }
        for (&(from, _), message) in &worker.store {
            let next = count(&worker.history, &image, role, Direction::Receive, from) + 1;
            assert!(message.index != next || self.is_genuine(from, role, message), "{message:?} of {from:?} is undone");
        }
        let worker = self.find_mut(role).expect("the same worker");
        let state = worker.history.state(machine).expect("a path");
        let edges = &machine.states[state.index()].edges;
        let Some(first) = edges.first() else {
            if worker.outbox.is_empty() {
                worker.done = true;
                self.resend();
            }
            return;
        };
        let peer = first.action.peer;
        let index = count(&worker.history, &image, role, first.action.direction, peer) + 1;
        if first.action.direction == Direction::Send {
            let step = choice % u16::try_from(edges.len()).expect("few edges");
            let label = edges[usize::from(step)].action.label.clone();
            worker.history.steps.push(step);
            let message = Message { index, incarnation: worker.incarnation, label };
            worker.outbox.push((peer, message));
        } else if let Some(message) = worker.store.get(&(peer, index)) {
            let step = edges.iter().position(|edge| edge.action.label == message.label);
            let step = step.expect("a message that may come here");
            worker.history.steps.push(u16::try_from(step).expect("few edges"));
            if volatile {
                worker.store.remove(&(peer, index));
            }
        }
    }

    /// A message leaves its sender's supervisor once its receiver's has it. Whether it did.
    fn carry(&mut self, from: RoleId, place: usize) -> bool {
        let Some((to, message)) = self.find(from).and_then(|worker| worker.outbox.get(place)).cloned() else {
            return false;
        };
        if self.cut_off.contains(&from) {
            return false;
        }
        let arrived = self.reached_from(from, to).is_some_and(|agent| self.arrive(&agent, from, to, message));
        if arrived {
            self.find_mut(from).expect("the sender").outbox.remove(place);
        }
        arrived
    }

    /// Who is at the address at which the sender's supervisor believes the receiver to be.
    fn reached_from(&self, from: RoleId, to: RoleId) -> Option<AgentId> {
        let sender = self.fixture.session("s1").roles[from.index()].agent.as_ref()?;
        let place: &Place = self.hosts.get(sender)?.places.get(to.index())?;
        self.hosts.iter().find(|(_, host)| host.address == place.address).map(|(agent, _)| agent.clone())
    }

    /// A message arrives at a supervisor, which takes it once, unless it is undone. Whether the receiver is there.
    fn arrive(&mut self, agent: &AgentId, from: RoleId, to: RoleId, message: Message) -> bool {
        let image = self.setting.image.clone();
        let Some(host) = self.hosts.get_mut(agent) else { return false };
        let Some(worker) = host.workers.get_mut(&to) else { return false };
        let received = count(&worker.history, &image, to, Direction::Receive, from);
        if message.index > received && !undone(&host.floors, from, to, &message) {
            worker.store.entry((from, message.index)).or_insert(message);
        }
        true
    }

    /// A worker saves its state, once all that it sent is held by the receivers' supervisors.
    fn save(&mut self, role: RoleId) {
        let mode = self.setting.modes[role.index()];
        let Some(worker) = self.find(role) else { return };
        let usable = matches!(mode, Mode::Checkpoint | Mode::Replay);
        if !usable || !worker.outbox.is_empty() || worker.held || worker.dead || worker.done {
            return;
        }
        let after = worker.known.min(worker.history.position());
        let from = usize::try_from(after).expect("a short history");
        let generation = self.fixture.session("s1").generation;
        let command = Command::StoreCheckpoint {
            session: session_id(),
            generation,
            role,
            incarnation: worker.incarnation,
            after,
            steps: worker.history.steps[from..].to_vec(),
            data: worker.history.position().to_le_bytes().to_vec(),
        };
        let position = worker.history.position();
        // A copy may come much later.
        self.network.push(Parcel::Report(command.clone()));
        if self.apply(command) == Reply::Done {
            self.find_mut(role).expect("the worker").known = position;
        }
    }

    /// Whoever acknowledged knows where everybody is, unless it has lost that since.
    fn check_places(&self, session: &Session) {
        for agent in session.roles.iter().filter_map(|role| role.agent.as_ref()) {
            let host = &self.hosts[agent];
            for (role, place) in session.roles.iter().zip(&host.places) {
                let there = role.agent.as_ref().expect("everybody is somewhere when the session resumes");
                assert_eq!(
                    (&place.agent, &place.address),
                    (there, &self.hosts[there].address),
                    "what {agent} believes"
                );
            }
        }
    }

    /// When the session resumes, the configuration is one that a run without failures could have reached.
    fn check_resume(&mut self) {
        let session = self.fixture.session("s1");
        let last = session.recoveries().next_back().filter(|last| last.resumed.is_some());
        let Some(last) = last else { return };
        if !self.resumed.insert(last.opening.number) {
            return;
        }
        let image = &self.setting.image;
        self.check_places(session);
        for (role, known) in session.numbered_roles() {
            let worker = self.worker(role);
            assert_eq!(worker.incarnation, known.incarnation);
            assert!(!worker.dead || worker.held, "a restarted worker died before the resume and nobody was told");
        }
        for from in image.role_ids() {
            for to in image.role_ids().filter(|to| *to != from) {
                let (sender, receiver) = (self.worker(from), self.worker(to));
                let sent = count(&sender.history, image, from, Direction::Send, to);
                let taken = count(&receiver.history, image, to, Direction::Receive, from);
                assert!(taken <= sent, "{to:?} received {taken} of {sent} messages of {from:?}");
                if receiver.dead {
                    continue;
                }
                for index in taken + 1..=sent {
                    let waits = sender.outbox.iter().any(|(peer, message)| *peer == to && message.index == index);
                    let held = receiver.store.contains_key(&(from, index));
                    assert!(waits || held, "message {index} of {from:?} to {to:?} is nowhere");
                }
            }
        }
    }
}
