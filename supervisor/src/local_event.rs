//! What happens on this host, told to whoever runs the agent.

use std::sync::Arc;

use rekindle_statemachine::ids::{Incarnation, NodeId, SessionId};

/// Takes local events.
pub type EventHook = Arc<dyn Fn(&LocalEvent) + Send + Sync>;

/// What happens on this host, told as it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalEvent {
    /// A worker process runs.
    WorkerStarted {
        /// Its session.
        session: SessionId,
        /// The role that it plays.
        role: String,
        /// Which process of that role.
        incarnation: Incarnation,
        /// Its process id, which is its group's too.
        pid: u32,
    },
    /// A worker is about to be killed by [`AgentConfig::faults`](crate::AgentConfig::faults). Told before it happens.
    WorkerCrashedByFault {
        /// Its session.
        session: SessionId,
        /// The role that it plays.
        role: String,
        /// Which process of that role.
        incarnation: Incarnation,
        /// Its completed events.
        events: u64,
        /// The leader of the cluster, as last heard from it.
        leader: Option<NodeId>,
    },
    /// The cluster refuses what was reported of a role, for good. Its session ends, unless the report was only a
    /// checkpoint.
    ReportRefused {
        /// Its session.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// Another node leads.
    LeaderChanged {
        /// The leader.
        node: NodeId,
    },
    /// The lease ended; every worker of this agent is gone, and it goes on as a new instance.
    LeaseLost {
        /// Why.
        why: String,
    },
}
