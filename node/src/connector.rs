//! How a node reaches another one.

use tonic::transport::{Channel, Endpoint};

/// Opens channels to nodes.
pub trait Connector: Send + Sync + 'static {
    /// A channel that connects when it is first used, and again whenever it must.
    fn connect(&self, endpoint: Endpoint) -> Channel;
}

/// TCP.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tcp;

impl Connector for Tcp {
    fn connect(&self, endpoint: Endpoint) -> Channel {
        endpoint.connect_lazy()
    }
}
