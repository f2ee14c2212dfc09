//! The first line that a worker reads: who it is and where it goes on.

use serde::Deserialize;
use serde_json::Value;

/// What a worker is told when it starts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Start {
    /// Id of the session, the same in every incarnation.
    pub session: String,
    /// The role that this worker plays.
    pub role: String,
    /// 1 for the first process of the role, higher with each restart.
    pub incarnation: u64,
    /// How many events (sends and receives) of this role stand.
    pub position: u64,
    /// How many events are done for this process, which goes on from here. Below `position` only in mode `replay`.
    pub base: u64,
    /// The state at `base`: the numbers of the interactions that may come next, joined by `|`, or `end`.
    pub state: String,
    /// The events that may come next at `base`: `peer!label` is a send to `peer`, `peer?label` a receive from it.
    pub next: Vec<String>,
    /// All roles of the protocol.
    pub roles: Vec<String>,
    /// The recovery mode of this role.
    pub mode: Mode,
    /// The state saved at `base`; `null` where none was saved.
    #[serde(default)]
    pub checkpoint: Value,
}

/// Where a role may resume after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// At its beginning.
    Restart,
    /// At a checkpoint that it saved, or its beginning.
    Checkpoint,
    /// Anywhere: the worker acts from the state's name alone.
    Stateless,
    /// Anywhere, by running again from a checkpoint or its beginning on the same messages.
    Replay,
}
