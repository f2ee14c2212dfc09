//! What would be slow to look for in the sessions. Derived from them, so never stored.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{AgentId, SessionId};
use crate::session::{Phase, Session};

/// Answers to "which sessions …".
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    /// Sessions with an order for the agent, ended ones too.
    by_agent: BTreeMap<AgentId, BTreeSet<SessionId>>,
    /// Roles that each agent runs.
    loads: BTreeMap<AgentId, u64>,
    /// Sessions with an open recovery or launch.
    pub(crate) unsettled: BTreeSet<SessionId>,
    /// Sessions with a role that waits for an agent.
    pub(crate) waiting: BTreeSet<SessionId>,
    /// Bytes of all stored checkpoints.
    pub(crate) checkpoint_bytes: u64,
}

impl Index {
    pub(crate) fn of<'a>(sessions: impl Iterator<Item = &'a Session>) -> Self {
        let mut index = Index::default();
        sessions.for_each(|session| index.add(session));
        index
    }

    pub(crate) fn add(&mut self, session: &Session) {
        for agent in session.orders.keys() {
            self.by_agent.entry(agent.clone()).or_default().insert(session.id.clone());
        }
        for agent in running_agents(session) {
            *self.loads.entry(agent.clone()).or_default() += 1;
        }
        if matches!(session.phase, Phase::Gathering(_) | Phase::Restoring(_)) {
            self.unsettled.insert(session.id.clone());
        }
        if session.waits_for_an_agent() {
            self.waiting.insert(session.id.clone());
        }
        self.checkpoint_bytes += session.checkpoint_bytes();
    }

    pub(crate) fn remove(&mut self, session: &Session) {
        for agent in session.orders.keys() {
            if let Some(sessions) = self.by_agent.get_mut(agent) {
                sessions.remove(&session.id);
                if sessions.is_empty() {
                    self.by_agent.remove(agent);
                }
            }
        }
        for agent in running_agents(session) {
            if let Some(load) = self.loads.get_mut(agent) {
                *load -= 1;
                if *load == 0 {
                    self.loads.remove(agent);
                }
            }
        }
        self.unsettled.remove(&session.id);
        self.waiting.remove(&session.id);
        self.checkpoint_bytes -= session.checkpoint_bytes();
    }

    /// Sessions with an order for this agent, by id.
    pub(crate) fn sessions_of(&self, agent: &AgentId) -> impl Iterator<Item = &SessionId> {
        self.by_agent.get(agent).into_iter().flatten()
    }

    /// How many roles this agent runs.
    pub(crate) fn load(&self, agent: &AgentId) -> u64 {
        self.loads.get(agent).copied().unwrap_or(0)
    }
}

/// The agent of each role of a live session.
fn running_agents(session: &Session) -> impl Iterator<Item = &AgentId> {
    let roles = if session.has_ended() { &[] } else { session.roles.as_slice() };
    roles.iter().filter_map(|role| role.agent.as_ref())
}
