//! The agent as a whole: configuration, start, shutdown.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::Stream;
use rekindle_files::Links;
use rekindle_proto::secret::{ClusterSecret, Credential, Guard, SecretError};
use rekindle_proto::server::arriving::{Arriving, Limits as Memory};
use rekindle_proto::server::incoming::{Bounds, Connection, incoming};
use rekindle_proto::v1::channels_server::ChannelsServer;
use rekindle_statemachine::agents::check_agent;
use rekindle_statemachine::command::Rejection;
use rekindle_statemachine::ids::{AgentId, NodeId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;

use crate::channel::carrier::Carriers;
use crate::channel::service::ChannelService;
use crate::faults::CrashAt;
use crate::host::Host;
use crate::leftovers::Records;
use crate::limits::Limits;
use crate::link::{Link, LinkSetup};
use crate::local_event::EventHook;
use crate::log::{LogSink, tracing_sink};
use crate::session::Setup;
use crate::sessions::Sessions;

const REPORTS: usize = 256;
const KEEP_ALIVE: Duration = Duration::from_secs(1);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// What may be under way on one connection of another agent.
const STREAMS: u32 = 64;

/// How to run an agent.
#[derive(Clone)]
pub struct AgentConfig {
    /// Its name, unique in the cluster.
    pub id: AgentId,
    /// Nodes of the cluster, each `host:port`. At least one; the leader is found from any.
    pub endpoints: Vec<String>,
    /// What nodes and agents know each other by; without one, whoever reaches this agent may speak for them.
    pub secret: Option<ClusterSecret>,
    /// Where worker processes are written down, so that a restarted agent kills what its predecessor left behind.
    /// One agent at a time uses it.
    pub data_dir: Option<PathBuf>,
    /// Of the connections of other agents to this one.
    pub connections: Bounds,
    /// Where the words of workers go.
    pub log: LogSink,
    /// Is told of local events, from the agent's tasks: it must not block for long.
    pub hook: EventHook,
    /// How much of everything.
    pub limits: Limits,
    /// Faults to inject.
    pub faults: Vec<CrashAt>,
}

impl AgentConfig {
    /// An agent with defaults: no data folder, worker logs to `tracing`, no faults.
    pub fn new(id: AgentId, endpoints: Vec<String>) -> Self {
        AgentConfig {
            id,
            endpoints,
            secret: None,
            data_dir: None,
            connections: Bounds::default(),
            log: tracing_sink(),
            hook: Arc::new(|_| {}),
            limits: Limits::default(),
            faults: Vec::new(),
        }
    }
}

impl fmt::Debug for AgentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentConfig")
            .field("id", &self.id)
            .field("endpoints", &self.endpoints)
            .field("secret", &self.secret)
            .field("data_dir", &self.data_dir)
            .field("limits", &self.limits)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no node to talk to.
    #[error("an agent needs the endpoint of at least one node")]
    NoEndpoints,
    /// The cluster would refuse it: the name or the address is not well-formed.
    #[error(transparent)]
    Refused(Rejection),
    /// The data folder cannot be used.
    #[error("cannot use the data folder `{}`: {source}", .folder.display())]
    DataDir {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is known of this agent from its last run cannot be read.
    #[error(
        "{0}\nhint: without it this agent waits for the end of the lease that it held; remove the file to go on so"
    )]
    Token(SecretError),
    /// Another process uses the data folder.
    #[error("the data folder `{}` is in use by another agent", .folder.display())]
    DataDirInUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The listener does not work.
    #[error("cannot listen: {0}")]
    Listen(#[source] io::Error),
}

/// Why an agent that ran cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// Another process of the same name holds the lease; every worker here is killed.
    #[error(
        "another local supervisor named `{agent}` took over from {address}; every worker of this one was stopped\n\
         hint: each local supervisor of a cluster needs a name of its own"
    )]
    Superseded {
        /// The name.
        agent: AgentId,
        /// Where the other one is reached.
        address: String,
    },
    /// Messages of other agents cannot be taken any more.
    #[error("messages of other local supervisors cannot be taken any more: {0}")]
    Serving(String),
}

/// The local supervisor.
#[derive(Clone, Copy, Debug)]
pub struct Agent;

impl Agent {
    /// Starts an agent inside the current runtime.
    ///
    /// Other agents reach it at `address` (`host:port`), which leads to `listener`. It attaches to the cluster as soon
    /// as a leader is found, and stays attached across changes of leadership.
    #[allow(clippy::unused_async, reason = "says that a runtime is needed")]
    pub async fn start(
        config: AgentConfig,
        listener: TcpListener,
        address: String,
    ) -> Result<RunningAgent, StartError> {
        if config.endpoints.is_empty() {
            return Err(StartError::NoEndpoints);
        }
        check_agent(&config.id, &address).map_err(StartError::Refused)?;
        let (lock, records) = config.data_dir.as_deref().map(open_data_dir).transpose()?.unzip();
        let token = token(config.data_dir.as_deref())?;
        let listener = listen(listener, config.connections).map_err(StartError::Listen)?;

        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (reports, reported) = mpsc::channel(REPORTS);
        let (leader, led) = watch::channel(None);
        let hook = config.hook;
        let credential = Credential::new(config.secret.as_ref());
        let host = Arc::new(Host {
            setup: Setup { me: config.id.clone(), limits: config.limits, faults: config.faults },
            log: config.log,
            hook: Arc::clone(&hook),
            records,
            carriers: Carriers::new(credential.clone(), tasks.clone(), stop.clone()),
            reports,
            leader: led.clone(),
            tasks: tasks.clone(),
        });
        let sessions = Sessions::new(host);

        let service = ChannelsServer::new(ChannelService::new(sessions.clone()));
        let service = InterceptedService::new(service, Guard::new(config.secret));
        let server = Server::builder()
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .max_concurrent_streams(STREAMS)
            .layer(Arriving::new(Memory::default()))
            .add_service(service);
        let (stopping, serving) = (stop.clone(), server.serve_with_incoming(listener));
        let failure: Arc<OnceLock<AgentError>> = Arc::default();
        let failed = Arc::clone(&failure);
        tasks.spawn(async move {
            // Streams of other agents are cut, not finished: they are made to be.
            if let Some(Err(error)) = stopping.run_until_cancelled(serving).await {
                failed.get_or_init(|| AgentError::Serving(error.to_string()));
                stopping.cancel();
            }
        });

        let setup = LinkSetup {
            agent: config.id,
            address,
            endpoints: config.endpoints,
            credential,
            token,
            sessions: sessions.clone(),
            reports: reported,
            leader,
            hook,
        };
        let (linked, failed) = (stop.clone(), Arc::clone(&failure));
        tasks.spawn(async move {
            if let Some(error) = linked.run_until_cancelled(Link::new(setup).run()).await {
                failed.get_or_init(|| error);
            }
            sessions.clear().await;
            linked.cancel();
        });
        tasks.close();
        Ok(RunningAgent { tasks, stop: stop.clone(), leader: led, failure, lock, _stop_on_drop: stop.drop_guard() })
    }
}

/// An agent that runs. Dropping it stops it; [`RunningAgent::shutdown`] also waits until its workers are gone.
#[derive(Debug)]
pub struct RunningAgent {
    tasks: TaskTracker,
    stop: CancellationToken,
    leader: watch::Receiver<Option<NodeId>>,
    failure: Arc<OnceLock<AgentError>>,
    /// Held for as long as the data folder is used.
    lock: Option<File>,
    _stop_on_drop: tokio_util::sync::DropGuard,
}

impl RunningAgent {
    /// The leader of the cluster, as last heard from it.
    pub fn leader(&self) -> Option<NodeId> {
        *self.leader.borrow()
    }

    /// Why the agent cannot go on, if it cannot. Known at the latest when [`RunningAgent::wait`] returns.
    pub fn failed(&self) -> Option<AgentError> {
        self.failure.get().cloned()
    }

    /// Waits until the agent has stopped because it cannot go on; every worker is gone then, and
    /// [`RunningAgent::failed`] says why.
    pub async fn wait(&self) {
        self.tasks.wait().await;
    }

    /// Kills every worker with its process group, and waits until they are gone and every task has ended.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.wait().await;
        drop(self.lock);
    }
}

fn open_data_dir(folder: &Path) -> Result<(File, Records), StartError> {
    let unusable = |source| StartError::DataDir { folder: folder.to_owned(), source };
    rekindle_files::own_folder(folder, &["lock", "workers"], Links::Followed).map_err(unusable)?;
    let records = Records::open(folder).map_err(unusable)?;
    // Whatever stands there stays as it is: a lock has no content.
    let lock = rekindle_files::open_own(&folder.join("lock"), File::options().write(true)).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StartError::DataDirInUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(source)) => return Err(unusable(source)),
    }
    records.kill_leftovers().map_err(unusable)?;
    Ok((lock, records))
}

/// What the cluster knows processes with this data folder by; without a folder, this process alone.
fn token(data_dir: Option<&Path>) -> Result<ClusterSecret, StartError> {
    let new = ClusterSecret::generate();
    let Some(folder) = data_dir else { return Ok(new) };
    let file = folder.join("token");
    match new.write(&file) {
        Ok(()) => Ok(new),
        Err(SecretError::Exists { .. }) => ClusterSecret::read(&file).map_err(StartError::Token),
        Err(error) => Err(StartError::Token(error)),
    }
}

fn listen(
    listener: TcpListener,
    bounds: Bounds,
) -> io::Result<impl Stream<Item = io::Result<Connection>> + Send + 'static> {
    listener.set_nonblocking(true)?;
    Ok(incoming(tokio::net::TcpListener::from_std(listener)?, bounds))
}
