//! One role of a session as its local supervisor sees it.
//!
//! Invariants
//! * `monitor` holds the events that stand; while `replay` is set, the process has done fewer of them;
//! * lines are processed one after the other; the front one stays until it is done;
//! * a role that is held does no event. It is held from a `Freeze` or its restart until the next `Run`;
//! * a failure is reported once per incarnation, and afterwards no line of that process counts.

pub(crate) mod checkpoints;
pub(crate) mod monitor;
pub(crate) mod process;
pub(crate) mod replay;
pub(crate) mod worker;

use std::collections::VecDeque;
use std::time::Duration;

use rekindle_protocol::image::RoleId;
use rekindle_protocol::recovery::policy::Mode;
use rekindle_statemachine::command::FailureCause;
use rekindle_statemachine::ids::Incarnation;
use tokio::time::Instant;

use crate::channel::digest::Digests;
use crate::channel::inbox::Inbox;
use crate::channel::outbox::Outbox;
use crate::worker_api::WorkerLine;
use checkpoints::Checkpoints;
use monitor::Monitor;
use replay::Replay;

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) incarnation: Incarnation,
    pub(crate) mode: Mode,
    pub(crate) monitor: Monitor,
    pub(crate) replay: Option<Replay>,
    pub(crate) held: bool,
    pub(crate) stage: Stage,
    /// Whether it is where the last restart wanted it.
    pub(crate) reached: bool,
    /// Lines that are read and not done, each with its length.
    pub(crate) lines: VecDeque<(WorkerLine, usize)>,
    /// Its process will write no more lines.
    pub(crate) closed: bool,
    /// What its front line waits for.
    pub(crate) wait: Option<Wait>,
    /// Lines to the process that are not written yet.
    pub(crate) unwritten: usize,
    /// Since when the process could act and did no event.
    pub(crate) idle_since: Instant,
    /// Per peer.
    pub(crate) inboxes: Vec<Inbox>,
    /// Per peer.
    pub(crate) outboxes: Vec<Outbox>,
    /// Per peer; only in mode `replay`.
    pub(crate) digests: Vec<Digests>,
    pub(crate) checkpoints: Checkpoints,
}

/// Where the life of a role's process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Ordered, not running yet.
    Starting,
    /// It runs.
    Alive,
    /// Killed on purpose; its exit will be reported, with this cause if there is one. Its lines do not count.
    Dying(Option<FailureCause>),
    /// It has exited; what it wrote before counts.
    Exited(Exit),
    /// Failed or done, and reported.
    Over,
}

/// What a line may have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// A `receive` for a message.
    Message,
    /// A `send` for room in its channel.
    Room,
    /// A `checkpoint` for earlier ones to be stored.
    Stored,
    /// Any line that is answered, for the worker to read earlier answers.
    Reader,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    pub(crate) fn success(self) -> bool {
        self == Exit::Status(0)
    }

    pub(crate) fn cause(self) -> FailureCause {
        match self {
            Exit::Status(status) => FailureCause::Exited { status },
            Exit::Signal(signal) => FailureCause::Signalled { signal },
        }
    }
}

impl Role {
    /// Whether a line may be processed now.
    pub(crate) fn may_act(&self) -> bool {
        matches!(self.stage, Stage::Alive | Stage::Exited(_)) && (!self.held || self.replay.is_some())
    }

    /// Whether its process has ended other than with status 0: then what it wrote is taken without back pressure.
    pub(crate) fn has_crashed(&self) -> bool {
        matches!(self.stage, Stage::Exited(exit) if !exit.success())
    }

    /// When it is stuck, if it does no event until then.
    pub(crate) fn stalls_at(&self, timeout: Option<Duration>) -> Option<Instant> {
        let could_act = self.stage == Stage::Alive && self.may_act() && matches!(self.wait, None | Some(Wait::Reader));
        timeout.filter(|_| could_act).map(|timeout| self.idle_since + timeout)
    }

    /// Bytes of all messages that are kept for it.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.inboxes.iter().map(Inbox::stored_bytes).sum()
    }

    /// Messages sent, per peer.
    pub(crate) fn sent(&self) -> Vec<u64> {
        self.outboxes.iter().map(Outbox::sent).collect()
    }

    /// Whether every message that it has sent is held by its receiver's supervisor.
    pub(crate) fn all_held(&self) -> bool {
        self.outboxes.iter().all(|outbox| outbox.acked() >= outbox.sent())
    }

    /// The inbox from a peer.
    pub(crate) fn inbox(&mut self, peer: RoleId) -> Option<&mut Inbox> {
        self.inboxes.get_mut(peer.index())
    }

    /// The outbox to a peer.
    pub(crate) fn outbox(&mut self, peer: RoleId) -> Option<&mut Outbox> {
        self.outboxes.get_mut(peer.index())
    }
}
