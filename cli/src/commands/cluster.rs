//! `rekindle cluster …`

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use rekindle_proto::client::Client;
use rekindle_proto::secret::ClusterSecret;
use rekindle_proto::v1;
use rekindle_proto::v1::NodeRole;
use serde::Serialize;

use super::{block_on, client};
use crate::args::{Cluster, Global};
use crate::output::{Output, columns};

pub(crate) fn run(cluster: &Cluster, global: &Global, output: &Output) -> Result<ExitCode> {
    match cluster {
        Cluster::Status { stale } => status(*stale, global, output),
        Cluster::Secret { file } => secret(file, output),
    }
}

#[derive(Serialize)]
struct Made<'a> {
    secret_file: &'a Path,
}

fn secret(file: &Path, output: &Output) -> Result<ExitCode> {
    ClusterSecret::generate().write(file)?;
    output.value(&Made { secret_file: file }, |made| {
        let file = made.secret_file.display();
        format!("{file} holds the secret of a new cluster: give it to each of its nodes and local supervisors, with --secret-file\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Status {
    node_id: u64,
    leader_id: Option<u64>,
    term: u64,
    last_log_index: u64,
    applied_index: u64,
    snapshot_index: u64,
    nodes: Vec<Node>,
    agents: Vec<Agent>,
    version: String,
}

#[derive(Serialize)]
struct Node {
    id: u64,
    endpoint: String,
    /// By the node that answered; `unreachable` also if it does not answer this command.
    role: String,
    /// By the leader.
    matched_index: Option<u64>,
    /// Whether it answers this command.
    reachable: bool,
    /// How long ago the leader heard from it.
    heard_ms_ago: Option<u64>,
    /// What it says of itself.
    itself: Option<Itself>,
    /// Why it says nothing.
    error: Option<String>,
}

/// A node by its own account.
#[derive(Serialize)]
struct Itself {
    role: &'static str,
    leader_id: Option<u64>,
    term: u64,
    last_log_index: u64,
    applied_index: u64,
    snapshot_index: u64,
    up_ms: u64,
    version: String,
}

#[derive(Serialize)]
struct Agent {
    agent: String,
    address: String,
    live: bool,
    roles: u32,
}

impl From<v1::Status> for Itself {
    fn from(status: v1::Status) -> Self {
        let role = match status.role() {
            NodeRole::Leader => "leader",
            NodeRole::Follower => "follower",
            NodeRole::Candidate => "candidate",
            NodeRole::Empty => "empty",
            NodeRole::Unknown => "unknown",
        };
        Itself {
            role,
            leader_id: known(status.leader_id),
            term: status.term,
            last_log_index: status.last_log_index,
            applied_index: status.applied_index,
            snapshot_index: status.snapshot_index,
            up_ms: status.up_ms,
            version: status.version,
        }
    }
}

fn known(leader: u64) -> Option<u64> {
    (leader > 0).then_some(leader)
}

/// What the cluster believes of a node, and what it says of itself.
fn node(node: v1::Node, says: Option<Result<v1::Status, String>>) -> Node {
    let says = says.unwrap_or_else(|| Err("it was not asked".to_owned()));
    let says = says.and_then(|status| {
        if status.node_id == node.id {
            return Ok(status);
        }
        Err(format!("node {} of cluster `{}` answers there", status.node_id, status.cluster))
    });
    Node {
        id: node.id,
        endpoint: node.endpoint,
        role: if says.is_ok() { node.role } else { "unreachable".to_owned() },
        matched_index: node.matched_index,
        reachable: says.is_ok(),
        heard_ms_ago: node.heard_ms_ago,
        error: says.as_ref().err().cloned(),
        itself: says.ok().map(Itself::from),
    }
}

impl Status {
    fn new(status: v1::Status, mut says: BTreeMap<String, Result<v1::Status, String>>) -> Self {
        let agents = status.agents.into_iter().map(|agent| Agent {
            agent: agent.id,
            address: agent.address,
            live: agent.live,
            roles: agent.roles,
        });
        let nodes = status.nodes.into_iter().map(|known| {
            let said = says.remove(&known.endpoint);
            node(known, said)
        });
        Status {
            node_id: status.node_id,
            leader_id: known(status.leader_id),
            term: status.term,
            last_log_index: status.last_log_index,
            applied_index: status.applied_index,
            snapshot_index: status.snapshot_index,
            nodes: nodes.collect(),
            agents: agents.collect(),
            version: status.version,
        }
    }
}

fn status(stale: bool, global: &Global, output: &Output) -> Result<ExitCode> {
    let request = v1::GetStatusRequest { stale, ..Default::default() };
    let status = block_on(async {
        let status = client(global)?.get_status(request).await?;
        let endpoints: Vec<&String> = status.nodes.iter().map(|node| &node.endpoint).collect();
        // A node with an empty folder knows no nodes, not even itself.
        let says = match Client::connect(endpoints) {
            Ok(nodes) => nodes.statuses(false).await.into_iter().collect(),
            Err(_) => BTreeMap::new(),
        };
        Ok(Status::new(status, says))
    })?;
    output.value(&status, text)?;
    Ok(ExitCode::SUCCESS)
}

fn text(status: &Status) -> String {
    let leader = status.leader_id.map_or_else(|| "no leader known".to_owned(), |id| format!("leader is node {id}"));
    let head = format!(
        "{leader}, term {}, log up to {}, applied up to {} (answer of node {}, version {})\n\n",
        status.term, status.last_log_index, status.applied_index, status.node_id, status.version
    );
    let heads = ["NODE", "ENDPOINT", "ROLE", "HAS LOG UP TO", "HEARD", "SAYS", "TERM", "LOG", "APPLIED", "UP"];
    let mut nodes = vec![heads.map(str::to_owned).to_vec()];
    nodes.extend(status.nodes.iter().map(row));
    let mut agents = vec![["AGENT", "ADDRESS", "LIVE", "ROLES"].map(str::to_owned).to_vec()];
    agents.extend(status.agents.iter().map(|agent| {
        let live = if agent.live { "yes" } else { "no" };
        vec![agent.agent.clone(), agent.address.clone(), live.to_owned(), agent.roles.to_string()]
    }));
    format!("{head}{}\n{}", columns(&nodes), columns(&agents))
}

/// First what the cluster believes of a node, then what the node says of itself.
fn row(node: &Node) -> Vec<String> {
    let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let ago = |ms: u64| format!("{:.1} s", Duration::from_millis(ms).as_secs_f64());
    let itself = node.itself.as_ref();
    vec![
        node.id.to_string(),
        node.endpoint.clone(),
        node.role.clone(),
        number(node.matched_index),
        node.heard_ms_ago.map_or_else(|| "-".to_owned(), |ms| format!("{} ago", ago(ms))),
        itself.map_or_else(|| node.error.clone().unwrap_or_default(), |itself| itself.role.to_owned()),
        number(itself.map(|itself| itself.term)),
        number(itself.map(|itself| itself.last_log_index)),
        number(itself.map(|itself| itself.applied_index)),
        itself.map_or_else(|| "-".to_owned(), |itself| ago(itself.up_ms)),
    ]
}
