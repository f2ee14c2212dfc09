//! How a cluster begins, and how a node with an empty folder learns that it already has.
//!
//! A node without a log asks all its peers who they are. If one of them has a log, the cluster has begun, and this node
//! either was never part of it or has lost what it acknowledged: it ends, and stores nothing. Only when every peer has
//! answered, and none has a log, the cluster begins: the node with the lowest id, the founder, gives every node the
//! identity of the cluster, which each writes to its disk; when all have, the founder writes the first entry of the log.
//!
//! Invariants
//! * there is no first entry before every node has the identity on disk: so a folder without it has lost it, or was never
//!   part of anything;
//! * whoever crashes on the way is asked again, and answers the same; an identity that was given is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rekindle_proto::backoff::Backoff;
use rekindle_proto::secret::Credential;
use rekindle_proto::v1;
use rekindle_proto::v1::identity_client::IdentityClient;
use rekindle_statemachine::ids::NodeId;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};

use crate::config::NodeConfig;
use crate::connector::Connector;
use crate::error::Refusal;
use crate::participation::{ClusterIdentity, Part, Participation};
use crate::raft::consensus::Consensus;

/// How long one node is given to say who it is.
const PATIENCE: Duration = Duration::from_millis(500);
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(300);
/// For this long nothing is said: nodes of a new cluster are rarely started in the same moment.
const GRACE: Duration = Duration::from_secs(2);
/// Then what is waited for is said at most this often.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// What a node said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Introduction {
    pub(crate) cluster: String,
    pub(crate) node: NodeId,
    pub(crate) identity: Option<ClusterIdentity>,
    pub(crate) history: bool,
    pub(crate) peers: BTreeMap<NodeId, String>,
    pub(crate) takes_work: bool,
}

impl From<v1::Introduction> for Introduction {
    fn from(wire: v1::Introduction) -> Self {
        Introduction {
            cluster: wire.cluster,
            node: NodeId(wire.node),
            identity: ClusterIdentity::from_wire(&wire.identity),
            history: wire.history,
            peers: peers_from_wire(wire.peers),
            takes_work: wire.takes_work,
        }
    }
}

pub(crate) fn peers_from_wire(peers: Vec<v1::Peer>) -> BTreeMap<NodeId, String> {
    peers.into_iter().map(|peer| (NodeId(peer.id), peer.endpoint)).collect()
}

pub(crate) fn peers_to_wire(peers: &BTreeMap<NodeId, String>) -> Vec<v1::Peer> {
    peers.iter().map(|(id, endpoint)| v1::Peer { id: id.0, endpoint: endpoint.clone() }).collect()
}

/// What follows from what the peers said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Finding {
    /// The cluster has begun without this folder.
    Refused(Refusal),
    /// It has begun, and this folder is part of it.
    Begun,
    /// Every peer is there and empty; what was begun before goes on under its identity.
    New(Option<ClusterIdentity>),
    /// Something is missing.
    Wait(Vec<Obstacle>),
}

/// Why a new cluster cannot begin yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Obstacle {
    Silent { node: NodeId, endpoint: String },
    Stranger { node: NodeId, endpoint: String, cluster: String, answers_as: NodeId },
    OtherPeers { node: NodeId, peers: String },
    Identities { identities: String },
    Founder { node: NodeId },
    Unwilling { node: NodeId, reason: String },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Silent { node, endpoint } => write!(f, "node {node} at {endpoint} does not answer"),
            Obstacle::Stranger { node, endpoint, cluster, answers_as } => {
                write!(f, "node {answers_as} of cluster `{cluster}` answers at {endpoint}, where node {node} should be")
            }
            Obstacle::OtherPeers { node, peers } => write!(f, "node {node} was started with other --peers: {peers}"),
            Obstacle::Identities { identities } => {
                write!(
                    f,
                    "the nodes are part of different clusters that never began ({identities}): empty their folders"
                )
            }
            Obstacle::Founder { node } => write!(f, "node {node} is to begin the cluster"),
            Obstacle::Unwilling { node, reason } => write!(f, "node {node} does not take part: {reason}"),
        }
    }
}

/// As it is written on the command line.
pub(crate) fn list(peers: &BTreeMap<NodeId, String>) -> String {
    let peers: Vec<String> = peers.iter().map(|(id, endpoint)| format!("{id}={endpoint}")).collect();
    peers.join(",")
}

/// Judges what was said. `said` has an answer, or none, for every other node.
fn judge(config: &NodeConfig, own: Part, said: &BTreeMap<NodeId, Option<Introduction>>) -> Finding {
    let mut obstacles = Vec::new();
    let mut identities: BTreeSet<ClusterIdentity> = own.identity().into_iter().collect();
    for (&node, introduction) in said {
        let endpoint = config.peers.get(&node).cloned().unwrap_or_default();
        let Some(introduction) = introduction else {
            obstacles.push(Obstacle::Silent { node, endpoint });
            continue;
        };
        if introduction.cluster != config.cluster || introduction.node != node {
            let (cluster, answers_as) = (introduction.cluster.clone(), introduction.node);
            obstacles.push(Obstacle::Stranger { node, endpoint, cluster, answers_as });
        } else if introduction.history {
            return begun(config, own, node, introduction);
        } else if introduction.peers != config.peers {
            obstacles.push(Obstacle::OtherPeers { node, peers: list(&introduction.peers) });
        } else {
            identities.extend(introduction.identity);
        }
    }
    if identities.len() > 1 {
        let identities: Vec<String> = identities.iter().map(ToString::to_string).collect();
        obstacles.push(Obstacle::Identities { identities: identities.join(", ") });
    }
    if obstacles.is_empty() { Finding::New(identities.pop_first()) } else { Finding::Wait(obstacles) }
}

/// One node has a log.
fn begun(config: &NodeConfig, own: Part, node: NodeId, introduction: &Introduction) -> Finding {
    let endpoint = config.peers.get(&node).cloned().unwrap_or_default();
    if own.identity().is_some() && own.identity() == introduction.identity {
        return Finding::Begun;
    }
    let (id, folder) = (config.id, config.data_dir.clone());
    Finding::Refused(if own != Part::None {
        Refusal::OtherCluster { id, folder, node, endpoint }
    } else if introduction.peers.contains_key(&config.id) {
        Refusal::Forgotten { id, folder, node, endpoint }
    } else {
        Refusal::NoMember { id, node, endpoint, members: list(&introduction.peers) }
    })
}

/// The other nodes, as they are reached before there is a consensus.
pub(crate) struct Peers(BTreeMap<NodeId, Channel>);

impl Peers {
    /// An endpoint that cannot be parsed is one that does not answer.
    pub(crate) fn new(config: &NodeConfig, connector: &dyn Connector) -> Self {
        let others = config.peers.iter().filter(|(id, _)| **id != config.id);
        let channel = |(id, endpoint): (&NodeId, &String)| {
            let endpoint = Endpoint::from_shared(format!("http://{endpoint}")).ok()?;
            Some((*id, connector.connect(endpoint.connect_timeout(PATIENCE).tcp_nodelay(true))))
        };
        Peers(others.filter_map(channel).collect())
    }

    /// Asks all of them at once.
    pub(crate) async fn ask(&self, config: &NodeConfig) -> BTreeMap<NodeId, Option<Introduction>> {
        let credential = Credential::new(config.secret.as_ref());
        let ask = async |id: NodeId| {
            let channel = self.0.get(&id)?.clone();
            let mut node = IdentityClient::with_interceptor(channel, credential.clone());
            let answer = timeout(PATIENCE, node.introduce(v1::IntroduceRequest {})).await.ok()?.ok()?;
            Some(Introduction::from(answer.into_inner()))
        };
        let others = config.peers.keys().copied().filter(|id| *id != config.id);
        join_all(others.map(async |id| (id, ask(id).await))).await.into_iter().collect()
    }

    /// Gives all of them the identity; returns those that did not take it.
    async fn found(&self, config: &NodeConfig, identity: ClusterIdentity) -> Vec<Obstacle> {
        let request = v1::FoundRequest {
            cluster: config.cluster.clone(),
            identity: identity.to_wire(),
            peers: peers_to_wire(&config.peers),
        };
        let credential = Credential::new(config.secret.as_ref());
        let ask = async |id: NodeId, channel: Channel| {
            let mut node = IdentityClient::with_interceptor(channel, credential.clone());
            let reason = match timeout(PATIENCE, node.found(request.clone())).await {
                Ok(Ok(answer)) if answer.get_ref().identity == request.identity => return None,
                Ok(Ok(_)) => "it has another identity".to_owned(),
                Ok(Err(status)) => status.message().to_owned(),
                Err(_) => "no answer in time".to_owned(),
            };
            Some(Obstacle::Unwilling { node: id, reason })
        };
        let asked = self.0.iter().map(|(id, channel)| ask(*id, channel.clone()));
        join_all(asked).await.into_iter().flatten().collect()
    }
}

/// Waits until this node may take part, and begins the cluster if that is up to it. Returns at once with a log.
pub(crate) async fn settle(
    config: NodeConfig,
    connector: Arc<dyn Connector>,
    participation: Arc<Participation>,
    consensus: Consensus,
) -> Result<(), Refusal> {
    let founder = config.peers.keys().next() == Some(&config.id);
    let peers = Peers::new(&config, connector.as_ref());
    let mut changes = participation.changes();
    let mut talk = Talk::default();
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        let own = *changes.borrow_and_update();
        // With a part and without a log a node has just to be written to, unless it is the one that begins.
        if consensus.has_history() || (own != Part::None && !founder) {
            return Ok(());
        }
        let obstacles = match judge(&config, own, &peers.ask(&config).await) {
            Finding::Refused(refusal) => return Err(refusal),
            Finding::Begun => return Ok(()),
            Finding::New(known) if founder => {
                let identity = known.unwrap_or_else(ClusterIdentity::random);
                let obstacles = found(&config, &peers, &participation, &consensus, identity).await;
                if obstacles.is_empty() {
                    return Ok(());
                }
                obstacles
            }
            Finding::New(_) => config.peers.keys().take(1).map(|node| Obstacle::Founder { node: *node }).collect(),
            Finding::Wait(obstacles) => obstacles,
        };
        talk.about(&config, obstacles);
        tokio::select! {
            () = sleep(backoff.next_wait()) => {}
            _ = changes.changed() => {}
        }
    }
}

/// The founder's part. What is left to wait for, if anything.
async fn found(
    config: &NodeConfig,
    peers: &Peers,
    participation: &Participation,
    consensus: &Consensus,
    identity: ClusterIdentity,
) -> Vec<Obstacle> {
    let unwilling = |reason: String| vec![Obstacle::Unwilling { node: config.id, reason }];
    if let Err(error) = participation.join(identity).await {
        return unwilling(error.to_string());
    }
    let obstacles = peers.found(config, identity).await;
    if !obstacles.is_empty() {
        return obstacles;
    }
    match consensus.initialize(&config.peers).await {
        Ok(()) => {
            tracing::info!(cluster = config.cluster, %identity, "the cluster begins");
            Vec::new()
        }
        Err(error) => unwilling(error.to_string()),
    }
}

/// Says what is waited for: once, when it changes, and rarely.
#[derive(Default)]
struct Talk {
    since: Option<Instant>,
    said: Option<(Instant, Vec<Obstacle>)>,
}

impl Talk {
    fn about(&mut self, config: &NodeConfig, obstacles: Vec<Obstacle>) {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let quiet = match &self.said {
            None => now.duration_since(since) < GRACE,
            Some((at, said)) => now.duration_since(*at) < if *said == obstacles { SAY_EVERY } else { GRACE },
        };
        if quiet {
            return;
        }
        let what: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
        tracing::warn!(
            id = %config.id,
            waited_ms = u64::try_from(now.duration_since(since).as_millis()).unwrap_or(u64::MAX),
            "the folder is empty, and whether the cluster `{}` has begun is not known yet: a new cluster begins when all \
             its nodes are there; {}",
            config.cluster,
            what.join("; ")
        );
        self.said = Some((now, obstacles));
    }
}

#[cfg(test)]
mod tests;
