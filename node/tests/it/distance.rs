//! Nodes that are far apart: what is sent to one of them arrives a while later.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use rekindle_node::{NodeConfig, NodeId, RunningNode, Timings};
use rekindle_proto::client::Client;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::harness::{PATIENCE, ping, session};

/// Every byte takes this long, one way.
const WAY: Duration = Duration::from_millis(100);

/// An address at which `target` is reached after a while.
fn far_from(target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    listener.set_nonblocking(true).expect("nonblocking");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(target).await else { continue };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_in, far_out));
            tokio::spawn(carry(far_in, near_out));
        }
    });
    address
}

/// Carries bytes, each of them late, until one end closes.
async fn carry(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf) {
    let (delay, mut delayed) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if delay.send((Instant::now() + WAY, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = delayed.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}

async fn start(timings: Timings) -> (Vec<(RunningNode, TempDir)>, Client) {
    let listeners: Vec<TcpListener> = (1..=3).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let far = |listener: &TcpListener| far_from(listener.local_addr().expect("its address")).to_string();
    let peers: BTreeMap<NodeId, String> = (1..).map(NodeId).zip(listeners.iter().map(far)).collect();
    let client = Client::connect(peers.values()).expect("good endpoints").with_timeout(PATIENCE);
    let mut nodes = Vec::new();
    for (id, listener) in (1..).map(NodeId).zip(listeners) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = NodeConfig { timings, ..NodeConfig::new(id, "far", folder.path(), peers.clone()) };
        nodes.push((rekindle_node::start(config, listener).await.expect("started"), folder));
    }
    (nodes, client)
}

/// A round trip is longer than a heartbeat, as 50 ms are than the default; all times are longer here, so that a busy
/// machine elects no other leader.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_trip_may_be_longer_than_a_heartbeat() {
    let timings = Timings {
        heartbeat: Duration::from_millis(150),
        election_min: Duration::from_secs(1),
        election_max: Duration::from_secs(2),
        ..Timings::default()
    };
    let (nodes, client) = start(timings).await;
    let protocol = client.register_protocol(ping("Far")).await.expect("registered");
    client.start_session(session("s", &protocol)).await.expect("started");
    // A read is confirmed by heartbeats, which carry nothing else.
    assert_eq!(client.list_sessions(false).await.expect("a list").len(), 1);
    for (node, _folder) in nodes {
        node.shutdown().await;
    }
}
