//! Recoveries of a session, from failure to resume.
//!
//! A failure opens a recovery (`open`), positions are gathered (`positions`), the last one decides (`decide`),
//! agents carry the decision out and acknowledge, and the last acknowledgement resumes the session (`restore`).
//! Restarts are counted against a budget (`budget`). See `docs/recovery.md`.
//!
//! Invariants
//! * a decision never changes: a new failure opens the next recovery over it;
//! * roles that failed, and roles that a decision restarts and that have not acknowledged it, are failed in the next;
//! * no restarted role goes past its line before the session resumes.

mod budget;
mod decide;
mod open;
mod positions;
mod restore;

use std::collections::{BTreeMap, BTreeSet};

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Image, RoleId};
use rekindle_protocol::recovery::explain::because;
use rekindle_protocol::recovery::line::RecoveryLine;
use rekindle_protocol::recovery::policy::FailureKind;
use serde::{Deserialize, Serialize};

use crate::command::FailureCause;
use crate::ids::{EntryTime, Epoch, Incarnation, NodeId, RecoveryNumber};

/// One recovery of a session; number 0 is the launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// From 0, the launch, upwards.
    pub number: RecoveryNumber,
    /// The session's epoch since it was opened.
    pub epoch: Epoch,
    /// How far the restart budget widened it.
    pub scope: Scope,
    /// How far it got.
    pub stage: Stage,
    /// Who failed.
    pub failed: Vec<FailedRole>,
    /// Roles that were stopped from going on, the failed ones included.
    pub frozen: Vec<RoleId>,
    /// Roles sent back to their start by a widened scope, whether they failed or not.
    pub widened: Vec<RoleId>,
    /// The decision. `None` while positions are gathered.
    pub line: Option<RecoveryLine>,
    /// Roles that are where the decision wants them.
    pub acknowledged: BTreeSet<RoleId>,
    /// When the failure was seen by who reported it.
    pub detected: EntryTime,
    /// When the failure was committed.
    pub opened: EntryTime,
    /// When the decision was made.
    pub decided: Option<EntryTime>,
    /// When the session ran again.
    pub resumed: Option<EntryTime>,
    /// The leader that proposed the failure.
    pub opened_by: NodeId,
    /// The leader that proposed the last position.
    pub decided_by: Option<NodeId>,
    /// The leader that proposed the last acknowledgement.
    pub resumed_by: Option<NodeId>,
    /// Histories that are known so far, of failed and of frozen roles. Empty once decided.
    pub(crate) positions: BTreeMap<RoleId, History>,
}

/// A role that failed, as a recovery counts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRole {
    /// Who.
    pub role: RoleId,
    /// How much was lost.
    pub kind: FailureKind,
    /// What was seen.
    pub cause: FailureCause,
    /// Which process.
    pub incarnation: Incarnation,
}

/// How far a recovery got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// Waits for positions of frozen roles.
    Gathering,
    /// Decided, and being carried out.
    Restoring,
    /// Every role acknowledged, the session ran on.
    Resumed,
    /// A new failure opened another recovery over it.
    Superseded,
    /// The session ended before it was carried out.
    Abandoned,
}

/// How far the restart budget widens a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// The recovery line.
    Minimal,
    /// Every role in the table's row of a failed one goes back to its start, and the line follows from that.
    Affected,
    /// Every role goes back to its start.
    All,
}

/// What an agent reports of one role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) role: RoleId,
    pub(crate) incarnation: Incarnation,
    pub(crate) history: &'a History,
}

impl Recovery {
    /// Whether this role counts as failed.
    pub fn has_failed(&self, role: RoleId) -> bool {
        self.failed.iter().any(|failed| failed.role == role)
    }

    /// Whether the decision restarts this role.
    pub fn restarts(&self, role: RoleId) -> bool {
        let line = self.line.as_ref().and_then(|line| line.roles.get(role.index()));
        line.is_some_and(|line| line.restarted)
    }

    /// Why this role stands where the decision puts it, as a clause; `None` before the decision.
    pub fn because(&self, role: RoleId, image: &Image) -> Option<String> {
        let line = self.line.as_ref()?.roles.get(role.index())?;
        if self.widened.contains(&role) && !self.has_failed(role) {
            let who = if self.scope == Scope::All { "every role starts" } else { "it may be concerned and starts" };
            return Some(format!("failures became too many, so {who} over"));
        }
        Some(because(role, line, image))
    }

    /// Frozen roles whose positions are still awaited.
    pub fn awaited(&self) -> impl Iterator<Item = RoleId> + '_ {
        let waits = self.stage == Stage::Gathering;
        self.frozen.iter().copied().filter(move |role| waits && !self.positions.contains_key(role))
    }
}
