//! Orders: how they are given, and how they are composed again of what the session knows.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_protocol::image::{Image, RoleId};

use crate::agents::Agent;
use crate::effect::{Effect, Goal, Order, Place, RestartOrder, Restore, RoleOrder};
use crate::ids::AgentId;
use crate::recovery::Restoring;
use crate::rules::scene::Scene;
use crate::session::{Phase, Role, Session, Standing};

/// Sends every agent that runs a role of the session, or stands under an order of it, the order that the phase makes.
pub(crate) fn order_everyone(scene: &Scene<'_>, session: &mut Session, effects: &mut Vec<Effect>) {
    let runs = session.roles.iter().filter_map(|role| role.agent.clone());
    let everyone: BTreeSet<AgentId> = runs.chain(session.orders.keys().cloned()).collect();
    order(scene, session, effects, everyone.into_iter().map(|agent| (agent, None)));
}

/// Gives each of these agents a new order and sends it, with the roles that it is asked for. All have the same, next
/// revision.
pub(crate) fn order(
    scene: &Scene<'_>,
    session: &mut Session,
    effects: &mut Vec<Effect>,
    asked: impl Iterator<Item = (AgentId, Option<Vec<RoleId>>)>,
) {
    session.revision += 1;
    let (revision, epoch) = (session.revision, session.epoch);
    let mut agents = Vec::new();
    for (agent, asked) in asked {
        session.orders.insert(agent.clone(), Standing { revision, epoch, asked });
        agents.push(agent);
    }
    for agent in agents {
        let order = standing_order(session, scene.image, scene.agents, &agent);
        effects.extend(order.map(|order| Effect::Send { agent, order }));
    }
}

/// The order that the agent stands under, `None` if it takes no part.
pub(crate) fn standing_order(
    session: &Session,
    image: &Image,
    agents: &BTreeMap<AgentId, Agent>,
    agent: &AgentId,
) -> Option<Order> {
    let standing = session.orders.get(agent)?;
    let goal = match (&session.phase, &standing.asked) {
        (Phase::Gathering(open), Some(roles)) => Goal::Freeze { recovery: open.opening.number, roles: roles.clone() },
        // Not concerned by the open recovery so far.
        (Phase::Gathering(_), None) | (Phase::Running, _) => Goal::Run,
        (Phase::Restoring(open), _) => Goal::Restore(Box::new(restore(session, open, image, agent))),
        (Phase::Ended { .. }, _) => Goal::End,
    };
    let places = if session.has_ended() { Vec::new() } else { places(session, agents) };
    let (id, generation) = (session.id.clone(), session.generation);
    let Standing { revision, epoch, .. } = *standing;
    Some(Order { session: id, generation, epoch, revision, places, goal })
}

/// Where every role is, as far as its agent holds a lease.
fn places(session: &Session, agents: &BTreeMap<AgentId, Agent>) -> Vec<Place> {
    let place = |role: &Role| {
        let agent = agents.get(role.agent.as_ref()?)?;
        Some(Place { agent: agent.id.clone(), address: agent.address.clone() })
    };
    session.roles.iter().map(|role| place(role).unwrap_or_default()).collect()
}

fn restore(session: &Session, open: &Restoring, image: &Image, receiver: &AgentId) -> Restore {
    let role_order = |(id, role): (RoleId, &Role)| RoleOrder {
        incarnation: role.incarnation,
        restart: restart(role, id, open, role.agent.as_ref() == Some(receiver)),
        floors: role.floors.clone(),
    };
    Restore {
        recovery: open.opening.number,
        image: image.clone(),
        spec: session.spec.clone(),
        roles: session.numbered_roles().map(role_order).collect(),
    }
}

fn restart(role: &Role, id: RoleId, open: &Restoring, with_checkpoint: bool) -> Option<RestartOrder> {
    let line = open.decision.line.roles.get(id.index()).filter(|line| line.restarted)?;
    let checkpoint = role.checkpoints.get(&line.base).filter(|_| with_checkpoint);
    Some(RestartOrder {
        history: role.recorded.clone(),
        base: line.base,
        checkpoint: checkpoint.map(|data| data.to_vec()),
        sent: line.sent.clone(),
        received: line.received.clone(),
    })
}
