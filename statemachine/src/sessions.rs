//! The life of a session: start, roles that finish, end.

use std::collections::{BTreeMap, VecDeque};

use rekindle_protocol::image::Image;
use rekindle_protocol::recovery::policy::Retention;
use rekindle_protocol::recovery::table::RecoveryTable;

use crate::command::{Rejection, Reply};
use crate::events::SessionEventKind;
use crate::ids::{Epoch, ProtocolId, SessionId};
use crate::limits;
use crate::machine::Moment;
use crate::recovery::{Report, Stage};
use crate::session::{Outcome, Phase, Role, Session, StandingGoal};
use crate::spec::{RoleSpec, SessionSpec};
use crate::turn::Turn;

/// A request to start a session.
pub(crate) struct Launch<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) protocol: &'a ProtocolId,
    pub(crate) spec: &'a SessionSpec,
    pub(crate) table: &'a RecoveryTable,
}

/// Whether a session can be started like this.
pub(crate) fn check(launch: &Launch<'_>, image: &Image) -> Result<(), Rejection> {
    let name = &launch.session.0;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > limits::SESSION_BYTES || !name.bytes().all(fits) {
        return invalid(format!(
            "a session's name is 1 to {} lower-case letters, digits or `-`",
            limits::SESSION_BYTES
        ));
    }
    check_spec(launch.spec, image)?;
    check_table(launch.table, image)
}

fn check_spec(spec: &SessionSpec, image: &Image) -> Result<(), Rejection> {
    if spec.roles.len() != image.roles.len() {
        return invalid(format!("protocol `{}` has {} roles", image.name, image.roles.len()));
    }
    if spec.retention == Retention::Durable {
        return invalid("retention `durable` is not supported yet".to_owned());
    }
    if let Some(role) = spec.roles.iter().position(|role| role.command.first().is_none_or(String::is_empty)) {
        return invalid(format!("role `{}` has no command", image.roles[role]));
    }
    if spec.roles.iter().map(command_bytes).sum::<usize>() > limits::COMMAND_BYTES {
        return Err(limits::reached("bytes of the commands and environments of a session", limits::COMMAND_BYTES));
    }
    if spec.folder.len() > limits::FOLDER_BYTES {
        return Err(limits::reached("bytes of a session's folder", limits::FOLDER_BYTES));
    }
    if spec.budget.max_restarts > limits::RESTARTS {
        return Err(limits::reached("restarts of a budget", limits::RESTARTS as usize));
    }
    Ok(())
}

/// Size of a role's command and environment. A word counts at least one byte, so that empty ones are bounded too.
fn command_bytes(role: &RoleSpec) -> usize {
    let variables = role.environment.iter().flat_map(|(name, value)| [name, value]);
    let words = role.command.iter().chain(variables).chain(role.agent.as_ref().map(|agent| &agent.0));
    words.map(|word| word.len() + 1).sum()
}

fn check_table(table: &RecoveryTable, image: &Image) -> Result<(), Rejection> {
    let wrong = || invalid(format!("the recovery table is not one of protocol `{}`", image.name));
    if table.rows.len() != image.roles.len() {
        return wrong();
    }
    let mut entries = 0;
    for (rows, machine) in table.rows.iter().zip(&image.machines) {
        if !rows.is_empty() && rows.len() != machine.states.len() {
            return wrong();
        }
        for row in rows {
            let fits =
                row.roles.len() == image.roles.len()
                    && row.roles.iter().zip(&image.machines).all(|(states, machine)| {
                        states.last().is_none_or(|&greatest| machine.state(greatest).is_some())
                    });
            if !fits {
                return wrong();
            }
            entries += row.roles.iter().map(|states| states.len() + 1).sum::<usize>();
        }
    }
    if entries > limits::TABLE_ENTRIES {
        return Err(limits::reached("entries of a recovery table", limits::TABLE_ENTRIES));
    }
    Ok(())
}

fn invalid(reason: String) -> Result<(), Rejection> {
    Err(Rejection::Invalid(reason))
}

/// A session that was checked and has not been launched yet.
pub(crate) fn new_session(moment: Moment, launch: &Launch<'_>, image: &Image) -> Session {
    Session {
        id: launch.session.clone(),
        protocol: launch.protocol.clone(),
        spec: launch.spec.clone(),
        started: moment.time,
        phase: Phase::Running,
        epoch: Epoch(0),
        revision: 0,
        roles: image.roles.iter().map(|_| Role::new()).collect(),
        recoveries: VecDeque::new(),
        events: VecDeque::new(),
        failures: Vec::new(),
        table: Some(launch.table.clone()),
        orders: BTreeMap::new(),
    }
}

impl Turn<'_> {
    /// A worker exited in a final state.
    pub(crate) fn finish(&mut self, report: Report<'_>) -> Result<Reply, Rejection> {
        let (role, machine) = self.require_current(report.role, report.incarnation)?;
        if role.done {
            return Ok(Reply::Done);
        }
        let name = self.image.role_name(report.role);
        let gathering = self.session.phase == Phase::Gathering;
        let failed = self.session.open_recovery().is_some_and(|recovery| recovery.has_failed(report.role));
        if gathering && failed {
            return Err(Rejection::Invalid(format!("role `{name}` has failed")));
        }
        if self.fail_if_too_long(&report) {
            return Ok(Reply::Done);
        }
        let history = self.reconcile(report.role, report.history)?;
        let last = history.state(machine).ok().and_then(|state| machine.state(state));
        if last.is_none_or(|state| !state.is_final()) {
            return Err(Rejection::Invalid(format!("role `{name}` is not in a final state")));
        }
        let position = history.position();
        let role = &mut self.session.roles[report.role.index()];
        role.done = true;
        role.proven = position;
        role.record(history.clone());
        self.session.tell(self.moment.time, SessionEventKind::RoleDone { role: report.role, position });
        if self.session.roles.iter().all(|role| role.done) {
            self.end(Outcome::Completed, None);
        } else if gathering {
            self.take_position(report.role, history);
        }
        Ok(Reply::Done)
    }

    /// Somebody wants the session stopped.
    pub(crate) fn cancel(&mut self) -> Result<(), Rejection> {
        if matches!(self.session.phase, Phase::Ended { outcome: Outcome::Cancelled, .. }) {
            return Ok(());
        }
        self.require_live()?;
        self.end(Outcome::Cancelled, None);
        Ok(())
    }

    /// Ends the session, and drops what only a live one needs.
    pub(crate) fn end(&mut self, outcome: Outcome, reason: Option<String>) {
        let time = self.moment.time;
        let open = self.session.open_recovery().is_some();
        if let Some(recovery) = self.session.recoveries.back_mut().filter(|_| open) {
            recovery.stage = Stage::Abandoned;
            recovery.positions.clear();
        }
        self.session.phase = Phase::Ended { outcome, reason: reason.clone(), time };
        self.session.tell(time, SessionEventKind::Ended { outcome, reason });
        self.order_everyone(&StandingGoal::End);
        self.session.table = None;
        self.session.failures.clear();
        for role in &mut self.session.roles {
            role.restarting = false;
            role.checkpoints.clear();
            role.recorded.steps.clear();
            role.floors.clear();
        }
    }

    /// Fails the session if a role has done more than a recovery can look at. Whether it did.
    pub(crate) fn fail_if_too_long(&mut self, report: &Report<'_>) -> bool {
        let too_long = report.history.steps.len() > limits::HISTORY;
        if too_long {
            let name = self.image.role_name(report.role);
            self.fail(format!("role `{name}` has done more than {} events", limits::HISTORY));
        }
        too_long
    }
}
