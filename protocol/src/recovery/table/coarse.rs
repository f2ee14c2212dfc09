//! Rows without exploration: who can be reached at all, whatever the run.
//!
//! Used where a protocol has too many configurations. Sound, and finite for every protocol: a role that goes back can
//! leave an orphan with everybody to whom its machine ever sends, and under `volatile` takes the mailbox with it into
//! which everybody may have put a message that sends to it.

use std::collections::BTreeSet;

use crate::image::{Direction, Image, Machine, StateId};
use crate::recovery::policy::Retention;
use crate::recovery::table::rows::{Policy, Row};
use crate::recovery::table::undo::Grain;

/// States of a machine up to which a row looks at how the failed role came to its state.
const MAX_STATES: usize = 2_000;

/// To whom each role can send.
pub(super) struct Reach {
    sends: Vec<BTreeSet<usize>>,
}

impl Reach {
    pub(super) fn of(image: &Image) -> Self {
        let sends = |machine: &Machine| sends_before(machine, &machine.states.iter().map(|_| true).collect::<Vec<_>>());
        Reach { sends: image.machines.iter().map(sends).collect() }
    }

    /// A row that holds for every run.
    pub(super) fn row(&self, image: &Image, policy: &Policy, grains: &[Grain], role: usize, state: StateId) -> Row {
        let machine = &image.machines[role];
        let small = machine.states.len() <= MAX_STATES;
        let before = if small { leading_to(machine, state) } else { vec![true; machine.states.len()] };
        let volatile = policy.retention == Retention::Volatile;
        let mut moved = vec![false; grains.len()];
        // Whose mailbox is lost, and who is not where it was.
        let mut open = vec![role];
        let mut lost_mailbox = vec![false; grains.len()];
        moved[role] = grains[role] != Grain::Fine;
        while let Some(next) = open.pop() {
            let mut reached = BTreeSet::new();
            if moved[next] && next == role && small {
                reached.extend(sends_before(machine, &before));
            } else if moved[next] {
                reached.extend(&self.sends[next]);
            }
            if volatile && !lost_mailbox[next] {
                lost_mailbox[next] = true;
                reached.extend((0..grains.len()).filter(|&peer| self.sends[peer].contains(&next)));
            }
            for peer in reached {
                // A peer that is no role of the protocol cannot be moved.
                if moved.get(peer) == Some(&false) {
                    moved[peer] = true;
                    open.push(peer);
                }
            }
        }
        let resumes = |other: usize| match (moved[other], grains[other]) {
            (false, _) if other == role => BTreeSet::from([state]),
            (false, _) => BTreeSet::new(),
            (true, Grain::Start) => BTreeSet::from([image.machines[other].initial]),
            (true, _) if other == role => states_where(&before),
            (true, _) => states_where(&vec![true; image.machines[other].states.len()]),
        };
        Row { roles: (0..grains.len()).map(resumes).collect() }
    }
}

/// The roles to whom a machine sends on its way into one of the given states.
fn sends_before(machine: &Machine, states: &[bool]) -> BTreeSet<usize> {
    let edges = machine.states.iter().flat_map(|state| &state.edges);
    edges
        .filter(|edge| edge.action.direction == Direction::Send && states.get(edge.to.index()) == Some(&true))
        .map(|edge| edge.action.peer.index())
        .collect()
}

/// By state, whether it leads to `state` or is it.
fn leading_to(machine: &Machine, state: StateId) -> Vec<bool> {
    let mut sources = vec![Vec::new(); machine.states.len()];
    for (from, edges) in machine.states.iter().map(|state| &state.edges).enumerate() {
        for edge in edges {
            if let Some(sources) = sources.get_mut(edge.to.index()) {
                sources.push(from);
            }
        }
    }
    let mut leads = vec![false; machine.states.len()];
    let mut open = vec![state.index()];
    while let Some(next) = open.pop() {
        if !std::mem::replace(&mut leads[next], true) {
            open.extend(&sources[next]);
        }
    }
    leads
}

fn states_where(chosen: &[bool]) -> BTreeSet<StateId> {
    (0u32..).zip(chosen).filter(|(_, chosen)| **chosen).map(|(state, _)| StateId(state)).collect()
}
