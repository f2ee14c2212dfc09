//! Placement: which agent runs a role that has none.

use std::collections::BTreeMap;

use crate::agents::Agent;
use crate::effect::Effect;
use crate::ids::AgentId;
use crate::index::Index;
use crate::rules::orders;
use crate::rules::scene::Scene;
use crate::session::{Role, Session};
use crate::spec::SessionSpec;

/// An agent came: if roles of the session wait for one, they are placed and everyone is told.
pub(crate) fn place_waiting(scene: &Scene<'_>, session: &mut Session, effects: &mut Vec<Effect>) {
    if session.waits_for_an_agent() && place(scene, &session.spec, &mut session.roles) {
        orders::order_everyone(scene, session, effects);
    }
}

/// Whether a session with these roles would have to wait for an agent.
pub(crate) fn would_wait(agents: &BTreeMap<AgentId, Agent>, spec: &SessionSpec) -> bool {
    spec.roles.iter().any(|role| role.agent.as_ref().map_or(agents.is_empty(), |pinned| !agents.contains_key(pinned)))
}

/// Gives every role without an agent the agent that may run it and runs the least, if there is one: least of this session,
/// then least of all, then first by name. Whether any was placed.
pub(super) fn place(scene: &Scene<'_>, spec: &SessionSpec, roles: &mut [Role]) -> bool {
    let mut placed = false;
    for index in 0..roles.len() {
        if roles[index].agent.is_none() {
            let agent = least_loaded(scene.agents, scene.index, roles, spec.roles[index].agent.as_ref());
            placed |= agent.is_some();
            roles[index].agent = agent;
        }
    }
    placed
}

fn least_loaded(
    agents: &BTreeMap<AgentId, Agent>,
    index: &Index,
    roles: &[Role],
    pinned: Option<&AgentId>,
) -> Option<AgentId> {
    let allowed = |agent: &&AgentId| pinned.is_none_or(|pinned| pinned == *agent);
    let load = |agent: &&AgentId| {
        let here = roles.iter().filter(|role| role.agent.as_ref() == Some(*agent)).count() as u64;
        (here, here + index.load(agent))
    };
    // The first of equals wins, and the agents come by name.
    agents.keys().filter(allowed).min_by_key(load).cloned()
}
