//! Agents (local supervisors) and their leases.
//!
//! A lease begins with [`Command::RegisterAgent`](crate::command::Command::RegisterAgent) and ends with
//! [`Command::ExpireAgent`](crate::command::Command::ExpireAgent) or with another instance of the same agent. How long
//! it lasts is the leader's business, in its memory. An agent whose lease is over has stopped its workers and forgotten
//! its sessions, so every role that it ran has failed.

use rekindle_protocol::image::RoleId;
use serde::{Deserialize, Serialize};

use crate::command::{Rejection, Reply};
use crate::effect::Effect;
use crate::ids::{AgentId, AgentInstance, EntryTime, RecoveryNumber, SessionId};
use crate::limits;
use crate::machine::{Moment, StateMachine};
use crate::session::Phase;
use crate::turn::Turn;

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

/// Positions that an open recovery waits for. A leader that has waited too long expires the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// Who owes them.
    pub agent: AgentId,
    /// Which run of it.
    pub instance: AgentInstance,
    /// Of which session.
    pub session: SessionId,
    /// To which recovery.
    pub recovery: RecoveryNumber,
    /// Of which roles.
    pub roles: Vec<RoleId>,
    /// Entry time at which they were asked for.
    pub since: EntryTime,
}

impl StateMachine {
    /// Whether an agent may begin a lease, as of the last applied entry. What is refused here need not be proposed.
    pub fn admits(&self, agent: &AgentId, instance: AgentInstance, address: &str) -> Result<(), Rejection> {
        check_agent(agent, address)?;
        match self.state.agents.get(agent) {
            Some(same) if same.instance == instance && same.address != address => {
                Err(Rejection::Invalid(format!("this run of agent `{agent}` is reached at {}", same.address)))
            }
            None if self.state.agents.len() >= limits::AGENTS => Err(limits::reached("agents", limits::AGENTS)),
            _ => Ok(()),
        }
    }

    /// Begins a lease. The same instance may ask again; another instance ends the lease of the one before.
    pub(crate) fn register_agent(
        &mut self,
        moment: Moment,
        agent: Agent,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, Rejection> {
        self.admits(&agent.id, agent.instance, &agent.address)?;
        let previous = self.state.agents.get(&agent.id).map(|previous| previous.instance);
        if previous == Some(agent.instance) {
            return Ok(Reply::Done);
        }
        let id = agent.id.clone();
        self.state.agents.insert(id.clone(), agent.clone());
        if let Some(instance) = previous {
            effects.push(Effect::Dismiss { agent: id.clone(), instance, superseded_by: Some(agent) });
            self.lose_roles(moment, &id, effects)?;
        }
        self.place_waiting(moment, effects)?;
        Ok(Reply::Done)
    }

    /// Ends a lease.
    pub(crate) fn expire_agent(
        &mut self,
        moment: Moment,
        agent: &AgentId,
        instance: AgentInstance,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, Rejection> {
        if self.state.agents.get(agent).is_none_or(|known| known.instance != instance) {
            return Err(Rejection::UnknownAgent(agent.clone()));
        }
        self.state.agents.remove(agent);
        effects.push(Effect::Dismiss { agent: agent.clone(), instance, superseded_by: None });
        self.lose_roles(moment, agent, effects)?;
        Ok(Reply::Done)
    }

    fn lose_roles(&mut self, moment: Moment, agent: &AgentId, effects: &mut Vec<Effect>) -> Result<(), Rejection> {
        let sessions: Vec<SessionId> = self.index.sessions_of(agent).cloned().collect();
        for session in sessions {
            self.turn(moment, &session, effects, |turn| turn.lose_agent(agent))?;
        }
        Ok(())
    }

    fn place_waiting(&mut self, moment: Moment, effects: &mut Vec<Effect>) -> Result<(), Rejection> {
        let waits = |id: &&SessionId| {
            let session = self.state.sessions.get(*id);
            session.is_some_and(|session| {
                session.phase == Phase::Restoring && session.roles.iter().any(|role| role.agent.is_none())
            })
        };
        let sessions: Vec<SessionId> = self.index.unsettled.iter().filter(waits).cloned().collect();
        for session in sessions {
            self.turn(moment, &session, effects, |turn| {
                if turn.place() {
                    turn.order_restore();
                }
            })?;
        }
        Ok(())
    }

    /// The positions that open recoveries wait for: who owes them, and since when.
    pub fn awaited(&self) -> Vec<Awaited> {
        let mut awaited: Vec<Awaited> = Vec::new();
        let sessions = self.index.unsettled.iter().filter_map(|id| self.state.sessions.get(id));
        for session in sessions {
            let Some(recovery) = session.open_recovery() else { continue };
            let first = awaited.len();
            for role in recovery.awaited() {
                let agent = session.role(role).and_then(|role| role.agent.as_ref());
                let Some(agent) = agent.and_then(|agent| self.state.agents.get(agent)) else { continue };
                if let Some(known) = awaited[first..].iter_mut().find(|known| known.agent == agent.id) {
                    known.roles.push(role);
                    continue;
                }
                awaited.push(Awaited {
                    agent: agent.id.clone(),
                    instance: agent.instance,
                    session: session.id.clone(),
                    recovery: recovery.number,
                    roles: vec![role],
                    since: recovery.opened,
                });
            }
        }
        awaited
    }
}

impl Turn<'_> {
    /// Gives every role without an agent the agent that may run it and runs the least, if there is one: least of this
    /// session, then least of all, then first by name. Whether any was placed.
    pub(crate) fn place(&mut self) -> bool {
        let mut placed = false;
        for index in 0..self.session.roles.len() {
            if self.session.roles[index].agent.is_none() {
                let agent = self.least_loaded(self.session.spec.roles[index].agent.as_ref());
                placed |= agent.is_some();
                self.session.roles[index].agent = agent;
            }
        }
        placed
    }

    fn least_loaded(&self, pinned: Option<&AgentId>) -> Option<AgentId> {
        let allowed = |agent: &&AgentId| pinned.is_none_or(|pinned| pinned == *agent);
        let load = |agent: &&AgentId| {
            let here = self.session.roles.iter().filter(|role| role.agent.as_ref() == Some(*agent)).count() as u64;
            (here, here + self.index.load(agent))
        };
        // The first of equals wins, and the agents come by name.
        self.agents.keys().filter(allowed).min_by_key(load).cloned()
    }
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
    if fits { Ok(()) } else { Err(Rejection::Invalid("an agent's address is `host:port`".to_owned())) }
}
