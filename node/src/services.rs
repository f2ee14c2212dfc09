//! What a node offers over gRPC, besides the service between nodes.

pub(crate) mod agents;
pub(crate) mod cluster;
pub(crate) mod identity;
mod status;
mod watch;

/// Of one message, either way. A compiled protocol, an order with its checkpoint, or the sources of a protocol fit.
pub(crate) const MESSAGE_LIMIT: usize = 16 << 20;
