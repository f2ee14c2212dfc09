//! What comes to a session's actor.

use rekindle_proto::v1;
use rekindle_protocol::image::RoleId;
use rekindle_statemachine::command::{Rejection, Reply};
use rekindle_statemachine::effect::Order;
use rekindle_statemachine::ids::Incarnation;
use tokio::sync::oneshot;

use crate::role::Exit;
use crate::worker_api::WorkerLine;

/// From the link to the cluster.
#[derive(Debug)]
pub(crate) enum Control {
    /// What to make true.
    Order(Box<Order>),
    /// The answer to a report that asked for it.
    Answer { role: RoleId, incarnation: Incarnation, reply: Reply },
    /// A report is refused for good.
    Refused { role: RoleId, incarnation: Incarnation, rejection: Rejection },
}

/// From workers and from other agents.
#[derive(Debug)]
pub(crate) enum Input {
    /// A process runs.
    Started { role: RoleId, incarnation: Incarnation, pid: u32 },
    /// A process could not be started, and never will.
    CannotStart { role: RoleId, incarnation: Incarnation, message: String },
    /// A process wrote lines; each with its length.
    Lines { role: RoleId, incarnation: Incarnation, lines: Vec<(WorkerLine, usize)> },
    /// A process closed its standard output and lives on; everything it wrote has come.
    Closed { role: RoleId, incarnation: Incarnation },
    /// So many lines were written to a process.
    Written { role: RoleId, incarnation: Incarnation, lines: usize },
    /// A process and its group are gone, and everything it wrote has come.
    Exited { role: RoleId, incarnation: Incarnation, exit: Exit },
    /// Messages for roles of this agent.
    Incoming { envelopes: Vec<v1::Envelope>, answer: oneshot::Sender<Vec<v1::Acknowledgement>> },
    /// Another agent answers messages of roles of this agent.
    Answers { acknowledgements: Vec<v1::Acknowledgement> },
    /// There is a new connection to the agent at this address.
    Connected { address: String },
}
