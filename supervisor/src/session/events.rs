//! Events of workers: their lines, one after the other, and their exits.

use rekindle_protocol::image::{Direction, RoleId};
use rekindle_protocol::recovery::policy::Mode;
use rekindle_statemachine::command::FailureCause;
use rekindle_statemachine::ids::Incarnation;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Effect, Session};
use crate::channel::inbox::Inbox;
use crate::channel::message::Message;
use crate::role::checkpoints::Checkpoint;
use crate::role::monitor::Move;
use crate::role::replay::Replay;
use crate::role::{Exit, Role, Stage, Wait};
use crate::worker_api::{SupervisorLine, WorkerLine};
use rekindle_proto::printable;

/// A line that has to wait, and for what.
pub(super) struct Later(pub(super) Wait, pub(super) WorkerLine);

impl Session {
    /// The process of a role runs; its `start` line is on its way.
    pub(crate) fn started(&mut self, id: RoleId, incarnation: Incarnation, now: Instant) {
        let Some(role) = self.current(id, incarnation).filter(|role| role.stage == Stage::Starting) else { return };
        role.stage = Stage::Alive;
        role.idle_since = now;
        if role.replay.is_none() {
            role.reached = true;
            self.acknowledge(id);
        }
        self.ready.insert(id);
        self.settle(now);
    }

    /// The process of a role cannot be started.
    pub(crate) fn cannot_start(&mut self, id: RoleId, incarnation: Incarnation, message: &str, now: Instant) {
        if self.current(id, incarnation).is_some() {
            let message = printable::printable(message).into_owned();
            self.fail(id, FailureCause::CannotRun { message }, now);
        }
    }

    /// The process of a role closed its standard output, and every line that it wrote has come.
    pub(crate) fn closed(&mut self, id: RoleId, incarnation: Incarnation, now: Instant) {
        let Some(role) = self.current(id, incarnation) else { return };
        role.closed = true;
        self.ready.insert(id);
        self.settle(now);
    }

    /// The process of a role wrote lines.
    pub(crate) fn lines(
        &mut self,
        id: RoleId,
        incarnation: Incarnation,
        lines: Vec<(WorkerLine, usize)>,
        now: Instant,
    ) {
        let Some(role) = self.current(id, incarnation) else { return };
        if matches!(role.stage, Stage::Starting | Stage::Alive) {
            role.lines.extend(lines);
            self.ready.insert(id);
            self.settle(now);
        }
    }

    /// The process of a role took lines from its queue.
    pub(crate) fn written(&mut self, id: RoleId, incarnation: Incarnation, lines: usize, now: Instant) {
        let Some(role) = self.current(id, incarnation) else { return };
        role.unwritten = role.unwritten.saturating_sub(lines);
        if role.wait == Some(Wait::Reader) {
            self.ready.insert(id);
            self.settle(now);
        }
    }

    /// The process of a role is gone, and every line that it wrote has come.
    pub(crate) fn exited(&mut self, id: RoleId, incarnation: Incarnation, exit: Exit, now: Instant) {
        let Some(role) = self.current(id, incarnation) else { return };
        match &role.stage {
            Stage::Starting | Stage::Alive => {
                role.stage = Stage::Exited(exit);
                if role.has_crashed() && !role.may_act() {
                    role.lines.clear();
                }
                self.ready.insert(id);
            }
            Stage::Dying(cause) => {
                let cause = cause.clone().unwrap_or(exit.cause());
                self.fail(id, cause, now);
            }
            Stage::Exited(_) | Stage::Over => {}
        }
        self.settle(now);
    }

    /// Lets every role that may be able to go on do so, until none can.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(id) = self.ready.pop_first() {
            while self.step(id, now) {}
        }
    }

    /// Processes one line of a role; `false` if there is none that can be processed now.
    fn step(&mut self, id: RoleId, now: Instant) -> bool {
        let Some(role) = self.role(id) else { return false };
        if let Stage::Exited(exit) = role.stage {
            // Nobody is there to be answered: what follows a `receive` cannot have been meant without its answer.
            if matches!(role.lines.front(), None | Some((WorkerLine::Receive { .. }, _))) {
                self.conclude(id, exit, now);
                return false;
            }
        }
        let Some(role) = self.role(id).filter(|role| role.may_act()) else { return false };
        let Some((line, length)) = role.lines.pop_front() else {
            role.wait = None;
            let unfinished = role.replay.is_some() || !role.monitor.is_final();
            if role.closed && role.stage == Stage::Alive && unfinished {
                self.leave(id, now);
            }
            return false;
        };
        let waited = role.wait.take().is_some_and(|wait| wait != Wait::Reader);
        let incarnation = role.incarnation;
        match self.process(id, line, now) {
            Ok(()) => {
                if let Some(role) = self.role(id).filter(|_| waited) {
                    role.idle_since = now;
                }
                self.effects.push(Effect::Consumed { role: id, incarnation, bytes: length });
                true
            }
            Err(Later(wait, line)) => {
                if let Some(role) = self.role(id) {
                    role.wait = Some(wait);
                    role.lines.push_front((line, length));
                }
                false
            }
        }
    }

    fn process(&mut self, id: RoleId, line: WorkerLine, now: Instant) -> Result<(), Later> {
        match line {
            WorkerLine::Send { to, label, payload } => self.send(id, to, label, payload, now),
            WorkerLine::Receive { from } => self.receive(id, from, now),
            WorkerLine::Checkpoint { data } => self.checkpoint(id, data, now),
            WorkerLine::Log { text } => {
                if let Some(incarnation) = self.role(id).map(|role| role.incarnation) {
                    self.effects.push(Effect::Log { role: id, incarnation, text });
                }
                Ok(())
            }
            WorkerLine::Garbage { what } => {
                self.violate(id, &what, now);
                Ok(())
            }
        }
    }

    fn send(
        &mut self,
        id: RoleId,
        to: String,
        label: String,
        payload: Box<RawValue>,
        now: Instant,
    ) -> Result<(), Later> {
        let limit = self.setup.limits.channel_bytes;
        let peer = self.image.role(&to);
        let Some(role) = self.role(id) else { return Ok(()) };
        if role.replay.is_some() {
            self.repeat_send(id, &to, &label, &payload, now);
            return Ok(());
        }
        let event = peer.and_then(|peer| Some((peer, role.monitor.find(Direction::Send, peer, &label)?)));
        let Some((peer, event)) = event else {
            self.violate(id, &format!("{to}!{label}"), now);
            return Ok(());
        };
        let crashed = role.has_crashed();
        if !crashed && !role.outbox(peer).is_some_and(|outbox| outbox.has_room(limit)) {
            return Err(Later(Wait::Room, WorkerLine::Send { to, label, payload }));
        }
        role.monitor.apply(event);
        if role.mode == Mode::Replay
            && let Some(digests) = role.digests.get_mut(peer.index())
        {
            digests.push(&payload);
        }
        if let Some(outbox) = role.outbox(peer) {
            outbox.push(label, payload);
        }
        self.did_event(id, now);
        self.forward(id, peer, now);
        Ok(())
    }

    fn receive(&mut self, id: RoleId, from: Option<String>, now: Instant) -> Result<(), Later> {
        let unread = self.setup.limits.unread_lines;
        let peer = from.as_deref().map(|name| self.image.role(name));
        let Some(role) = self.role(id) else { return Ok(()) };
        if role.unwritten >= unread {
            return Err(Later(Wait::Reader, WorkerLine::Receive { from }));
        }
        if role.replay.is_some() {
            self.repeat_receive(id, from.as_deref(), now);
            return Ok(());
        }
        if peer == Some(None) || !role.monitor.may_receive(peer.flatten()) {
            self.violate(id, &receive_text(from.as_deref()), now);
            return Ok(());
        }
        let Some((sender, event)) = first_available(role, peer.flatten()) else {
            return Err(Later(Wait::Message, WorkerLine::Receive { from }));
        };
        if let Some(message) = role.inbox(sender).and_then(Inbox::take) {
            role.monitor.apply(event);
            self.hand_over(id, sender, &message);
            self.did_event(id, now);
            self.made_room(sender, id, now);
        }
        Ok(())
    }

    fn checkpoint(&mut self, id: RoleId, data: Box<RawValue>, now: Instant) -> Result<(), Later> {
        let limits = &self.setup.limits;
        let (most, largest, unread) = (limits.pending_checkpoints, limits.checkpoint_bytes, limits.unread_lines);
        let Some(role) = self.role(id) else { return Ok(()) };
        if matches!(role.mode, Mode::Restart | Mode::Stateless) {
            return Ok(());
        }
        let size = data.get().len();
        if size > largest {
            self.violate(id, &format!("a checkpoint of {size} bytes; at most {largest} are stored"), now);
            return Ok(());
        }
        if role.replay.is_some() {
            return Ok(());
        }
        if role.checkpoints.pending() >= most {
            // A process that has crashed cannot wait for earlier ones: this one comes too late.
            return if role.has_crashed() { Ok(()) } else { Err(Later(Wait::Stored, WorkerLine::Checkpoint { data })) };
        }
        if role.unwritten >= unread && role.stage == Stage::Alive {
            return Err(Later(Wait::Reader, WorkerLine::Checkpoint { data }));
        }
        let checkpoint =
            Checkpoint { position: role.monitor.position(), sent: role.sent(), data: data.get().as_bytes().to_vec() };
        role.checkpoints.push(checkpoint);
        self.store_checkpoints(id);
        Ok(())
    }

    /// The worker's answer to `receive`.
    pub(super) fn hand_over(&mut self, id: RoleId, sender: RoleId, message: &Message) {
        let line = SupervisorLine::Message {
            from: self.image.role_name(sender),
            label: &message.label,
            payload: &message.payload,
        };
        let line = line.to_bytes();
        self.write(id, line);
    }

    pub(super) fn write(&mut self, id: RoleId, line: Vec<u8>) {
        let Some(role) = self.role(id) else { return };
        role.unwritten += 1;
        let incarnation = role.incarnation;
        self.effects.push(Effect::Write { role: id, incarnation, line });
    }

    fn did_event(&mut self, id: RoleId, now: Instant) {
        let name = self.image.role_name(id);
        let Some(role) = self.roles.get_mut(&id) else { return };
        role.idle_since = now;
        let events = role.monitor.position();
        let crashes = role.incarnation == Incarnation(1)
            && role.stage == Stage::Alive
            && self.setup.faults.iter().any(|fault| fault.role == name && fault.events == events);
        if crashes {
            role.stage = Stage::Dying(None);
            role.lines.clear();
            self.effects.push(Effect::Crash { role: id, incarnation: role.incarnation, events });
        }
    }

    /// The process is gone and every line of it is done.
    fn conclude(&mut self, id: RoleId, exit: Exit, now: Instant) {
        let Some(role) = self.role(id) else { return };
        role.lines.clear();
        if !exit.success() || role.replay.is_some() || !role.monitor.is_final() {
            self.fail(id, exit.cause(), now);
        } else if !role.held && role.all_held() {
            // The log takes a finished role's events as proven: none of its messages may be lost with this supervisor.
            role.stage = Stage::Over;
            self.report_finish(id);
        }
    }

    /// No event can follow, though the role is not done.
    fn leave(&mut self, id: RoleId, now: Instant) {
        if let Some(role) = self.role(id) {
            let state = role.replay.as_ref().map_or(role.monitor.state(), Replay::state);
            let cause = role.monitor.violation_of(state, role.monitor.next(state), "end of output");
            self.fail(id, cause, now);
        }
    }

    pub(super) fn violate(&mut self, id: RoleId, got: &str, now: Instant) {
        if let Some(role) = self.role(id) {
            let cause = role.monitor.violation(got);
            self.fail(id, cause, now);
        }
    }

    /// The process of a role is to be no more: stopped if it still runs, and reported.
    pub(super) fn fail(&mut self, id: RoleId, cause: FailureCause, now: Instant) {
        let Some(role) = self.role(id) else { return };
        if role.stage == Stage::Over {
            return;
        }
        role.stage = Stage::Over;
        role.lines.clear();
        role.wait = None;
        self.effects.push(Effect::Stop { role: id });
        self.report_failure(id, cause, now);
    }
}

/// The first message by order of arrival that the state allows to be received.
fn first_available(role: &Role, from: Option<RoleId>) -> Option<(RoleId, Move)> {
    let senders = (0u16..).map(RoleId).zip(&role.inboxes);
    let allowed =
        senders.filter(|(sender, _)| from.is_none_or(|from| from == *sender)).filter_map(|(sender, inbox)| {
            let (order, message) = inbox.head()?;
            let event = role.monitor.find(Direction::Receive, sender, &message.label)?;
            Some((order, sender, event))
        });
    allowed.min_by_key(|(order, _, _)| *order).map(|(_, sender, event)| (sender, event))
}

/// A `receive` line, for people.
pub(super) fn receive_text(from: Option<&str>) -> String {
    from.map_or_else(|| "receive".to_owned(), |from| format!("receive from {from}"))
}
