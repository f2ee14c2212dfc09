//! A frozen role answers where it stands.

use rekindle_protocol::history::History;
use rekindle_protocol::image::RoleId;

use crate::command::{Rejection, Reply};
use crate::effect::Effect;
use crate::ids::RecoveryNumber;
use crate::recovery::Gathering;
use crate::rules::scene::{Report, Scene, reconcile, require_current};
use crate::rules::{decision, ending};
use crate::session::{Phase, Session};

/// Handles [`Command::ReportPosition`](crate::command::Command::ReportPosition). A repeated answer, or one that came after
/// all were in, changes nothing.
pub(crate) fn report_position(
    scene: &Scene<'_>,
    session: &mut Session,
    report: Report<'_>,
    number: RecoveryNumber,
    effects: &mut Vec<Effect>,
) -> Result<Reply, Rejection> {
    let id = report.process.role;
    require_current(scene, session, report.process)?;
    let open = session.open_recovery().filter(|open| open.opening.number == number);
    let open = open.ok_or(Rejection::StaleRecovery { named: number })?;
    if !open.opening.frozen.contains(&id) {
        let name = scene.image.role_name(id);
        return Err(Rejection::Invalid(format!("recovery {number} did not ask role `{name}`")));
    }
    if !awaits(session, id) {
        return Ok(Reply::Done);
    }
    if ending::fail_if_too_long(scene, session, &report, effects) {
        return Ok(Reply::Done);
    }
    let history = reconcile(scene, session, id, report.history)?;
    take_position(scene, session, id, history, effects);
    Ok(Reply::Done)
}

/// Whether the open recovery waits for the position of this role.
fn awaits(session: &Session, role: RoleId) -> bool {
    matches!(&session.phase, Phase::Gathering(open) if open.awaited().any(|awaited| awaited == role))
}

/// Notes where a role stands, if the open recovery waits for that; the last position decides.
pub(super) fn take_position(
    scene: &Scene<'_>,
    session: &mut Session,
    role: RoleId,
    history: History,
    effects: &mut Vec<Effect>,
) {
    if !awaits(session, role) {
        return;
    }
    if let Phase::Gathering(open) = &mut session.phase {
        open.positions.insert(role, history);
        if open.awaited().next().is_none() {
            let Gathering { opening, positions } = open.as_mut();
            let open = Gathering { opening: opening.clone(), positions: std::mem::take(positions) };
            decision::decide(scene, session, open, effects);
        }
    }
}
