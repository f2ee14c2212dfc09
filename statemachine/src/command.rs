//! What the log holds: entries, commands, and what they are answered with.

use std::fmt;

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Image, RoleId};
use rekindle_protocol::recovery::policy::FailureKind;
use rekindle_protocol::recovery::table::RecoveryTable;
use serde::{Deserialize, Serialize};

use crate::ids::{
    AgentId, AgentInstance, EntryTime, Incarnation, NodeId, ProtocolId, RecoveryNumber, RequestId, SessionId,
};
use crate::limits;
use crate::spec::SessionSpec;

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The proposer's clock; the state machine takes `max(previous, time)`.
    pub time: EntryTime,
    /// The leader that proposed it. Recorded with recoveries, decides nothing.
    pub proposer: NodeId,
    /// Repeating an id repeats the first answer and changes nothing.
    pub request: Option<RequestId>,
    /// What to do.
    pub command: Command,
}

/// Everything that can change the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Makes a compiled protocol known.
    RegisterProtocol {
        /// The compiled protocol.
        image: Image,
    },
    /// Starts a session of a registered protocol.
    StartSession {
        /// Chosen by the client.
        session: SessionId,
        /// Which protocol.
        protocol: ProtocolId,
        /// How to run it.
        spec: SessionSpec,
        /// The recovery table for the spec's modes and retention.
        table: RecoveryTable,
    },
    /// Stops a session for good.
    CancelSession {
        /// Which.
        session: SessionId,
    },
    /// An agent is there and holds a lease. A new instance of a known agent ends the old one: its roles failed.
    RegisterAgent {
        /// Its name.
        agent: AgentId,
        /// Its run.
        instance: AgentInstance,
        /// Where other agents reach it, `host:port`.
        address: String,
    },
    /// The lease of an agent ran out, or it did not answer in time: it is gone and its roles failed.
    ExpireAgent {
        /// Which.
        agent: AgentId,
        /// Which run of it.
        instance: AgentInstance,
    },
    /// A role failed, as seen by its local supervisor.
    ReportFailure {
        /// Where.
        session: SessionId,
        /// Who.
        role: RoleId,
        /// Which process.
        incarnation: Incarnation,
        /// How much was lost.
        kind: FailureKind,
        /// What was seen.
        cause: FailureCause,
        /// Its completed events.
        history: History,
        /// How long ago the failure was seen, in milliseconds, when this was sent.
        age_ms: u64,
    },
    /// A frozen role answers where it stands.
    ReportPosition {
        /// Where.
        session: SessionId,
        /// Who.
        role: RoleId,
        /// Which process.
        incarnation: Incarnation,
        /// Which recovery asked.
        recovery: RecoveryNumber,
        /// Its completed events.
        history: History,
    },
    /// A role is where the recovery line wants it, floors of its senders known to its supervisor.
    AcknowledgeRestore {
        /// Where.
        session: SessionId,
        /// Who.
        role: RoleId,
        /// Which process, as ordered.
        incarnation: Incarnation,
        /// Which recovery.
        recovery: RecoveryNumber,
    },
    /// A worker exited with 0 in a final state.
    FinishRole {
        /// Where.
        session: SessionId,
        /// Who.
        role: RoleId,
        /// Which process.
        incarnation: Incarnation,
        /// All its events. Every send among them is held by its receiver's supervisor.
        history: History,
    },
    /// A worker's state at a position; every send before it is held by its receiver's supervisor.
    StoreCheckpoint {
        /// Where.
        session: SessionId,
        /// Who.
        role: RoleId,
        /// Which process.
        incarnation: Incarnation,
        /// How many events of the role are known from its last checkpoint or restart, to which `steps` are added.
        after: u64,
        /// The events since.
        steps: Vec<u16>,
        /// The state, at most 64 KiB.
        data: Vec<u8>,
    },
}

/// What a local supervisor saw.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FailureCause {
    /// The process exited with this status in a state that is not final, or with a status other than 0.
    Exited {
        /// Exit status.
        status: i32,
    },
    /// A signal ended the process.
    Signalled {
        /// Signal number.
        signal: i32,
    },
    /// It cannot be started, or not go on: a limit is reached, or what it needs is not there. Final, trying again would not
    /// help.
    CannotRun {
        /// What is missing, in words.
        message: String,
    },
    /// The worker left the protocol and was stopped.
    Violation {
        /// Name of the state it was in.
        state: String,
        /// What the state allows, `peer!label`.
        expected: Vec<String>,
        /// What came.
        got: String,
    },
    /// No protocol step within the stall timeout.
    Stalled {
        /// The timeout, in milliseconds.
        timeout_ms: u64,
    },
    /// Its local supervisor is gone.
    SupervisorLost,
    /// Another recovery found it unfinished: failed or restarted before, and not acknowledged.
    Unfinished,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done; there is nothing to say.
    Done,
    /// The protocol is known under this id.
    Protocol(ProtocolId),
    /// Refused; final.
    Rejected(Rejection),
}

/// Why a command was refused. Committed like any other answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    /// No such session.
    #[error("no session `{0}`")]
    UnknownSession(SessionId),
    /// A session of that id exists, with another content.
    #[error("session `{0}` exists already")]
    SessionExists(SessionId),
    /// No such protocol.
    #[error("no protocol `{0}`")]
    UnknownProtocol(ProtocolId),
    /// No such role in the session's protocol.
    #[error("session `{session}` has no role number {role}")]
    UnknownRole {
        /// The session.
        session: SessionId,
        /// The role.
        role: u16,
    },
    /// The agent is not registered, or under another instance: its lease is over.
    #[error("agent `{0}` holds no lease")]
    UnknownAgent(AgentId),
    /// From a process that has been replaced.
    #[error("incarnation {named} of the role is over, {current} is current")]
    StaleIncarnation {
        /// The current one.
        current: Incarnation,
        /// The one named.
        named: Incarnation,
    },
    /// About a recovery that is not the open one.
    #[error("recovery {named} is not open")]
    StaleRecovery {
        /// The one named.
        named: RecoveryNumber,
    },
    /// The session has ended.
    #[error("session `{0}` has ended")]
    SessionEnded(SessionId),
    /// Not well-formed.
    #[error("invalid: {0}")]
    Invalid(String),
    /// A limit is reached.
    #[error("limit reached: {what} is limited to {limit}")]
    Limit {
        /// Of what.
        what: String,
        /// How many.
        limit: u64,
    },
}

impl FailureCause {
    /// The same with texts cut to [`limits::MESSAGE_BYTES`].
    pub(crate) fn bounded(&self) -> Self {
        match self {
            FailureCause::CannotRun { message } => FailureCause::CannotRun { message: cut(message) },
            FailureCause::Violation { state, expected, got } => FailureCause::Violation {
                state: cut(state),
                expected: expected.iter().take(limits::EXPECTED).map(|event| cut(event)).collect(),
                got: cut(got),
            },
            other => other.clone(),
        }
    }
}

fn cut(text: &str) -> String {
    let end = (0..=limits::MESSAGE_BYTES.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text[..end.unwrap_or(0)].to_owned()
}

/// Reads after the name of a role: "role `B` exited with status 1".
impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailureCause::Exited { status } => write!(f, "exited with status {status}"),
            FailureCause::Signalled { signal } => write!(f, "was ended by signal {signal}"),
            FailureCause::CannotRun { message } => write!(f, "cannot run: {message}"),
            FailureCause::Violation { state, expected, got } => {
                let expected = if expected.is_empty() { "nothing".to_owned() } else { expected.join(" or ") };
                write!(f, "left the protocol in state `{state}`: expected {expected}, got {got}")
            }
            FailureCause::Stalled { timeout_ms } => write!(f, "made no step within {timeout_ms} ms"),
            FailureCause::SupervisorLost => f.write_str("lost its local supervisor"),
            FailureCause::Unfinished => f.write_str("had not come back from the recovery before"),
        }
    }
}
