//! What a session is asked to be: the deployment, in the order of the protocol's roles.

use std::collections::BTreeMap;

use rekindle_protocol::recovery::policy::{Mode, Retention};
use serde::{Deserialize, Serialize};

use crate::ids::AgentId;

/// A deployment of one protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSpec {
    /// What local supervisors keep of messages.
    pub retention: Retention,
    /// One per role, in the order of the protocol's roles.
    pub roles: Vec<RoleSpec>,
    /// When restarts become too many.
    pub budget: RestartBudget,
    /// Absolute path of the deployment file's folder: commands are looked up there first, and workers run in it.
    pub folder: String,
}

/// How one role is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSpec {
    /// Where it may resume.
    pub mode: Mode,
    /// Program and arguments. Never empty.
    pub command: Vec<String>,
    /// Added to the environment of the worker.
    pub environment: BTreeMap<String, String>,
    /// The only agent that may run it; any if `None`.
    pub agent: Option<AgentId>,
    /// A worker that may act and makes no protocol step for this long is killed. `None`: never.
    pub stall_timeout_ms: Option<u64>,
}

/// More than `max_restarts` failures within `window_ms` widen the recovery, step by step, and in the end fail the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartBudget {
    /// Failures within the window that are answered with the recovery line.
    pub max_restarts: u32,
    /// Length of the window, in milliseconds of entry time.
    pub window_ms: u64,
}
