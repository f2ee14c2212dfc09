//! What happened in a session, for those who watch it.

use rekindle_protocol::image::RoleId;
use rekindle_protocol::recovery::policy::FailureKind;
use serde::{Deserialize, Serialize};

use crate::command::{FailureCause, Outcome};
use crate::ids::{EntryTime, Incarnation, RecoveryNumber};

/// One thing that happened. Sequence numbers start at 1 and have no gaps; only the last events are remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEvent {
    /// Its place in the session's story.
    pub sequence: u64,
    /// When.
    pub time: EntryTime,
    /// What.
    pub kind: SessionEventKind,
}

/// What can happen in a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionEventKind {
    /// It was accepted and its launch began.
    Started,
    /// A role failed.
    RoleFailed {
        /// Who.
        role: RoleId,
        /// Which process.
        incarnation: Incarnation,
        /// How much was lost.
        kind: FailureKind,
        /// What was seen.
        cause: FailureCause,
        /// How many events it has done, as far as anybody can know.
        position: u64,
    },
    /// A recovery opened.
    RecoveryOpened {
        /// Its number; the record has the rest.
        recovery: RecoveryNumber,
    },
    /// The recovery line is known.
    Decided {
        /// Of which recovery.
        recovery: RecoveryNumber,
    },
    /// Every role runs (recovery 0: for the first time).
    Resumed {
        /// After which recovery.
        recovery: RecoveryNumber,
    },
    /// A worker exited in a final state.
    RoleDone {
        /// Who.
        role: RoleId,
        /// After how many events.
        position: u64,
    },
    /// It is over.
    Ended {
        /// How.
        outcome: Outcome,
        /// Why, if it did not complete.
        reason: Option<String>,
    },
}
