//! Data folders: whose they are, and what is done about damage.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use rekindle_node::{NodeConfig, NodeId, RunningNode, StartError};
use rekindle_proto::client::Client;

use crate::harness::{PATIENCE, ping, wait_for};

/// Where the log has the node, which nobody calls: it listens on another port at each start.
const ENDPOINT: &str = "127.0.0.1:1";

/// A cluster of one.
async fn start(folder: &Path, cluster: &str, id: u64) -> Result<RunningNode, StartError> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let peers = BTreeMap::from([(NodeId(id), ENDPOINT.to_owned())]);
    rekindle_node::start(NodeConfig::new(NodeId(id), cluster, folder, peers), listener).await
}

async fn register(node: &RunningNode, name: &str) {
    let client = Client::connect([node.local_addr().to_string()]).expect("an endpoint").with_timeout(PATIENCE);
    client.register_protocol(ping(name)).await.expect("registered");
}

async fn names(node: &RunningNode) -> Vec<String> {
    let client = Client::connect([node.local_addr().to_string()]).expect("an endpoint").with_timeout(PATIENCE);
    let protocols = client.list_protocols(false).await.expect("a list");
    protocols.into_iter().map(|protocol| protocol.name).collect()
}

/// A node on its own that has stored something and was shut down.
async fn used_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path(), "one", 1).await.expect("started");
    for name in ["First", "Second", "Third"] {
        register(&node, name).await;
    }
    node.shutdown().await;
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_goes_on_where_it_was() {
    let folder = used_folder().await;
    let node = start(folder.path(), "one", 1).await.expect("started again");
    assert_eq!(names(&node).await, ["First", "Second", "Third"]);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_of_another_node_is_refused() {
    let folder = used_folder().await;
    for (cluster, id) in [("one", 2), ("two", 1)] {
        let error = start(folder.path(), cluster, id).await.expect_err("it belongs to node 1 of `one`");
        let text = error.to_string();
        assert!(matches!(error, StartError::Foreign { .. }), "{text}");
        assert!(text.contains("belongs to node 1 of cluster `one`"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path(), "one", 1).await.expect("started");
    let error = start(folder.path(), "one", 1).await.expect_err("it runs");
    assert!(matches!(error, StartError::Locked { .. }), "{error}");
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_is_not_begun_anew() {
    let folder = used_folder().await;
    fs::remove_dir_all(folder.path().join("db")).expect("removed");
    let error = start(folder.path(), "one", 1).await.expect_err("the database is gone");
    assert!(matches!(error, StartError::Corrupt { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_identity_is_not_taken_over() {
    let folder = used_folder().await;
    fs::remove_file(folder.path().join("IDENTITY")).expect("removed");
    let error = start(folder.path(), "one", 1).await.expect_err("whose it is is not known");
    assert!(matches!(error, StartError::Corrupt { .. }), "{error}");
}

/// The write-ahead log with the last entries.
fn log_file(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder.join("db")).expect("a database").map(|file| file.expect("a file").path());
    let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    let newest = logs.max_by_key(|path| fs::metadata(path).expect("its size").len());
    newest.expect("a write-ahead log")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_what_a_crash_leaves() {
    let folder = used_folder().await;
    let path = log_file(folder.path());
    let mut bytes = fs::read(&path).expect("the log");
    // As if the machine had died in the middle of a write that nobody was told of.
    let half = bytes[..64].to_vec();
    bytes.extend_from_slice(&half[..17]);
    fs::write(&path, bytes).expect("written");
    let node = start(folder.path(), "one", 1).await.expect("a torn tail is accepted");
    assert_eq!(names(&node).await, ["First", "Second", "Third"]);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_refused() {
    let folder = used_folder().await;
    let path = log_file(folder.path());
    let mut bytes = fs::read(&path).expect("the log");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("written");
    let error = start(folder.path(), "one", 1).await.expect_err("acknowledged entries are damaged");
    assert!(matches!(error, StartError::Corrupt { .. }), "{error}");
    // Refusing must not have changed anything: the error stays.
    let again = start(folder.path(), "one", 1).await.expect_err("still damaged");
    assert!(matches!(again, StartError::Corrupt { .. }), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_before_what_was_synced_is_refused() {
    for keep in [0, 2] {
        let folder = used_folder().await;
        let path = log_file(folder.path());
        let bytes = fs::read(&path).expect("the log");
        fs::write(&path, &bytes[..bytes.len() * keep / 4]).expect("written");
        for _ in 0..2 {
            let error = start(folder.path(), "one", 1).await.expect_err("acknowledged entries are missing");
            assert!(matches!(error, StartError::Corrupt { .. }), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_frees_folder_and_port() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path(), "one", 1).await.expect("started");
    let address = node.local_addr();
    register(&node, "Only").await;
    node.shutdown().await;
    wait_for("the port to be free", || TcpListener::bind(address).ok());
    let node = start(folder.path(), "one", 1).await.expect("the folder is free at once");
    node.shutdown().await;
}
