//! A supervisor for tests: starts one worker for each role, and carries their messages until all have ended.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Process, Program, json, start};

/// A worker that is silent for so long hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// When a message is delivered to a worker that asks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// At once: workers run side by side.
    Eager,
    /// When nobody can go on without: one worker runs at a time, the last role first.
    LastFirst,
}

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Session<'a> {
    /// The roles, each with its program.
    pub(crate) roles: Vec<(&'a str, Program)>,
    /// The events that may come first, for roles that want to know.
    pub(crate) next: BTreeMap<&'a str, Vec<&'a str>>,
    pub(crate) order: Order,
}

/// What a session has done.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    /// Lines for the log.
    pub(crate) logs: Vec<String>,
    /// Sends and receives of each role.
    pub(crate) events: BTreeMap<String, u64>,
    /// The `send` lines of each role, as they were written.
    pub(crate) sent: BTreeMap<String, Vec<String>>,
    /// The checkpoints of each role.
    pub(crate) checkpoints: BTreeMap<String, Vec<Value>>,
}

impl<'a> Session<'a> {
    /// A session whose roles run the same program.
    pub(crate) fn of(roles: &[&'a str], program: &Program) -> Self {
        let roles = roles.iter().map(|role| (*role, program.clone())).collect();
        Self { roles, next: BTreeMap::new(), order: Order::Eager }
    }

    /// Runs all workers to their end.
    ///
    /// # Panics
    /// If one fails or hangs, or all wait for each other, or a message is left over.
    pub(crate) fn run(&self) -> Finished {
        let (sender, lines) = mpsc::channel();
        let mut workers = BTreeMap::new();
        for (role, program) in &self.roles {
            let next = self.next.get(role).map_or(&[][..], Vec::as_slice);
            let (process, output) = program.spawn(&start(role, next));
            let (sender, role) = (sender.clone(), (*role).to_owned());
            workers.insert(role.clone(), Worker { process, asks: None, runs: true });
            thread::spawn(move || {
                for line in output {
                    let _ = sender.send((role.clone(), Some(line)));
                }
                let _ = sender.send((role, None));
            });
        }
        let mut run = Run { workers, mailboxes: BTreeMap::new(), finished: Finished::default() };
        run.finish(&lines, self.order);
        run.finished
    }
}

/// Whose message a worker asks for.
#[derive(Clone, Debug)]
enum From {
    Anyone,
    Peer(String),
}

impl From {
    fn allows(&self, sender: &str) -> bool {
        match self {
            Self::Anyone => true,
            Self::Peer(peer) => peer == sender,
        }
    }
}

struct Worker {
    process: Process,
    /// The open `receive`.
    asks: Option<From>,
    runs: bool,
}

struct Run {
    workers: BTreeMap<String, Worker>,
    /// By receiver and sender.
    mailboxes: BTreeMap<(String, String), VecDeque<(String, Value)>>,
    finished: Finished,
}

impl Run {
    fn finish(&mut self, lines: &Receiver<(String, Option<String>)>, order: Order) {
        while self.workers.values().any(|worker| worker.runs) {
            let all_wait = self.workers.values().all(|worker| !worker.runs || worker.asks.is_some());
            if order == Order::Eager || all_wait {
                let delivered = self.deliver(order);
                assert!(delivered || !all_wait, "all wait: {:?}", self.waiting());
                if delivered {
                    continue;
                }
            }
            let (role, line) = lines
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("no worker speaks, waiting: {:?}", self.waiting()));
            match line {
                Some(line) => self.take(&role, &line),
                None => self.end(&role),
            }
        }
        let left: Vec<_> = self.mailboxes.iter().filter(|(_, messages)| !messages.is_empty()).collect();
        assert!(left.is_empty(), "left over: {left:?}");
    }

    /// Answers one open `receive`, if there is a message for one.
    fn deliver(&mut self, order: Order) -> bool {
        let mut waiting = self.waiting();
        if order == Order::LastFirst {
            waiting.reverse();
        }
        for (role, from) in waiting {
            let mailbox = self.mailboxes.iter_mut().find(|((receiver, sender), messages)| {
                *receiver == role && from.allows(sender) && !messages.is_empty()
            });
            if let Some(((_, sender), messages)) = mailbox
                && let Some((label, payload)) = messages.pop_front()
            {
                let worker = self.workers.get_mut(&role).expect("is a role");
                worker.asks = None;
                worker.process.give(sender, &label, &payload);
                *self.finished.events.entry(role).or_default() += 1;
                return true;
            }
        }
        false
    }

    /// Takes a line of a worker.
    fn take(&mut self, role: &str, line: &str) {
        let mut fields = json(line);
        let text = |name: &str| fields[name].as_str().map(str::to_owned);
        match fields["type"].as_str() {
            Some("send") => {
                let (to, label) = (text("to").expect("a receiver"), text("label").expect("a label"));
                assert!(self.workers.contains_key(&to), "{role} sends to nobody: {line}");
                let payload = fields["payload"].take();
                self.mailboxes.entry((to, role.to_owned())).or_default().push_back((label, payload));
                *self.finished.events.entry(role.to_owned()).or_default() += 1;
                self.finished.sent.entry(role.to_owned()).or_default().push(line.to_owned());
            }
            Some("receive") => {
                let asks = self
                    .workers
                    .get_mut(role)
                    .expect("is a role")
                    .asks
                    .replace(text("from").map_or(From::Anyone, From::Peer));
                assert!(asks.is_none(), "{role} asks twice");
            }
            Some("checkpoint") => {
                self.finished.checkpoints.entry(role.to_owned()).or_default().push(fields["data"].take());
            }
            Some("log") => self.finished.logs.push(text("text").expect("a text")),
            _ => panic!("{role} writes {line}"),
        }
    }

    fn end(&mut self, role: &str) {
        let worker = self.workers.get_mut(role).expect("is a role");
        worker.process.close();
        assert!(worker.process.succeeds(), "{role} has failed");
        worker.runs = false;
        worker.asks = None;
    }

    fn waiting(&self) -> Vec<(String, From)> {
        let asks = |(role, worker): (&String, &Worker)| Some((role.clone(), worker.asks.clone()?));
        self.workers.iter().filter_map(asks).collect()
    }
}
