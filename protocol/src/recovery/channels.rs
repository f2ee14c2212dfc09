//! The histories of a run, counted by channel, at a cut that only goes back.
//!
//! Invariants
//! * a channel's `sent` and `received` are the numbers of its sends and receives before the positions of its two roles;
//! * message `i` of a channel is its `i`-th send and its `i`-th receive.

use std::collections::BTreeMap;

use crate::image::{Action, Direction, RoleId, StateId};
use crate::recovery::run::{InTransit, RoleRun, Run, RunError};

/// Every asked role and every channel that an event of one names.
pub(super) struct Ledger<'a> {
    roles: Vec<Option<Asked<'a>>>,
    channels: Vec<Channel>,
}

/// A role that was asked, with its history spelt out.
pub(super) struct Asked<'a> {
    pub(super) role: usize,
    pub(super) run: &'a RoleRun,
    pub(super) events: Vec<Event<'a>>,
    /// Where the cut has it.
    pub(super) position: usize,
    initial: StateId,
    outgoing: Vec<usize>,
    incoming: Vec<usize>,
}

/// One completed event.
pub(super) struct Event<'a> {
    action: &'a Action,
    after: StateId,
    channel: usize,
    /// Index of its message on the channel, from 1.
    pub(super) index: usize,
}

/// All messages from one role to another.
pub(super) struct Channel {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Position of the sender just before each send.
    pub(super) sends: Vec<usize>,
    /// Position of the receiver just before each receive.
    pub(super) receives: Vec<usize>,
    /// Sends before the cut.
    pub(super) sent: usize,
    /// Receives before the cut.
    pub(super) received: usize,
}

impl Event<'_> {
    pub(super) fn is_receive(&self) -> bool {
        self.action.direction == Direction::Receive
    }

    pub(super) fn peer(&self) -> usize {
        self.action.peer.index()
    }
}

impl Asked<'_> {
    /// The state at the cut.
    pub(super) fn state(&self) -> StateId {
        match self.position.checked_sub(1) {
            Some(last) => self.events[last].after,
            None => self.initial,
        }
    }
}

impl<'a> Ledger<'a> {
    /// The ledger at the current cut: every role at the end of its history.
    pub(super) fn of(run: &'a Run<'_>) -> Result<Self, RunError> {
        let mut ledger = Ledger { roles: Vec::with_capacity(run.roles.len()), channels: Vec::new() };
        let mut numbers = BTreeMap::new();
        for (role, asked) in run.image.role_ids().zip(&run.roles) {
            let asked = match asked {
                Some(asked) => Some(ledger.spell_out(run, role, asked, &mut numbers)?),
                None => None,
            };
            ledger.roles.push(asked);
        }
        for (number, channel) in ledger.channels.iter().enumerate() {
            if let Some(sender) = &mut ledger.roles[channel.from] {
                sender.outgoing.push(number);
            }
            if let Some(receiver) = &mut ledger.roles[channel.to] {
                receiver.incoming.push(number);
            }
        }
        Ok(ledger)
    }

    fn spell_out(
        &mut self,
        run: &'a Run<'_>,
        role: RoleId,
        asked: &'a RoleRun,
        numbers: &mut BTreeMap<(usize, usize), usize>,
    ) -> Result<Asked<'a>, RunError> {
        let Some(machine) = run.image.machine(role) else {
            return Err(RunError::RoleCount { expected: run.image.machines.len(), found: run.roles.len() });
        };
        let mut events = Vec::with_capacity(asked.history.steps.len());
        for (position, step) in asked.history.walk(machine).enumerate() {
            let broken = RunError::NotAPath { role, position: position as u64 };
            let (action, after) = step.map_err(|_| broken)?;
            let (me, peer) = (role.index(), action.peer.index());
            if peer >= run.roles.len() {
                return Err(broken);
            }
            let ends = if action.direction == Direction::Send { (me, peer) } else { (peer, me) };
            let number = *numbers.entry(ends).or_insert_with(|| {
                self.channels.push(Channel::between(ends));
                self.channels.len() - 1
            });
            let index = self.channels[number].extend(action.direction, position);
            events.push(Event { action, after, channel: number, index });
        }
        Ok(Asked {
            role: role.index(),
            run: asked,
            position: events.len(),
            events,
            initial: machine.initial,
            outgoing: Vec::new(),
            incoming: Vec::new(),
        })
    }

    pub(super) fn role(&self, role: usize) -> Option<&Asked<'a>> {
        self.roles.get(role)?.as_ref()
    }

    pub(super) fn channel(&self, number: usize) -> &Channel {
        &self.channels[number]
    }

    /// The channels from a role to roles that were asked.
    pub(super) fn outgoing(&self, role: usize) -> Vec<usize> {
        self.role(role).map_or_else(Vec::new, |asked| self.inside(&asked.outgoing))
    }

    /// The channels to a role from roles that were asked.
    pub(super) fn incoming(&self, role: usize) -> Vec<usize> {
        self.role(role).map_or_else(Vec::new, |asked| self.inside(&asked.incoming))
    }

    fn inside(&self, numbers: &[usize]) -> Vec<usize> {
        let asked = |role: usize| self.role(role).is_some();
        let both = |number: &usize| asked(self.channels[*number].from) && asked(self.channels[*number].to);
        numbers.iter().copied().filter(both).collect()
    }

    /// Undoes a role's events past `position`.
    pub(super) fn move_back(&mut self, role: usize, position: usize) {
        let Some(asked) = &mut self.roles[role] else {
            return;
        };
        for event in &asked.events[position..asked.position] {
            let channel = &mut self.channels[event.channel];
            match event.action.direction {
                Direction::Send => channel.sent -= 1,
                Direction::Receive => channel.received -= 1,
            }
        }
        asked.position = position;
    }

    /// The label of message `index`; its sender, or else its receiver, has it in its history.
    pub(super) fn label(&self, channel: &Channel, index: usize) -> String {
        let event_of = |role: usize, positions: &[usize]| {
            let position = *positions.get(index.checked_sub(1)?)?;
            Some(self.role(role)?.events[position].action.label.clone())
        };
        event_of(channel.from, &channel.sends).or_else(|| event_of(channel.to, &channel.receives)).unwrap_or_default()
    }

    /// Per peer, how many sends of this role precede the cut.
    pub(super) fn sent(&self, asked: &Asked<'_>, peers: usize) -> Vec<u64> {
        let mut counts = vec![0; peers];
        for channel in asked.outgoing.iter().map(|number| &self.channels[*number]) {
            counts[channel.to] = channel.sent as u64;
        }
        counts
    }

    /// Per peer, how many receives of this role precede the cut.
    pub(super) fn received(&self, asked: &Asked<'_>, peers: usize) -> Vec<u64> {
        let mut counts = vec![0; peers];
        for channel in asked.incoming.iter().map(|number| &self.channels[*number]) {
            counts[channel.from] = channel.received as u64;
        }
        counts
    }

    /// Everything sent and not received at the cut, between roles that were asked.
    pub(super) fn in_transit(&self) -> Vec<InTransit> {
        let mut messages = Vec::new();
        let mut between: Vec<&Channel> = self.channels.iter().collect();
        between.sort_by_key(|channel| (channel.from, channel.to));
        for channel in between {
            let (Some(from), Some(to)) = (role_id(self, channel.from), role_id(self, channel.to)) else {
                continue;
            };
            for index in channel.received + 1..=channel.sent {
                messages.push(InTransit { from, to, index: index as u64, label: self.label(channel, index) });
            }
        }
        messages
    }
}

/// The id of an asked role.
fn role_id(ledger: &Ledger<'_>, role: usize) -> Option<RoleId> {
    ledger.role(role)?;
    u16::try_from(role).ok().map(RoleId)
}

impl Channel {
    fn between((from, to): (usize, usize)) -> Self {
        Channel { from, to, sends: Vec::new(), receives: Vec::new(), sent: 0, received: 0 }
    }

    /// Notes one more event; returns the index of its message.
    fn extend(&mut self, direction: Direction, position: usize) -> usize {
        let (positions, count) = match direction {
            Direction::Send => (&mut self.sends, &mut self.sent),
            Direction::Receive => (&mut self.receives, &mut self.received),
        };
        positions.push(position);
        *count += 1;
        *count
    }
}
