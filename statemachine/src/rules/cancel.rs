//! Somebody wants a session stopped.

use crate::command::{Outcome, Rejection, Reply};
use crate::effect::Effect;
use crate::rules::ending;
use crate::rules::scene::{Scene, require_live};
use crate::session::{Phase, Session};

/// Handles [`Command::CancelSession`](crate::command::Command::CancelSession).
pub(crate) fn cancel(scene: &Scene<'_>, session: &mut Session, effects: &mut Vec<Effect>) -> Result<Reply, Rejection> {
    if matches!(session.phase, Phase::Ended { outcome: Outcome::Cancelled, .. }) {
        return Ok(Reply::Done);
    }
    require_live(session)?;
    ending::end(scene, session, Outcome::Cancelled, None, effects);
    Ok(Reply::Done)
}
