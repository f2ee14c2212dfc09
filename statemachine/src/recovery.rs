//! The data of recoveries, from failure to resume. Number 0 is the launch: a recovery to the start.
//!
//! A recovery is [`Gathering`] while positions of frozen roles are awaited, then [`Restoring`] while its decision is
//! carried out; both are open, and the session's phase holds the one there is. Afterwards it is a [`Recovery`] of the past.
//!
//! Invariants
//! * a decision never changes: a new failure opens the next recovery over it;
//! * roles that failed, and roles that a decision restarts and that have not acknowledged it, are failed in the next;
//! * no restarted role goes past its line before the session resumes.

use std::collections::BTreeMap;

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Image, RoleId};
use rekindle_protocol::recovery::explain::because;
use rekindle_protocol::recovery::line::RecoveryLine;
use rekindle_protocol::recovery::policy::FailureKind;
use serde::{Deserialize, Serialize};

use crate::command::FailureCause;
use crate::ids::{EntryTime, Epoch, Incarnation, NodeId, RecoveryNumber};

/// What is said of a recovery once and for all when it opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// From 0, the launch, upwards.
    pub number: RecoveryNumber,
    /// The session's epoch since it was opened.
    pub epoch: Epoch,
    /// How far the restart budget widened it.
    pub scope: Scope,
    /// Who failed.
    pub failed: Vec<FailedRole>,
    /// Roles that were stopped from going on, the failed ones included.
    pub frozen: Vec<RoleId>,
    /// Roles sent back to their start by a widened scope, whether they failed or not.
    pub widened: Vec<RoleId>,
    /// When the failure was seen by who reported it.
    pub detected: EntryTime,
    /// When the failure was committed.
    pub opened: EntryTime,
    /// The leader that proposed the failure.
    pub opened_by: NodeId,
}

/// Where every role goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The recovery line.
    pub line: RecoveryLine,
    /// When it was made.
    pub time: EntryTime,
    /// The leader that proposed the last position.
    pub by: NodeId,
}

/// An open recovery that waits for the positions of frozen roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gathering {
    /// What it began with.
    pub opening: Opening,
    /// Histories that are known so far, of failed and of frozen roles.
    pub(crate) positions: BTreeMap<RoleId, History>,
}

/// An open recovery whose decision, or a launch, is being carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoring {
    /// What it began with.
    pub opening: Opening,
    /// What is carried out.
    pub decision: Decision,
    /// Roles that are where the decision wants them, and what they acknowledged last.
    pub(crate) acknowledged: BTreeMap<RoleId, Acknowledged>,
}

/// What an acknowledgement was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Acknowledged {
    /// The order of this revision.
    Order(u64),
    /// Whatever is ordered: in logs of version 0.1 acknowledgements named no order.
    Unnamed,
}

/// A recovery that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// What it began with.
    pub opening: Opening,
    /// What became of it.
    pub ending: Ending,
}

/// What became of a recovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// Every role acknowledged, the session ran on.
    Resumed {
        /// What was carried out.
        decision: Decision,
        /// When the session ran again.
        time: EntryTime,
        /// The leader that proposed the last acknowledgement.
        by: NodeId,
    },
    /// A new failure opened another recovery over it.
    Superseded {
        /// What was being carried out, if it had got that far.
        decision: Option<Decision>,
    },
    /// The session ended before it was carried out.
    Abandoned {
        /// What was being carried out, if it had got that far.
        decision: Option<Decision>,
    },
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

/// How far a recovery got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// One recovery to be read, whether it is open or over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it began with.
    pub opening: &'a Opening,
    /// How far it got.
    pub stage: Stage,
    /// Where every role goes, once that is known.
    pub decision: Option<&'a Decision>,
    /// When the session ran again, and which leader proposed the last acknowledgement.
    pub resumed: Option<(EntryTime, NodeId)>,
}

impl Opening {
    /// Whether this role counts as failed.
    pub fn has_failed(&self, role: RoleId) -> bool {
        self.failed.iter().any(|failed| failed.role == role)
    }

    /// Whether this process counts as failed.
    pub(crate) fn counts(&self, role: RoleId, incarnation: Incarnation) -> bool {
        self.failed.iter().any(|failed| failed.role == role && failed.incarnation == incarnation)
    }
}

impl Decision {
    /// Whether it restarts this role.
    pub fn restarts(&self, role: RoleId) -> bool {
        self.line.roles.get(role.index()).is_some_and(|line| line.restarted)
    }
}

impl Gathering {
    /// Frozen roles whose positions are still awaited.
    pub fn awaited(&self) -> impl Iterator<Item = RoleId> + '_ {
        self.opening.frozen.iter().copied().filter(|role| !self.positions.contains_key(role))
    }
}

impl Restoring {
    /// Whether the role has got where the decision wants it.
    pub(crate) fn has_restored(&self, role: RoleId) -> bool {
        self.acknowledged.contains_key(&role)
    }

    /// Whether the role has carried out the order of this revision.
    pub(crate) fn has_acknowledged(&self, role: RoleId, revision: u64) -> bool {
        match self.acknowledged.get(&role) {
            Some(Acknowledged::Order(named)) => *named == revision,
            Some(Acknowledged::Unnamed) => true,
            None => false,
        }
    }
}

impl Recovery {
    fn decision(&self) -> Option<&Decision> {
        match &self.ending {
            Ending::Resumed { decision, .. } => Some(decision),
            Ending::Superseded { decision } | Ending::Abandoned { decision } => decision.as_ref(),
        }
    }
}

impl<'a> From<&'a Gathering> for Record<'a> {
    fn from(open: &'a Gathering) -> Self {
        Record { opening: &open.opening, stage: Stage::Gathering, decision: None, resumed: None }
    }
}

impl<'a> From<&'a Restoring> for Record<'a> {
    fn from(open: &'a Restoring) -> Self {
        Record { opening: &open.opening, stage: Stage::Restoring, decision: Some(&open.decision), resumed: None }
    }
}

impl<'a> From<&'a Recovery> for Record<'a> {
    fn from(over: &'a Recovery) -> Self {
        let (stage, resumed) = match &over.ending {
            Ending::Resumed { time, by, .. } => (Stage::Resumed, Some((*time, *by))),
            Ending::Superseded { .. } => (Stage::Superseded, None),
            Ending::Abandoned { .. } => (Stage::Abandoned, None),
        };
        Record { opening: &over.opening, stage, decision: over.decision(), resumed }
    }
}

impl Record<'_> {
    /// Whether the decision restarts this role.
    pub fn restarts(&self, role: RoleId) -> bool {
        self.decision.is_some_and(|decision| decision.restarts(role))
    }

    /// Why this role stands where the decision puts it, as a clause; `None` before the decision.
    pub fn because(&self, role: RoleId, image: &Image) -> Option<String> {
        let line = self.decision?.line.roles.get(role.index())?;
        if self.opening.widened.contains(&role) && !self.opening.has_failed(role) {
            let everyone = self.opening.scope == Scope::All;
            let who = if everyone { "every role starts" } else { "it may be concerned and starts" };
            return Some(format!("failures became too many, so {who} over"));
        }
        Some(because(role, line, image))
    }
}
