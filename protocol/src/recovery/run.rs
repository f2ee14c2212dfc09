//! What the recovery line is asked about and answered with: a run at the moment of a failure, and for each role where it
//! stands after it and why.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::history::History;
use crate::image::{Image, RoleId, StateId};
use crate::recovery::policy::{FailureKind, Mode, Retention};

/// One run at the moment of a failure: the input of [`recovery_line`](crate::recovery::line::recovery_line).
///
/// The positions need not be consistent with each other: after the loss of a supervisor a role stands where a
/// surviving record proves it to be, and whoever received more than that from it holds an orphan.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The protocol.
    pub image: &'a Image,
    /// What is kept of messages.
    pub retention: Retention,
    /// One per role, in the order of [`Image::roles`]. `None`: outside the row of the recovery table, so neither asked
    /// nor moved; its channels impose nothing. That is right only while the table's row holds: every failure is of
    /// kind `worker`, and nothing is [`Lost`].
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
    /// What earlier recoveries of the session left lost: [`RoleLine::lost`] of the last one, or the default.
    pub lost: Lost,
}

/// Messages that a role's supervisor does not hold any more, because an earlier failure of kind `supervisor` or `host`
/// took its store.
///
/// Later failures may need to deliver them again, long after the one that lost them, so they are part of what a
/// session must remember. Both lists are per peer, in the order of [`Image::roles`]; an empty list means none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Messages to each peer up to this index are gone from this role's disk. Matters under `durable` only.
    pub sent: Vec<u64>,
    /// Messages from each peer up to this index are gone from what this role's supervisor kept.
    pub received: Vec<u64>,
}

impl Lost {
    /// Whether nothing is lost.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.received.is_empty()
    }
}

/// The answer: who goes back, to where, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryLine {
    /// One per role, in the order of [`Image::roles`].
    pub roles: Vec<RoleLine>,
    /// Everything in transit at the line between roles that were asked, ordered by sender, receiver, index.
    pub in_transit: Vec<InTransit>,
}

/// The answer for one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleLine {
    /// Where it stands after recovery; `None` for a role that was not asked (it stays where it is).
    pub position: Option<u64>,
    /// The state of its machine at that position.
    pub state: Option<StateId>,
    /// Whether its worker is restarted.
    pub restarted: bool,
    /// The base from which the worker runs again: the position itself, or in mode `replay` the start or the latest
    /// checkpoint from which the position can be replayed. The position for a role that is not restarted.
    pub base: u64,
    /// Per peer: how many of the first `position` events are sends to it. Empty for a role that was not asked.
    pub sent: Vec<u64>,
    /// Per peer: how many of the first `position` events are receives from it. Empty for a role that was not asked.
    pub received: Vec<u64>,
    /// What is lost from now on; to be handed to the session's next recovery. Empty for a role that was not asked.
    pub lost: Lost,
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
        /// Whether the receiver had received it, and now stands before that.
        consumed: bool,
        /// Whether an earlier failure of the session took it from where it was kept.
        earlier: bool,
        /// What was kept of it.
        retention: Retention,
    },
}

/// Why a run has no recovery line: it is not a run of its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RunError {
    /// The run does not have one entry per role of the protocol.
    #[error("the run has {found} roles, the protocol has {expected}")]
    RoleCount {
        /// Roles of the protocol.
        expected: usize,
        /// Entries of the run.
        found: usize,
    },
    /// An event of a role is no edge of its machine.
    #[error("the history of role {} is no path of its machine: event {} does not exist there", .role.0, .position + 1)]
    NotAPath {
        /// The role.
        role: RoleId,
        /// Events that precede the wrong one.
        position: u64,
    },
    /// A checkpoint lies past the end of the role's history.
    #[error("role {} has a checkpoint at {checkpoint}, past its position {position}", .role.0)]
    CheckpointPastEnd {
        /// The role.
        role: RoleId,
        /// The checkpoint.
        checkpoint: u64,
        /// The role's position.
        position: u64,
    },
    /// A list of [`Lost`] is neither empty nor one entry per role of the protocol.
    #[error("what role {} has lost is given for {found} peers, the protocol has {expected} roles", .role.0)]
    LostCount {
        /// The role.
        role: RoleId,
        /// Roles of the protocol.
        expected: usize,
        /// Entries of the list.
        found: usize,
    },
}
