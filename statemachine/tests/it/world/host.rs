//! What a local supervisor does with its orders, and what it keeps for its workers.

use std::collections::BTreeMap;

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Direction, Image, RoleId};
use rekindle_protocol::recovery::policy::{FailureKind, Mode, Retention};
use rekindle_statemachine::command::{Command, FailureCause};
use rekindle_statemachine::effect::{Floor, Goal, Order, Place, RestartOrder, Restore};
use rekindle_statemachine::ids::{AgentId, AgentInstance, Generation, Incarnation, RecoveryNumber};

use super::{Setting, session_id};

/// One run of a local supervisor.
pub(super) struct Host {
    pub(super) instance: AgentInstance,
    /// Where it is reached.
    pub(super) address: String,
    pub(super) generation: Generation,
    pub(super) revision: u64,
    /// Where it believes the roles to be; empty once it has lost that.
    pub(super) places: Vec<Place>,
    pub(super) workers: BTreeMap<RoleId, Worker>,
    pub(super) asked: Option<(RecoveryNumber, Vec<RoleId>)>,
    pub(super) restored: Option<RecoveryNumber>,
    pub(super) floors: Vec<Vec<Floor>>,
}

/// A worker and what its supervisor keeps for it.
pub(super) struct Worker {
    pub(super) incarnation: Incarnation,
    pub(super) history: History,
    pub(super) held: bool,
    pub(super) dead: bool,
    pub(super) done: bool,
    /// Events known to the log from the last checkpoint or restart.
    pub(super) known: u64,
    /// Sent, and not yet with the receiver's supervisor.
    pub(super) outbox: Vec<(RoleId, Message)>,
    /// By sender and index: the mailbox, under `retained` with all that was received.
    pub(super) store: BTreeMap<(RoleId, u64), Message>,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) index: u64,
    pub(super) incarnation: Incarnation,
    pub(super) label: String,
}

impl Host {
    pub(super) fn reports(&self) -> Vec<Command> {
        let mut reports = Vec::new();
        let (generation, revision) = (self.generation, Some(self.revision));
        for (&role, worker) in &self.workers {
            let (session, incarnation, history) = (session_id(), worker.incarnation, worker.history.clone());
            if worker.dead {
                let (kind, cause) = (FailureKind::Worker, FailureCause::Signalled { signal: 9 });
                let age_ms = 1;
                reports.push(Command::ReportFailure {
                    session,
                    generation,
                    role,
                    incarnation,
                    kind,
                    cause,
                    history,
                    age_ms,
                });
                continue;
            }
            if worker.done {
                let (session, history) = (session.clone(), history.clone());
                reports.push(Command::FinishRole { session, generation, role, incarnation, history });
            }
            if let Some((recovery, _)) = self.asked.as_ref().filter(|(_, roles)| roles.contains(&role)) {
                let (session, recovery) = (session.clone(), *recovery);
                reports.push(Command::ReportPosition { session, generation, role, incarnation, recovery, history });
            }
            if let Some(recovery) = self.restored {
                reports.push(Command::AcknowledgeRestore {
                    session,
                    generation,
                    role,
                    incarnation,
                    recovery,
                    revision,
                });
            }
        }
        reports
    }

    pub(super) fn obey(&mut self, me: &AgentId, order: &Order, setting: &Setting) {
        if order.revision < self.revision {
            return;
        }
        (self.generation, self.revision) = (order.generation, order.revision);
        self.places.clone_from(&order.places);
        match &order.goal {
            Goal::Freeze { recovery, roles } => {
                self.restored = None;
                self.asked = Some((*recovery, roles.clone()));
                for role in roles {
                    self.workers.get_mut(role).expect("a worker of this agent").held = true;
                }
            }
            Goal::Restore(restore) => {
                self.asked = None;
                self.restored = Some(restore.recovery);
                self.restore(me, &order.places, restore, setting);
            }
            Goal::Run => {
                (self.asked, self.restored) = (None, None);
                self.workers.values_mut().for_each(|worker| worker.held = false);
            }
            Goal::End => self.workers.clear(),
        }
    }

    fn restore(&mut self, me: &AgentId, places: &[Place], restore: &Restore, setting: &Setting) {
        self.floors = restore.roles.iter().map(|role| role.floors.clone()).collect();
        for ((role, ordered), place) in restore.image.role_ids().zip(&restore.roles).zip(places) {
            if place.agent != *me {
                continue;
            }
            let current = self.workers.get(&role).is_some_and(|worker| worker.incarnation == ordered.incarnation);
            match &ordered.restart {
                Some(restart) if !current => {
                    let old = self.workers.remove(&role);
                    let worker = restarted(role, ordered.incarnation, restart, old, setting);
                    self.workers.insert(role, worker);
                }
                _ => assert!(current, "an order to go on with a process that is not here"),
            }
            let worker = self.workers.get_mut(&role).expect("the worker just seen");
            worker.held = true;
            worker.store.retain(|(from, _), message| !undone(&self.floors, *from, role, message));
        }
    }
}

fn restarted(
    role: RoleId,
    incarnation: Incarnation,
    restart: &RestartOrder,
    old: Option<Worker>,
    setting: &Setting,
) -> Worker {
    let mode = setting.modes[role.index()];
    let position = restart.history.position();
    if let Some(data) = &restart.checkpoint {
        assert_eq!(*data, restart.base.to_le_bytes(), "the checkpoint of another position");
    }
    let needs_state = matches!(mode, Mode::Checkpoint | Mode::Replay) && restart.base > 0;
    assert!(!needs_state || restart.checkpoint.is_some(), "a worker that starts past 0 has its state");
    assert!(restart.base == position || mode == Mode::Replay);
    let (mut outbox, mut store) = old.map(|old| (old.outbox, old.store)).unwrap_or_default();
    outbox.retain(|(peer, message)| message.index <= restart.sent[peer.index()]);
    if setting.retention == Retention::Volatile {
        store.clear();
    }
    let image = &setting.image;
    for (at, (action, _)) in (0..).zip(restart.history.walk(&image.machines[role.index()]).map_while(Result::ok)) {
        let mut before = restart.history.clone();
        before.truncate(at + 1);
        let index = count(&before, image, role, action.direction, action.peer);
        let fed = action.direction == Direction::Receive && at >= restart.base;
        assert!(!fed || store.contains_key(&(action.peer, index)), "a message to be replayed is not kept");
    }
    let known = position;
    Worker { incarnation, history: restart.history.clone(), held: true, dead: false, done: false, known, outbox, store }
}

/// Whether a message comes from a process of its sender that went back before it.
pub(super) fn undone(floors: &[Vec<Floor>], from: RoleId, to: RoleId, message: &Message) -> bool {
    let undoes = |floor: &Floor| message.incarnation < floor.incarnation && message.index > floor.sent[to.index()];
    floors.get(from.index()).is_some_and(|floors| floors.iter().any(undoes))
}

/// How many messages to or from `peer` a history has.
pub(super) fn count(history: &History, image: &Image, role: RoleId, direction: Direction, peer: RoleId) -> u64 {
    let events = history.walk(&image.machines[role.index()]).map_while(Result::ok);
    events.filter(|(action, _)| action.direction == direction && action.peer == peer).count() as u64
}
