//! Starting a node, and what is left in the hand of who started it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::Stream;
use rekindle_proto::secret::Guard;
use rekindle_proto::server::arriving::{self, Arriving};
use rekindle_proto::server::incoming::incoming;
use rekindle_proto::status::RequestError;
use rekindle_proto::v1::agents_server::AgentsServer;
use rekindle_proto::v1::cluster_server::ClusterServer;
use rekindle_proto::v1::identity_server::IdentityServer;
use rekindle_statemachine::ids::NodeId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::config::{NodeConfig, Seams};
use crate::connections::{self, Sorted};
use crate::ending;
use crate::error::{FailureCause, NodeFailure, Refusal, StartError};
use crate::founding;
use crate::handover;
use crate::hub::Hub;
use crate::identity;
use crate::leader::Leader;
use crate::leases::Leases;
use crate::participation::{Gate, Participation};
use crate::raft::consensus::{self, Consensus, Engine, Leadership};
use crate::raft::threads::Threads;
use crate::replica::Replica;
use crate::round_trips::RoundTrips;
use crate::services::MESSAGE_LIMIT;
use crate::services::agents::AgentsService;
use crate::services::cluster::ClusterService;
use crate::services::identity::{self as introductions, IdentityService};
use crate::storage::Disk;
use crate::storage::reserve::Reserve;
use crate::storage::room::{self, FolderSpace, FreeSpace, Limits, Space};
use crate::storage::writer::{Writer, WriterMode, WriterThread};
use crate::workshop::{Room, Workshop};

const KEEP_ALIVE: Duration = Duration::from_secs(1);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// What may be under way on one connection.
const STREAMS: u32 = 1024;
/// How long open calls may take when the node stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// A node that runs. Dropping it ends the consensus and leaves the rest to the runtime; [`shutdown`](RunningNode::shutdown) ends them.
pub struct RunningNode {
    id: NodeId,
    address: SocketAddr,
    stop: CancellationToken,
    engine: Engine,
    /// Why it may not take part; nothing comes if it may.
    refused: Option<oneshot::Receiver<Refusal>>,
    /// Of nodes, on the threads of the consensus, and of clients.
    servers: [Serving; 2],
    tasks: TaskTracker,
    writer: WriterThread,
    threads: Threads,
}

impl fmt::Debug for RunningNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningNode").field("id", &self.id).field("address", &self.address).finish_non_exhaustive()
    }
}

/// Starts a node on a listener that is bound already. Must be called in a tokio runtime.
///
/// A cluster begins when all its nodes run for the first time; every later start, after whatever end, goes on from the data
/// folder. A node whose folder is empty though the cluster has begun [fails](RunningNode::failed).
pub async fn start(config: NodeConfig, listener: std::net::TcpListener) -> Result<RunningNode, StartError> {
    let address = listener.local_addr().map_err(StartError::Listen)?;
    listener.set_nonblocking(true).map_err(StartError::Listen)?;
    let threads = Threads::own().map_err(StartError::Threads)?;
    let listener = {
        // It and its connections are waited for by those threads, however busy the caller's are.
        let _context = threads.handle().enter();
        tokio::net::TcpListener::from_std(listener).map_err(StartError::Listen)?
    };
    let incoming = incoming(listener, config.connections);
    start_on(threads, config, Seams::default(), address, incoming).await
}

/// Starts a node in a world of the caller's: another clock, disk, network.
///
/// `incoming` are the connections to it, `address` is where they come in.
pub async fn start_with<IO, E>(
    config: NodeConfig,
    seams: Seams,
    address: SocketAddr,
    incoming: impl Stream<Item = Result<IO, E>> + Send + 'static,
) -> Result<RunningNode, StartError>
where
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    let threads = match seams.writer {
        WriterMode::Thread => Threads::own().map_err(StartError::Threads)?,
        WriterMode::Inline => Threads::of_the_caller(),
    };
    start_on(threads, config, seams, address, incoming).await
}

async fn start_on<IO, E>(
    threads: Threads,
    config: NodeConfig,
    seams: Seams,
    address: SocketAddr,
    incoming: impl Stream<Item = Result<IO, E>> + Send + 'static,
) -> Result<RunningNode, StartError>
where
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    check(&config)?;
    let Storage { disk, room, limits, reserve } = open_storage(&config, &seams)?;
    let (tell_space, space) = watch::channel(Space::Enough);
    let recovery = |reason: String| StartError::Recovery { id: config.id, reason };
    let (writer, thread) =
        Writer::start(Arc::clone(&disk), seams.writer, space).map_err(|error| recovery(error.to_string()))?;
    let stop = CancellationToken::new();
    let hub = Arc::new(Hub::default());
    let replica = Arc::new(Replica::new(Arc::clone(&hub), Arc::clone(&seams.clock)));
    let connector = Arc::clone(&seams.connector);
    let guard = Guard::new(config.secret.clone());
    let (store, queue, state) = (Arc::clone(&disk), writer.clone(), Arc::clone(&replica));
    let engine = consensus::start(config.clone(), seams, store, queue, state, guard, stop.clone());
    let engine = threads.run(engine).await.map_err(|error| recovery(error.to_string()))?;
    let engine = engine.map_err(|error| recovery(error.to_string()))?;
    let consensus = &engine.consensus;
    let participation = Participation::open(disk.as_ref(), writer, consensus.has_history());
    let participation = Arc::new(participation.map_err(|error| recovery(error.to_string()))?);
    drop(disk);
    if let Err(refusal) = check_peers(&config, consensus).await {
        engine.stop().await;
        return Err(refusal);
    }
    let settling =
        founding::settle(config.clone(), Arc::clone(&connector), Arc::clone(&participation), consensus.clone());
    let tasks = TaskTracker::new();
    if let Some(room) = room {
        let watching = room::watch(room, limits, reserve, Arc::new(tell_space));
        tasks.spawn(stop.clone().run_until_cancelled_owned(watching));
        let handing = handover::hand_over_when_full(config.clone(), Arc::clone(&connector), consensus.clone());
        tasks.spawn(stop.clone().run_until_cancelled_owned(handing));
    }
    let (refuse, refused) = oneshot::channel();
    tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
        if let Err(refusal) = settling.await {
            // A node that is being shut down has nobody who asks.
            let _ = refuse.send(refusal);
        }
    }));
    tasks.spawn(stop.clone().run_until_cancelled_owned(RoundTrips::of(&config, connector).run()));
    let gate = Gate::of(&participation);
    let clients = services(&config, &engine, participation, replica, hub, &tasks, &stop);
    let servers = serve(&threads, incoming, for_nodes(&engine, gate), clients, &tasks, &stop);
    tracing::info!(id = %config.id, %address, cluster = config.cluster, "node runs");
    let refused = Some(refused);
    Ok(RunningNode { id: config.id, address, stop, engine, refused, servers, tasks, writer: thread, threads })
}

/// Where a node keeps things.
struct Storage {
    disk: Arc<dyn Disk>,
    /// `None` is as much as is wanted.
    room: Option<Arc<dyn FreeSpace>>,
    limits: Limits,
    reserve: Option<Arc<Reserve>>,
}

fn open_storage(config: &NodeConfig, seams: &Seams) -> Result<Storage, StartError> {
    if let Some(disk) = &seams.disk {
        let limits = Limits::of(u64::MAX, config.keep_free);
        return Ok(Storage { disk: Arc::clone(disk), room: seams.room.clone(), limits, reserve: None });
    }
    let folder = &config.data_dir;
    let io = |source| StartError::DataDir { path: folder.clone(), source };
    identity::claim(folder).map_err(io)?;
    let room = seams.room.clone().unwrap_or_else(|| Arc::new(FolderSpace(folder.clone())));
    let volume = room.look().map_err(io)?;
    let limits = Limits::of(volume.total, config.keep_free);
    let reserve = Reserve::open(folder, limits.reserve).map_err(io)?;
    if volume.free < limits.critical {
        reserve.give().map_err(io)?;
    }
    let disk = identity::open(folder, &config.cluster, config.id, limits)?;
    // From here on the folder is this node's alone.
    if let Some(words) = reserve.last_words().map_err(io)? {
        tracing::warn!(id = %config.id, words, "the last run of this node ended by itself");
    }
    ending::keep_words_in(reserve.handle().map_err(io)?);
    Ok(Storage { disk, room: Some(room), limits, reserve: Some(Arc::new(reserve)) })
}

type Serving = JoinHandle<Result<(), tonic::transport::Error>>;

/// Serves nodes on the threads of the consensus, and clients here.
fn serve<IO, E>(
    threads: &Threads,
    incoming: impl Stream<Item = Result<IO, E>> + Send + 'static,
    for_nodes: Routes,
    for_clients: Routes,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> [Serving; 2]
where
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    let Sorted { nodes, clients } = {
        let _context = threads.handle().enter();
        connections::sort(incoming, tasks, stop.clone())
    };
    let until = || stop.clone().cancelled_owned();
    let arriving = Arriving::new(arriving::Limits::default());
    let for_nodes = server().layer(arriving.clone()).add_routes(for_nodes);
    let for_clients = server().layer(arriving).add_routes(for_clients);
    let for_nodes = for_nodes.serve_with_incoming_shutdown(ReceiverStream::new(nodes), until());
    let for_clients = for_clients.serve_with_incoming_shutdown(ReceiverStream::new(clients), until());
    [threads.handle().spawn(for_nodes), tokio::spawn(for_clients)]
}

/// What nodes say to each other once both take part.
fn for_nodes(engine: &Engine, gate: Gate) -> Routes {
    Routes::new(InterceptedService::new(engine.service.clone(), gate))
}

/// What every server of this node has.
fn server() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .max_concurrent_streams(STREAMS)
}

/// Everything that the node offers to clients, with the tasks behind it.
fn services(
    config: &NodeConfig,
    engine: &Engine,
    participation: Arc<Participation>,
    replica: Arc<Replica>,
    hub: Arc<Hub>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Routes {
    let consensus = &engine.consensus;
    let leases = Arc::new(Leases::new(config.lease_ttl));
    let leader = Leader {
        consensus: consensus.clone(),
        replica: Arc::clone(&replica),
        leases: Arc::clone(&leases),
        position_timeout: config.position_timeout,
        restore_timeout: config.restore_timeout,
    };
    tasks.spawn(stop.clone().run_until_cancelled_owned(leader.run()));
    let (health, health_service) = tonic_health::server::health_reporter();
    tasks.spawn(stop.clone().run_until_cancelled_owned(report_health(consensus.clone(), health)));
    let room = Room::new();
    let cluster = ClusterService {
        cluster: config.cluster.clone(),
        started: Instant::now(),
        consensus: consensus.clone(),
        replica: Arc::clone(&replica),
        compilers: Workshop::new(&room),
        tables: Workshop::new(&room),
        room,
        stop: stop.clone(),
    };
    let guard = Guard::new(config.secret.clone());
    let gate = Gate::of(&participation);
    let introductions = IdentityServer::new(IdentityService {
        cluster: config.cluster.clone(),
        peers: config.peers.clone(),
        participation,
        consensus: consensus.clone(),
    });
    let agents =
        AgentsService { consensus: consensus.clone(), replica, hub, leases, tasks: tasks.clone(), stop: stop.clone() };
    Routes::new(health_service)
        .add_service(InterceptedService::new(
            introductions.max_decoding_message_size(introductions::MESSAGE_LIMIT),
            guard.clone(),
        ))
        // For who does not say that it is a node.
        .add_service(InterceptedService::new(engine.service.clone(), gate))
        .add_service(ClusterServer::new(cluster).max_decoding_message_size(MESSAGE_LIMIT))
        .add_service(InterceptedService::new(AgentsServer::new(agents).max_decoding_message_size(MESSAGE_LIMIT), guard))
}

fn check(config: &NodeConfig) -> Result<(), StartError> {
    let wrong = |message: String| Err(StartError::Config(message));
    if !config.peers.contains_key(&config.id) {
        return wrong(format!("node {} is not among the peers", config.id));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if config.cluster.is_empty() || config.cluster.len() > 64 || !config.cluster.bytes().all(plain) {
        return wrong(format!("`{}` is no cluster name: 1 to 64 letters, digits, `.`, `_`, `-`", config.cluster));
    }
    if config.lease_ttl.is_zero() {
        return wrong("a lease must last some time".to_owned());
    }
    Ok(())
}

/// The nodes of a cluster are in its log: another list on the command line would be ignored, and is refused instead.
async fn check_peers(config: &NodeConfig, consensus: &Consensus) -> Result<(), StartError> {
    let failed = |error: RequestError| StartError::Recovery { id: config.id, reason: error.to_string() };
    let members = consensus.members().await.map_err(failed)?;
    if members.is_empty() || members == config.peers {
        return Ok(());
    }
    let ids: BTreeSet<NodeId> = members.keys().chain(config.peers.keys()).copied().collect();
    let differences = ids.into_iter().filter_map(|id| match (members.get(&id), config.peers.get(&id)) {
        (Some(known), Some(given)) if known != given => Some(format!("node {id} is at {known}, not at {given}")),
        (Some(_), None) => Some(format!("node {id} is missing")),
        (None, Some(_)) => Some(format!("there is no node {id}")),
        (Some(_), Some(_)) | (None, None) => None,
    });
    let (differences, known) = (differences.collect(), founding::list(&members));
    Err(StartError::PeersChanged { id: config.id, differences, known })
}

/// Says that this node serves while it knows of a leader: only then can it answer, or say who can.
async fn report_health(consensus: Consensus, health: HealthReporter) {
    let mut leadership = consensus.leadership();
    loop {
        let knows = *leadership.borrow_and_update() != Leadership::Unknown;
        let status = if knows { ServingStatus::Serving } else { ServingStatus::NotServing };
        health.set_service_status("", status).await;
        if leadership.changed().await.is_err() {
            return;
        }
    }
}

impl RunningNode {
    /// This node.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns when the node cannot go on; the process should exit then.
    pub async fn failed(&mut self) -> NodeFailure {
        let told = &mut self.refused;
        let refused = async move {
            if let Some(refused) = told
                && let Ok(refusal) = refused.await
            {
                return refusal;
            }
            // It may take part. What was told once is not asked for again.
            *told = None;
            std::future::pending().await
        };
        let [nodes, clients] = &mut self.servers;
        let stopped = |served| match served {
            Ok(Ok(())) => FailureCause::Stopped("it stopped listening".to_owned()),
            Ok(Err(error)) => FailureCause::Stopped(format!("it cannot listen: {error}")),
            Err(error) => FailureCause::Stopped(format!("it cannot listen: {error}")),
        };
        let cause = tokio::select! {
            biased;
            refusal = refused => FailureCause::Refused(refusal),
            cause = &mut self.engine.failure => {
                cause.unwrap_or_else(|_| FailureCause::Stopped("it was stopped".to_owned()))
            }
            served = nodes => stopped(served),
            served = clients => stopped(served),
        };
        NodeFailure { id: self.id, cause }
    }

    /// Stops, and returns when everything is on disk and the data folder is free again.
    ///
    /// Nothing needs it: a node that is killed goes on from the same state.
    pub async fn shutdown(self) {
        let RunningNode { stop, engine, servers, tasks, writer, threads, .. } = self;
        stop.cancel();
        for mut server in servers {
            if timeout(FAREWELL, &mut server).await.is_err() {
                server.abort();
                let _ = server.await;
            }
        }
        tasks.close();
        tasks.wait().await;
        engine.stop().await;
        // The writer ends when the last handle on it is gone; what still holds one was told to stop above.
        // A panic in it has been reported by its hook.
        let end = move || {
            drop(threads);
            writer.join();
        };
        let _ = tokio::task::spawn_blocking(end).await;
    }
}
