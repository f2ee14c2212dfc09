//! The recovery line: the greatest valid cut of a run.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::image::{Image, RoleId};
use crate::recovery::policy::{FailureKind, Mode, Retention};

/// One run at the moment of a failure: the input of [`recovery_line`].
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The protocol.
    pub image: &'a Image,
    /// What is kept of messages.
    pub retention: Retention,
    /// One per role, in the order of [`Image::roles`]. `None`: outside the row of the recovery table, so neither asked nor moved.
    pub roles: Vec<Option<RoleRun>>,
}

/// What one role brings to the computation.
#[derive(Clone, Debug)]
pub struct RoleRun {
    /// Its events up to its current position.
    pub history: History,
    /// Its recovery mode.
    pub mode: Mode,
    /// Positions of stored checkpoints, each at most the current position. Used by `checkpoint` and `replay` only.
    pub checkpoints: BTreeSet<u64>,
    /// How it failed, if it did.
    pub failed: Option<FailureKind>,
}

/// The answer: who goes back, to where, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryLine {
    /// One per role, in the order of [`Image::roles`].
    pub roles: Vec<RoleLine>,
    /// Everything in transit at the line, ordered by sender, receiver, index.
    pub in_transit: Vec<InTransit>,
}

/// The answer for one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleLine {
    /// Where it stands after recovery; `None` for a role that was not asked (it stays where it is).
    pub position: Option<u64>,
    /// Whether its worker is restarted.
    pub restarted: bool,
    /// The base from which the worker runs again: the position itself, or in mode `replay` the start or a checkpoint before it.
    pub base: u64,
    /// Per peer: how many of the first `position` events are sends to it. Empty for a role that was not asked.
    pub sent: Vec<u64>,
    /// Per peer: how many of the first `position` events are receives from it. Empty for a role that was not asked.
    pub received: Vec<u64>,
    /// Why it stands there.
    pub cause: Cause,
}

/// A message that is sent but not received at a cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InTransit {
    /// Sender.
    pub from: RoleId,
    /// Receiver.
    pub to: RoleId,
    /// 1 for the first message of the channel.
    pub index: u64,
    /// Its label.
    pub label: String,
}

/// Why a role stands where the line puts it: the last thing that moved it, or why nothing did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Outside the row of the recovery table: nothing this failure can undo reaches it.
    NotConcerned,
    /// Asked, and nothing that it received is undone, nothing that it sent is lost.
    NothingUndone,
    /// It failed itself, and this is its latest recovery point.
    Failed {
        /// How it failed.
        kind: FailureKind,
        /// Its recovery mode.
        mode: Mode,
    },
    /// It received a message that is not sent any more.
    Orphan {
        /// Whose message.
        from: RoleId,
        /// Index on the channel, from 1.
        index: u64,
        /// Its label.
        label: String,
        /// Where the sender resumes.
        sender_at: u64,
    },
    /// A message that it sent is lost and must be sent again.
    Lost {
        /// Who was to receive it.
        to: RoleId,
        /// Index on the channel, from 1.
        index: u64,
        /// Its label.
        label: String,
        /// Whether the receiver failed, or was merely moved back and its mailbox with it.
        receiver_failed: bool,
    },
}
