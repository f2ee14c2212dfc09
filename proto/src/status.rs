//! Refusals: as gRPC statuses with `google.rpc` details, and read back from them.
//!
//! Invariants
//! * every refusal carries `google.rpc.ErrorInfo` of domain [`DOMAIN`]; a status without it comes from the transport;
//! * whatever may succeed later carries `google.rpc.RetryInfo`.

use std::collections::HashMap;
use std::time::Duration;

use rekindle_statemachine::command::Rejection;
use rekindle_statemachine::ids::NodeId;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{printable, v1};

/// Domain of our `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "rekindle";
/// Reason: this node does not lead.
pub const NOT_LEADER: &str = "NOT_LEADER";
/// Reason: the request may or may not have been carried out.
pub const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";
/// Reason: there is no room on the node's disk.
pub const DISK_FULL: &str = "DISK_FULL";
/// Reason: the node has as much to do as it takes on.
pub const OVERLOADED: &str = "OVERLOADED";

/// Characters of what is said of a refused request.
const LONGEST_MESSAGE: usize = 1_000;
const LEADER_ID: &str = "leader_id";
const LEADER_ENDPOINT: &str = "leader_endpoint";
/// About one heartbeat: an election takes a few of them.
const RETRY_NOT_LEADER: Duration = Duration::from_millis(25);
const RETRY_OVERLOADED: Duration = Duration::from_millis(100);

/// Where the leader is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderHint {
    /// Its id.
    pub id: NodeId,
    /// `host:port`.
    pub endpoint: String,
}

/// Why a node did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Committed and refused; final.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Not well-formed, so never proposed; final.
    #[error("{message}")]
    Invalid {
        /// Code, in capitals.
        reason: &'static str,
        /// What is wrong, for people.
        message: String,
    },
    /// Not proposed here.
    #[error("this node does not lead the cluster: {}", hint(.leader.as_ref()))]
    NotLeader {
        /// Where it should go, if known.
        leader: Option<LeaderHint>,
    },
    /// May still be carried out; only the same request id asks safely again.
    #[error("the outcome is not known: {message}; ask again with the same request id")]
    OutcomeUnknown {
        /// What happened.
        message: String,
    },
    /// Not proposed: there is no room on the node's disk.
    #[error("the disk of this node is nearly full: {free} bytes are free, it takes on work again with {needed}")]
    DiskFull {
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be free.
        needed: u64,
    },
    /// Not proposed: a queue is full.
    #[error("this node is busy: {what}")]
    Overloaded {
        /// What is full.
        what: String,
    },
}

fn hint(leader: Option<&LeaderHint>) -> String {
    leader.map_or_else(
        || "no leader is known, an election may be on".to_owned(),
        |leader| format!("node {} leads, at {}", leader.id, leader.endpoint),
    )
}

impl RequestError {
    /// A request that is wrong in itself.
    pub fn invalid(message: impl Into<String>) -> Self {
        RequestError::Invalid { reason: "INVALID", message: message.into() }
    }

    /// The gRPC code.
    pub fn code(&self) -> Code {
        match self {
            RequestError::Rejected(rejection) => rejection_code(rejection).0,
            RequestError::Invalid { .. } => Code::InvalidArgument,
            RequestError::NotLeader { .. } | RequestError::Overloaded { .. } => Code::Unavailable,
            RequestError::OutcomeUnknown { .. } => Code::Aborted,
            RequestError::DiskFull { .. } => Code::ResourceExhausted,
        }
    }

    /// The reason for `google.rpc.ErrorInfo`, in capitals.
    pub fn reason(&self) -> &'static str {
        match self {
            RequestError::Rejected(rejection) => rejection_code(rejection).1,
            RequestError::Invalid { reason, .. } => reason,
            RequestError::NotLeader { .. } => NOT_LEADER,
            RequestError::OutcomeUnknown { .. } => OUTCOME_UNKNOWN,
            RequestError::DiskFull { .. } => DISK_FULL,
            RequestError::Overloaded { .. } => OVERLOADED,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            RequestError::Rejected(_) | RequestError::Invalid { .. } => None,
            RequestError::NotLeader { .. } | RequestError::OutcomeUnknown { .. } => Some(RETRY_NOT_LEADER),
            RequestError::Overloaded { .. } | RequestError::DiskFull { .. } => Some(RETRY_OVERLOADED),
        }
    }

    fn leader(&self) -> Option<&LeaderHint> {
        match self {
            RequestError::NotLeader { leader } => leader.as_ref(),
            _ => None,
        }
    }

    /// What is wrong, fit to be shown: it may repeat names that anybody sent, of any length and with any characters.
    fn message(&self) -> String {
        let longest = match self {
            // Findings of the front end, which bounds them itself.
            RequestError::Invalid { reason: "PROTOCOL", .. } => usize::MAX,
            _ => LONGEST_MESSAGE,
        };
        printable::lines(&self.to_string(), longest)
    }

    /// The same, for one request of a stream.
    pub fn to_refusal(&self) -> v1::Refusal {
        v1::Refusal {
            grpc_code: self.code() as i32,
            reason: self.reason().to_owned(),
            message: self.message(),
            retry_after_ms: self.retry_after().map_or(0, |after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            leader_endpoint: self.leader().map(|leader| leader.endpoint.clone()).unwrap_or_default(),
        }
    }
}

impl From<RequestError> for Status {
    fn from(error: RequestError) -> Self {
        let mut metadata = HashMap::new();
        if let Some(leader) = error.leader() {
            metadata.insert(LEADER_ID.to_owned(), leader.id.to_string());
            metadata.insert(LEADER_ENDPOINT.to_owned(), leader.endpoint.clone());
        }
        let mut details = ErrorDetails::with_error_info(error.reason(), DOMAIN, metadata);
        if let Some(after) = error.retry_after() {
            details.set_retry_info(Some(after));
        }
        Status::with_error_details(error.code(), error.message(), details)
    }
}

/// The gRPC code and the reason of a committed refusal.
pub fn rejection_code(rejection: &Rejection) -> (Code, &'static str) {
    match rejection {
        Rejection::UnknownSession(_) => (Code::NotFound, "UNKNOWN_SESSION"),
        Rejection::SessionExists(_) => (Code::AlreadyExists, "SESSION_EXISTS"),
        Rejection::UnknownProtocol(_) => (Code::NotFound, "UNKNOWN_PROTOCOL"),
        Rejection::UnknownRole { .. } => (Code::NotFound, "UNKNOWN_ROLE"),
        Rejection::UnknownAgent(_) => (Code::NotFound, "UNKNOWN_AGENT"),
        Rejection::StaleIncarnation { .. } => (Code::FailedPrecondition, "STALE_INCARNATION"),
        Rejection::StaleRecovery { .. } => (Code::FailedPrecondition, "STALE_RECOVERY"),
        Rejection::SessionEnded(_) => (Code::FailedPrecondition, "SESSION_ENDED"),
        Rejection::Invalid(_) => (Code::InvalidArgument, "INVALID"),
        Rejection::Limit { .. } => (Code::ResourceExhausted, "LIMIT"),
        Rejection::NameTaken { .. } => (Code::AlreadyExists, NAME_TAKEN),
        Rejection::StaleGeneration { .. } => (Code::FailedPrecondition, "STALE_GENERATION"),
        Rejection::StaleOrder { .. } => (Code::FailedPrecondition, "STALE_ORDER"),
        Rejection::BeingReplaced { .. } => (Code::FailedPrecondition, "BEING_REPLACED"),
        Rejection::SessionLives(_) => (Code::FailedPrecondition, "SESSION_LIVES"),
        Rejection::ProtocolInUse { .. } => (Code::FailedPrecondition, "PROTOCOL_IN_USE"),
    }
}

/// The reason of a refusal to start a session whose name another one had that has ended.
pub const NAME_TAKEN: &str = "NAME_TAKEN";
/// The reason of a refusal that no node of ours wrote.
pub const FOREIGN_REFUSAL: &str = "TRANSPORT";

/// What a failed call means to whoever made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Final: asking again does not help.
    Refused {
        /// gRPC code.
        code: Code,
        /// Code of the refusal, in capitals.
        reason: String,
        /// For people.
        message: String,
    },
    /// Nothing was done; ask the leader.
    NotLeader {
        /// `host:port`, if known.
        endpoint: Option<String>,
        /// Not before then.
        retry_after: Duration,
    },
    /// Nothing was done; ask later.
    Overloaded {
        /// Not before then.
        retry_after: Duration,
    },
    /// It may have been done, or may yet be: the answer or the connection was lost.
    Unknown {
        /// Not before then.
        retry_after: Duration,
    },
}

/// Reads a status.
pub fn verdict(status: &Status) -> Verdict {
    let details = status.get_error_details();
    let retry_after = details.retry_info().and_then(|info| info.retry_delay).unwrap_or_default();
    let Some(info) = details.error_info().filter(|info| info.domain == DOMAIN) else {
        return foreign(status, retry_after);
    };
    match info.reason.as_str() {
        NOT_LEADER => {
            let endpoint = info.metadata.get(LEADER_ENDPOINT).filter(|endpoint| !endpoint.is_empty()).cloned();
            Verdict::NotLeader { endpoint, retry_after }
        }
        OVERLOADED | DISK_FULL => Verdict::Overloaded { retry_after },
        OUTCOME_UNKNOWN => Verdict::Unknown { retry_after },
        reason => {
            Verdict::Refused { code: status.code(), reason: reason.to_owned(), message: status.message().to_owned() }
        }
    }
}

/// A status that no node of ours wrote: the transport's, or a gRPC library's.
fn foreign(status: &Status, retry_after: Duration) -> Verdict {
    match status.code() {
        Code::Unimplemented
        | Code::Unauthenticated
        | Code::PermissionDenied
        | Code::InvalidArgument
        | Code::OutOfRange => Verdict::Refused {
            code: status.code(),
            reason: FOREIGN_REFUSAL.to_owned(),
            message: status.message().to_owned(),
        },
        _ => Verdict::Unknown { retry_after },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rekindle_statemachine::ids::SessionId;

    #[test]
    fn a_refusal_comes_back_as_itself() {
        let status = Status::from(RequestError::from(Rejection::UnknownSession(SessionId("s1".into()))));
        assert_eq!(
            verdict(&status),
            Verdict::Refused {
                code: Code::NotFound,
                reason: "UNKNOWN_SESSION".into(),
                message: "no session `s1`".into(),
            }
        );
    }

    #[test]
    fn the_leader_is_named() {
        let leader = Some(LeaderHint { id: NodeId(2), endpoint: "10.0.0.2:7001".into() });
        let error = RequestError::NotLeader { leader };
        assert_eq!(error.to_refusal().leader_endpoint, "10.0.0.2:7001");
        assert_eq!(
            verdict(&Status::from(error)),
            Verdict::NotLeader { endpoint: Some("10.0.0.2:7001".into()), retry_after: RETRY_NOT_LEADER }
        );
        let nobody = Status::from(RequestError::NotLeader { leader: None });
        assert_eq!(verdict(&nobody), Verdict::NotLeader { endpoint: None, retry_after: RETRY_NOT_LEADER });
    }

    #[test]
    fn a_lost_connection_leaves_the_outcome_open() {
        let lost = Verdict::Unknown { retry_after: Duration::ZERO };
        assert_eq!(verdict(&Status::unavailable("broken pipe")), lost);
        assert_eq!(verdict(&Status::cancelled("Timeout expired")), lost);
        assert!(matches!(verdict(&Status::unimplemented("no such method")), Verdict::Refused { .. }));
    }
}
