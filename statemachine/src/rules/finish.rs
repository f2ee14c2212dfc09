//! A worker exited in a final state.

use crate::command::{Outcome, Rejection, Reply};
use crate::effect::Effect;
use crate::events::SessionEventKind;
use crate::rules::scene::{Report, Scene, being_replaced, reconcile, require_current};
use crate::rules::{ending, position};
use crate::session::{Phase, Session};

/// Handles [`Command::FinishRole`](crate::command::Command::FinishRole).
pub(crate) fn finish(
    scene: &Scene<'_>,
    session: &mut Session,
    report: Report<'_>,
    effects: &mut Vec<Effect>,
) -> Result<Reply, Rejection> {
    let id = report.process.role;
    let (role, machine) = require_current(scene, session, report.process)?;
    if role.done {
        return Ok(Reply::Done);
    }
    let name = scene.image.role_name(id);
    if matches!(&session.phase, Phase::Gathering(open) if open.opening.has_failed(id)) {
        return Err(being_replaced(report.process, name, "has failed"));
    }
    if ending::fail_if_too_long(scene, session, &report, effects) {
        return Ok(Reply::Done);
    }
    let history = reconcile(scene, session, id, report.history)?;
    let last = history.state(machine).ok().and_then(|state| machine.state(state));
    if last.is_none_or(|state| !state.is_final()) {
        return Err(Rejection::Invalid(format!("role `{name}` is not in a final state")));
    }
    let reached = history.position();
    let role = &mut session.roles[id.index()];
    role.done = true;
    role.proven = reached;
    role.record(history.clone());
    session.tell(scene.moment.time, SessionEventKind::RoleDone { role: id, position: reached });
    if session.roles.iter().all(|role| role.done) {
        ending::end(scene, session, Outcome::Completed, None, effects);
    } else {
        position::take_position(scene, session, id, history, effects);
    }
    Ok(Reply::Done)
}
