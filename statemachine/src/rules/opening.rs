//! Opening a recovery: who failed, who is frozen, what is known already.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_protocol::history::History;
use rekindle_protocol::image::RoleId;
use rekindle_protocol::recovery::policy::FailureKind;

use crate::command::FailureCause;
use crate::effect::Effect;
use crate::events::SessionEventKind;
use crate::ids::{AgentId, EntryTime, Epoch, RecoveryNumber};
use crate::recovery::{Ending, FailedRole, Gathering, Opening, Restoring, Scope};
use crate::rules::scene::Scene;
use crate::rules::{decision, orders};
use crate::session::{Phase, Role, Session};

/// A failed role, and the events that it has done as far as anybody can know.
pub(super) struct Failure {
    pub(super) failed: FailedRole,
    pub(super) history: History,
}

/// Opens the next recovery, over the one that is open.
pub(super) fn open(
    scene: &Scene<'_>,
    session: &mut Session,
    fresh: Vec<Failure>,
    scope: Scope,
    detected: EntryTime,
    effects: &mut Vec<Effect>,
) {
    for failure in &fresh {
        let FailedRole { role, kind, cause, incarnation } = failure.failed.clone();
        let position = failure.history.position();
        session.tell(scene.moment.time, SessionEventKind::RoleFailed { role, incarnation, kind, cause, position });
    }
    let number = session.recoveries().next_back().map_or(0, |last| last.opening.number.0) + 1;
    let busy = busy_agents(session);
    let (failures, scope) = supersede(session, fresh, scope);
    for role in failures.keys() {
        session.roles[role.index()].done = false;
    }
    let everyone: Vec<RoleId> = scene.image.role_ids().collect();
    let affected = affected(scene, session, &failures);
    let widened = match scope {
        Scope::Minimal => Vec::new(),
        Scope::Affected => affected.iter().copied().collect(),
        Scope::All => everyone.clone(),
    };
    let frozen = if scope == Scope::Minimal { affected.into_iter().collect() } else { everyone };
    session.epoch = Epoch(session.epoch.0 + 1);
    let opening = Opening {
        number: RecoveryNumber(number),
        epoch: session.epoch,
        scope,
        failed: failures.values().map(|failure| failure.failed.clone()).collect(),
        frozen,
        widened,
        detected,
        opened: scene.moment.time,
        opened_by: scene.moment.proposer,
    };
    session.tell(scene.moment.time, SessionEventKind::RecoveryOpened { recovery: opening.number });
    let positions = known_positions(&opening, &session.roles, failures);
    ask_or_decide(scene, session, Gathering { opening, positions }, busy, effects);
}

/// Agents that work for the recovery that is open, and are to be told that it is over.
fn busy_agents(session: &Session) -> BTreeSet<AgentId> {
    match &session.phase {
        Phase::Gathering(_) => {
            let asked = session.orders.iter().filter(|(_, standing)| standing.asked.is_some());
            asked.map(|(agent, _)| agent.clone()).collect()
        }
        Phase::Restoring(_) => session.orders.keys().cloned().collect(),
        Phase::Running | Phase::Ended { .. } => BTreeSet::new(),
    }
}

/// Closes the open recovery, if there is one, in favour of a new one. Gives the roles that the new one counts as failed,
/// and its scope, which is no narrower. The phase is `Running` afterwards: the new one is not in place yet.
fn supersede(session: &mut Session, fresh: Vec<Failure>, scope: Scope) -> (BTreeMap<RoleId, Failure>, Scope) {
    let mut failures = BTreeMap::new();
    let mut widest = scope;
    match std::mem::replace(&mut session.phase, Phase::Running) {
        Phase::Gathering(open) => {
            let Gathering { opening, mut positions } = *open;
            widest = widest.max(opening.scope);
            for failed in &opening.failed {
                let history = positions.remove(&failed.role).unwrap_or_default();
                failures.insert(failed.role, Failure { failed: failed.clone(), history });
            }
            session.close(opening, Ending::Superseded { decision: None });
        }
        Phase::Restoring(open) => {
            widest = widest.max(open.opening.scope);
            let unfinished = session.numbered_roles().filter_map(|(id, role)| unfinished(&open, id, role));
            failures.extend(unfinished.map(|failure| (failure.failed.role, failure)));
            session.close(open.opening, Ending::Superseded { decision: Some(open.decision) });
        }
        Phase::Running | Phase::Ended { .. } => {}
    }
    failures.extend(fresh.into_iter().map(|failure| (failure.failed.role, failure)));
    (failures, widest)
}

/// How a decision that was not carried out leaves a role failed for the next recovery, if it does.
fn unfinished(open: &Restoring, id: RoleId, role: &Role) -> Option<Failure> {
    if open.has_restored(id) || !(open.opening.has_failed(id) || open.decision.restarts(id)) {
        return None;
    }
    let kind = if role.agent.is_some() { FailureKind::Worker } else { FailureKind::Supervisor };
    let failed = FailedRole { role: id, kind, cause: FailureCause::Unfinished, incarnation: role.incarnation };
    Some(Failure { failed, history: history_after(role, kind) })
}

/// The events of a failed role by what is lost with it, as far as the log knows them.
pub(super) fn history_after(role: &Role, kind: FailureKind) -> History {
    if kind == FailureKind::Worker { role.recorded.clone() } else { role.proven_history() }
}

/// Roles that the failures can concern: those in the table's rows, or all where the table says nothing.
fn affected(scene: &Scene<'_>, session: &Session, failures: &BTreeMap<RoleId, Failure>) -> BTreeSet<RoleId> {
    let everyone = || scene.image.role_ids().collect();
    // A row holds for failures of kind `worker`, with every message kept that the retention keeps.
    if session.roles.iter().any(|role| !role.lost.is_empty()) {
        return everyone();
    }
    let mut affected = BTreeSet::new();
    for (&role, failure) in failures {
        let state = scene.image.machine(role).and_then(|machine| failure.history.state(machine).ok());
        let table = session.table.as_ref();
        let row = state.and_then(|state| table?.row(role, state));
        let Some(row) = row.filter(|_| failure.failed.kind == FailureKind::Worker) else { return everyone() };
        affected.insert(role);
        affected.extend(row.named());
    }
    affected
}

/// Histories that need not be asked for: of failed roles, and of done ones, which do no more events.
fn known_positions(
    opening: &Opening,
    roles: &[Role],
    failures: BTreeMap<RoleId, Failure>,
) -> BTreeMap<RoleId, History> {
    if opening.scope == Scope::All {
        // Everybody goes back to the start, wherever they are.
        return opening.frozen.iter().map(|&role| (role, History::default())).collect();
    }
    let done = opening.frozen.iter().filter_map(|&id| Some((id, roles.get(id.index())?)));
    let done = done.filter(|(_, role)| role.done).map(|(id, role)| (id, role.recorded.clone()));
    done.chain(failures.into_iter().map(|(role, failure)| (role, failure.history))).collect()
}

/// Freezes the roles whose positions are missing; decides if none are.
fn ask_or_decide(
    scene: &Scene<'_>,
    session: &mut Session,
    open: Gathering,
    busy: BTreeSet<AgentId>,
    effects: &mut Vec<Effect>,
) {
    let mut asked: BTreeMap<AgentId, Vec<RoleId>> = BTreeMap::new();
    for role in open.awaited() {
        if let Some(agent) = session.role(role).and_then(|role| role.agent.clone()) {
            asked.entry(agent).or_default().push(role);
        }
    }
    if asked.is_empty() {
        return decision::decide(scene, session, open, effects);
    }
    session.phase = Phase::Gathering(Box::new(open));
    for agent in busy {
        asked.entry(agent).or_default();
    }
    orders::order(scene, session, effects, asked.into_iter().map(|(agent, roles)| (agent, Some(roles))));
}
