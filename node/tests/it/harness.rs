//! Clusters in this process, each node in a runtime of its own, so that killing one is sudden.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use rekindle_node::{Compaction, FailureCause, NodeConfig, NodeId, RunningNode, Seams, StartError, Timings};
use rekindle_proto::client::{Client, find_leader};
use rekindle_proto::v1;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::server::TcpIncoming;

/// Long enough for any machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What a node that starts, by its number and the endpoints of all, runs on.
type World = Box<dyn Fn(u64, &BTreeMap<NodeId, String>) -> Seams>;

/// Nodes 1 to n.
pub(crate) struct Cluster {
    pub(crate) nodes: BTreeMap<u64, Node>,
    config: Box<dyn Fn(NodeConfig) -> NodeConfig>,
    world: World,
    peers: BTreeMap<NodeId, String>,
}

pub(crate) struct Node {
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    /// Bound before the first start.
    listener: Option<TcpListener>,
    running: Option<(RunningNode, Runtime)>,
}

impl Cluster {
    /// Starts `count` nodes with a configuration of the test's choice.
    pub(crate) fn start(count: u64, config: impl Fn(NodeConfig) -> NodeConfig + 'static) -> Self {
        Self::start_in(count, config, |_, _| Seams::default())
    }

    /// Starts `count` nodes in a world of the test's choice, which it is asked for at each start of a node.
    pub(crate) fn start_in(
        count: u64,
        config: impl Fn(NodeConfig) -> NodeConfig + 'static,
        world: impl Fn(u64, &BTreeMap<NodeId, String>) -> Seams + 'static,
    ) -> Self {
        let mut cluster = Self::stopped_in(count, config, world);
        for id in 1..=count {
            cluster.restart(id);
        }
        cluster
    }

    /// A cluster before its first start.
    pub(crate) fn stopped(count: u64, config: impl Fn(NodeConfig) -> NodeConfig + 'static) -> Self {
        Self::stopped_in(count, config, |_, _| Seams::default())
    }

    fn stopped_in(
        count: u64,
        config: impl Fn(NodeConfig) -> NodeConfig + 'static,
        world: impl Fn(u64, &BTreeMap<NodeId, String>) -> Seams + 'static,
    ) -> Self {
        let listeners: BTreeMap<u64, TcpListener> =
            (1..=count).map(|id| (id, TcpListener::bind("127.0.0.1:0").expect("a free port"))).collect();
        let address = |listener: &TcpListener| listener.local_addr().expect("its address");
        let peers = listeners.iter().map(|(id, listener)| (NodeId(*id), address(listener).to_string())).collect();
        let mut cluster = Cluster { nodes: BTreeMap::new(), config: Box::new(config), world: Box::new(world), peers };
        for (id, listener) in listeners {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let node = Node { folder, address: address(&listener), listener: Some(listener), running: None };
            cluster.nodes.insert(id, node);
        }
        cluster
    }

    fn config(&self, id: u64) -> NodeConfig {
        let folder = self.nodes[&id].folder.path();
        let config = NodeConfig::new(NodeId(id), "test", folder, self.peers.clone());
        (self.config)(NodeConfig { timings: calm(), ..config })
    }

    /// In a thread of its own, since a test may be inside of a runtime.
    fn run(&mut self, id: u64, listener: &TcpListener) {
        let config = self.config(id);
        let seams = (self.world)(id, &self.peers);
        let running =
            std::thread::scope(|scope| scope.spawn(|| run(&config, &seams, listener)).join().expect("no panic"));
        self.nodes.get_mut(&id).expect("a known node").running = Some(running);
    }

    /// Ends a node without a word: its connections break, its tasks never run again.
    pub(crate) fn kill(&mut self, id: u64) {
        let (running, runtime) = self.nodes.get_mut(&id).and_then(|node| node.running.take()).expect("a running node");
        drop(running);
        // From outside of any runtime: a test may be inside of one.
        std::thread::spawn(move || runtime.shutdown_timeout(PATIENCE)).join().expect("the runtime ends");
    }

    /// Takes the only thread that a node was started on, until what is returned is dropped.
    pub(crate) fn occupy(&self, id: u64) -> std::sync::mpsc::Sender<()> {
        let (_, runtime) = self.nodes[&id].running.as_ref().expect("a running node");
        let (busy, done) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            // Ends with an error, when the other end is dropped.
            let _ = done.recv();
        });
        busy
    }

    /// Starts a killed node again, at the same address.
    pub(crate) fn restart(&mut self, id: u64) {
        let node = self.nodes.get_mut(&id).expect("a known node");
        let (address, bound) = (node.address, node.listener.take());
        let bind = || wait_for("the port to be free", || TcpListener::bind(address).ok());
        let listener = bound.unwrap_or_else(bind);
        self.run(id, &listener);
    }

    /// A node that does not run loses its disk.
    pub(crate) fn wipe(&mut self, id: u64) {
        let node = self.nodes.get_mut(&id).expect("a known node");
        assert!(node.running.is_none(), "node {id} runs");
        let old = std::mem::replace(&mut node.folder, tempfile::tempdir().expect("a temporary folder"));
        // The writer of a killed node ends, and lets go of its files, a moment after the node.
        wait_for("the folder to be free", || std::fs::remove_dir_all(old.path()).ok());
    }

    /// Waits until a node cannot go on, and says why. It is to be killed after that like any other.
    pub(crate) fn failure(&mut self, id: u64) -> FailureCause {
        let (node, runtime) = self.nodes.get_mut(&id).and_then(|node| node.running.as_mut()).expect("a running node");
        let failed = || runtime.block_on(async { tokio::time::timeout(PATIENCE, node.failed()).await });
        let failure = std::thread::scope(|scope| scope.spawn(failed).join().expect("no panic"));
        failure.expect("it fails in time").cause
    }

    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.peers.values().cloned().collect()
    }

    pub(crate) fn endpoint(&self, id: u64) -> String {
        self.nodes[&id].address.to_string()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.endpoints()).expect("good endpoints").with_timeout(PATIENCE)
    }

    /// A client that knows one node only.
    pub(crate) fn client_of(&self, id: u64) -> Client {
        Client::connect([self.endpoint(id)]).expect("a good endpoint").with_timeout(PATIENCE)
    }

    /// The node that leads.
    pub(crate) async fn leader(&self) -> u64 {
        find_leader(&self.endpoints(), PATIENCE).await.expect("a leader").node_id
    }

    /// A node that runs and does not lead.
    pub(crate) async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        *self.nodes.iter().find(|(id, node)| **id != leader && node.running.is_some()).expect("a follower").0
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            if self.nodes[&id].running.is_some() {
                self.kill(id);
            }
        }
    }
}

/// Many clusters share few cores here, so a leader is given more time than by default before it is doubted.
fn calm() -> Timings {
    Timings {
        heartbeat: Duration::from_millis(100),
        election_min: Duration::from_millis(500),
        election_max: Duration::from_secs(1),
        ..Timings::default()
    }
}

/// Waits while the folder is in use: the writer of a killed node ends a moment after the node.
fn run(config: &NodeConfig, seams: &Seams, listener: &TcpListener) -> (RunningNode, Runtime) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let running = wait_for("the folder to be free", || {
        let listener = listener.try_clone().expect("another handle");
        match runtime.block_on(start(config.clone(), seams.clone(), listener)) {
            Ok(running) => Some(running),
            Err(StartError::Locked { .. }) => None,
            Err(error) => panic!("the node does not start: {error}"),
        }
    });
    (running, runtime)
}

async fn start(config: NodeConfig, seams: Seams, listener: TcpListener) -> Result<RunningNode, StartError> {
    let address = listener.local_addr().map_err(StartError::Listen)?;
    listener.set_nonblocking(true).map_err(StartError::Listen)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(StartError::Listen)?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    rekindle_node::start_with(config, seams, address, incoming).await
}

/// Waits for a condition, on whatever machine; fails loudly if it never comes.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The same for a condition that must be asked for.
pub(crate) async fn wait_until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Compacts after a few entries and keeps none.
pub(crate) fn compact_soon(config: NodeConfig) -> NodeConfig {
    NodeConfig { compaction: Compaction { snapshot_after: 20, keep: 0, purge_batch: 1 }, ..config }
}

/// A protocol of two roles, under a name of the test's choice.
pub(crate) fn ping(name: &str) -> v1::RegisterProtocolRequest {
    let text = format!(
        "module {name};\nglobal protocol {name}(role A, role B) {{\n  ping() from A to B;\n  pong() from B to A;\n}}\n"
    );
    v1::RegisterProtocolRequest {
        sources: vec![v1::Source { path: format!("{name}.scr"), text }],
        main: format!("{name}.scr"),
        ..Default::default()
    }
}

/// A session of such a protocol.
pub(crate) fn session(name: &str, protocol: &str) -> v1::StartSessionRequest {
    let role = |name: &str| v1::RoleSpec { role: name.into(), command: vec!["true".into()], ..Default::default() };
    let spec = v1::SessionSpec {
        roles: vec![role("A"), role("B")],
        max_restarts: 3,
        window_ms: 60_000,
        folder: "/".into(),
        ..Default::default()
    };
    v1::StartSessionRequest {
        session: name.into(),
        protocol_id: protocol.into(),
        spec: Some(spec),
        ..Default::default()
    }
}
