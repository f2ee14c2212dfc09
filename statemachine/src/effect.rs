//! What `apply` asks the leader to do: orders for local supervisors.
//!
//! An order says what an agent is to make true. Orders may be repeated and may be lost with a leader; the state keeps
//! what is outstanding (`StateMachine::outstanding`), so the next leader sends it again.
//! An agent obeys an order only if its revision is not below the last one it obeyed for that session. The last order alone
//! is enough to act on: whatever the ones before it said, it says again.

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Image, RoleId};
use serde::{Deserialize, Serialize};

use crate::agents::Agent;
use crate::ids::{AgentId, AgentInstance, Epoch, Generation, Incarnation, RecoveryNumber, SessionId};
use crate::spec::SessionSpec;

/// Work for the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send an order to an agent.
    Send {
        /// To whom.
        agent: AgentId,
        /// What.
        order: Order,
    },
    /// Tell an agent's stream that its lease is over, and end the stream.
    Dismiss {
        /// Whom.
        agent: AgentId,
        /// Which run of it.
        instance: AgentInstance,
        /// The run that took its name over, if one did: the dismissed one is not to come back.
        superseded_by: Option<Agent>,
    },
}

/// What an agent is to make true of one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which session.
    pub session: SessionId,
    /// Which one of that name.
    pub generation: Generation,
    /// The session's epoch.
    pub epoch: Epoch,
    /// Grows with every order of the session.
    pub revision: u64,
    /// Where the roles of the protocol are, in its order. Empty in an order to end.
    pub places: Vec<Place>,
    /// What to make true.
    pub goal: Goal,
}

/// Who runs a role, and where that agent is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The agent; empty while none runs the role.
    pub agent: AgentId,
    /// Its `host:port`; empty while none runs the role.
    pub address: String,
}

/// The state an agent is to bring its roles of a session to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goal {
    /// Let these roles do no event, and report their positions. What an earlier order holds stays held until `Run`.
    Freeze {
        /// Which recovery asks.
        recovery: RecoveryNumber,
        /// Roles of this agent; may be empty, if the order only tells that an earlier recovery is over.
        roles: Vec<RoleId>,
    },
    /// Carry out a decision (recovery 0: launch), then acknowledge every role of this agent. Nobody moves on before `Run`.
    Restore(Box<Restore>),
    /// Let all roles run.
    Run,
    /// Stop every worker of the session and forget it.
    End,
}

/// A decision, as an agent needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// Which recovery.
    pub recovery: RecoveryNumber,
    /// The compiled protocol.
    pub image: Image,
    /// The deployment.
    pub spec: SessionSpec,
    /// One per role of the protocol, in its order, those of other agents too.
    pub roles: Vec<RoleOrder>,
}

/// Which process a role is, and where it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleOrder {
    /// Its process from now on.
    pub incarnation: Incarnation,
    /// Set if it is to be restarted; the others stay as they are.
    pub restart: Option<RestartOrder>,
    /// Floors of its incarnations, for its receivers (see [`Floor`]).
    pub floors: Vec<Floor>,
}

/// How to restart a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartOrder {
    /// The events that stand; its position is their number.
    pub history: History,
    /// The position from which the worker runs: the position itself, or before it in mode `replay`.
    pub base: u64,
    /// The checkpoint at `base`, if there is one. Only in the order to the agent that runs the role.
    pub checkpoint: Option<Vec<u8>>,
    /// Per peer: messages sent to it at the position.
    pub sent: Vec<u64>,
    /// Per peer: messages received from it at the position.
    pub received: Vec<u64>,
}

/// Messages of incarnations before `incarnation` with an index above `sent[peer]` are undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// The incarnation that started at this floor.
    pub incarnation: Incarnation,
    /// Per peer: how many messages to it stand.
    pub sent: Vec<u64>,
}
