//! The wire: generated messages and services, conversions between wire and domain, errors and statuses, the client.
//!
//! * [`v1`]: what is generated from `proto/rekindle/v1`.
//! * [`convert`]: requests to commands, state to views.
//! * [`payload`]: the state machine's own values inside `bytes` fields.
//! * [`printable`]: what others named or said, fit to be shown.
//! * [`secret`]: by which nodes and local supervisors know each other.
//! * [`server`]: what servers are bounded by.
//! * [`status`]: refusals as gRPC statuses, and back.
//! * [`client`]: finds the leader, retries, watches.
//! * [`backoff`]: how long to wait before trying again, here and in every crate above.

pub mod backoff;
pub mod client;
pub mod convert;
pub mod payload;
pub mod printable;
pub mod secret;
pub mod server;
pub mod status;

/// Messages and services of `proto/rekindle/v1`.
#[allow(missing_docs, unreachable_pub, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("rekindle.v1");
}
