//! Messages between roles of one agent, and from and to other agents.

use std::collections::BTreeMap;
use std::sync::Arc;

use rekindle_proto::v1;
use rekindle_protocol::image::RoleId;
use rekindle_statemachine::command::FailureCause;
use rekindle_statemachine::ids::{Generation, Incarnation, SessionId};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Session, Wire};
use crate::channel::inbox::Arrival;
use crate::channel::message::Message;
use crate::channel::outbox::LOCAL;
use crate::role::{Role, Stage, Wait};

impl Session {
    /// A role sent something: hands it over if the peer is here, else marks the channel for [`Session::pump`].
    pub(super) fn forward(&mut self, from: RoleId, to: RoleId, now: Instant) {
        if self.is_here(to) {
            self.deliver(from, to, now);
        } else {
            self.stirred.insert((from, to));
        }
    }

    /// Everything may have changed its way: after a `Restore`.
    pub(super) fn stir_everything(&mut self) {
        let here: Vec<RoleId> = self.roles.keys().copied().collect();
        let everyone: Vec<RoleId> = self.image.role_ids().collect();
        for &from in &here {
            self.ready.insert(from);
            self.store_checkpoints(from);
            self.stirred.extend(everyone.iter().filter(|&&to| to != from).map(|&to| (from, to)));
        }
    }

    /// Transmits whatever can be transmitted now.
    pub(crate) fn pump(&mut self, wire: &mut impl Wire, now: Instant) {
        while let Some((from, to)) = self.stirred.pop_first() {
            if self.is_here(to) {
                self.deliver(from, to, now);
                self.settle(now);
            } else {
                self.transmit(from, to, wire, now);
            }
        }
    }

    fn transmit(&mut self, from: RoleId, to: RoleId, wire: &mut impl Wire, now: Instant) {
        let window = self.setup.limits.window_bytes;
        let Some(place) = self.places.get(to.index()) else { return };
        let Some(route) = wire.route(&place.address) else { return };
        let Some(outbox) = self.roles.get_mut(&from).and_then(|role| role.outbox(to)) else { return };
        outbox.use_route(route);
        while let Some(message) = outbox.peek(window) {
            if !wire.transmit(&place.address, route, envelope((&self.id, self.generation), from, to, message)) {
                outbox.pause_until(now);
                return;
            }
            outbox.advance();
        }
    }

    /// Hands over everything that a role has sent to a role of the same agent, as far as there is room.
    fn deliver(&mut self, from: RoleId, to: RoleId, now: Instant) {
        let mut moved = false;
        while let Some(message) = self.next_local(from, to) {
            let index = message.index;
            match self.accept(from, to, message, now) {
                Arrival::Accepted | Arrival::Duplicate | Arrival::Undone => {}
                Arrival::Full | Arrival::Early => break,
                Arrival::Gap => {
                    tracing::error!(session = %self.id, from = self.role_name(from), to = self.role_name(to), index, "a message between roles of this agent is missing");
                    break;
                }
            }
            let Some(outbox) = self.role(from).and_then(|role| role.outbox(to)) else { break };
            outbox.advance();
            // Nothing can be older than what happens here and now.
            outbox.held(index, Incarnation(u64::MAX));
            moved = true;
        }
        if moved {
            self.ready.insert(to);
            self.was_held(from);
        }
    }

    fn next_local(&mut self, from: RoleId, to: RoleId) -> Option<Arc<Message>> {
        let outbox = self.role(from)?.outbox(to)?;
        outbox.use_route(LOCAL);
        outbox.peek(usize::MAX).map(Arc::clone)
    }

    /// A message came to a role of this agent.
    fn accept(&mut self, from: RoleId, to: RoleId, message: Arc<Message>, now: Instant) -> Arrival {
        let (room, most) = (self.setup.limits.channel_bytes, self.setup.limits.kept_bytes);
        self.arrivals += 1;
        let order = self.arrivals;
        let Some(role) = self.role(to) else { return Arrival::Early };
        let Some(inbox) = role.inbox(from) else { return Arrival::Early };
        let arrival = inbox.accept(message, order, room);
        if arrival == Arrival::Accepted && role.kept_bytes() > most {
            let message =
                format!("more than {most} bytes of messages to it are kept, the limit of retention `retained`");
            self.fail(to, FailureCause::CannotRun { message }, now);
        }
        arrival
    }

    /// Receivers' supervisors hold more of what a role sent.
    fn was_held(&mut self, from: RoleId) {
        self.store_checkpoints(from);
        let waits = |role: &mut Role| role.wait == Some(Wait::Room) || matches!(role.stage, Stage::Exited(_));
        if self.role(from).is_some_and(waits) {
            self.ready.insert(from);
        }
    }

    /// A role received a message: a peer on this agent may have more that had no room.
    pub(super) fn made_room(&mut self, from: RoleId, to: RoleId, now: Instant) {
        let waiting =
            self.role(from).and_then(|role| role.outbox(to)).is_some_and(|outbox| outbox.acked() < outbox.sent());
        if waiting {
            self.deliver(from, to, now);
        }
    }

    /// Messages from another agent; the answer has one entry per channel among them.
    pub(crate) fn incoming(&mut self, envelopes: Vec<v1::Envelope>, now: Instant) -> Vec<v1::Acknowledgement> {
        let mut answers = BTreeMap::new();
        for envelope in envelopes {
            let (Some(from), Some(to)) = (role_id(envelope.from), role_id(envelope.to)) else { continue };
            let answer = answers.entry((from, to)).or_insert((false, false));
            match self.accept_envelope(from, to, envelope, now) {
                Arrival::Accepted => {
                    self.ready.insert(to);
                }
                Arrival::Duplicate | Arrival::Undone => {}
                Arrival::Gap | Arrival::Full => answer.0 = true,
                Arrival::Early => answer.1 = true,
            }
        }
        self.settle(now);
        answers.into_iter().map(|((from, to), (again, unknown))| self.answer(from, to, again, unknown)).collect()
    }

    fn accept_envelope(&mut self, from: RoleId, to: RoleId, envelope: v1::Envelope, now: Instant) -> Arrival {
        let text = String::from_utf8(envelope.payload).ok();
        let Some(payload) = text.and_then(|text| RawValue::from_string(text).ok()) else {
            tracing::error!(session = %self.id, from = self.role_name(from), to = self.role_name(to), "a message whose payload is no JSON is refused");
            return Arrival::Gap;
        };
        let incarnation = Incarnation(envelope.incarnation);
        let message = Message { incarnation, index: envelope.index, label: envelope.label, payload };
        self.accept(from, to, Arc::new(message), now)
    }

    fn answer(&mut self, from: RoleId, to: RoleId, again: bool, unknown: bool) -> v1::Acknowledgement {
        let (held, sender) = self
            .role(to)
            .and_then(|role| role.inbox(from))
            .map_or((0, Incarnation(0)), |inbox| (inbox.held(), inbox.sender()));
        v1::Acknowledgement {
            session: self.id.0.clone(),
            from: from.0.into(),
            to: to.0.into(),
            held,
            again,
            unknown,
            incarnation: sender.0,
            generation: self.generation.0,
        }
    }

    /// Another agent's answers to messages of roles of this agent.
    pub(crate) fn acknowledged(&mut self, answers: &[v1::Acknowledgement], now: Instant) {
        for answer in answers {
            let (Some(from), Some(to)) = (role_id(answer.from), role_id(answer.to)) else { continue };
            let Some(outbox) = self.role(from).and_then(|role| role.outbox(to)) else { continue };
            let incarnation = Incarnation(answer.incarnation);
            if answer.unknown {
                outbox.unknown(now);
            } else if answer.again {
                outbox.again(answer.held, incarnation, now);
            } else {
                outbox.held(answer.held, incarnation);
            }
            self.stirred.insert((from, to));
            self.was_held(from);
        }
        self.settle(now);
    }

    /// There is a new connection to the agent at `address`.
    pub(crate) fn connected(&mut self, address: &str) {
        let there = self.places.iter().enumerate().filter(|(_, place)| place.address == address);
        let there: Vec<RoleId> = there.filter_map(|(index, _)| u16::try_from(index).ok().map(RoleId)).collect();
        for &from in self.roles.keys() {
            self.stirred.extend(there.iter().map(|&to| (from, to)));
        }
    }
}

fn role_id(number: u32) -> Option<RoleId> {
    u16::try_from(number).ok().map(RoleId)
}

fn envelope(
    (session, generation): (&SessionId, Generation),
    from: RoleId,
    to: RoleId,
    message: &Message,
) -> v1::Envelope {
    v1::Envelope {
        session: session.0.clone(),
        generation: generation.0,
        from: from.0.into(),
        to: to.0.into(),
        incarnation: message.incarnation.0,
        index: message.index,
        label: message.label.clone(),
        payload: message.payload.get().as_bytes().to_vec(),
    }
}
