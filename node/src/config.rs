//! What a node is told when it starts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rekindle_proto::secret::ClusterSecret;
use rekindle_proto::server::incoming::Bounds;
use rekindle_statemachine::ids::NodeId;

use crate::clock::{Clock, SystemClock};
use crate::connector::{Connector, Tcp};
use crate::storage::Disk;
use crate::storage::room::FreeSpace;
use crate::storage::writer::WriterMode;

/// A node of a cluster. Every node of the cluster is given the same `cluster` and `peers`, at every start.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// This node. One of `peers`.
    pub id: NodeId,
    /// Name of the cluster. A data folder belongs to one cluster for good.
    pub cluster: String,
    /// Where everything is kept. Made if it does not exist.
    pub data_dir: PathBuf,
    /// Every node of the cluster with its endpoint, `host:port`, this one included.
    pub peers: BTreeMap<NodeId, String>,
    /// What nodes and agents know each other by; without one, whoever reaches this node may speak for them.
    pub secret: Option<ClusterSecret>,
    /// How long an agent may run its workers after its last renewal.
    pub lease_ttl: Duration,
    /// How long an agent may owe the position of a frozen role before its lease is ended.
    pub position_timeout: Duration,
    /// How long an agent may owe the acknowledgement of a role that it was ordered to restore before its lease is ended.
    /// A worker that replays takes as long as its program does, so this is for what hangs, not for what is slow.
    pub restore_timeout: Duration,
    /// With less than this many bytes free on its disk the node takes no new work; `None` is what fits the disk.
    pub keep_free: Option<u64>,
    /// Of the connections to this node.
    pub connections: Bounds,
    /// Of the consensus.
    pub timings: Timings,
    /// When the log is made into a snapshot.
    pub compaction: Compaction,
}

/// Timings of the consensus.
///
/// The defaults were measured on loopback: the leader's death costs about a third of a second, and full load does not
/// cause elections. They fit round trips of up to half of `election_min`: a node that stands for election asks twice, and
/// is to be heard before the next one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// How often the leader is heard from.
    pub heartbeat: Duration,
    /// A follower that hears nothing for a random time between this …
    pub election_min: Duration,
    /// … and this asks whether it may lead.
    pub election_max: Duration,
    /// A replication stream without an answer for this long is opened anew.
    pub replication_timeout: Duration,
    /// A snapshot must be received and installed within this time.
    pub snapshot_timeout: Duration,
    /// A disk that has not finished a write within this time takes the node out.
    pub disk_timeout: Duration,
}

/// When the log is made into a snapshot, and how much of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Entries since the last snapshot.
    pub snapshot_after: u64,
    /// Entries kept behind a snapshot, so that a slow follower need not take the snapshot.
    pub keep: u64,
    /// Entries are purged this many at a time.
    pub purge_batch: u64,
}

impl NodeConfig {
    /// A node with the defaults for everything that can have one.
    pub fn new(
        id: NodeId,
        cluster: impl Into<String>,
        data_dir: impl Into<PathBuf>,
        peers: BTreeMap<NodeId, String>,
    ) -> Self {
        NodeConfig {
            id,
            cluster: cluster.into(),
            data_dir: data_dir.into(),
            peers,
            secret: None,
            lease_ttl: Duration::from_secs(3),
            position_timeout: Duration::from_secs(5),
            restore_timeout: Duration::from_mins(5),
            keep_free: None,
            connections: Bounds::default(),
            timings: Timings::default(),
            compaction: Compaction::default(),
        }
    }
}

impl Timings {
    /// How long an answer to a heartbeat is waited for: as long as it can be of use, since whoever hears nothing for
    /// longer stands for election.
    pub(crate) fn answer_timeout(&self) -> Duration {
        self.election_min * 7 / 8
    }
}

impl Default for Timings {
    fn default() -> Self {
        Timings {
            heartbeat: Duration::from_millis(40),
            election_min: Duration::from_millis(120),
            election_max: Duration::from_millis(180),
            replication_timeout: Duration::from_secs(1),
            snapshot_timeout: Duration::from_secs(30),
            disk_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for Compaction {
    fn default() -> Self {
        Compaction { snapshot_after: 20_000, keep: 2_000, purge_batch: 1_000 }
    }
}

/// What a simulation replaces. [`Seams::default`] is the real world.
#[derive(Clone)]
pub struct Seams {
    /// Time that passes, and time that is shown.
    pub clock: Arc<dyn Clock>,
    /// Where bytes are kept; `None` is `RocksDB` in the data folder.
    pub disk: Option<Arc<dyn Disk>>,
    /// How much room there is for them; `None` is what the file system of the data folder says, and without such a folder
    /// as much as is wanted.
    pub room: Option<Arc<dyn FreeSpace>>,
    /// Who writes them.
    pub writer: WriterMode,
    /// How other nodes are reached.
    pub connector: Arc<dyn Connector>,
}

impl Default for Seams {
    fn default() -> Self {
        Seams {
            clock: Arc::new(SystemClock::default()),
            disk: None,
            room: None,
            writer: WriterMode::Thread,
            connector: Arc::new(Tcp),
        }
    }
}
