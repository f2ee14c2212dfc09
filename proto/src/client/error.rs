//! What a client can be told.

use rekindle_statemachine::ids::RequestId;

/// Why a call gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The cluster answered, and the answer is no. Final.
    #[error("{message}")]
    Refused {
        /// gRPC code.
        code: tonic::Code,
        /// Code of the refusal, in capitals.
        reason: String,
        /// For people; may have several lines.
        message: String,
    },
    /// Nothing was changed: no node that leads could be reached in time.
    #[error(
        "no leader reachable within {within_ms} ms ({last}): check that a majority of the nodes runs, and the endpoints"
    )]
    NoLeader {
        /// How long was tried.
        within_ms: u64,
        /// The last thing that went wrong, per endpoint.
        last: String,
    },
    /// The request was sent and its answer lost; it may have been carried out.
    #[error("the outcome of request {request} is not known ({last}): ask again with the same request id, or look")]
    OutcomeUnknown {
        /// Under which id it may be asked again.
        request: RequestId,
        /// The last thing that went wrong.
        last: String,
    },
    /// Not an address.
    #[error("`{endpoint}` is no endpoint: write host:port")]
    BadEndpoint {
        /// What was given.
        endpoint: String,
    },
    /// No endpoint at all.
    #[error("no endpoint given: name at least one node as host:port")]
    NoEndpoint,
}
