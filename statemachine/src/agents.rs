//! The data of agents (local supervisors) and their leases.
//!
//! A lease begins with [`Command::RegisterAgent`](crate::command::Command::RegisterAgent) and ends with
//! [`Command::ExpireAgent`](crate::command::Command::ExpireAgent) or with another instance of the same agent. How long
//! it lasts is the leader's business, in its memory. An agent whose lease is over has stopped its workers and forgotten
//! its sessions, so every role that it ran has failed.

use rekindle_protocol::image::RoleId;
use serde::{Deserialize, Serialize};

use crate::command::Rejection;
use crate::ids::{AgentId, AgentInstance, EntryTime, Generation, RecoveryNumber, SessionId};
use crate::limits;

/// An agent that holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its name.
    pub id: AgentId,
    /// Its run.
    pub instance: AgentInstance,
    /// Where other agents reach it, `host:port`.
    pub address: String,
    /// Since when.
    pub registered: EntryTime,
}

/// What an open recovery waits for. A leader that has waited too long expires the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// Who owes it.
    pub agent: AgentId,
    /// Which run of it.
    pub instance: AgentInstance,
    /// Of which session.
    pub session: SessionId,
    /// Which one of that name.
    pub generation: Generation,
    /// To which recovery.
    pub recovery: RecoveryNumber,
    /// Under which order of the session.
    pub revision: u64,
    /// Of which roles.
    pub roles: Vec<RoleId>,
    /// What.
    pub what: Owed,
    /// Entry time at which it was first asked for.
    pub since: EntryTime,
}

/// What agents owe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owed {
    /// Where frozen roles stand.
    Positions,
    /// That an order to restore is carried out.
    Acknowledgements,
}

/// Whether an agent's name and address are well-formed.
pub fn check_agent(agent: &AgentId, address: &str) -> Result<(), Rejection> {
    check_name(agent)?;
    check_address(address)
}

fn check_name(agent: &AgentId) -> Result<(), Rejection> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if agent.0.is_empty() || agent.0.len() > limits::AGENT_BYTES || !agent.0.bytes().all(fits) {
        let limit = limits::AGENT_BYTES;
        return Err(Rejection::Invalid(format!("an agent's name is 1 to {limit} letters, digits, `.`, `_` or `-`")));
    }
    Ok(())
}

fn check_address(address: &str) -> Result<(), Rejection> {
    let fits = address.len() <= limits::ADDRESS_BYTES
        && address.bytes().all(|byte| byte.is_ascii_graphic())
        && address
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0));
    if fits { Ok(()) } else { Err(Rejection::invalid("an agent's address is `host:port`")) }
}
