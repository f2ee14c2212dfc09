//! The decision: the recovery line over all positions, and what follows from it for each role.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Direction, Machine, RoleId};
use rekindle_protocol::recovery::line::{RecoveryLine, RoleLine, RoleRun, Run, recovery_line};
use rekindle_protocol::recovery::policy::{FailureKind, Mode};

use crate::effect::{Effect, Floor};
use crate::events::SessionEventKind;
use crate::ids::Incarnation;
use crate::limits;
use crate::recovery::{Decision, Gathering, Opening, Restoring};
use crate::rules::scene::Scene;
use crate::rules::{ending, orders, placement};
use crate::session::{Phase, Role, Session};

/// Computes the line of a recovery in which every position is known, and orders it to be carried out.
///
/// The session's phase is the recovery given, or about to be replaced.
pub(super) fn decide(scene: &Scene<'_>, session: &mut Session, open: Gathering, effects: &mut Vec<Effect>) {
    let line = recovery_line(&run(scene, session, &open))
        .map_err(|error| format!("the reported positions have no recovery line: {error}"));
    let Gathering { opening, positions } = open;
    let followed = line.and_then(|line| follow(scene, &mut session.roles, &line, positions).map(|()| line));
    let line = match followed {
        Ok(line) => line,
        Err(reason) => {
            session.phase = Phase::Gathering(Box::new(Gathering { opening, positions: BTreeMap::new() }));
            return ending::fail(scene, session, reason, effects);
        }
    };
    placement::place(scene, &session.spec, &mut session.roles);
    let (time, by, number) = (scene.moment.time, scene.moment.proposer, opening.number);
    let decision = Decision { line, time, by };
    session.phase = Phase::Restoring(Box::new(Restoring { opening, decision, acknowledged: BTreeMap::new() }));
    session.tell(time, SessionEventKind::Decided { recovery: number });
    orders::order_everyone(scene, session, effects);
}

fn run<'a>(scene: &Scene<'a>, session: &Session, open: &Gathering) -> Run<'a> {
    let role_run = |id: RoleId| {
        let (role, spec) = (session.role(id)?, session.spec.roles.get(id.index())?);
        Some(role_run(&open.opening, id, role, spec.mode, open.positions.get(&id)?))
    };
    Run { image: scene.image, retention: session.spec.retention, roles: scene.image.role_ids().map(role_run).collect() }
}

/// Takes over what the line says of each role that was asked.
fn follow(
    scene: &Scene<'_>,
    roles: &mut [Role],
    line: &RecoveryLine,
    mut positions: BTreeMap<RoleId, History>,
) -> Result<(), String> {
    let machines = scene.image.role_ids().zip(&scene.image.machines);
    for (((id, machine), role_line), role) in machines.zip(&line.roles).zip(roles) {
        let (Some(mut history), Some(position)) = (positions.remove(&id), role_line.position) else { continue };
        role.lost = role_line.lost.clone();
        if !role_line.restarted {
            continue;
        }
        history.truncate(position);
        let proven = proven(&history, machine, id, role.proven.min(position), line);
        restart(role, history, proven, &role_line.sent);
        if role.floors.len() > limits::FLOORS {
            let name = scene.image.role_name(id);
            return Err(format!("role `{name}` was restarted more often than {} floors tell", limits::FLOORS));
        }
    }
    Ok(())
}

/// What a role brings to the computation. A widened role goes back to its start as if it had failed there.
fn role_run(opening: &Opening, id: RoleId, role: &Role, mode: Mode, history: &History) -> RoleRun {
    let failed = opening.failed.iter().find(|failed| failed.role == id).map(|failed| failed.kind);
    let widened = opening.widened.contains(&id);
    let checkpoints = role.checkpoints.keys().copied().filter(|&position| position <= history.position());
    RoleRun {
        history: history.clone(),
        mode: if widened { Mode::Restart } else { mode },
        checkpoints: if widened { BTreeSet::new() } else { checkpoints.collect() },
        failed: if widened { failed.or(Some(FailureKind::Worker)) } else { failed },
        lost: role.lost.clone(),
    }
}

/// How many events of a role, which resumes after `history`, no failure can take away: those before the first send that
/// its receiver has not taken at the line, and the `before` that were proven already. A message in transit may still be
/// on its way from the role's supervisor, and is lost with it.
fn proven(history: &History, machine: &Machine, role: RoleId, before: u64, line: &RecoveryLine) -> u64 {
    let mut sent: BTreeMap<RoleId, u64> = BTreeMap::new();
    let mut events = (0..).zip(history.walk(machine).map_while(Result::ok));
    let unproven = events.find(|(position, (action, _))| {
        if action.direction == Direction::Receive {
            return false;
        }
        let index = sent.entry(action.peer).or_default();
        *index += 1;
        *position >= before && *index > taken(line, action.peer, role)
    });
    unproven.map_or(history.position(), |(position, _)| position)
}

/// How many messages of `from` the line has received by `to`; none if `to` was not asked.
fn taken(line: &RecoveryLine, to: RoleId, from: RoleId) -> u64 {
    let received = |line: &RoleLine| line.received.get(from.index()).copied();
    line.roles.get(to.index()).and_then(received).unwrap_or(0)
}

/// Begins the next incarnation of a role, which has done `history`.
fn restart(role: &mut Role, history: History, proven: u64, sent: &[u64]) {
    role.incarnation = Incarnation(role.incarnation.0 + 1);
    role.done = false;
    role.restarting = true;
    role.checkpoints.retain(|&position, _| position <= history.position());
    role.proven = proven;
    role.record(history);
    let floor = Floor { incarnation: role.incarnation, sent: sent.to_vec() };
    // What an earlier floor undoes, a later one that is nowhere higher undoes too.
    role.floors.retain(|earlier| earlier.sent.iter().zip(sent).any(|(earlier, later)| earlier < later));
    role.floors.push(floor);
}
