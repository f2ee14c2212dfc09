//! `rekindle node …`

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use rekindle_node::{NodeConfig, NodeId};

use super::{block_on, interrupted};
use crate::args::{Node, NodeStart};
use crate::exit;

pub(crate) fn run(node: Node) -> Result<ExitCode> {
    match node {
        Node::Start(start) => run_node(start),
    }
}

fn run_node(start: NodeStart) -> Result<ExitCode> {
    let listener = if start.embedded { inherited_listener()? } else { own_listener(&start)? };
    let peers = start.peers.into_iter().map(|(id, endpoint)| (NodeId(id), endpoint)).collect();
    let mut config = NodeConfig::new(NodeId(start.id), start.cluster, start.data_dir, peers);
    config.lease_ttl = start.lease_ttl;
    config.timings.heartbeat = start.heartbeat;
    config.timings.election_min = start.election_timeout;
    config.timings.election_max = start.election_timeout * 3 / 2;
    block_on(async {
        let mut node = rekindle_node::start(config, listener).await?;
        tracing::info!(id = start.id, address = %node.local_addr(), "node is up");
        tokio::select! {
            signal = interrupted() => {
                node.shutdown().await;
                tracing::info!(signal = signal?, "node ends");
                Ok(ExitCode::SUCCESS)
            }
            fatal = node.failed() => bail!("the node cannot go on: {fatal}"),
        }
    })
}

/// The socket that the parent bound, and an end with the parent.
fn inherited_listener() -> Result<TcpListener> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("cannot tie this node to its parent")?;
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    Ok(TcpListener::from(socket))
}

fn own_listener(start: &NodeStart) -> Result<TcpListener> {
    let address = match (start.listen, start.peers.iter().find(|(id, _)| *id == start.id)) {
        (Some(address), Some(_)) => address.to_string(),
        (None, Some((_, endpoint))) => endpoint.clone(),
        (_, None) => {
            return Err(exit::usage(format!("--peers does not name node {0}\nhint: add {0}=HOST:PORT", start.id)));
        }
    };
    TcpListener::bind(&address)
        .with_context(|| format!("cannot listen on {address}\nhint: is another node or program using that port?"))
}
