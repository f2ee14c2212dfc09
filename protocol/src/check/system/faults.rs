//! Faults of single configurations. All are stable: once there, nothing takes them away.

use std::collections::HashSet;

use super::{Actor, System};
use crate::global::MessageId;
use crate::local::{ActKind, Move};

/// Something that must not be reachable. Members, not roles, are named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::check) enum Fault {
    /// A message arrives that the receiver cannot take in its state.
    Stuck { member: usize, state: u32, from: usize, message: MessageId },
    /// Each of these waits for another of them.
    Deadlock { waiting: Vec<(usize, u32)> },
    /// A message is left in the channel to a role that is done, or that closed the connection.
    Orphan { member: usize, from: usize, message: MessageId },
}

/// The distinct faults met.
#[derive(Default)]
pub(super) struct Faults {
    known: HashSet<Fault>,
    found: Vec<Fault>,
}

impl Faults {
    /// Looks for faults in a configuration.
    pub(super) fn look(&mut self, system: &System<'_>, config: &[u32]) {
        for member in 0..system.members().len() {
            self.look_at(system, config, member);
        }
    }

    /// Looks for the faults that a step may have brought.
    pub(super) fn look_after(&mut self, system: &System<'_>, config: &[u32], actor: Actor) {
        self.look_at(system, config, actor.member);
        self.look_at(system, config, actor.peer);
    }

    fn look_at(&mut self, system: &System<'_>, config: &[u32], member: usize) {
        if let Some(fault) = stuck(system, config, member) {
            self.note(fault);
        }
        let done = system.state(config, member).moves.is_empty();
        let channels = if done || system.has_connections() { system.incoming(member) } else { &[] };
        for &channel in channels {
            let Some(message) = system.slot(config, channel) else { continue };
            let (from, _) = system.channels()[channel];
            if done || !system.connected(config, member, from) {
                self.note(Fault::Orphan { member, from, message });
            }
        }
        self.deadlock(system, config, member);
    }

    pub(super) fn into_found(self) -> Vec<Fault> {
        self.found
    }

    fn note(&mut self, fault: Fault) {
        if self.known.insert(fault.clone()) {
            self.found.push(fault);
        }
    }

    /// A circle of waiting that `member` is in, or leads to.
    fn deadlock(&mut self, system: &System<'_>, config: &[u32], member: usize) {
        let mut circle = vec![member];
        let mut next = 0;
        while next < circle.len() {
            let Some(peers) = waits_for(system, config, circle[next]) else { return };
            for peer in peers {
                if !circle.contains(&peer) {
                    circle.push(peer);
                }
            }
            next += 1;
        }
        circle.sort_unstable();
        self.note(Fault::Deadlock { waiting: circle.into_iter().map(|member| (member, config[member])).collect() });
    }
}

fn stuck(system: &System<'_>, config: &[u32], member: usize) -> Option<Fault> {
    let moves = &system.state(config, member).moves;
    let first = moves.first()?;
    if moves.iter().any(|step| !matches!(step.act.kind, ActKind::Receive | ActKind::Detect | ActKind::Crash)) {
        return None;
    }
    let from = system.place(first.act.peer);
    let message = system.slot(config, system.channel(from, member)?)?;
    // Where several peers may come first, only messages from all of them leave no way on.
    let comes = |peer| system.channel(peer, member).and_then(|channel| system.slot(config, channel)).is_some();
    let mut waits = moves.iter().filter(|step| step.act.kind != ActKind::Crash);
    if waits.any(|step| system.can(config, member, step) || !comes(system.place(step.act.peer))) {
        return None;
    }
    Some(Fault::Stuck { member, state: config[member], from, message })
}

/// Those of whom one must act before `member` can; `None` if it need not wait for anybody.
fn waits_for(system: &System<'_>, config: &[u32], member: usize) -> Option<Vec<usize>> {
    let moves: Vec<&Move> =
        system.state(config, member).moves.iter().filter(|step| step.act.kind != ActKind::Crash).collect();
    if moves.is_empty() {
        return None;
    }
    let peer = |place: crate::global::Role| system.place(place);
    let all = |kinds: &[ActKind]| moves.iter().all(|step| kinds.contains(&step.act.kind));
    if moves.iter().any(|step| step.act.kind == ActKind::Detect && system.can(config, member, step)) {
        return None;
    }
    if all(&[ActKind::Receive, ActKind::Detect]) {
        let mut peers: Vec<usize> = moves.iter().map(|step| peer(step.act.peer)).collect();
        peers.sort_unstable();
        peers.dedup();
        let comes =
            |from: &usize| system.channel(*from, member).and_then(|channel| system.slot(config, channel)).is_some();
        return (!peers.iter().any(comes)).then_some(peers);
    }
    let starts_by_accepting = all(&[ActKind::Accept]) && config[member] == system.machine(member).initial;
    let synchronous = all(&[ActKind::Accept, ActKind::Request, ActKind::WrapClient, ActKind::WrapServer]);
    if !synchronous || starts_by_accepting || moves.iter().any(|step| system.answered(config, member, step)) {
        return None;
    }
    let mut peers: Vec<usize> = moves.iter().map(|step| peer(step.act.peer)).collect();
    peers.sort_unstable();
    peers.dedup();
    Some(peers)
}
