//! What a session tells the cluster.

use rekindle_protocol::history::History;
use rekindle_protocol::image::RoleId;
use rekindle_protocol::recovery::policy::FailureKind;
use rekindle_statemachine::command::{Command, FailureCause, Rejection, Reply};
use rekindle_statemachine::ids::{Generation, Incarnation, RecoveryNumber, SessionId};
use tokio::time::Instant;

use super::{Effect, Report, Session, Wanted};
use crate::role::{Role, Stage, Wait};
use crate::worker_api::SupervisorLine;

impl Session {
    /// The role does no event from now on, and tells where it stands.
    pub(super) fn freeze(&mut self, id: RoleId, recovery: RecoveryNumber) {
        let (session, generation) = self.name();
        let Some(role) = self.role(id) else { return };
        role.held = true;
        let (incarnation, history) = standing(role);
        let command = Command::ReportPosition { session, generation, role: id, incarnation, recovery, history };
        self.report(id, incarnation, command, Wanted::IfRefused);
    }

    /// The role is where the last order wants it.
    pub(super) fn acknowledge(&mut self, id: RoleId) {
        let (session, generation) = self.name();
        let (recovery, revision) = (self.recovery, Some(self.revision));
        let Some(incarnation) = self.role(id).map(|role| role.incarnation) else { return };
        let command = Command::AcknowledgeRestore { session, generation, role: id, incarnation, recovery, revision };
        self.report(id, incarnation, command, Wanted::IfRefused);
    }

    pub(super) fn report_finish(&mut self, id: RoleId) {
        let (session, generation) = self.name();
        let Some((incarnation, history)) = self.role(id).map(|role| standing(role)) else { return };
        let command = Command::FinishRole { session, generation, role: id, incarnation, history };
        self.report(id, incarnation, command, Wanted::IfRefused);
    }

    pub(super) fn report_failure(&mut self, id: RoleId, cause: FailureCause, now: Instant) {
        self.report_failure_once(id, cause, now, Wanted::IfRefused);
    }

    fn report_failure_once(&mut self, id: RoleId, cause: FailureCause, now: Instant, answer: Wanted) {
        let (session, generation) = self.name();
        let Some((incarnation, history)) = self.role(id).map(|role| standing(role)) else { return };
        let kind = FailureKind::Worker;
        let command =
            Command::ReportFailure { session, generation, role: id, incarnation, kind, cause, history, age_ms: 0 };
        let (session, generation) = self.name();
        let since = Some(now);
        let report = Report { session, generation, role: id, incarnation, command, since, answer };
        self.effects.push(Effect::Report(report));
    }

    /// The cluster refuses what was reported of a role, though the role is what it takes it for: no later report can make
    /// that good, and without one the session would hang. It ends, and says why.
    pub(crate) fn refused(&mut self, id: RoleId, incarnation: Incarnation, rejection: &Rejection, now: Instant) {
        if self.current(id, incarnation).is_some() {
            let message = format!("the cluster refuses what is reported of it: {rejection}");
            self.report_failure_once(id, FailureCause::CannotRun { message }, now, Wanted::Never);
        }
    }

    /// Asks for the next checkpoint to be stored, if every send before it is held.
    pub(super) fn store_checkpoints(&mut self, id: RoleId) {
        let (session, generation) = self.name();
        let Some(role) = self.role(id).filter(|role| role.stage != Stage::Over) else { return };
        let Role { checkpoints, outboxes, monitor, incarnation, .. } = role;
        let incarnation = *incarnation;
        let after = checkpoints.known();
        let held = |sent: &[u64]| outboxes.iter().zip(sent).all(|(outbox, &sent)| outbox.acked() >= sent);
        let Some(next) = checkpoints.ask(held) else { return };
        let steps = steps_between(monitor.history(), after, next.position);
        let data = next.data.clone();
        let command = Command::StoreCheckpoint { session, generation, role: id, incarnation, after, steps, data };
        self.report(id, incarnation, command, Wanted::Always);
    }

    /// The cluster's answer to the last checkpoint of a role.
    pub(crate) fn answered(&mut self, id: RoleId, incarnation: Incarnation, reply: &Reply, now: Instant) {
        let Some(role) = self.current(id, incarnation) else { return };
        let stored = role.checkpoints.answered(*reply == Reply::Done);
        if role.wait == Some(Wait::Stored) {
            self.ready.insert(id);
        }
        match (stored, reply) {
            (Some(position), _) => self.write(id, SupervisorLine::Stored { position }.to_bytes()),
            (None, Reply::Rejected(rejection)) => {
                tracing::warn!(session = %self.id, role = self.role_name(id), %rejection, "a checkpoint is not stored");
            }
            (None, _) => {}
        }
        self.store_checkpoints(id);
        self.settle(now);
    }

    fn report(&mut self, role: RoleId, incarnation: Incarnation, command: Command, answer: Wanted) {
        let (session, generation) = self.name();
        let report = Report { session, generation, role, incarnation, command, since: None, answer };
        self.effects.push(Effect::Report(report));
    }

    fn name(&self) -> (SessionId, Generation) {
        (self.id.clone(), self.generation)
    }
}

fn standing(role: &Role) -> (Incarnation, History) {
    (role.incarnation, role.monitor.history().clone())
}

fn steps_between(history: &History, after: u64, position: u64) -> Vec<u16> {
    let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
    history.steps.get(at(after)..at(position)).map(<[u16]>::to_vec).unwrap_or_default()
}
