//! One module per noun of the command line.

pub(crate) mod agent;
pub(crate) mod bench;
pub(crate) mod cluster;
pub(crate) mod node;
pub(crate) mod protocol;
pub(crate) mod recovery;
pub(crate) mod run;
pub(crate) mod session;

use std::future::Future;

use anyhow::{Context, Result};
use rekindle_proto::client::Client;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Global;

/// Runs a future on a new multi-threaded runtime.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(future)
}

/// A client for the cluster that the flags name.
fn client(global: &Global) -> Result<Client> {
    Ok(Client::connect(&global.endpoints)?.with_timeout(global.timeout))
}

/// Waits for SIGINT or SIGTERM; gives the signal's number.
async fn interrupted() -> Result<i32> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => Ok(SignalKind::interrupt().as_raw_value()),
        _ = terminate.recv() => Ok(SignalKind::terminate().as_raw_value()),
    }
}
