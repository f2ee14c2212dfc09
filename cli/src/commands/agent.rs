//! `rekindle agent …`

use std::net::TcpListener;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use rekindle_statemachine::ids::AgentId;
use rekindle_supervisor::{Agent as Supervisor, AgentConfig};

use super::{Interrupts, block_on};
use crate::args::{Agent, AgentStart, Global};
use crate::{descriptors, workers};

pub(crate) fn run(agent: Agent, global: &Global) -> Result<ExitCode> {
    match agent {
        Agent::Start(start) => run_agent(start, global),
    }
}

fn run_agent(start: AgentStart, global: &Global) -> Result<ExitCode> {
    let listener = TcpListener::bind(start.listen).with_context(|| {
        format!("cannot listen on {}\nhint: is another supervisor or program using that port?", start.listen)
    })?;
    let mut config = AgentConfig::new(AgentId(start.name), global.endpoints.clone());
    config.secret = start.trust.secret(listener.local_addr()?)?;
    config.connections = descriptors::connections();
    config.data_dir = start.data_dir;
    config.log = workers::log();
    let address = match start.advertise {
        Some(address) => address,
        None => listener.local_addr()?.to_string(),
    };
    block_on(async {
        let mut interrupts = Interrupts::new()?;
        let agent = Supervisor::start(config, listener, address.clone()).await?;
        tracing::info!(address, "local supervisor is up");
        tokio::select! {
            signal = interrupts.next() => {
                agent.shutdown().await;
                tracing::info!(signal, "local supervisor ends");
                Ok(ExitCode::SUCCESS)
            }
            () = agent.wait() => match agent.failed() {
                Some(error) => Err(error.into()),
                None => bail!("the local supervisor cannot go on; the log says why"),
            },
        }
    })
}
