//! The machines of some roles running together over one-place channels.
//!
//! A configuration is a row of numbers: the state of each member, then what each channel holds (0: nothing), then, for
//! protocols with explicit connections, who considers itself connected to whom.

pub(super) mod crashes;
pub(super) mod explore;
pub(super) mod faults;
pub(super) mod scc;
mod store;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::global::{Feature, Global, MessageId, Role};
use crate::local::{Act, ActKind, Local, LocalState, Move};

/// The roles of one communicating component with their machines.
pub(super) struct System<'a> {
    machines: Vec<&'a Local>,
    members: Vec<Role>,
    /// Place of each role among the members.
    places: Vec<usize>,
    channels: Vec<(usize, usize)>,
    /// Per member, the channels to it.
    incoming: Vec<Vec<usize>>,
    /// Channel from member to member, at `from * members + to`; `usize::MAX` where there is none.
    channel_index: Vec<usize>,
    /// Connections are explicit: configurations hold them.
    connections: bool,
    /// No order of events is left out.
    all_orders: bool,
    /// Per member: the state of one that has crashed for good, if it may.
    dead: Vec<Option<u32>>,
    starts_connected: bool,
    /// Per member and state: whether a loop of the machine enters there.
    loop_heads: Vec<Vec<bool>>,
    /// Per member and state: whether a loop of the machine passes there.
    in_loops: Vec<Vec<bool>>,
    /// Per member and state: what kind of state it is.
    kinds: Vec<Vec<Kind>>,
}

/// What may happen in a state, so that not all of its moves must be looked at: there may be very many.
#[derive(Clone, Debug)]
enum Kind {
    /// Only sends, to one member.
    SendsTo(usize),
    /// Only receives, from one member, or from several.
    Receives(Vec<usize>),
    Other,
}

/// One configuration of a [`System`].
pub(super) type Config = Vec<u32>;

/// One step: the member that acts, and whether it took a message out of a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Actor {
    pub(super) member: usize,
    /// With whom.
    pub(super) peer: usize,
    pub(super) freed: Option<usize>,
    /// The step is the crash of the member: it may happen, and need not.
    pub(super) crash: bool,
    /// The second member of a step that two take together.
    pub(super) partner: Option<usize>,
}

impl<'a> System<'a> {
    /// The system of `members`, whose machines are at the same places.
    pub(super) fn new(global: &Global, members: Vec<Role>, machines: Vec<&'a Local>) -> Self {
        let mut places = vec![0; global.roles.len()];
        for (place, role) in members.iter().enumerate() {
            places[usize::from(*role)] = place;
        }
        let mut system = System {
            in_loops: machines.iter().map(|machine| scc::in_loops(machine)).collect(),
            loop_heads: machines.iter().map(|machine| scc::loop_heads(machine)).collect(),
            channel_index: vec![usize::MAX; members.len() * members.len()],
            incoming: vec![Vec::new(); members.len()],
            kinds: machines.iter().map(|machine| kinds(machine, &places)).collect(),
            machines,
            members,
            places,
            channels: Vec::new(),
            connections: global.uses(Feature::Connections) || global.uses(Feature::Wrap),
            all_orders: false,
            dead: Vec::new(),
            starts_connected: !global.explicit,
        };
        system.dead = system.machines.iter().map(|machine| crashes::dead(machine)).collect();
        system.all_orders = system.connections || system.dead.iter().any(Option::is_some);
        system.index();
        system
    }

    fn index(&mut self) {
        for (member, machine) in self.machines.iter().enumerate() {
            for step in machine.states.iter().flat_map(|state| &state.moves) {
                let peer = self.places[usize::from(step.act.peer)];
                let channel = match step.act.kind {
                    ActKind::Send => (member, peer),
                    ActKind::Receive => (peer, member),
                    _ => continue,
                };
                let index = &mut self.channel_index[channel.0 * self.members.len() + channel.1];
                if *index == usize::MAX {
                    *index = self.channels.len();
                    self.incoming[channel.1].push(self.channels.len());
                    self.channels.push(channel);
                }
            }
        }
    }

    /// The same system, explored in all orders of its events.
    #[cfg(test)]
    fn with_all_orders(&self) -> System<'a> {
        System {
            machines: self.machines.clone(),
            members: self.members.clone(),
            places: self.places.clone(),
            channels: self.channels.clone(),
            incoming: self.incoming.clone(),
            channel_index: self.channel_index.clone(),
            connections: self.connections,
            all_orders: true,
            dead: self.dead.clone(),
            starts_connected: self.starts_connected,
            loop_heads: self.loop_heads.clone(),
            in_loops: self.in_loops.clone(),
            kinds: self.kinds.clone(),
        }
    }

    pub(super) fn initial(&self) -> Config {
        let mut config: Config = self.machines.iter().map(|machine| machine.initial).collect();
        config.resize(config.len() + self.channels.len(), 0);
        if self.connections {
            let pairs = self.members.len() * self.members.len();
            config.resize(config.len() + pairs, u32::from(self.starts_connected));
        }
        config
    }

    pub(super) fn members(&self) -> &[Role] {
        &self.members
    }

    pub(super) fn machine(&self, member: usize) -> &Local {
        self.machines[member]
    }

    pub(super) fn state(&self, config: &[u32], member: usize) -> &LocalState {
        &self.machines[member].states[config[member] as usize]
    }

    /// The channels with their sending and receiving member.
    pub(super) fn channels(&self) -> &[(usize, usize)] {
        &self.channels
    }

    /// The channels to a member.
    pub(super) fn incoming(&self, member: usize) -> &[usize] {
        &self.incoming[member]
    }

    /// What a channel holds.
    pub(super) fn slot(&self, config: &[u32], channel: usize) -> Option<MessageId> {
        MessageId::from_slot(config[self.members.len() + channel])
    }

    fn channel(&self, from: usize, to: usize) -> Option<usize> {
        Some(self.channel_index[from * self.members.len() + to]).filter(|channel| *channel != usize::MAX)
    }

    fn has_connections(&self) -> bool {
        self.connections
    }

    fn kind(&self, config: &[u32], member: usize) -> &Kind {
        &self.kinds[member][config[member] as usize]
    }

    /// From whom a member may receive, where it does nothing else.
    fn receives_from(&self, config: &[u32], member: usize) -> Option<&[usize]> {
        match self.kind(config, member) {
            Kind::Receives(peers) => Some(peers),
            _ => None,
        }
    }

    /// From whom a member waits for a message, where it can do nothing else but crash.
    fn waits_on<'s>(&'s self, config: &[u32], member: usize) -> Option<Cow<'s, [usize]>> {
        if let Some(peers) = self.receives_from(config, member) {
            return Some(Cow::Borrowed(peers));
        }
        if self.dead.iter().all(Option::is_none) {
            return None;
        }
        let moves = &self.state(config, member).moves;
        let waits = |step: &Move| match step.act.kind {
            ActKind::Receive => true,
            ActKind::Detect => !self.can(config, member, step),
            _ => false,
        };
        let mut peers = BTreeSet::new();
        for step in moves.iter().filter(|step| step.act.kind != ActKind::Crash) {
            if !waits(step) {
                return None;
            }
            peers.insert(self.place(step.act.peer));
        }
        (!peers.is_empty()).then(|| Cow::Owned(peers.into_iter().collect()))
    }

    /// The moves with which a member takes what has come from a peer.
    fn taking(&self, config: &[u32], member: usize, peer: usize) -> &[Move] {
        let moves = self.state(config, member).moves.as_slice();
        let Some(message) = self.channel(peer, member).and_then(|channel| self.slot(config, channel)) else {
            return &[];
        };
        let act = Act { kind: ActKind::Receive, peer: self.members[peer], message };
        let moves = &moves[moves.partition_point(|step| step.act < act)..];
        &moves[..moves.partition_point(|step| step.act == act)]
    }

    fn place(&self, role: Role) -> usize {
        self.places[usize::from(role)]
    }

    fn connection(&self, from: usize, to: usize) -> usize {
        self.members.len() + self.channels.len() + from * self.members.len() + to
    }

    pub(super) fn connected(&self, config: &[u32], from: usize, to: usize) -> bool {
        !self.connections || config[self.connection(from, to)] == 1
    }

    /// Whether a member has crashed for good.
    pub(super) fn is_dead(&self, config: &[u32], member: usize) -> bool {
        self.dead[member] == Some(config[member])
    }

    /// Whether a send or receive of `member` can happen now.
    fn can(&self, config: &[u32], member: usize, step: &Move) -> bool {
        let peer = self.place(step.act.peer);
        match step.act.kind {
            ActKind::Send => {
                let free = self.channel(member, peer).is_some_and(|channel| self.slot(config, channel).is_none());
                (free || self.is_dead(config, peer)) && self.connected(config, member, peer)
            }
            ActKind::Detect => {
                let comes = self.channel(peer, member).and_then(|channel| self.slot(config, channel)).is_some();
                self.is_dead(config, peer) && !comes
            }
            ActKind::Crash => true,
            ActKind::Receive => {
                self.channel(peer, member).and_then(|channel| self.slot(config, channel)) == Some(step.act.message)
            }
            ActKind::Disconnect => self.connected(config, member, peer),
            ActKind::Request => !self.connected(config, member, peer) && self.meets(config, member, step).is_some(),
            ActKind::WrapClient => self.connected(config, member, peer) && self.meets(config, member, step).is_some(),
            // Taken together with the peer's request or wrap.
            ActKind::Accept | ActKind::WrapServer => false,
        }
    }

    /// The first move of the peer that answers a request or wrap.
    fn meets(&self, config: &[u32], member: usize, step: &Move) -> Option<Move> {
        let peer = self.place(step.act.peer);
        let answer = match step.act.kind {
            ActKind::Request => ActKind::Accept,
            _ => ActKind::WrapServer,
        };
        let wanted = |other: &&Move| {
            other.act.kind == answer && other.act.message == step.act.message && self.place(other.act.peer) == member
        };
        self.state(config, peer).moves.iter().find(wanted).copied()
    }

    /// Whether a peer offers what a request, wrap, accept of `member` waits for, connected or not.
    fn answered(&self, config: &[u32], member: usize, step: &Move) -> bool {
        let peer = self.place(step.act.peer);
        let answer = match step.act.kind {
            ActKind::Request => ActKind::Accept,
            ActKind::Accept => ActKind::Request,
            ActKind::WrapClient => ActKind::WrapServer,
            _ => ActKind::WrapClient,
        };
        self.state(config, peer).moves.iter().any(|other| {
            other.act.kind == answer && other.act.message == step.act.message && self.place(other.act.peer) == member
        })
    }

    /// All configurations that `member` can lead to with its next event.
    fn steps_of(&self, config: &[u32], member: usize, out: &mut Vec<(Config, Actor)>) {
        if let Some(peers) = self.receives_from(config, member) {
            for step in peers.iter().flat_map(|peer| self.taking(config, member, *peer)) {
                self.take(config, member, step, out);
            }
            return;
        }
        for step in &self.state(config, member).moves {
            if self.can(config, member, step) {
                self.take(config, member, step, out);
            }
        }
    }

    fn take(&self, config: &[u32], member: usize, step: &Move, out: &mut Vec<(Config, Actor)>) {
        let peer = self.place(step.act.peer);
        let mut next = config.to_vec();
        next[member] = step.to;
        let mut actor = Actor { member, peer, freed: None, crash: false, partner: None };
        let slots = self.members.len();
        match step.act.kind {
            // What is sent to somebody who has crashed is lost.
            ActKind::Send if self.is_dead(config, peer) => {}
            ActKind::Send => {
                if let Some(channel) = self.channel(member, peer) {
                    next[slots + channel] = step.act.message.in_slot();
                }
            }
            ActKind::Detect => {}
            ActKind::Crash => {
                actor.crash = true;
                self.incoming[member].iter().for_each(|channel| next[slots + channel] = 0);
            }
            ActKind::Receive => {
                if let Some(channel) = self.channel(peer, member) {
                    next[slots + channel] = 0;
                    actor.freed = Some(channel);
                }
            }
            ActKind::Disconnect => next[self.connection(member, peer)] = 0,
            ActKind::Request | ActKind::WrapClient => {
                actor.partner = Some(peer);
                if step.act.kind == ActKind::Request {
                    next[self.connection(member, peer)] = 1;
                    next[self.connection(peer, member)] = 1;
                }
                let answers = self.state(config, peer).moves.iter().filter(|other| {
                    let kind = matches!(
                        (step.act.kind, other.act.kind),
                        (ActKind::Request, ActKind::Accept) | (ActKind::WrapClient, ActKind::WrapServer)
                    );
                    kind && other.act.message == step.act.message && self.place(other.act.peer) == member
                });
                for answer in answers {
                    let mut both = next.clone();
                    both[peer] = answer.to;
                    out.push((both, actor));
                }
                return;
            }
            ActKind::Accept | ActKind::WrapServer => return,
        }
        out.push((next, actor));
    }

    /// Takes the only next event of a member for whom that suffices.
    fn advance(&self, config: &mut Config, member: usize) -> Actor {
        let step = self.state(config, member).moves[0];
        let peer = self.place(step.act.peer);
        let mut actor = Actor { member, peer, freed: None, crash: false, partner: None };
        config[member] = step.to;
        if step.act.kind == ActKind::Send {
            if let Some(channel) = self.channel(member, peer) {
                config[self.members.len() + channel] = step.act.message.in_slot();
            }
        } else if let Some(channel) = self.channel(peer, member) {
            config[self.members.len() + channel] = 0;
            actor.freed = Some(channel);
        }
        actor
    }

    /// Whether it is enough to look at the next events of `member` alone: whatever the others do, these stay possible,
    /// no other event of it becomes so, and the order does not matter (a persistent set).
    fn suffices(&self, config: &[u32], member: usize) -> bool {
        if self.all_orders {
            return false;
        }
        match self.kind(config, member) {
            Kind::SendsTo(peer) => {
                self.channel(member, *peer).is_some_and(|channel| self.slot(config, channel).is_none())
            }
            Kind::Receives(peers) => {
                matches!(peers.as_slice(), [peer] if !self.taking(config, member, *peer).is_empty())
            }
            Kind::Other => {
                let moves = &self.state(config, member).moves;
                let can = |step: &Move| step.act.kind == ActKind::Send && self.can(config, member, step);
                !moves.is_empty() && moves.iter().all(can)
            }
        }
    }

    /// Whether a configuration must be remembered: some loop of a machine passes through it.
    fn at_loop_head(&self, config: &[u32], actor: Actor) -> bool {
        self.loop_heads[actor.member][config[actor.member] as usize]
    }

    fn in_loop(&self, config: &[u32], member: usize) -> bool {
        self.in_loops[member][config[member] as usize]
    }
}

/// Moves are sorted by act, so equal peers stand together.
fn kinds(machine: &Local, places: &[usize]) -> Vec<Kind> {
    let kind = |state: &LocalState| {
        let first = state.moves.first().map(|step| step.act.kind);
        if state.moves.iter().any(|step| Some(step.act.kind) != first) {
            return Kind::Other;
        }
        let mut peers: Vec<usize> = state.moves.iter().map(|step| places[usize::from(step.act.peer)]).collect();
        peers.dedup();
        peers.shrink_to_fit();
        match (first, peers.as_slice()) {
            (Some(ActKind::Send), [peer]) => Kind::SendsTo(*peer),
            (Some(ActKind::Receive), _) => Kind::Receives(peers),
            _ => Kind::Other,
        }
    };
    machine.states.iter().map(kind).collect()
}
