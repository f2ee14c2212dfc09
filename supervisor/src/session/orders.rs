//! Obeying orders.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rekindle_protocol::image::RoleId;
use rekindle_protocol::recovery::policy::{Mode, Retention};
use rekindle_statemachine::effect::{Goal, Order, RestartOrder, Restore, RoleOrder};
use rekindle_statemachine::ids::{Generation, Incarnation, SessionId};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Effect, Launch, Session, Setup};
use crate::channel::digest::Digests;
use crate::channel::fence::Fence;
use crate::channel::inbox::Inbox;
use crate::channel::outbox::Outbox;
use crate::role::checkpoints::Checkpoints;
use crate::role::monitor::Monitor;
use crate::role::replay::Replay;
use crate::role::{Role, Stage};
use crate::worker_api::{Start, SupervisorLine};

impl Session {
    /// A session that this agent has not known: its first order here is a `Restore`.
    pub(crate) fn new(setup: Setup, id: SessionId, generation: Generation, restore: &Restore) -> Self {
        Session {
            id,
            generation,
            setup,
            revision: 0,
            recovery: restore.recovery,
            image: Arc::new(restore.image.clone()),
            spec: restore.spec.clone(),
            places: Vec::new(),
            roles: BTreeMap::new(),
            ready: BTreeSet::new(),
            stirred: BTreeSet::new(),
            arrivals: 0,
            effects: Vec::new(),
        }
    }

    /// Makes true what the leader orders.
    pub(crate) fn obey(&mut self, order: Order, now: Instant) {
        if order.generation != self.generation || order.revision < self.revision {
            tracing::debug!(session = %self.id, revision = order.revision, "an old order is ignored");
            return;
        }
        self.revision = order.revision;
        let moved = self.places != order.places;
        // Every order that lets anybody work says where everybody is.
        self.places = order.places;
        match order.goal {
            Goal::Freeze { recovery, roles } => {
                for role in roles {
                    self.freeze(role, recovery);
                }
            }
            Goal::Restore(restore) => self.restore(&restore, now),
            Goal::Run => {
                for (&id, role) in &mut self.roles {
                    role.held = false;
                    role.idle_since = now;
                    self.ready.insert(id);
                }
            }
            Goal::End => {
                self.roles.clear();
                self.effects.push(Effect::End);
            }
        }
        if moved {
            self.stir_everything();
        }
        self.settle(now);
    }

    fn restore(&mut self, order: &Restore, now: Instant) {
        self.recovery = order.recovery;
        self.learn_floors(&order.roles);
        for (id, role) in (0u16..).map(RoleId).zip(&order.roles) {
            if self.places.get(id.index()).is_none_or(|place| place.agent != self.setup.me) {
                if self.roles.remove(&id).is_some() {
                    self.effects.push(Effect::Stop { role: id });
                }
                continue;
            }
            let known = self.roles.get(&id).map(|role| (role.incarnation, role.reached));
            match (&role.restart, known) {
                (Some(restart), known) if known.is_none_or(|(incarnation, _)| incarnation < role.incarnation) => {
                    self.restart(id, role.incarnation, restart, &order.roles, now);
                }
                (_, Some((_, true))) => self.acknowledge(id),
                // Under way: acknowledged when it gets there.
                (_, Some((_, false))) => {}
                (_, None) => {
                    tracing::error!(session = %self.id, role = self.role_name(id), "ordered to leave a role alone that is not here");
                }
            }
        }
        self.stir_everything();
    }

    /// Before anything else: no message that the decision undid may be received, replayed, or counted as held.
    fn learn_floors(&mut self, orders: &[RoleOrder]) {
        for (id, role) in &mut self.roles {
            for (inbox, sender) in role.inboxes.iter_mut().zip(orders) {
                inbox.learn(sender.incarnation, floors_for(*id, sender));
            }
        }
    }

    fn restart(
        &mut self,
        id: RoleId,
        incarnation: Incarnation,
        order: &RestartOrder,
        orders: &[RoleOrder],
        now: Instant,
    ) {
        let prepared = self.prepare(id, incarnation, order, orders, now);
        let (Some(role), Some(spec)) = (prepared, self.spec.roles.get(id.index())) else {
            tracing::error!(session = %self.id, role = self.role_name(id), "an order that does not fit its protocol is ignored");
            return;
        };
        self.effects.push(Effect::Stop { role: id });
        let launch = Launch {
            role: id,
            name: self.role_name(id).to_owned(),
            incarnation,
            command: spec.command.clone(),
            environment: spec.environment.clone(),
            folder: self.spec.folder.clone(),
            start: self.start_line(id, &role, order),
        };
        self.effects.push(Effect::Start(Box::new(launch)));
        self.roles.insert(id, role);
    }

    /// The role as it is to be: channels as they stand, nothing of the old process left. `None` if the order's events
    /// are none of the protocol.
    fn prepare(
        &mut self,
        id: RoleId,
        incarnation: Incarnation,
        order: &RestartOrder,
        orders: &[RoleOrder],
        now: Instant,
    ) -> Option<Role> {
        let roles = self.image.roles.len();
        let mode = self.spec.roles.get(id.index())?.mode;
        let monitor = Monitor::new(Arc::clone(&self.image), id, order.history.clone())?;
        let replay =
            if order.base < monitor.position() { Some(Replay::new(&monitor, roles, order.base)?) } else { None };
        let old = self.roles.remove(&id).map(|old| Ends {
            inboxes: old.inboxes,
            outboxes: old.outboxes,
            digests: old.digests,
        });
        let mut ends = old.unwrap_or_else(|| self.fresh_ends(id, incarnation, order, orders));
        ends.rewind(incarnation, order);
        let Ends { inboxes, outboxes, digests } = ends;
        Some(Role {
            incarnation,
            mode,
            checkpoints: Checkpoints::new(monitor.position()),
            monitor,
            replay,
            held: true,
            stage: Stage::Starting,
            reached: false,
            lines: VecDeque::new(),
            closed: false,
            wait: None,
            unwritten: 1,
            idle_since: now,
            inboxes,
            outboxes,
            digests,
        })
    }

    /// Channels of a role that comes to this agent: what it has received and sent elsewhere is done with.
    fn fresh_ends(&self, id: RoleId, incarnation: Incarnation, order: &RestartOrder, orders: &[RoleOrder]) -> Ends {
        let keep = self.spec.retention != Retention::Volatile;
        let inbox = |(peer, sender): (usize, &RoleOrder)| {
            Inbox::new(Fence::new(sender.incarnation, floors_for(id, sender)), keep, count(&order.received, peer))
        };
        let peers = 0..self.image.roles.len();
        Ends {
            inboxes: orders.iter().enumerate().map(inbox).collect(),
            outboxes: peers.clone().map(|peer| Outbox::new(incarnation, count(&order.sent, peer))).collect(),
            digests: peers.map(|peer| Digests::after(count(&order.sent, peer))).collect(),
        }
    }

    fn start_line(&self, id: RoleId, role: &Role, order: &RestartOrder) -> Vec<u8> {
        let state = role.replay.as_ref().map_or(role.monitor.state(), Replay::state);
        let checkpoint =
            order.checkpoint.as_deref().filter(|_| role.mode != Mode::Restart && role.mode != Mode::Stateless);
        let checkpoint = checkpoint.and_then(|data| serde_json::from_slice::<&RawValue>(data).ok());
        SupervisorLine::Start(Start {
            session: &self.id,
            role: self.role_name(id),
            incarnation: role.incarnation,
            position: role.monitor.position(),
            base: order.base,
            state: role.monitor.state_name(state),
            next: role.monitor.next(state),
            roles: &self.image.roles,
            mode: role.mode,
            checkpoint,
        })
        .to_bytes()
    }
}

/// A role's ends of its channels, per peer.
struct Ends {
    inboxes: Vec<Inbox>,
    outboxes: Vec<Outbox>,
    digests: Vec<Digests>,
}

impl Ends {
    /// As they are where the order wants the role. Floors of senders are learnt before.
    fn rewind(&mut self, incarnation: Incarnation, order: &RestartOrder) {
        for (peer, inbox) in self.inboxes.iter_mut().enumerate() {
            inbox.rewind(count(&order.received, peer));
        }
        for (peer, outbox) in self.outboxes.iter_mut().enumerate() {
            outbox.restart(incarnation, count(&order.sent, peer));
        }
        for (peer, digests) in self.digests.iter_mut().enumerate() {
            digests.truncate(count(&order.sent, peer));
        }
    }
}

fn count(counts: &[u64], peer: usize) -> u64 {
    counts.get(peer).copied().unwrap_or(0)
}

/// The floors of a sender for the channel to `receiver`.
fn floors_for(receiver: RoleId, sender: &RoleOrder) -> Vec<(Incarnation, u64)> {
    let standing = |sent: &[u64]| sent.get(receiver.index()).copied().unwrap_or(0);
    sender.floors.iter().map(|floor| (floor.incarnation, standing(&floor.sent))).collect()
}
