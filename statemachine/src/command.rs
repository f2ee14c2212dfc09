//! What the log holds: entries, commands, and what they are answered with.

use std::fmt;

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Image, RoleId};
use rekindle_protocol::recovery::policy::FailureKind;
use rekindle_protocol::recovery::table::RecoveryTable;
use serde::{Deserialize, Serialize};

use crate::ids::{
    AgentId, AgentInstance, EntryTime, Generation, Incarnation, NodeId, ProtocolId, RecoveryNumber, RequestId,
    SessionId,
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
        /// `None`: the index of this entry, which nobody knows who proposes it. Logs of version 0.1 say
        /// [`Generation::BEFORE`].
        generation: Option<Generation>,
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
        /// Which session of that name.
        generation: Generation,
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
        /// Which session of that name.
        generation: Generation,
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
        /// Which session of that name.
        generation: Generation,
        /// Who.
        role: RoleId,
        /// Which process, as ordered.
        incarnation: Incarnation,
        /// Which recovery.
        recovery: RecoveryNumber,
        /// Which order was carried out. Only the last one counts: an earlier one knew less. `None` only in logs of version
        /// 0.1, which counted them all.
        revision: Option<u64>,
    },
    /// A worker exited with 0 in a final state.
    FinishRole {
        /// Where.
        session: SessionId,
        /// Which session of that name.
        generation: Generation,
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
        /// Which session of that name.
        generation: Generation,
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
    /// Forgets a session that has ended, and frees its name.
    DeleteSession {
        /// Which.
        session: SessionId,
    },
    /// Forgets a protocol that no session uses.
    DeleteProtocol {
        /// Which.
        protocol: ProtocolId,
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

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Outcome {
    /// Every role is done.
    Completed,
    /// It cannot go on.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Completed => "has completed",
            Outcome::Failed => "has failed",
            Outcome::Cancelled => "was cancelled",
        })
    }
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
    /// There is nothing to start: the session runs already, as asked for.
    AlreadyRunning,
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
    /// A session of that name has ended and is remembered.
    #[error(
        "session `{session}` {outcome}{}, and its name is taken while it is remembered: delete it, or take another name",
        .reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default()
    )]
    NameTaken {
        /// The name.
        session: SessionId,
        /// How the session ended.
        outcome: Outcome,
        /// Why, if it did not complete.
        reason: Option<String>,
    },
    /// About another session of the same name.
    #[error("session `{session}` of generation {named} is over, the one of that name has generation {current}")]
    StaleGeneration {
        /// The name.
        session: SessionId,
        /// The generation of the session that has the name.
        current: Generation,
        /// The one named.
        named: Generation,
    },
    /// About an order that another one has replaced.
    #[error("order {named} is not the last one, {current} is")]
    StaleOrder {
        /// The last one.
        current: u64,
        /// The one named.
        named: u64,
    },
    /// From a process that is being replaced: what it has to say does not count any more.
    #[error("role `{role}` is being restarted")]
    BeingReplaced {
        /// Its role, by name.
        role: String,
    },
    /// Only a session that has ended can be deleted.
    #[error("session `{0}` has not ended: cancel it first")]
    SessionLives(SessionId),
    /// Only a protocol that no session uses can be deleted.
    #[error("protocol `{protocol}` is used by session `{session}`: delete that first")]
    ProtocolInUse {
        /// The protocol.
        protocol: ProtocolId,
        /// A session that uses it; there may be others.
        session: SessionId,
    },
}

impl Rejection {
    /// Something is not well-formed.
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Rejection::Invalid(reason.into())
    }

    /// A limit is reached.
    pub(crate) fn limit(what: &str, limit: usize) -> Self {
        Rejection::Limit { what: what.to_owned(), limit: limit as u64 }
    }

    /// Whether it only says that the world went on while a report was under way.
    pub fn is_stale(&self) -> bool {
        match self {
            Rejection::UnknownSession(_)
            | Rejection::UnknownAgent(_)
            | Rejection::StaleIncarnation { .. }
            | Rejection::StaleRecovery { .. }
            | Rejection::StaleGeneration { .. }
            | Rejection::StaleOrder { .. }
            | Rejection::BeingReplaced { .. }
            | Rejection::SessionEnded(_) => true,
            Rejection::SessionExists(_)
            | Rejection::UnknownProtocol(_)
            | Rejection::UnknownRole { .. }
            | Rejection::Invalid(_)
            | Rejection::Limit { .. }
            | Rejection::NameTaken { .. }
            | Rejection::SessionLives(_)
            | Rejection::ProtocolInUse { .. } => false,
        }
    }
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
