//! The wire: generated messages and services, conversions between wire and domain, errors and statuses, the client.

/// Messages and services of `proto/rekindle/v1`.
#[allow(missing_docs, unreachable_pub, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("rekindle.v1");
}
