//! Orders that still stand: what a new leader sends again, and what an agent that comes back is told.

use std::collections::BTreeMap;

use rekindle_protocol::image::{Image, RoleId};

use crate::agents::Agent;
use crate::effect::{Goal, Order, RestartOrder, Restore, RoleOrder};
use crate::ids::AgentId;
use crate::machine::StateMachine;
use crate::recovery::Recovery;
use crate::session::{Role, Session, StandingGoal};

impl StateMachine {
    /// Everything that an agent is to make true: exactly one order for each session that it takes part in, by session.
    ///
    /// An ended session is in the list, with the goal [`Goal::End`], as long as it is remembered and the agent keeps its
    /// lease. The list is complete: what an agent still has of any other session is over and may be forgotten.
    pub fn outstanding(&self, agent: &AgentId) -> Vec<Order> {
        let order = |id| {
            let session = self.state.sessions.get(id)?;
            let image = self.state.protocols.get(&session.protocol)?;
            order(session, image, &self.state.agents, agent)
        };
        self.index.sessions_of(agent).filter_map(order).collect()
    }
}

/// The order that the agent stands under; the same each time until the next one is given.
pub(crate) fn order(
    session: &Session,
    image: &Image,
    agents: &BTreeMap<AgentId, Agent>,
    agent: &AgentId,
) -> Option<Order> {
    let standing = session.orders.get(agent)?;
    let goal = match &standing.goal {
        StandingGoal::Freeze(roles) => Goal::Freeze { recovery: session.open_recovery()?.number, roles: roles.clone() },
        StandingGoal::Restore => {
            Goal::Restore(Box::new(restore(session, session.open_recovery()?, image, agents, agent)))
        }
        StandingGoal::Run => Goal::Run,
        StandingGoal::End => Goal::End,
    };
    Some(Order { session: session.id.clone(), epoch: standing.epoch, revision: standing.revision, goal })
}

fn restore(
    session: &Session,
    recovery: &Recovery,
    image: &Image,
    agents: &BTreeMap<AgentId, Agent>,
    receiver: &AgentId,
) -> Restore {
    let role_order = |(id, role): (RoleId, &Role)| {
        let agent = role.agent.clone().unwrap_or_default();
        RoleOrder {
            address: agents.get(&agent).map(|agent| agent.address.clone()).unwrap_or_default(),
            incarnation: role.incarnation,
            restart: restart(role, id, recovery, agent == *receiver),
            floors: role.floors.clone(),
            agent,
        }
    };
    Restore {
        recovery: recovery.number,
        image: image.clone(),
        spec: session.spec.clone(),
        roles: session.numbered_roles().map(role_order).collect(),
    }
}

fn restart(role: &Role, id: RoleId, recovery: &Recovery, with_checkpoint: bool) -> Option<RestartOrder> {
    let line = recovery.line.as_ref()?.roles.get(id.index()).filter(|line| line.restarted)?;
    let checkpoint = role.checkpoints.get(&line.base).filter(|_| with_checkpoint);
    Some(RestartOrder {
        history: role.recorded.clone(),
        base: line.base,
        checkpoint: checkpoint.cloned(),
        sent: line.sent.clone(),
        received: line.received.clone(),
    })
}
