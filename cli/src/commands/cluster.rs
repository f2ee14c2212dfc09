//! `rekindle cluster …`

use std::process::ExitCode;

use anyhow::Result;
use rekindle_proto::v1;
use serde::Serialize;

use super::{block_on, client};
use crate::args::{Cluster, Global};
use crate::output::{Output, columns};

pub(crate) fn run(cluster: &Cluster, global: &Global, output: &Output) -> Result<ExitCode> {
    match cluster {
        Cluster::Status { stale } => status(*stale, global, output),
    }
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
    role: String,
    matched_index: Option<u64>,
}

#[derive(Serialize)]
struct Agent {
    agent: String,
    address: String,
    live: bool,
    roles: u32,
}

impl From<v1::Status> for Status {
    fn from(status: v1::Status) -> Self {
        let nodes = status.nodes.into_iter().map(|node| Node {
            id: node.id,
            endpoint: node.endpoint,
            role: node.role,
            matched_index: node.matched_index,
        });
        let agents = status.agents.into_iter().map(|agent| Agent {
            agent: agent.id,
            address: agent.address,
            live: agent.live,
            roles: agent.roles,
        });
        Status {
            node_id: status.node_id,
            leader_id: (status.leader_id > 0).then_some(status.leader_id),
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
    let status = block_on(async { Ok(client(global)?.get_status(request).await?) })?;
    output.value(&Status::from(status), text)?;
    Ok(ExitCode::SUCCESS)
}

fn text(status: &Status) -> String {
    let leader = status.leader_id.map_or_else(|| "no leader known".to_owned(), |id| format!("leader is node {id}"));
    let head = format!(
        "{leader}, term {}, log up to {}, applied up to {} (answer of node {}, version {})\n\n",
        status.term, status.last_log_index, status.applied_index, status.node_id, status.version
    );
    let mut nodes = vec![["NODE", "ENDPOINT", "ROLE", "HAS LOG UP TO"].map(str::to_owned).to_vec()];
    nodes.extend(status.nodes.iter().map(|node| {
        let matched = node.matched_index.map_or_else(|| "?".to_owned(), |index| index.to_string());
        vec![node.id.to_string(), node.endpoint.clone(), node.role.clone(), matched]
    }));
    let mut agents = vec![["AGENT", "ADDRESS", "LIVE", "ROLES"].map(str::to_owned).to_vec()];
    agents.extend(status.agents.iter().map(|agent| {
        let live = if agent.live { "yes" } else { "no" };
        vec![agent.agent.clone(), agent.address.clone(), live.to_owned(), agent.roles.to_string()]
    }));
    format!("{head}{}\n{}", columns(&nodes), columns(&agents))
}
