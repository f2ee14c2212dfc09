//! The task that owns a session: brings it inputs, carries out its effects.
//!
//! Invariants
//! * the actor waits for nothing but its own inputs: neither for the link, nor for carriers, nor for workers;
//! * a process of a role is started only when every earlier one of that role is gone.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rekindle_proto::v1;
use rekindle_protocol::image::RoleId;
use rekindle_statemachine::ids::Generation;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::input::{Control, Input};
use super::{Effect, Launch, Report, Session, Wire};
use crate::channel::carrier::Way;
use crate::channel::outbox::Route;
use crate::host::Host;
use crate::local_event::LocalEvent;
use crate::log::{LogLines, Words};
use crate::role::worker::{Surroundings, Worker};

/// Inputs that are taken at once before effects are carried out.
const BATCH: usize = 64;
/// How long the end of killed processes is waited for. A process in uninterruptible sleep dies later.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// See the head of the file.
pub(crate) struct Actor {
    session: Session,
    host: Arc<Host>,
    controls: mpsc::Receiver<Control>,
    inputs: mpsc::Receiver<Input>,
    surroundings: Surroundings,
    workers: HashMap<RoleId, Worker>,
    /// Wait for the role's earlier process to be gone.
    launches: HashMap<RoleId, Launch>,
    reports: VecDeque<Report>,
    ways: HashMap<String, Way>,
    over: bool,
}

impl Actor {
    pub(crate) fn new(
        session: Session,
        host: Arc<Host>,
        controls: mpsc::Receiver<Control>,
        inputs: mpsc::Receiver<Input>,
        mailbox: mpsc::Sender<Input>,
    ) -> Self {
        let surroundings = Surroundings {
            session: session.id.clone(),
            inputs: mailbox,
            words: Arc::new(Words::new(session.id.clone(), Arc::clone(&host.log), &host.setup.limits)),
            limits: host.setup.limits.clone(),
            records: host.records.clone(),
            tasks: host.tasks.clone(),
        };
        Actor {
            session,
            host,
            controls,
            inputs,
            surroundings,
            workers: HashMap::new(),
            launches: HashMap::new(),
            reports: VecDeque::new(),
            ways: HashMap::new(),
            over: false,
        }
    }

    /// Runs until the session ends or `stop`; every process of it is gone then. Gives the revision of the last order.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> u64 {
        let reports = self.host.reports.clone();
        while !self.over {
            let deadline = self.session.next_deadline();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                control = self.controls.recv() => match control {
                    Some(control) => self.control(control),
                    None => break,
                },
                place = reports.reserve(), if !self.reports.is_empty() => match (place, self.reports.pop_front()) {
                    (Ok(place), Some(report)) => place.send(report),
                    _ => break,
                },
                Some(input) = self.inputs.recv() => self.inputs(input),
                () = sleep_until(deadline) => self.session.on_time(Instant::now()),
            }
            self.carry_out();
        }
        self.stop().await;
        self.session.revision()
    }

    fn control(&mut self, control: Control) {
        let now = Instant::now();
        match control {
            Control::Order(order) => {
                self.session.obey(*order, now);
                let session = &self.session;
                self.ways.retain(|address, _| session.involves(address));
            }
            Control::Answer { role, incarnation, reply } => self.session.answered(role, incarnation, &reply, now),
            Control::Refused { role, incarnation, rejection } => {
                self.session.refused(role, incarnation, &rejection, now);
            }
        }
    }

    fn inputs(&mut self, first: Input) {
        self.input(first);
        for _ in 1..BATCH {
            match self.inputs.try_recv() {
                Ok(input) => self.input(input),
                Err(_) => return,
            }
        }
    }

    fn input(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Started { role, incarnation, pid } => {
                self.tell(|session, name| LocalEvent::WorkerStarted { session, role: name, incarnation, pid }, role);
                self.session.started(role, incarnation, now);
            }
            Input::CannotStart { role, incarnation, message } => {
                self.workers.remove(&role);
                self.launch_waiting(role);
                self.session.cannot_start(role, incarnation, &message, now);
            }
            Input::Lines { role, incarnation, lines } => self.session.lines(role, incarnation, lines, now),
            Input::Closed { role, incarnation } => self.session.closed(role, incarnation, now),
            Input::Written { role, incarnation, lines } => self.session.written(role, incarnation, lines, now),
            Input::Exited { role, incarnation, exit } => {
                self.workers.remove(&role);
                self.launch_waiting(role);
                self.session.exited(role, incarnation, exit, now);
            }
            Input::Incoming { envelopes, answer } => {
                let answers = self.session.incoming(envelopes, now);
                // The stream that they came on may be gone.
                drop(answer.send(answers));
            }
            Input::Answers { acknowledgements } => self.session.acknowledged(&acknowledgements, now),
            Input::Connected { address } => self.session.connected(&address),
        }
    }

    fn carry_out(&mut self) {
        let generation = self.session.generation();
        let mut wire = Ways { open: &mut self.ways, host: &self.host, around: &self.surroundings, generation };
        self.session.pump(&mut wire, Instant::now());
        for effect in self.session.take_effects() {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Start(launch) => {
                if self.workers.contains_key(&launch.role) {
                    self.launches.insert(launch.role, *launch);
                } else {
                    self.launch(*launch);
                }
            }
            Effect::Stop { role } => {
                self.launches.remove(&role);
                if let Some(worker) = self.workers.get(&role) {
                    worker.kill();
                }
            }
            Effect::Crash { role, incarnation, events } => {
                let leader = *self.host.leader.borrow();
                self.tell(
                    |session, name| LocalEvent::WorkerCrashedByFault {
                        session,
                        role: name,
                        incarnation,
                        events,
                        leader,
                    },
                    role,
                );
                if let Some(worker) = self.workers.get(&role) {
                    worker.kill();
                }
            }
            Effect::Write { role, incarnation, line } => {
                if let Some(worker) = self.worker(role, incarnation) {
                    worker.write(line);
                }
            }
            Effect::Consumed { role, incarnation, bytes } => {
                if let Some(worker) = self.worker(role, incarnation) {
                    worker.consumed(bytes);
                }
            }
            Effect::Log { role, incarnation, text } => {
                let (name, words) = (self.session.role_name(role), &self.surroundings.words);
                let mut lines = LogLines::new(self.surroundings.limits.log_line_bytes);
                lines.push(text.as_bytes(), |text| words.say(name, incarnation, text));
                lines.finish(|text| words.say(name, incarnation, text));
            }
            Effect::Report(report) => self.reports.push_back(report),
            Effect::End => self.over = true,
        }
    }

    fn worker(&self, role: RoleId, incarnation: rekindle_statemachine::ids::Incarnation) -> Option<&Worker> {
        self.workers.get(&role).filter(|worker| worker.incarnation() == incarnation)
    }

    fn launch_waiting(&mut self, role: RoleId) {
        if let Some(launch) = self.launches.remove(&role) {
            self.launch(launch);
        }
    }

    fn launch(&mut self, launch: Launch) {
        let role = launch.role;
        self.workers.insert(role, Worker::start(launch, self.surroundings.clone()));
    }

    fn tell(&self, event: impl FnOnce(rekindle_statemachine::ids::SessionId, String) -> LocalEvent, role: RoleId) {
        (self.host.hook)(&event(self.surroundings.session.clone(), self.session.role_name(role).to_owned()));
    }

    /// Kills every process of the session and waits until they are gone.
    async fn stop(&mut self) {
        let gone: Vec<CancellationToken> = self.workers.values().map(Worker::gone).collect();
        for worker in self.workers.values() {
            worker.kill();
        }
        // Nobody listens any more, and nobody is to wait for that.
        self.inputs.close();
        let all_gone = async {
            for worker in gone {
                worker.cancelled().await;
            }
        };
        let drained = async { while self.inputs.recv().await.is_some() {} };
        let both = async {
            tokio::join!(all_gone, drained);
        };
        if tokio::time::timeout(LAST_WAIT, both).await.is_err() {
            tracing::error!(session = %self.surroundings.session, "a killed worker is not gone yet");
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The ways of one session to other agents, opened when first needed.
struct Ways<'a> {
    open: &'a mut HashMap<String, Way>,
    host: &'a Host,
    around: &'a Surroundings,
    generation: Generation,
}

impl Wire for Ways<'_> {
    fn route(&mut self, address: &str) -> Option<Route> {
        if address.is_empty() {
            return None;
        }
        if !self.open.contains_key(address) {
            let session = (self.around.session.clone(), self.generation);
            let way = self.host.carriers.attach(address, &session, self.around.inputs.clone());
            self.open.insert(address.to_owned(), way);
        }
        self.open.get(address)?.route()
    }

    fn transmit(&mut self, address: &str, route: Route, envelope: v1::Envelope) -> bool {
        self.open.get(address).is_some_and(|way| way.transmit(route, envelope))
    }
}
