//! One session's part in the entry that is being applied.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Image, Machine, RoleId};

use crate::agents::Agent;
use crate::command::Rejection;
use crate::effect::Effect;
use crate::ids::{AgentId, Incarnation};
use crate::index::Index;
use crate::machine::Moment;
use crate::outstanding;
use crate::session::{Outcome, Phase, Role, Session, Standing, StandingGoal};

/// A session that an entry works on, and what it may read besides. The index is without this session meanwhile.
pub(crate) struct Turn<'a> {
    pub(crate) moment: Moment,
    pub(crate) image: &'a Image,
    pub(crate) agents: &'a BTreeMap<AgentId, Agent>,
    pub(crate) index: &'a Index,
    pub(crate) session: &'a mut Session,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl<'a> Turn<'a> {
    /// Refuses to go on with a session that has ended.
    pub(crate) fn require_live(&self) -> Result<(), Rejection> {
        if self.session.has_ended() {
            return Err(Rejection::SessionEnded(self.session.id.clone()));
        }
        Ok(())
    }

    /// The role and its machine, if the incarnation named is its current process and the session lives.
    pub(crate) fn require_current(&self, role: RoleId, named: Incarnation) -> Result<(&Role, &'a Machine), Rejection> {
        self.require_live()?;
        let unknown = || Rejection::UnknownRole { session: self.session.id.clone(), role: role.0 };
        let known = self.session.role(role).ok_or_else(unknown)?;
        let machine = self.image.machine(role).ok_or_else(unknown)?;
        let current = known.incarnation;
        if named < current {
            return Err(Rejection::StaleIncarnation { current, named });
        }
        if named > current {
            return Err(Rejection::Invalid(format!(
                "incarnation {named} of role `{}` does not exist yet",
                self.image.role_name(role)
            )));
        }
        Ok((known, machine))
    }

    /// What a role has done, by a report on its current process and by the log: the longer of both, if the report is a
    /// path of the role's machine, agrees with the log, and does not go past where an open recovery holds the role.
    pub(crate) fn reconcile(&self, role: RoleId, reported: &History) -> Result<History, Rejection> {
        let name = self.image.role_name(role);
        let (Some(known), Some(machine)) = (self.session.role(role), self.image.machine(role)) else {
            return Err(Rejection::UnknownRole { session: self.session.id.clone(), role: role.0 });
        };
        if let Err(position) = reported.state(machine) {
            return Err(Rejection::Invalid(format!("event {position} of role `{name}` is no edge of its machine")));
        }
        let recorded = &known.recorded;
        let differs = recorded.steps.iter().zip(&reported.steps).position(|(log, report)| log != report);
        if let Some(position) = differs {
            return Err(Rejection::Invalid(format!("event {position} of role `{name}` is another one in the log")));
        }
        if let Some(bound) = self.held_at(role).filter(|&bound| reported.position() > bound) {
            return Err(Rejection::Invalid(format!("role `{name}` is held at {bound} until the session resumes")));
        }
        let longer = if reported.position() > recorded.position() { reported } else { recorded };
        Ok(longer.clone())
    }

    /// The position that the role must not go past before the session resumes.
    fn held_at(&self, role: RoleId) -> Option<u64> {
        let known = self.session.role(role)?;
        if known.restarting {
            return Some(known.recorded.position());
        }
        let recovery = self.session.open_recovery()?;
        if let Some(history) = recovery.positions.get(&role) {
            return Some(history.position());
        }
        recovery.line.as_ref()?.roles.get(role.index())?.position
    }

    /// Sends every agent that runs a role of the session the order that `goal` makes for it.
    pub(crate) fn order_everyone(&mut self, goal: &StandingGoal) {
        let runs = self.session.roles.iter().filter_map(|role| role.agent.clone());
        let everyone: BTreeSet<AgentId> = runs.chain(self.session.orders.keys().cloned()).collect();
        self.order(everyone.into_iter().map(|agent| (agent, goal.clone())));
    }

    /// Gives each of these agents a new order and sends it. All have the same, next revision.
    pub(crate) fn order(&mut self, goals: impl Iterator<Item = (AgentId, StandingGoal)>) {
        self.session.revision += 1;
        let (revision, epoch) = (self.session.revision, self.session.epoch);
        let agents: Vec<AgentId> = goals
            .map(|(agent, goal)| {
                self.session.orders.insert(agent.clone(), Standing { revision, epoch, goal });
                agent
            })
            .collect();
        for agent in agents {
            if let Some(order) = outstanding::order(self.session, self.image, self.agents, &agent) {
                self.effects.push(Effect::Send { agent, order });
            }
        }
    }

    /// Ends the session because it cannot go on.
    pub(crate) fn fail(&mut self, reason: String) {
        self.end(Outcome::Failed, Some(reason));
    }

    /// Sets what the session does.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.session.phase = phase;
    }
}
