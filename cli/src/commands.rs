//! One module per noun of the command line.

pub(crate) mod agent;
pub(crate) mod bench;
pub(crate) mod cluster;
pub(crate) mod health;
pub(crate) mod node;
pub(crate) mod protocol;
pub(crate) mod recovery;
pub(crate) mod run;
pub(crate) mod session;

use std::future::Future;

use anyhow::{Context, Result};
use rekindle_proto::client::Client;
use tokio::signal::unix::{Signal, SignalKind, signal};

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

/// SIGINT and SIGTERM, held from when this is made: one that comes before anybody waits is not lost.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn new() -> Result<Self> {
        let interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
        let terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
        Ok(Interrupts { interrupt, terminate })
    }

    /// Waits for one; gives its number.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}
