//! The handle on the consensus.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, future};
use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, ForwardToLeader, InitializeError, LinearizableReadError, RaftError};
use openraft::metrics::RaftServerMetrics;
use openraft::raft::WriteResult;
use openraft::{BasicNode, ReadPolicy, ServerState};
use rekindle_proto::secret::Guard;
use rekindle_proto::status::{LeaderHint, RequestError};
use rekindle_proto::v1::raft_server::RaftServer;
use rekindle_statemachine::codec::encode_entry;
use rekindle_statemachine::command::{Command, Entry, Reply};
use rekindle_statemachine::ids::{NodeId, RequestId};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;

use super::admission::Admission;
use super::heartbeat::beat;
use super::log_store::LogStore;
use super::network::Network;
use super::reach::Reaches;
use super::reception::{Received, Reception};
use super::service::{Addressee, RaftService};
use super::settings::{SettingsError, millis, settings};
use super::snapshots::Snapshots;
use super::state_store::StateStore;
use super::types::{EntryBytes, Membership, Raft, TypeConfig};
use super::{ENTRY_LIMIT, addressee};
use crate::config::{NodeConfig, Seams};
use crate::error::FailureCause;
use crate::replica::Replica;
use crate::storage::Disk;
use crate::storage::room::Space;
use crate::storage::writer::Writer;

/// A write or a read that takes longer is answered with doubt: the majority may be gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the disk is checked for a write that hangs.
const CHECK_DISK: Duration = Duration::from_millis(500);

/// Who leads, as far as this node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leadership {
    /// This node, in this term.
    Leading {
        /// The term.
        term: u64,
    },
    /// Another one.
    Following(LeaderHint),
    /// Nobody, or nobody that this node has heard of.
    Unknown,
}

/// How the log stands here.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) term: u64,
    pub(crate) leader: Option<NodeId>,
    pub(crate) last_log: u64,
    pub(crate) snapshot: u64,
    pub(crate) members: Vec<Member>,
}

/// A node of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: NodeId,
    pub(crate) endpoint: String,
    pub(crate) voter: bool,
    /// Known to the leader only.
    pub(crate) matched: Option<u64>,
    /// How long ago the leader heard from it.
    pub(crate) heard: Option<Duration>,
}

/// A handle on the consensus. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Consensus {
    id: NodeId,
    raft: Raft,
    log: LogStore,
    replica: Arc<Replica>,
    leadership: watch::Receiver<Leadership>,
}

/// What runs behind a [`Consensus`].
pub(crate) struct Engine {
    pub(crate) consensus: Consensus,
    pub(crate) service: InterceptedService<RaftServer<RaftService>, Addressee>,
    /// Ends, with the reason, when the node cannot go on.
    pub(crate) failure: JoinHandle<FailureCause>,
    leadership: JoinHandle<()>,
    heartbeat: JoinHandle<()>,
}

/// Why the consensus did not start.
#[derive(Debug)]
pub(crate) struct EngineError(String);

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for EngineError {
    fn from(error: io::Error) -> Self {
        EngineError(error.to_string())
    }
}

impl From<SettingsError> for EngineError {
    fn from(error: SettingsError) -> Self {
        EngineError(error.to_string())
    }
}

/// Recovers log and state from the disk. Whether this node may take part, and who begins a cluster, is decided elsewhere.
pub(crate) async fn start(
    config: NodeConfig,
    seams: Seams,
    disk: Arc<dyn Disk>,
    writer: Writer,
    replica: Arc<Replica>,
    guard: Guard,
    stop: CancellationToken,
) -> Result<Engine, EngineError> {
    let log = LogStore::open(Arc::clone(&disk), writer.clone())?;
    let snapshots = Snapshots::new(disk, writer.clone());
    let reaches = Reaches::default();
    let network = Network::new(&config, Arc::clone(&seams.connector), log.clone(), reaches.clone());
    let settings = Arc::new(settings(&config)?);
    let received = Received::default();
    let state = StateStore::new(Arc::clone(&replica), snapshots, received.clone());
    let raft = Raft::new(config.id.0, settings, network, log.clone(), state)
        .await
        .map_err(|fatal| EngineError(fatal.to_string()))?;
    let own = addressee(&config.cluster, config.id.0).map_err(|error| EngineError(error.to_string()))?;
    let space = log.space();
    let peers = config.peers.keys().map(|id| id.0).collect();
    let admission = Admission::new(config.id.0, peers, log.clone(), raft.clone(), config.timings.election_max);
    // A node whose disk is replaced has no folder of its own.
    let folder = if seams.disk.is_some() { std::env::temp_dir() } else { config.data_dir.clone() };
    let reception = Reception::new(folder, config.timings.snapshot_timeout, received);
    let addressee = Addressee { own, guard };
    let service = RaftService::server(raft.clone(), admission, reception, space, reaches, addressee, stop);
    let (tell, leadership) = watch::channel(Leadership::Unknown);
    let follow = tokio::spawn(follow_leadership(raft.clone(), tell));
    let heartbeat = tokio::spawn(beat(raft.clone(), leadership.clone(), config.timings.heartbeat));
    let failure = tokio::spawn(watch_for_failure(raft.clone(), writer, config.timings.disk_timeout));
    let consensus = Consensus { id: config.id, raft, log, replica, leadership };
    Ok(Engine { consensus, service, failure, leadership: follow, heartbeat })
}

impl Engine {
    /// Stops taking part. What was acknowledged is on disk.
    pub(crate) async fn stop(self) {
        self.failure.abort();
        // The core may have stopped by itself; there is nothing to do about that here.
        let _ = self.consensus.raft.shutdown().await;
        self.leadership.abort();
        self.heartbeat.abort();
        let _ = future::join3(self.failure, self.leadership, self.heartbeat).await;
    }
}

impl Consensus {
    /// This node.
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    /// Whether anything was ever voted or logged here.
    pub(crate) fn has_history(&self) -> bool {
        !self.log.is_pristine()
    }

    /// The nodes of the cluster as the log here has them; none while there is no log.
    pub(crate) async fn members(&self) -> Result<BTreeMap<NodeId, String>, RequestError> {
        let nodes = |membership: &Membership| {
            let nodes = membership.membership().nodes();
            nodes.map(|(id, node)| (NodeId(*id), node.addr.clone())).collect()
        };
        let effective = self.raft.with_raft_state(move |state| nodes(state.membership_state.effective())).await;
        effective.map_err(|_| stopping())
    }

    /// Begins the cluster: the first entry names its nodes. Nothing happens if there is a log already.
    pub(crate) async fn initialize(&self, peers: &BTreeMap<NodeId, String>) -> Result<(), RequestError> {
        let members: BTreeMap<u64, BasicNode> =
            peers.iter().map(|(id, endpoint)| (id.0, BasicNode::new(endpoint))).collect();
        match self.raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(RequestError::OutcomeUnknown { message: error.to_string() }),
        }
    }

    /// Whether there is room on the disk, and its changes.
    pub(crate) fn space(&self) -> watch::Receiver<Space> {
        self.log.space()
    }

    /// Asks another node to lead. Until it does, or another one, nobody leads.
    pub(crate) async fn hand_over(&self, to: NodeId) -> Result<(), RequestError> {
        self.raft.trigger().transfer_leader(to.0).await.map_err(|_| stopping())
    }

    /// Who leads, and its changes.
    pub(crate) fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// The term that this node leads; refused if it does not.
    pub(crate) fn leading(&self) -> Result<u64, RequestError> {
        match &*self.leadership.borrow() {
            Leadership::Leading { term } => Ok(*term),
            Leadership::Following(_) | Leadership::Unknown => Err(self.not_leading()),
        }
    }

    /// Where to go instead.
    pub(crate) fn not_leading(&self) -> RequestError {
        let leader = match &*self.leadership.borrow() {
            Leadership::Following(leader) => Some(leader.clone()),
            Leadership::Leading { .. } | Leadership::Unknown => None,
        };
        RequestError::NotLeader { leader }
    }

    /// Commits one command.
    pub(crate) async fn propose(&self, request: Option<RequestId>, command: Command) -> Result<Reply, RequestError> {
        let mut answers = self.submit(vec![(request, command)]).await?;
        answers.next().await.unwrap_or_else(|| Err(stopping()))
    }

    /// Hands commands over in one go, in order; the answers come in the same order, each when its entry is applied.
    pub(crate) async fn submit(
        &self,
        commands: Vec<(Option<RequestId>, Command)>,
    ) -> Result<impl Stream<Item = Result<Reply, RequestError>> + Send + Unpin + use<>, RequestError> {
        if let Space::Low { free, needed } | Space::Critical { free, needed } = *self.log.space().borrow() {
            return Err(RequestError::DiskFull { free, needed });
        }
        let time = self.replica.now();
        let entry = |(request, command)| {
            let entry = Entry { time, proposer: self.id, request, command };
            let bytes = encode_entry(&entry);
            if bytes.len() > ENTRY_LIMIT {
                let message = format!("the request has {} bytes, {ENTRY_LIMIT} are allowed", bytes.len());
                return Err(RequestError::invalid(message));
            }
            Ok(EntryBytes(bytes.into()))
        };
        let entries: Vec<EntryBytes> = commands.into_iter().map(entry).collect::<Result<_, _>>()?;
        let results = self.raft.client_write_many(entries).await.map_err(|_| stopping())?;
        let patient = tokio_stream::StreamExt::timeout(results, PATIENCE).map(|result| match result {
            Ok(Ok(result)) => written(result),
            Ok(Err(_)) => Err(stopping()),
            Err(_) => Err(RequestError::OutcomeUnknown { message: "no majority of the nodes answers".to_owned() }),
        });
        Ok(Box::pin(patient))
    }

    /// Returns once the applied state here holds everything that was committed when this was called.
    pub(crate) async fn read_barrier(&self) -> Result<(), RequestError> {
        let confirmed = timeout(PATIENCE, self.raft.ensure_linearizable(ReadPolicy::ReadIndex)).await;
        match confirmed {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)))) => Err(not_leader(forward)),
            // No majority confirms it, it is stopping, or nobody answers.
            Ok(Err(_)) | Err(_) => Err(RequestError::NotLeader { leader: None }),
        }
    }

    /// Whether a majority has confirmed this node as leader so recently that no other can lead yet.
    pub(crate) async fn is_confirmed(&self) -> bool {
        self.raft.get_read_linearizer(ReadPolicy::LeaseRead).await.is_ok()
    }

    /// How the log stands here.
    pub(crate) fn progress(&self) -> Progress {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let membership = metrics.membership_config.membership();
        let voters: Vec<u64> = membership.voter_ids().collect();
        let matched = |id: &u64| {
            let log_id = metrics.replication.as_ref().and_then(|replication| replication.get(id));
            log_id.map(|log_id| log_id.map_or(0, |log_id| log_id.index))
        };
        let heard = |id: &u64| {
            let at = metrics.heartbeat.as_ref().and_then(|heartbeat| *heartbeat.get(id)?);
            at.map(|at| at.elapsed())
        };
        let member = |(id, node): (&u64, &BasicNode)| Member {
            id: NodeId(*id),
            endpoint: node.addr.clone(),
            voter: voters.contains(id),
            matched: matched(id),
            heard: heard(id),
        };
        Progress {
            term: metrics.current_term,
            leader: metrics.current_leader.map(NodeId),
            last_log: metrics.last_log_index.unwrap_or(0),
            snapshot: metrics.snapshot.map_or(0, |log_id| log_id.index),
            members: membership.nodes().map(member).collect(),
        }
    }
}

fn written(result: WriteResult<TypeConfig>) -> Result<Reply, RequestError> {
    match result {
        Ok(written) => Ok(written.response),
        Err(ClientWriteError::ForwardToLeader(forward)) => Err(not_leader(forward)),
        Err(error) => Err(RequestError::OutcomeUnknown { message: error.to_string() }),
    }
}

fn not_leader(forward: ForwardToLeader<TypeConfig>) -> RequestError {
    let leader = forward.leader_id.zip(forward.leader_node);
    RequestError::NotLeader { leader: leader.map(|(id, node)| LeaderHint { id: NodeId(id), endpoint: node.addr }) }
}

fn stopping() -> RequestError {
    RequestError::OutcomeUnknown { message: "this node is stopping".to_owned() }
}

async fn follow_leadership(raft: Raft, tell: watch::Sender<Leadership>) {
    let mut metrics = raft.server_metrics();
    loop {
        let now = leadership(&metrics.borrow_watched());
        tell.send_if_modified(|known| {
            let changed = *known != now;
            if changed {
                tracing::info!(leadership = ?now, "leadership changed");
                *known = now;
            }
            changed
        });
        if metrics.changed().await.is_err() {
            tell.send_replace(Leadership::Unknown);
            return;
        }
    }
}

fn leadership(metrics: &RaftServerMetrics<TypeConfig>) -> Leadership {
    if metrics.state == ServerState::Leader {
        return Leadership::Leading { term: metrics.vote.leader_id.term };
    }
    let leader = metrics.current_leader.filter(|leader| *leader != metrics.id);
    let node = leader.and_then(|leader| metrics.membership_config.membership().get_node(&leader));
    match leader.zip(node) {
        Some((id, node)) => Leadership::Following(LeaderHint { id: NodeId(id), endpoint: node.addr.clone() }),
        None => Leadership::Unknown,
    }
}

/// openraft's core stops on a storage error but leaves the process as it is; a write that hangs it does not see at all.
async fn watch_for_failure(raft: Raft, writer: Writer, disk_timeout: Duration) -> FailureCause {
    let mut metrics = raft.metrics();
    let stopped = async {
        loop {
            if let Err(fatal) = &metrics.borrow_watched().running_state {
                return FailureCause::Stopped(fatal.to_string());
            }
            if metrics.changed().await.is_err() {
                return FailureCause::Stopped("the consensus has stopped".to_owned());
            }
        }
    };
    let hanging = async {
        loop {
            sleep(CHECK_DISK).await;
            if writer.stalled_for() > disk_timeout {
                let reason = format!("the disk has not finished a write for {} ms", millis(disk_timeout));
                return FailureCause::Disk(reason);
            }
        }
    };
    tokio::select! {
        biased;
        cause = stopped => cause,
        cause = hanging => cause,
    }
}
