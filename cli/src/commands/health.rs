//! `rekindle health`: what a container's health check runs.

use std::process::ExitCode;

use anyhow::Result;
use rekindle_proto::client::Client;
use rekindle_proto::v1;
use serde::Serialize;

use super::{block_on, client};
use crate::args::Global;
use crate::output::Output;

/// Exit status where something does not serve: as for a cluster without a leader.
const NOT_SERVING: u8 = 4;

#[derive(Serialize)]
struct Health {
    healthy: bool,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    /// An endpoint, or the name of a local supervisor.
    of: String,
    healthy: bool,
    /// As a sentence.
    says: String,
}

pub(crate) fn run(agent: Option<&str>, global: &Global, output: &Output) -> Result<ExitCode> {
    let checks = block_on(async {
        let client = client(global)?;
        match agent {
            Some(agent) => Ok(vec![local_supervisor(agent, &client).await?]),
            None => Ok(nodes(&client).await),
        }
    })?;
    let health = Health { healthy: checks.iter().all(|check| check.healthy), checks };
    output.value(&health, |health| {
        let lines: Vec<_> = health.checks.iter().map(|check| format!("{}: {}", check.of, check.says)).collect();
        lines.join("\n")
    })?;
    Ok(if health.healthy { ExitCode::SUCCESS } else { ExitCode::from(NOT_SERVING) })
}

/// A node serves while it knows of a leader: only then can it answer, or say who can.
async fn nodes(client: &Client) -> Vec<Check> {
    let statuses = client.statuses(false).await;
    let check = |(of, status): (String, Result<v1::Status, String>)| match status {
        Ok(status) if status.leader_id == 0 => Check { of, healthy: false, says: "knows of no leader".to_owned() },
        Ok(status) => {
            let says = format!("node {} serves, node {} leads", status.node_id, status.leader_id);
            Check { of, healthy: true, says }
        }
        Err(why) => Check { of, healthy: false, says: format!("no answer ({why})") },
    };
    statuses.into_iter().map(check).collect()
}

/// A local supervisor is well while the cluster counts on it.
async fn local_supervisor(name: &str, client: &Client) -> Result<Check> {
    let status = client.get_status(v1::GetStatusRequest::default()).await?;
    let live = status.agents.iter().any(|agent| agent.id == name && agent.live);
    let says = if live { "holds its lease" } else { "holds no lease: the cluster does not count on it" };
    Ok(Check { of: name.to_owned(), healthy: live, says: says.to_owned() })
}
