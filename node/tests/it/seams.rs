//! A node in a world of the caller's: another disk, another clock, writes inline.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rekindle_node::clock::Clock;
use rekindle_node::{Disk, FreeSpace, NodeConfig, NodeId, RunningNode, Seams, Table, WriterMode};
use rekindle_proto::client::Client;
use rekindle_statemachine::ids::EntryTime;
use tonic::transport::server::TcpIncoming;

use crate::disks::Memory;
use crate::harness::{PATIENCE, ping, session};

/// Stands still.
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> EntryTime {
        EntryTime(1_000)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

async fn start(disk: &Arc<Memory>) -> (RunningNode, Client) {
    start_on(disk, None).await
}

/// A node on its own, on a disk with as much room as is said.
pub(crate) async fn start_in(room: Arc<dyn FreeSpace>) -> (RunningNode, Client) {
    start_on(&Arc::default(), Some(room)).await
}

async fn start_on(disk: &Arc<Memory>, room: Option<Arc<dyn FreeSpace>>) -> (RunningNode, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    listener.set_nonblocking(true).expect("nonblocking");
    let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).expect("a listener"));
    // It listens on another port at each start; nobody calls it by this name.
    let peers = BTreeMap::from([(NodeId(1), "127.0.0.1:1".to_owned())]);
    let config = NodeConfig::new(NodeId(1), "seams", PathBuf::from("/nonexistent"), peers);
    let seams = Seams {
        clock: Arc::new(Stopped),
        disk: Some(Arc::clone(disk) as Arc<dyn Disk>),
        room,
        writer: WriterMode::Inline,
        ..Seams::default()
    };
    let node = rekindle_node::start_with(config, seams, address, incoming).await.expect("started");
    let client = Client::connect([address.to_string()]).expect("an endpoint").with_timeout(PATIENCE);
    (node, client)
}

#[tokio::test]
async fn a_node_runs_on_another_disk_and_clock() {
    let disk = Arc::new(Memory::default());
    let (node, client) = start(&disk).await;
    let protocol = client.register_protocol(ping("Seams")).await.expect("registered");
    client.start_session(session("s", &protocol)).await.expect("started");
    let view = client.get_session("s", false).await.expect("a session");
    assert_eq!(view.summary.expect("a summary").started_at_ms, 1_000);
    node.shutdown().await;
    let (node, client) = start(&disk).await;
    assert_eq!(client.list_sessions(false).await.expect("a list").len(), 1, "the disk is all that it needs");
    node.shutdown().await;
}

#[tokio::test]
async fn a_folder_of_a_release_without_identities_goes_on() {
    let disk = Arc::new(Memory::default());
    let (node, client) = start(&disk).await;
    client.register_protocol(ping("Old")).await.expect("registered");
    node.shutdown().await;
    assert!(disk.forget(Table::Meta, b"identity"));
    let (node, client) = start(&disk).await;
    client.register_protocol(ping("New")).await.expect("registered");
    assert_eq!(client.list_protocols(false).await.expect("a list").len(), 2);
    node.shutdown().await;
}
