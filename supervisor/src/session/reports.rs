//! What a session tells the cluster.

use rekindle_proto::statemachine::command::{Command, FailureCause, Reply};
use rekindle_proto::statemachine::ids::{Incarnation, RecoveryNumber};
use rekindle_protocol::history::History;
use rekindle_protocol::image::RoleId;
use rekindle_protocol::recovery::policy::FailureKind;
use tokio::time::Instant;

use super::{Effect, Report, Session};
use crate::role::{Role, Stage, Wait};
use crate::worker_api::SupervisorLine;

impl Session {
    /// The role does no event from now on, and tells where it stands.
    pub(super) fn freeze(&mut self, id: RoleId, recovery: RecoveryNumber) {
        let session = self.id.clone();
        let Some(role) = self.role(id) else { return };
        role.held = true;
        let (incarnation, history) = standing(role);
        self.report(Command::ReportPosition { session, role: id, incarnation, recovery, history }, None);
    }

    /// The role is where the last `Restore` wants it.
    pub(super) fn acknowledge(&mut self, id: RoleId) {
        let (session, recovery) = (self.id.clone(), self.recovery);
        let Some(incarnation) = self.role(id).map(|role| role.incarnation) else { return };
        self.report(Command::AcknowledgeRestore { session, role: id, incarnation, recovery }, None);
    }

    pub(super) fn report_finish(&mut self, id: RoleId) {
        let session = self.id.clone();
        let Some((incarnation, history)) = self.role(id).map(|role| standing(role)) else { return };
        self.report(Command::FinishRole { session, role: id, incarnation, history }, None);
    }

    pub(super) fn report_failure(&mut self, id: RoleId, cause: FailureCause, now: Instant) {
        let session = self.id.clone();
        let Some((incarnation, history)) = self.role(id).map(|role| standing(role)) else { return };
        let kind = FailureKind::Worker;
        self.report(
            Command::ReportFailure { session, role: id, incarnation, kind, cause, history, age_ms: 0 },
            Some(now),
        );
    }

    /// Asks for the next checkpoint to be stored, if every send before it is held.
    pub(super) fn store_checkpoints(&mut self, id: RoleId) {
        let session = self.id.clone();
        let Some(role) = self.role(id).filter(|role| role.stage != Stage::Over) else { return };
        let Role { checkpoints, outboxes, monitor, incarnation, .. } = role;
        let incarnation = *incarnation;
        let after = checkpoints.known();
        let held = |sent: &[u64]| outboxes.iter().zip(sent).all(|(outbox, &sent)| outbox.acked() >= sent);
        let Some(next) = checkpoints.ask(held) else { return };
        let steps = steps_between(monitor.history(), after, next.position);
        let data = next.data.clone();
        let command = Command::StoreCheckpoint { session: session.clone(), role: id, incarnation, after, steps, data };
        let asked_by = Some((id, incarnation));
        self.effects.push(Effect::Report(Report { session, command, since: None, asked_by }));
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

    fn report(&mut self, command: Command, since: Option<Instant>) {
        let session = self.id.clone();
        self.effects.push(Effect::Report(Report { session, command, since, asked_by: None }));
    }
}

fn standing(role: &Role) -> (Incarnation, History) {
    (role.incarnation, role.monitor.history().clone())
}

fn steps_between(history: &History, after: u64, position: u64) -> Vec<u16> {
    let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
    history.steps.get(at(after)..at(position)).map(<[u16]>::to_vec).unwrap_or_default()
}
