//! A recovery table, and what it is computed for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::image::{RoleId, StateId};
use crate::recovery::policy::{Mode, Retention};

/// For each role and each state of its machine, what a `worker` failure there can do to each role at worst.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryTable {
    /// `rows[role][state]`. No rows for a role, where they would be too many: then its failure may concern every role.
    pub rows: Vec<Vec<Row>>,
}

/// One row of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// One per role: empty for untouched, else the states in which it may have to resume.
    pub roles: Vec<BTreeSet<StateId>>,
}

impl Row {
    /// Its share of [`MAX_ENTRIES`](crate::recovery::table::MAX_ENTRIES).
    pub(super) fn entries(&self) -> usize {
        self.roles.iter().map(|states| states.len() + 1).sum()
    }

    /// The roles that this row names, in order.
    pub fn named(&self) -> impl Iterator<Item = RoleId> + '_ {
        (0u16..).zip(&self.roles).filter(|(_, states)| !states.is_empty()).map(|(role, _)| RoleId(role))
    }
}

/// What a table is computed for, besides the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What is kept of messages.
    pub retention: Retention,
    /// The mode of each role, in the order of [`Image::roles`](crate::image::Image::roles). A missing one counts as `restart`.
    pub modes: Vec<Mode>,
}

impl RecoveryTable {
    /// The row for a failure of `role` in `state`; `None` if the table has no such row, and everybody may be concerned.
    pub fn row(&self, role: RoleId, state: StateId) -> Option<&Row> {
        self.rows.get(role.index())?.get(state.index())
    }
}
