//! A network between nodes that can be cut, link by link.
//!
//! What runs over a link when it is cut is never heard of again, in either direction, as on a cable that is pulled: no
//! error, no end of the stream. Connections over the link can be made once it is whole again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use rekindle_node::{Connector, NodeId, Seams};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

/// Two nodes, the smaller id first.
type Pair = (u64, u64);

/// The links between the nodes of a cluster. Clones are the same network.
#[derive(Clone, Default)]
pub(crate) struct Cuts(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Who listens where.
    addresses: BTreeMap<String, u64>,
    cut: BTreeSet<Pair>,
    /// What runs over each link.
    streams: BTreeMap<Pair, Vec<CancellationToken>>,
    /// How often a node tried to connect to another one over a link that is cut.
    vain: BTreeMap<(u64, u64), u64>,
}

impl Cuts {
    /// The world of one node.
    pub(crate) fn seams(&self, id: u64, peers: &BTreeMap<NodeId, String>) -> Seams {
        self.state().addresses = peers.iter().map(|(id, endpoint)| (endpoint.clone(), id.0)).collect();
        Seams { connector: Arc::new(Way { from: id, cuts: self.clone() }), ..Seams::default() }
    }

    /// Cuts every link but these.
    pub(crate) fn leave(&self, links: &[Pair]) {
        let mut state = self.state();
        let ids: Vec<u64> = state.addresses.values().copied().collect();
        let all = ids.iter().flat_map(|one| ids.iter().map(|other| (*one, *other))).filter(|(one, other)| one < other);
        let kept: BTreeSet<Pair> = links.iter().map(|(one, other)| pair(*one, *other)).collect();
        state.cut = all.filter(|link| !kept.contains(link)).collect();
        let broken: Vec<CancellationToken> =
            state.cut.clone().iter().flat_map(|link| state.streams.remove(link).unwrap_or_default()).collect();
        broken.iter().for_each(CancellationToken::cancel);
    }

    /// How often a node has tried in vain to reach another one.
    pub(crate) fn vain_tries(&self, from: u64, to: u64) -> u64 {
        self.state().vain.get(&(from, to)).copied().unwrap_or(0)
    }

    /// A connection from one node to another, or none if their link is cut.
    fn open(&self, from: u64, endpoint: &str) -> Option<CancellationToken> {
        let mut state = self.state();
        let token = CancellationToken::new();
        let to = *state.addresses.get(endpoint).expect("an endpoint of the cluster");
        if state.cut.contains(&pair(from, to)) {
            *state.vain.entry((from, to)).or_default() += 1;
            return None;
        }
        state.streams.entry(pair(from, to)).or_default().push(token.clone());
        Some(token)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic")
    }
}

fn pair(one: u64, other: u64) -> Pair {
    (one.min(other), one.max(other))
}

/// How one node reaches the others.
#[derive(Clone)]
struct Way {
    from: u64,
    cuts: Cuts,
}

impl Connector for Way {
    fn connect(&self, endpoint: Endpoint) -> Channel {
        endpoint.connect_with_connector_lazy(self.clone())
    }
}

impl Service<Uri> for Way {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Way { from, cuts } = self.clone();
        Box::pin(async move {
            let endpoint = uri.authority().map(ToString::to_string).unwrap_or_default();
            let Some(token) = cuts.open(from, &endpoint) else { return pending().await };
            let tcp = TcpStream::connect(&endpoint).await?;
            tcp.set_nodelay(true)?;
            Ok(TokioIo::new(Stream { tcp, cut: token }))
        })
    }
}

/// A connection that goes silent when its link is cut.
struct Stream {
    tcp: TcpStream,
    cut: CancellationToken,
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.cut.is_cancelled() { Poll::Pending } else { Pin::new(&mut self.tcp).poll_read(cx, buf) }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.cut.is_cancelled() { Poll::Pending } else { Pin::new(&mut self.tcp).poll_write(cx, buf) }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cut.is_cancelled() { Poll::Pending } else { Pin::new(&mut self.tcp).poll_flush(cx) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cut.is_cancelled() { Poll::Pending } else { Pin::new(&mut self.tcp).poll_shutdown(cx) }
    }
}
