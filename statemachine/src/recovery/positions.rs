//! Gathering the positions of frozen roles.

use rekindle_protocol::history::History;
use rekindle_protocol::image::RoleId;

use crate::command::{Rejection, Reply};
use crate::ids::RecoveryNumber;
use crate::recovery::{Report, Stage};
use crate::turn::Turn;

impl Turn<'_> {
    /// A frozen role answers. A repeated answer, or one that came after all were in, changes nothing.
    pub(crate) fn report_position(&mut self, report: Report<'_>, number: RecoveryNumber) -> Result<Reply, Rejection> {
        self.require_current(report.role, report.incarnation)?;
        let recovery = self.session.open_recovery().filter(|recovery| recovery.number == number);
        let recovery = recovery.ok_or(Rejection::StaleRecovery { named: number })?;
        if !recovery.frozen.contains(&report.role) {
            let name = self.image.role_name(report.role);
            return Err(Rejection::Invalid(format!("recovery {number} did not ask role `{name}`")));
        }
        if recovery.stage != Stage::Gathering || recovery.positions.contains_key(&report.role) {
            return Ok(Reply::Done);
        }
        if self.fail_if_too_long(&report) {
            return Ok(Reply::Done);
        }
        let history = self.reconcile(report.role, report.history)?;
        self.take_position(report.role, history);
        Ok(Reply::Done)
    }

    /// Notes where a role stands, if the open recovery waits for it; the last position decides.
    pub(crate) fn take_position(&mut self, role: RoleId, history: History) {
        let Some(recovery) = self.session.recoveries.back_mut() else { return };
        if !recovery.awaited().any(|awaited| awaited == role) {
            return;
        }
        recovery.positions.insert(role, history);
        if recovery.awaited().next().is_none() {
            self.decide();
        }
    }
}
