//! `rekindle node …`

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use rekindle_node::{NodeConfig, NodeId};
use tokio::signal::unix::{SignalKind, signal};

use super::{Interrupts, block_on};
use crate::args::{Node, NodeStart};
use crate::{descriptors, exit, talk};

const LEAST: Duration = Duration::from_millis(1);

pub(crate) fn run(node: Node) -> Result<ExitCode> {
    match node {
        Node::Start(start) => run_node(start),
    }
}

fn check(start: &NodeStart) -> Result<()> {
    let ids: BTreeSet<u64> = start.peers.iter().map(|(id, _)| *id).collect();
    if ids.len() < start.peers.len() {
        return Err(exit::usage("--peers names a node twice"));
    }
    if ids.contains(&0) {
        return Err(exit::usage("--peers: nodes are numbered from 1"));
    }
    if start.heartbeat < LEAST {
        return Err(exit::usage("--heartbeat must be at least 1ms"));
    }
    if start.election_timeout < start.heartbeat * 2 {
        return Err(exit::usage("--election-timeout must be at least twice --heartbeat"));
    }
    if start.lease_ttl < start.election_timeout * 4 {
        return Err(exit::usage(
            "--lease-ttl must be at least four times --election-timeout, or the loss of a leader ends leases",
        ));
    }
    Ok(())
}

fn run_node(start: NodeStart) -> Result<ExitCode> {
    check(&start)?;
    descriptors::raise();
    let listener = match start.embedded_in {
        Some(parent) => inherited_listener(parent)?,
        None => own_listener(&start)?,
    };
    let secret = start.trust.secret(listener.local_addr()?)?;
    let peers = start.peers.into_iter().map(|(id, endpoint)| (NodeId(id), endpoint)).collect();
    let mut config = NodeConfig::new(NodeId(start.id), start.cluster, start.data_dir, peers);
    config.secret = secret;
    config.connections = descriptors::connections();
    config.lease_ttl = start.lease_ttl;
    config.keep_free = start.keep_free;
    config.timings.heartbeat = start.heartbeat;
    config.timings.election_min = start.election_timeout;
    config.timings.election_max = start.election_timeout * 3 / 2;
    block_on(async {
        let mut interrupts = Interrupts::new()?;
        // A file that has grown as far as it may is an error of the write then, and not the silent end of the process.
        let _limited = signal(SignalKind::from_raw(Signal::SIGXFSZ as i32)).context("cannot handle SIGXFSZ")?;
        let mut node = rekindle_node::start(config, listener).await?;
        tracing::info!(id = start.id, address = %node.local_addr(), "node is up");
        tokio::select! {
            signal = interrupts.next() => {
                node.shutdown().await;
                tracing::info!(signal, "node ends");
                Ok(ExitCode::SUCCESS)
            }
            // In an orderly end something may wait for a disk that hangs.
            failure = node.failed() => {
                talk::finish();
                rekindle_node::end(failure.cause.ending(), &failure.to_string())
            }
        }
    })
}

/// The socket that the parent bound, and an end with the parent.
fn inherited_listener(parent: i32) -> Result<TcpListener> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("cannot tie this node to its parent")?;
    // A parent that died before that would never be missed.
    ensure!(getppid() == Pid::from_raw(parent), "the process that started this node is gone");
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
