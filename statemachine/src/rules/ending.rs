//! The end of a session, whatever brought it about.

use crate::command::Outcome;
use crate::effect::Effect;
use crate::events::SessionEventKind;
use crate::limits;
use crate::recovery::Ending;
use crate::rules::orders;
use crate::rules::scene::{Report, Scene};
use crate::session::{Phase, Session};

/// Ends the session, and drops what only a live one needs.
pub(super) fn end(
    scene: &Scene<'_>,
    session: &mut Session,
    outcome: Outcome,
    reason: Option<String>,
    effects: &mut Vec<Effect>,
) {
    let time = scene.moment.time;
    let over = Phase::Ended { outcome, reason: reason.clone(), time };
    match std::mem::replace(&mut session.phase, over) {
        Phase::Gathering(open) => session.close(open.opening, Ending::Abandoned { decision: None }),
        Phase::Restoring(open) => {
            session.close(open.opening, Ending::Abandoned { decision: Some(open.decision) });
        }
        Phase::Running | Phase::Ended { .. } => {}
    }
    session.tell(time, SessionEventKind::Ended { outcome, reason });
    orders::order_everyone(scene, session, effects);
    session.table = None;
    session.failures.clear();
    for role in &mut session.roles {
        role.restarting = false;
        role.checkpoints.clear();
        role.recorded.steps.clear();
        role.floors.clear();
    }
}

/// Ends the session because it cannot go on.
pub(super) fn fail(scene: &Scene<'_>, session: &mut Session, reason: String, effects: &mut Vec<Effect>) {
    end(scene, session, Outcome::Failed, Some(reason), effects);
}

/// Fails the session if a role has done more than a recovery can look at. Whether it did.
pub(super) fn fail_if_too_long(
    scene: &Scene<'_>,
    session: &mut Session,
    report: &Report<'_>,
    effects: &mut Vec<Effect>,
) -> bool {
    let too_long = report.history.steps.len() > limits::HISTORY;
    if too_long {
        let name = scene.image.role_name(report.process.role);
        fail(scene, session, format!("role `{name}` has done more than {} events", limits::HISTORY), effects);
    }
    too_long
}
