//! The lease of an agent is over: every role that it ran has failed.

use rekindle_protocol::image::RoleId;
use rekindle_protocol::recovery::policy::FailureKind;

use crate::command::FailureCause;
use crate::effect::Effect;
use crate::ids::AgentId;
use crate::recovery::FailedRole;
use crate::rules::budget;
use crate::rules::opening::{self, Failure};
use crate::rules::scene::Scene;
use crate::session::Session;

/// Takes an agent out of a session.
pub(crate) fn lose_agent(scene: &Scene<'_>, session: &mut Session, agent: &AgentId, effects: &mut Vec<Effect>) {
    session.orders.remove(agent);
    if session.has_ended() {
        return;
    }
    let mut fresh = Vec::new();
    for (id, role) in (0u16..).map(RoleId).zip(&mut session.roles) {
        if role.agent.as_ref() == Some(agent) {
            role.agent = None;
            let (kind, cause) = (FailureKind::Supervisor, FailureCause::SupervisorLost);
            let history = opening::history_after(role, kind);
            let failed = FailedRole { role: id, kind, cause, incarnation: role.incarnation };
            fresh.push(Failure { failed, history });
        }
    }
    if !fresh.is_empty() {
        let now = scene.moment.time;
        let scope = budget::scope(session.spec.budget, &mut session.failures, now);
        opening::open(scene, session, fresh, scope, now, effects);
    }
}
