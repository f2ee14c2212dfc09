//! A node in a world of the caller's: another disk, another clock, writes inline.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rekindle_node::clock::Clock;
use rekindle_node::{
    Disk, Durability, FreeSpace, NodeConfig, NodeId, Op, RunningNode, Seams, Table, Visit, WriterMode,
};
use rekindle_proto::client::Client;
use rekindle_statemachine::ids::EntryTime;
use tonic::transport::server::TcpIncoming;

use crate::harness::{PATIENCE, ping, session};

type Pairs = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Forgets nothing, for as long as the test runs.
#[derive(Default)]
struct Memory(Mutex<Pairs>);

impl Disk for Memory {
    fn write(&self, ops: &[Op], _durability: Durability) -> io::Result<()> {
        let mut pairs = self.0.lock().expect("no panic");
        for op in ops {
            match op {
                Op::Put { table, key, value } => {
                    pairs.insert((*table, key.to_vec()), value.to_vec());
                }
                Op::DeleteRange { table, from, to } => {
                    pairs.retain(|(place, key), _| place != table || key < &from.to_vec() || key >= &to.to_vec());
                }
            }
        }
        Ok(())
    }

    fn get(&self, table: Table, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().expect("no panic").get(&(table, key.to_vec())).cloned())
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()> {
        let pairs = self.0.lock().expect("no panic");
        let range = (Bound::Included((table, from.to_vec())), Bound::Excluded((table, to.to_vec())));
        for ((_, key), value) in pairs.range(range) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, table: Table) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let pairs = self.0.lock().expect("no panic");
        Ok(pairs.iter().rfind(|((place, _), _)| *place == table).map(|((_, key), value)| (key.clone(), value.clone())))
    }
}

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
    assert!(disk.0.lock().expect("no panic").remove(&(Table::Meta, b"identity".to_vec())).is_some());
    let (node, client) = start(&disk).await;
    client.register_protocol(ping("New")).await.expect("registered");
    assert_eq!(client.list_protocols(false).await.expect("a list").len(), 2);
    node.shutdown().await;
}
