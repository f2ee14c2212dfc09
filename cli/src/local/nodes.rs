//! A cluster of three nodes on this machine, as child processes of this one.
//!
//! A child gets its listening socket as standard input: the port is bound before the child starts, so no other process
//! can take it. Children die with this process, whatever ends it. One that dies alone is started again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rekindle_files::Links;
use rekindle_proto::backoff::Backoff;
use rekindle_statemachine::ids::NodeId;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

const NODES: usize = 3;
/// Many times what the file has.
const ADDRESSES_BYTES: u64 = 4 << 10;
/// Before a node that ended is started again; longer each time that it ends soon.
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// A node that ran for so long was well.
const WELL: Duration = Duration::from_mins(1);

/// The running nodes.
pub(crate) struct LocalNodes {
    nodes: BTreeMap<NodeId, Node>,
    endpoints: Vec<String>,
}

struct Node {
    orders: mpsc::Sender<Order>,
    keeper: JoinHandle<()>,
}

enum Order {
    /// SIGKILL; the keeper starts it again. Answered when the signal is sent.
    Kill(oneshot::Sender<()>),
    /// SIGKILL, for good.
    Stop,
}

/// What is needed to start one node, again and again.
struct Plan {
    id: NodeId,
    address: SocketAddr,
    peers: String,
    folder: PathBuf,
    secret_file: PathBuf,
    log: PathBuf,
    filter: String,
}

impl LocalNodes {
    /// Starts the nodes, their data below `folder`, which is there. They elect a leader by themselves.
    pub(crate) fn start(folder: &Path, secret_file: &Path, filter: &str) -> Result<Self> {
        let listeners = listeners(&folder.join("addresses"))?;
        let addresses: BTreeMap<NodeId, SocketAddr> =
            listeners.iter().map(|(id, listener)| Ok((*id, listener.local_addr()?))).collect::<std::io::Result<_>>()?;
        let peers: Vec<_> = addresses.iter().map(|(id, address)| format!("{id}={address}")).collect();
        let mut nodes = BTreeMap::new();
        for (id, listener) in listeners {
            let plan = Plan {
                id,
                address: listener.local_addr()?,
                peers: peers.join(","),
                folder: folder.join(format!("node-{id}")),
                secret_file: secret_file.to_owned(),
                log: folder.join(format!("node-{id}.log")),
                filter: filter.to_owned(),
            };
            let child = plan.spawn(listener)?;
            let (orders, inbox) = mpsc::channel(4);
            nodes.insert(id, Node { orders, keeper: tokio::spawn(keep(plan, child, inbox)) });
        }
        let endpoints = addresses.values().map(SocketAddr::to_string).collect();
        Ok(LocalNodes { nodes, endpoints })
    }

    /// host:port of every node.
    pub(crate) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Kills a node with SIGKILL; false if there is no such node.
    pub(crate) async fn kill(&self, id: NodeId) -> bool {
        let Some(node) = self.nodes.get(&id) else { return false };
        let (done, killed) = oneshot::channel();
        node.orders.send(Order::Kill(done)).await.is_ok() && killed.await.is_ok()
    }

    /// Kills all nodes and waits until they are gone.
    pub(crate) async fn stop(self) {
        for node in self.nodes.values() {
            // A keeper that is gone has no node any more.
            let _ = node.orders.send(Order::Stop).await;
        }
        for (_, node) in self.nodes {
            let _ = node.keeper.await;
        }
    }
}

/// A bound socket for each node.
///
/// The nodes of a data folder know each other by address, so the folder remembers the addresses for the next run.
fn listeners(file: &Path) -> Result<BTreeMap<NodeId, TcpListener>> {
    let remembered = match rekindle_files::read_text(file, ADDRESSES_BYTES, Links::Refused) {
        Ok(text) => text.lines().map(str::to_owned).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => vec!["127.0.0.1:0".to_owned(); NODES],
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    ensure!(remembered.len() == NODES, "{} must have {NODES} lines: it is damaged", file.display());
    let bind = |address: &String| {
        TcpListener::bind(address).with_context(|| {
            format!("cannot listen on {address}\nhint: the nodes of this data folder live at that address; is another run using it?")
        })
    };
    let listeners = remembered.iter().map(bind).collect::<Result<Vec<_>>>()?;
    let mut addresses = String::new();
    for listener in &listeners {
        addresses.push_str(&format!("{}\n", listener.local_addr()?));
    }
    rekindle_files::replace(file, addresses.as_bytes()).with_context(|| format!("cannot write {}", file.display()))?;
    Ok((1..).map(NodeId).zip(listeners).collect())
}

impl Plan {
    fn spawn(&self, listener: TcpListener) -> Result<Child> {
        let log = rekindle_files::open_own(&self.log, File::options().append(true))
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let binary = std::env::current_exe().context("cannot find the running binary")?;
        Command::new(binary)
            .args(["node", "start", "--embedded-in", &std::process::id().to_string(), "--id", &self.id.to_string()])
            .args(["--peers", &self.peers, "--data-dir"])
            .arg(&self.folder)
            .arg("--secret-file")
            .arg(&self.secret_file)
            .args(["--log", &self.filter, "--color", "never"])
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C at the terminal goes to the group of this process, which then stops its nodes itself.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a node")
    }

    fn respawn(&self) -> Result<Child> {
        let listener = TcpListener::bind(self.address).with_context(|| format!("cannot bind {}", self.address))?;
        self.spawn(listener)
    }
}

/// Owns one node's process until told to stop.
async fn keep(plan: Plan, mut child: Child, mut orders: mpsc::Receiver<Order>) {
    let mut ordered = false;
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    let mut started = Instant::now();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Kill(done)) => {
                    // Fails only if the process is gone already.
                    let _ = child.start_kill();
                    let _ = done.send(());
                    ordered = true;
                }
                Some(Order::Stop) | None => {
                    let _ = child.kill().await;
                    return;
                }
            },
            status = child.wait() => {
                if !ordered {
                    let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    tracing::warn!("node {} ended ({how}), starting it again; its log is {}", plan.id, plan.log.display());
                }
                if std::mem::take(&mut ordered) || started.elapsed() > WELL {
                    backoff.reset();
                }
                match revive(&plan, &mut orders, &mut backoff).await {
                    Some(again) => child = again,
                    None => return,
                }
                started = Instant::now();
            }
        }
    }
}

/// Starts a node that ended; `None` if told to stop meanwhile.
async fn revive(plan: &Plan, orders: &mut mpsc::Receiver<Order>, backoff: &mut Backoff) -> Option<Child> {
    loop {
        let delay = tokio::time::sleep(backoff.next_wait());
        tokio::pin!(delay);
        loop {
            tokio::select! {
                () = &mut delay => break,
                order = orders.recv() => match order {
                    Some(Order::Kill(done)) => drop(done.send(())),
                    Some(Order::Stop) | None => return None,
                },
            }
        }
        match plan.respawn() {
            Ok(child) => return Some(child),
            Err(error) => tracing::error!(node = %plan.id, "cannot start the node again: {error:#}"),
        }
    }
}
