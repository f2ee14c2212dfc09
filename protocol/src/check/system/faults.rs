//! Faults of single configurations. All are stable: once there, nothing but a crash takes them away.

use std::collections::HashSet;

use super::{System, scc};
use crate::global::MessageId;
use crate::local::ActKind;

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
            if let Some(fault) = stuck(system, config, member) {
                self.note(fault);
            }
        }
        for (channel, &(from, member)) in system.channels().iter().enumerate() {
            let Some(message) = system.slot(config, channel) else { continue };
            if system.state(config, member).moves.is_empty() || !system.connected(config, member, from) {
                self.note(Fault::Orphan { member, from, message });
            }
        }
        self.deadlocks(system, config);
    }

    /// Whether any was found.
    pub(super) fn any(&self) -> bool {
        !self.found.is_empty()
    }

    pub(super) fn into_found(self) -> Vec<Fault> {
        self.found
    }

    fn note(&mut self, fault: Fault) {
        if self.known.insert(fault.clone()) {
            self.found.push(fault);
        }
    }

    /// The smallest sets of members that all wait for each other. Others that wait for one of them are not named.
    fn deadlocks(&mut self, system: &System<'_>, config: &[u32]) {
        let waiting: Vec<Option<Vec<usize>>> =
            (0..system.members().len()).map(|member| waits_for(system, config, member)).collect();
        let waiting = for_ever(waiting);
        if waiting.iter().all(Option::is_none) {
            return;
        }
        let peers =
            |member: usize| waiting[member].iter().flatten().map(|peer| u32::try_from(*peer).unwrap_or(u32::MAX));
        for mut circle in scc::components(waiting.len(), peers) {
            circle.sort_unstable();
            let closed = |member: &u32| peers(*member as usize).all(|peer| circle.binary_search(&peer).is_ok());
            if circle.len() > 1 && circle.iter().all(closed) {
                let waiting = circle.iter().map(|member| (*member as usize, config[*member as usize])).collect();
                self.note(Fault::Deadlock { waiting });
            }
        }
    }
}

/// Of those who wait, the ones that wait only for others who wait for ever too.
fn for_ever(mut waiting: Vec<Option<Vec<usize>>>) -> Vec<Option<Vec<usize>>> {
    let mut waited_for_by: Vec<Vec<usize>> = vec![Vec::new(); waiting.len()];
    for (member, peers) in waiting.iter().enumerate() {
        peers.iter().flatten().for_each(|peer| waited_for_by[*peer].push(member));
    }
    let mut going: Vec<usize> = (0..waiting.len()).filter(|member| waiting[*member].is_none()).collect();
    while let Some(member) = going.pop() {
        going.extend(waited_for_by[member].iter().filter(|waits| waiting[**waits].take().is_some()));
    }
    waiting
}

fn stuck(system: &System<'_>, config: &[u32], member: usize) -> Option<Fault> {
    let peers = system.waits_on(config, member)?;
    let from = system.place(system.state(config, member).moves.first()?.act.peer);
    let message = system.slot(config, system.channel(from, member)?)?;
    // Where several peers may come first, only messages from all of them leave no way on.
    let comes = |peer: &usize| system.channel(*peer, member).and_then(|channel| system.slot(config, channel)).is_some();
    let taken = |peer: &usize| !system.taking(config, member, *peer).is_empty();
    if peers.iter().any(|peer| taken(peer) || !comes(peer)) {
        return None;
    }
    Some(Fault::Stuck { member, state: config[member], from, message })
}

/// Those of whom one must act before `member` can; `None` if it need not wait for anybody.
fn waits_for(system: &System<'_>, config: &[u32], member: usize) -> Option<Vec<usize>> {
    if let Some(peers) = system.waits_on(config, member) {
        let comes =
            |from: &usize| system.channel(*from, member).and_then(|channel| system.slot(config, channel)).is_some();
        return (!peers.iter().any(comes)).then(|| peers.into_owned());
    }
    if !system.has_connections() {
        return None;
    }
    let moves = &system.state(config, member).moves;
    let all = |kinds: &[ActKind]| !moves.is_empty() && moves.iter().all(|step| kinds.contains(&step.act.kind));
    let starts_by_accepting = all(&[ActKind::Accept]) && config[member] == system.machine(member).initial;
    let synchronous = all(&[ActKind::Accept, ActKind::Request, ActKind::WrapClient, ActKind::WrapServer]);
    if !synchronous || starts_by_accepting || moves.iter().any(|step| system.answered(config, member, step)) {
        return None;
    }
    let mut peers: Vec<usize> = moves.iter().map(|step| system.place(step.act.peer)).collect();
    peers.sort_unstable();
    peers.dedup();
    Some(peers)
}
