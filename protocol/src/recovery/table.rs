//! The global recovery table: what a failure can cost at worst, known before anything runs.
//!
//! Invariants
//! * sound: for every run that ends with role `r` in state `s` and every set of stored checkpoints, the recovery line
//!   for a `worker` failure of `r` leaves each role untouched or in a state that the row names;
//! * for several such failures at once the rows' union is sound, for their line is the pointwise minimum of their lines;
//! * a row always names the failed role;
//! * a table has at most [`MAX_ENTRIES`] entries, and where it has no row, every role may be concerned.
//!
//! Roles that never talk to each other, not even through others, are looked at apart. The configurations of each such
//! group are explored forwards, then each failure backwards from them. Where that gets too large the rows only say
//! who can be reached at all.

use std::collections::BTreeSet;

use crate::image::{Image, StateId};
use crate::recovery::policy::{Mode, Retention};
use crate::recovery::table::coarse::Reach;
use crate::recovery::table::space::Space;
use crate::recovery::table::undo::{Grain, Undo};

pub use crate::recovery::table::rows::{Policy, RecoveryTable, Row};

mod coarse;
pub mod render;
mod rows;
mod space;
mod undo;

/// Entries of a table at most: for each row, one for each role and one for each state in which it may resume.
pub const MAX_ENTRIES: usize = 1 << 17;

/// How much work a table may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Configurations of one group of roles, at most.
    pub configurations: usize,
    /// Nodes visited backwards for one group of roles, at most.
    pub visits: usize,
}

impl Default for Effort {
    /// Enough for a loop of some fifteen interactions between six roles, in a small part of a second.
    fn default() -> Self {
        Effort { configurations: 20_000, visits: 80_000 }
    }
}

/// The recovery table of a protocol, with the default [`Effort`].
pub fn recovery_table(image: &Image, policy: &Policy) -> RecoveryTable {
    recovery_table_within(image, policy, Effort::default())
}

/// The recovery table of a protocol: exact as far as the effort goes, sound beyond it.
///
/// Inexact too is mode `replay` under `volatile`, which counts as `checkpoint`. The same arguments always give the
/// same table.
pub fn recovery_table_within(image: &Image, policy: &Policy, effort: Effort) -> RecoveryTable {
    let grains: Vec<Grain> = (0..image.machines.len()).map(|role| grain(policy, role)).collect();
    let drawing = Drawing { image, policy, reach: Reach::of(image), grains };
    let mut rows = vec![Vec::new(); image.machines.len()];
    let mut room = MAX_ENTRIES;
    for group in groups(image) {
        drawing.draw(&group, effort, &mut rows, &mut room);
    }
    RecoveryTable { rows }
}

/// A table in the making.
struct Drawing<'a> {
    image: &'a Image,
    policy: &'a Policy,
    grains: Vec<Grain>,
    reach: Reach,
}

impl Drawing<'_> {
    /// All rows for failures of a group's roles, as far as there is room for all of a role's rows.
    fn draw(&self, group: &[usize], effort: Effort, rows: &mut [Vec<Row>], room: &mut usize) {
        let wanted = group.len() <= MAX_GROUP && group.iter().any(|&role| !self.goes_on_alone(role));
        let space = wanted.then(|| Space::explore(self.image, self.policy, group, effort.configurations)).flatten();
        let grains = group.iter().map(|&role| self.grains[role]).collect();
        let volatile = self.policy.retention == Retention::Volatile;
        let mut undo = space.as_ref().map(|space| Undo::new(space, grains, volatile));
        let mut budget = effort.visits;
        for (place, &role) in group.iter().enumerate() {
            let mut left = Some(*room);
            for state in (0u32..).zip(&self.image.machines[role].states).map(|(state, _)| StateId(state)) {
                let explored = undo.as_mut().and_then(|undo| undo.row(place, state, &mut budget));
                let row = match explored {
                    _ if self.goes_on_alone(role) => self.spread(&[], &[], role, state),
                    Some(resumes) => self.spread(group, &resumes, role, state),
                    None => self.reach.row(self.image, self.policy, &self.grains, role, state),
                };
                left = left.and_then(|left| left.checked_sub(row.entries()));
                if left.is_none() {
                    break;
                }
                rows[role].push(row);
            }
            match left {
                Some(left) => *room = left,
                None => rows[role].clear(),
            }
        }
    }

    /// Whether every message for a failed role is kept and it can go on where it stood: then nobody else is concerned.
    fn goes_on_alone(&self, role: usize) -> bool {
        self.grains[role] == Grain::Fine && self.policy.retention != Retention::Volatile
    }

    /// A group's result as a row over all roles. The failed role is always named, also in a state that no run reaches.
    fn spread(&self, group: &[usize], resumes: &[BTreeSet<StateId>], role: usize, state: StateId) -> Row {
        let mut roles = vec![BTreeSet::new(); self.grains.len()];
        for (&role, states) in group.iter().zip(resumes) {
            roles[role].clone_from(states);
        }
        if roles[role].is_empty() {
            roles[role].insert(state);
        }
        Row { roles }
    }
}

/// Roles of a group that fit one set of bits.
const MAX_GROUP: usize = 64;

/// Where a role may resume after somebody's `worker` failure.
fn grain(policy: &Policy, role: usize) -> Grain {
    match policy.modes.get(role).copied().unwrap_or_default() {
        Mode::Restart => Grain::Start,
        Mode::Stateless => Grain::Fine,
        Mode::Replay if policy.retention != Retention::Volatile => Grain::Fine,
        Mode::Replay | Mode::Checkpoint => Grain::Saved,
    }
}

/// The roles, grouped by who talks to whom, directly or through others.
fn groups(image: &Image) -> Vec<Vec<usize>> {
    let mut peers = vec![BTreeSet::new(); image.machines.len()];
    for (role, machine) in image.machines.iter().enumerate() {
        for edge in machine.states.iter().flat_map(|state| &state.edges) {
            let peer = edge.action.peer.index();
            if peer < peers.len() {
                peers[role].insert(peer);
                peers[peer].insert(role);
            }
        }
    }
    let mut seen = vec![false; peers.len()];
    let mut groups = Vec::new();
    for first in 0..peers.len() {
        let mut open = vec![first];
        let mut group = BTreeSet::new();
        while let Some(role) = open.pop() {
            if !std::mem::replace(&mut seen[role], true) {
                group.insert(role);
                open.extend(&peers[role]);
            }
        }
        if !group.is_empty() {
            groups.push(group.into_iter().collect());
        }
    }
    groups
}
