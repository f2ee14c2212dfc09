//! The knobs of a deployment: recovery mode, retention, kinds of failure.

use serde::{Deserialize, Serialize};

/// Where a role may resume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Only at its start.
    #[default]
    Restart,
    /// At its start and wherever it saved a checkpoint.
    Checkpoint,
    /// At any position, from the name of the state alone.
    Stateless,
    /// Runs again from a base and is fed the same messages.
    Replay,
}

/// What local supervisors keep of each message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retention {
    /// An Erlang mailbox: lost with the worker.
    Volatile,
    /// Memory of the receiver's supervisor.
    #[default]
    Retained,
    /// Disk, at both ends.
    Durable,
}

/// How much a failure takes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureKind {
    /// The worker process; its local supervisor lives.
    Worker,
    /// Also the memory of its local supervisor.
    Supervisor,
    /// Also the disk of its local supervisor.
    Host,
}
