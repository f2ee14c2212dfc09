//! Opening a recovery: who failed, who is frozen, what is known already.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_protocol::history::History;
use rekindle_protocol::image::RoleId;
use rekindle_protocol::recovery::policy::FailureKind;

use crate::command::{FailureCause, Rejection, Reply};
use crate::events::SessionEventKind;
use crate::ids::{AgentId, EntryTime, Epoch, RecoveryNumber};
use crate::limits;
use crate::recovery::budget::Verdict;
use crate::recovery::{FailedRole, Recovery, Report, Scope, Stage};
use crate::session::{Phase, StandingGoal};
use crate::turn::Turn;

/// A failed role, and the events that it has done as far as anybody can know.
struct Failure {
    failed: FailedRole,
    history: History,
}

impl Turn<'_> {
    /// A local supervisor saw a worker fail.
    pub(crate) fn report_failure(
        &mut self,
        report: Report<'_>,
        kind: FailureKind,
        cause: &FailureCause,
        detected: EntryTime,
    ) -> Result<Reply, Rejection> {
        let (role, _) = self.require_current(report.role, report.incarnation)?;
        let name = self.image.role_name(report.role);
        if role.done {
            return Err(Rejection::Invalid(format!("role `{name}` is done")));
        }
        let cause = cause.bounded();
        if let FailureCause::CannotRun { message } = &cause {
            self.fail(format!("role `{name}` cannot run: {message}"));
            return Ok(Reply::Done);
        }
        let counted = |failed: &FailedRole| failed.role == report.role && failed.incarnation == report.incarnation;
        if self.session.open_recovery().is_some_and(|recovery| recovery.failed.iter().any(counted)) {
            return Ok(Reply::Done);
        }
        if self.fail_if_too_long(&report) {
            return Ok(Reply::Done);
        }
        let reported = self.reconcile(report.role, report.history)?;
        // Only the worker is gone with kind `worker`; any other kind takes what the supervisor knew.
        let history = if kind == FailureKind::Worker { reported } else { role_history(self, report.role, kind) };
        let failed = FailedRole { role: report.role, kind, cause, incarnation: report.incarnation };
        match self.charge() {
            Verdict::Within(scope) => self.open(vec![Failure { failed, history }], scope, detected),
            Verdict::Exhausted(count) => self.exhaust(&failed, count),
        }
        Ok(Reply::Done)
    }

    /// The lease of an agent is over: every role that it ran has failed.
    pub(crate) fn lose_agent(&mut self, agent: &AgentId) {
        self.session.orders.remove(agent);
        if self.session.has_ended() {
            return;
        }
        let mut fresh = Vec::new();
        for index in 0..self.session.roles.len() {
            let role = &mut self.session.roles[index];
            if role.agent.as_ref() == Some(agent) {
                role.agent = None;
                let (kind, cause) = (FailureKind::Supervisor, FailureCause::SupervisorLost);
                let history = role.proven_history();
                let id = RoleId(u16::try_from(index).unwrap_or(u16::MAX));
                let failed = FailedRole { role: id, kind, cause, incarnation: role.incarnation };
                fresh.push(Failure { failed, history });
            }
        }
        if !fresh.is_empty() {
            let scope = self.scope();
            self.open(fresh, scope, self.moment.time);
        }
    }

    /// Opens the next recovery, over the one that is open.
    fn open(&mut self, fresh: Vec<Failure>, scope: Scope, detected: EntryTime) {
        for failure in &fresh {
            let FailedRole { role, kind, cause, incarnation } = failure.failed.clone();
            let position = failure.history.position();
            let kind = SessionEventKind::RoleFailed { role, incarnation, kind, cause, position };
            self.session.tell(self.moment.time, kind);
        }
        let (failures, scope) = self.supersede(fresh, scope);
        for role in failures.keys() {
            self.session.roles[role.index()].done = false;
        }
        let everyone: Vec<RoleId> = self.image.role_ids().collect();
        let affected = self.affected(&failures);
        let widened = match scope {
            Scope::Minimal => Vec::new(),
            Scope::Affected => affected.iter().copied().collect(),
            Scope::All => everyone.clone(),
        };
        let frozen = if scope == Scope::Minimal { affected.into_iter().collect() } else { everyone };
        let number = self.session.recoveries.back().map_or(0, |last| last.number.0) + 1;
        self.session.epoch = Epoch(self.session.epoch.0 + 1);
        let mut recovery = Recovery {
            number: RecoveryNumber(number),
            epoch: self.session.epoch,
            scope,
            stage: Stage::Gathering,
            failed: failures.values().map(|failure| failure.failed.clone()).collect(),
            frozen,
            widened,
            line: None,
            acknowledged: BTreeSet::new(),
            detected,
            opened: self.moment.time,
            decided: None,
            resumed: None,
            opened_by: self.moment.proposer,
            decided_by: None,
            resumed_by: None,
            positions: BTreeMap::new(),
        };
        recovery.positions = self.known_positions(&recovery, failures);
        self.push(recovery);
        self.session.tell(self.moment.time, SessionEventKind::RecoveryOpened { recovery: RecoveryNumber(number) });
        self.ask_or_decide();
    }

    /// Closes the open recovery, if there is one, in favour of a new one. Gives the roles that the new one counts as
    /// failed, and its scope, which is no narrower.
    fn supersede(&mut self, fresh: Vec<Failure>, scope: Scope) -> (BTreeMap<RoleId, Failure>, Scope) {
        let mut failures = BTreeMap::new();
        let open = self.session.open_recovery().cloned();
        let Some(open) = open else {
            failures.extend(fresh.into_iter().map(|failure| (failure.failed.role, failure)));
            return (failures, scope);
        };
        for role in self.image.role_ids() {
            failures.extend(self.carried(&open, role).map(|failure| (role, failure)));
        }
        failures.extend(fresh.into_iter().map(|failure| (failure.failed.role, failure)));
        if let Some(superseded) = self.session.recoveries.back_mut() {
            superseded.stage = Stage::Superseded;
            superseded.positions.clear();
        }
        (failures, scope.max(open.scope))
    }

    /// How the open recovery leaves a role failed for the next one, if it does.
    fn carried(&self, open: &Recovery, id: RoleId) -> Option<Failure> {
        let role = self.session.role(id)?;
        let known = open.failed.iter().find(|failed| failed.role == id);
        if open.stage == Stage::Gathering {
            let history = open.positions.get(&id).cloned().unwrap_or_default();
            return known.map(|failed| Failure { failed: failed.clone(), history });
        }
        if open.acknowledged.contains(&id) || !(known.is_some() || open.restarts(id)) {
            return None;
        }
        let kind = if role.agent.is_some() { FailureKind::Worker } else { FailureKind::Supervisor };
        let failed = FailedRole { role: id, kind, cause: FailureCause::Unfinished, incarnation: role.incarnation };
        Some(Failure { failed, history: role_history(self, id, kind) })
    }

    /// Roles that the failures can concern: those in the table's rows, or all where the table says nothing.
    fn affected(&self, failures: &BTreeMap<RoleId, Failure>) -> BTreeSet<RoleId> {
        let everyone = || self.image.role_ids().collect();
        // A row holds for failures of kind `worker`, with every message kept that the retention keeps.
        if self.session.roles.iter().any(|role| !role.lost.is_empty()) {
            return everyone();
        }
        let mut affected = BTreeSet::new();
        for (&role, failure) in failures {
            let state = self.image.machine(role).and_then(|machine| failure.history.state(machine).ok());
            let table = self.session.table.as_ref();
            let row = state.and_then(|state| table?.row(role, state));
            let Some(row) = row.filter(|_| failure.failed.kind == FailureKind::Worker) else { return everyone() };
            affected.insert(role);
            affected.extend(row.named());
        }
        affected
    }

    /// Histories that need not be asked for: of failed roles, and of done ones, which do no more events.
    fn known_positions(&self, recovery: &Recovery, failures: BTreeMap<RoleId, Failure>) -> BTreeMap<RoleId, History> {
        if recovery.scope == Scope::All {
            // Everybody goes back to the start, wherever they are.
            return recovery.frozen.iter().map(|&role| (role, History::default())).collect();
        }
        let done = recovery.frozen.iter().filter_map(|&id| Some((id, self.session.role(id)?)));
        let done = done.filter(|(_, role)| role.done).map(|(id, role)| (id, role.recorded.clone()));
        done.chain(failures.into_iter().map(|(role, failure)| (role, failure.history))).collect()
    }

    pub(super) fn push(&mut self, recovery: Recovery) {
        self.session.recoveries.push_back(recovery);
        if self.session.recoveries.len() > limits::RECOVERIES {
            self.session.recoveries.pop_front();
        }
    }

    /// Freezes the roles whose positions are missing; decides if none are.
    fn ask_or_decide(&mut self) {
        let Some(recovery) = self.session.recoveries.back() else { return };
        let mut asked: BTreeMap<AgentId, Vec<RoleId>> = BTreeMap::new();
        for role in recovery.awaited() {
            if let Some(agent) = self.session.role(role).and_then(|role| role.agent.clone()) {
                asked.entry(agent).or_default().push(role);
            }
        }
        self.enter(Phase::Gathering);
        if asked.is_empty() {
            self.decide();
            return;
        }
        // Whoever still works for the recovery before this one is told, too, that it is over.
        for (agent, standing) in &self.session.orders {
            if matches!(standing.goal, StandingGoal::Freeze(_) | StandingGoal::Restore) {
                asked.entry(agent.clone()).or_default();
            }
        }
        self.order(asked.into_iter().map(|(agent, roles)| (agent, StandingGoal::Freeze(roles))));
    }
}

/// The events of a failed role by what is lost with it, as far as the log knows them.
fn role_history(turn: &Turn<'_>, role: RoleId, kind: FailureKind) -> History {
    let role = &turn.session.roles[role.index()];
    if kind == FailureKind::Worker { role.recorded.clone() } else { role.proven_history() }
}
