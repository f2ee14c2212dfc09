//! A whole installation on this machine: nodes as child processes, the local supervisor in this process.

mod nodes;

use std::fmt;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use rekindle_statemachine::ids::{AgentId, NodeId};
use rekindle_supervisor::{Agent, AgentConfig, CrashAt, LocalEvent, RunningAgent};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::nodes::LocalNodes;
use crate::{trust, workers};

/// What to start, and which faults to inject.
pub(crate) struct SiteConfig {
    /// Data of nodes and supervisor go below this folder.
    pub(crate) folder: PathBuf,
    /// Log filter of the nodes.
    pub(crate) log: String,
    /// Which workers to kill, and when.
    pub(crate) crashes: Vec<Fault>,
    /// Kill the leader in the moment of the first crash.
    pub(crate) kill_leader: bool,
}

/// The running installation.
pub(crate) struct LocalSite {
    endpoints: Vec<String>,
    agent: RunningAgent,
    faults: FaultInjector,
}

/// A fault that was injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A worker was killed after so many events.
    Worker { role: String, events: u64 },
    /// A node was killed that led.
    Leader(NodeId),
}

impl Fault {
    fn crash(&self) -> Option<CrashAt> {
        match self {
            Fault::Worker { role, events } => Some(CrashAt { role: role.clone(), events: *events }),
            Fault::Leader(_) => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Worker { role, events } => {
                write!(f, "injected: worker of {role} killed at {events} events (SIGKILL)")
            }
            Fault::Leader(node) => write!(f, "injected: node {node}, the leader, killed (SIGKILL)"),
        }
    }
}

impl LocalSite {
    /// Starts everything; nodes elect a leader and the supervisor finds it by themselves. Injected faults are told to
    /// `told`.
    pub(crate) async fn start(config: SiteConfig, told: mpsc::UnboundedSender<Fault>) -> Result<Self> {
        std::fs::create_dir_all(&config.folder)
            .with_context(|| format!("cannot make the folder {}", config.folder.display()))?;
        let secret_file = config.folder.join("secret");
        let secret = trust::of_folder(&secret_file)?;
        let nodes = LocalNodes::start(&config.folder, &secret_file, &config.log)?;
        let endpoints = nodes.endpoints().to_vec();
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot bind a port on 127.0.0.1")?;
        let address = listener.local_addr()?.to_string();
        let mut agent = AgentConfig::new(AgentId("local".to_owned()), endpoints.clone());
        agent.secret = Some(secret);
        agent.data_dir = Some(config.folder.join("agent"));
        agent.faults = config.crashes.iter().filter_map(Fault::crash).collect();
        agent.log = workers::log();
        let (events, inbox) = mpsc::unbounded_channel();
        agent.hook = Arc::new(move |event: &LocalEvent| {
            // Nobody listens any more when everything is being stopped.
            let _ = events.send(event.clone());
        });
        let agent = match Agent::start(agent, listener, address).await {
            Ok(agent) => agent,
            Err(error) => {
                nodes.stop().await;
                return Err(error).context("cannot start the local supervisor");
            }
        };
        let faults = FaultInjector::start(nodes, inbox, config.kill_leader, told);
        Ok(LocalSite { endpoints, agent, faults })
    }

    /// host:port of every node.
    pub(crate) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Kills workers and nodes, and waits until they are gone.
    pub(crate) async fn stop(self) {
        self.agent.shutdown().await;
        self.faults.stop().await;
    }
}

/// Kills the leader as the first worker crashes, if asked to; keeps the nodes until the end.
struct FaultInjector {
    task: JoinHandle<()>,
    stop: tokio::sync::oneshot::Sender<()>,
}

impl FaultInjector {
    fn start(
        nodes: LocalNodes,
        mut events: mpsc::UnboundedReceiver<LocalEvent>,
        kill_leader: bool,
        told: mpsc::UnboundedSender<Fault>,
    ) -> Self {
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut armed = kill_leader;
            loop {
                tokio::select! {
                    _ = &mut stopped => break,
                    Some(event) = events.recv() => inject(event, &nodes, &mut armed, &told).await,
                }
            }
            nodes.stop().await;
        });
        FaultInjector { task, stop }
    }

    async fn stop(self) {
        // The task ends by itself only if it panicked, and a panic ends the process.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

async fn inject(event: LocalEvent, nodes: &LocalNodes, armed: &mut bool, told: &mpsc::UnboundedSender<Fault>) {
    let LocalEvent::WorkerCrashedByFault { role, events, leader, .. } = event else { return };
    let killed = match leader.filter(|_| *armed) {
        Some(leader) => nodes.kill(leader).await.then_some(leader),
        None => None,
    };
    // Nobody listens any more when the session has ended.
    let _ = told.send(Fault::Worker { role, events });
    if let Some(leader) = killed {
        *armed = false;
        let _ = told.send(Fault::Leader(leader));
    }
}
