//! A role is where a decision, or the launch, wants it. The last one resumes the session.

use rekindle_protocol::image::RoleId;

use crate::command::{Rejection, Reply};
use crate::effect::Effect;
use crate::events::SessionEventKind;
use crate::ids::RecoveryNumber;
use crate::recovery::{Acknowledged, Ending, Restoring, Stage};
use crate::rules::orders;
use crate::rules::scene::{Process, Scene, require_current};
use crate::session::{Phase, Session};

/// Handles [`Command::AcknowledgeRestore`](crate::command::Command::AcknowledgeRestore).
///
/// Only the last order counts, because an earlier one may not have known where every role is. A role that acknowledged an
/// earlier one is where it is to be all the same: the next recovery does not count it as failed.
pub(crate) fn acknowledge(
    scene: &Scene<'_>,
    session: &mut Session,
    process: Process,
    number: RecoveryNumber,
    revision: Option<u64>,
    effects: &mut Vec<Effect>,
) -> Result<Reply, Rejection> {
    let (role, _) = require_current(scene, session, process)?;
    let placed = role.agent.is_some();
    let (count, current) = (session.roles.len(), session.revision);
    let stale = Rejection::StaleRecovery { named: number };
    let Phase::Restoring(open) = &mut session.phase else {
        return if has_resumed(session, number) { Ok(Reply::Done) } else { Err(stale) };
    };
    if open.opening.number != number || !placed {
        return Err(stale);
    }
    let acknowledged = match revision {
        None => Acknowledged::Unnamed,
        Some(named) if named == current => Acknowledged::Order(named),
        Some(named) => return Err(Rejection::StaleOrder { current, named }),
    };
    open.acknowledged.insert(process.role, acknowledged);
    if is_complete(open, count, current) {
        resume(scene, session, effects);
    }
    Ok(Reply::Done)
}

/// Whether an acknowledgement is one that was repeated after it, or another, had resumed the session.
fn has_resumed(session: &Session, number: RecoveryNumber) -> bool {
    let last = session.recoveries().next_back();
    last.is_some_and(|last| last.opening.number == number && last.stage == Stage::Resumed)
}

fn is_complete(open: &Restoring, count: usize, revision: u64) -> bool {
    (0u16..).map(RoleId).take(count).all(|role| open.has_acknowledged(role, revision))
}

fn resume(scene: &Scene<'_>, session: &mut Session, effects: &mut Vec<Effect>) {
    let (time, by) = (scene.moment.time, scene.moment.proposer);
    if let Phase::Restoring(open) = std::mem::replace(&mut session.phase, Phase::Running) {
        let Restoring { opening, decision, .. } = *open;
        let number = opening.number;
        session.close(opening, Ending::Resumed { decision, time, by });
        session.tell(time, SessionEventKind::Resumed { recovery: number });
    }
    for role in &mut session.roles {
        role.restarting = false;
    }
    orders::order_everyone(scene, session, effects);
}
