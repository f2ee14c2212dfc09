//! Consensus: the only place that knows which library does it.
//!
//! * [`consensus`]: the handle that the rest of the node holds: propose, confirm, watch who leads.
//! * [`log_store`], [`state_store`], [`snapshots`]: openraft's storage on the [`Disk`](crate::storage::Disk).
//! * [`network`], [`service`]: openraft's network on gRPC, the two ends of it.
//! * [`reach`]: which nodes answer, and when one that does not is tried again;
//! * [`settings`]: every option of openraft, with its reason;
//! * [`threads`], [`heartbeat`]: where it runs, and how often it is heard from.
//! * [`admission`], [`reception`]: what of another node's messages is believed, and how a snapshot of it is received.
//! * [`types`], [`runtime`]: openraft's parameters.

mod admission;
pub(crate) mod consensus;
mod heartbeat;
mod log_store;
mod network;
mod reach;
mod reception;
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
const SNAPSHOT_HEADER: Format = Format::wire("snapshot's header", 2);
/// What the consensus' library writes is left out of the log below this level: it warns of each call that fails. What
/// there is to say of a node that does not answer, this crate itself says, once. A directive of a log filter.
pub const LIBRARY_LOG: &str = "openraft=error";
/// Metadata of every call between nodes: for whom it is.
const ADDRESSEE: &str = "rekindle-node";
/// Of one message between nodes: an append with its entries, or a chunk of a snapshot.
const MESSAGE_LIMIT: usize = 32 << 20;

/// Of one entry in its encoding. What the state machine allows in one command is well below.
const ENTRY_LIMIT: usize = 8 << 20;
/// No election leads to a later term, and none could follow the last that a number holds.
const TERM_LIMIT: u64 = 1 << 62;
/// No log gets that long.
const INDEX_LIMIT: u64 = 1 << 62;

/// Names a node in calls between nodes.
fn addressee(cluster: &str, id: u64) -> Result<MetadataValue<Ascii>, InvalidMetadataValue> {
    MetadataValue::try_from(format!("{cluster}/{id}"))
}
