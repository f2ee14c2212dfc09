//! Consensus: the only place that knows which library does it.
//!
//! * [`consensus`]: the handle that the rest of the node holds: propose, confirm, watch who leads.
//! * [`log_store`], [`state_store`], [`snapshots`]: openraft's storage on the [`Disk`](crate::storage::Disk).
//! * [`network`], [`service`]: openraft's network on gRPC, the two ends of it.
//! * [`reach`]: which nodes answer, and when one that does not is tried again;
//! * [`settings`]: every option of openraft, with its reason;
//! * [`threads`], [`heartbeat`]: where it runs, and how often it is heard from.
//! * [`types`], [`runtime`]: openraft's parameters.

pub(crate) mod consensus;
mod heartbeat;
mod log_store;
mod network;
mod reach;
pub(crate) mod runtime;
mod service;
mod settings;
mod snapshots;
mod state_store;
pub(crate) mod threads;
mod types;

#[cfg(test)]
mod formats;
#[cfg(test)]
mod suite;

use rekindle_proto::payload::Format;
use tonic::metadata::errors::InvalidMetadataValue;
use tonic::metadata::{Ascii, MetadataValue};

/// Of requests and answers between nodes.
const MESSAGE: Format = Format::wire("message of a node", 1);
/// Of what comes before the first chunk of a snapshot: the sender's vote, and what the snapshot holds.
const SNAPSHOT_HEADER: Format = Format::wire("snapshot's header", 1);
/// Metadata of every call between nodes: for whom it is.
const ADDRESSEE: &str = "rekindle-node";
/// Of one message between nodes: an append with its entries, or a chunk of a snapshot.
const MESSAGE_LIMIT: usize = 32 << 20;

/// Names a node in calls between nodes.
fn addressee(cluster: &str, id: u64) -> Result<MetadataValue<Ascii>, InvalidMetadataValue> {
    MetadataValue::try_from(format!("{cluster}/{id}"))
}
