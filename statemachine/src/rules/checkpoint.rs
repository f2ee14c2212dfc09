//! Checkpoints: a worker's saved state at a position.
//!
//! Invariants
//! * a checkpoint's position is among the known events of its role, and they are proven up to it;
//! * a decision voids every checkpoint past the line;
//! * a role that is restarting stores none, so the order that restarts it stays the same.

use rekindle_protocol::history::History;
use rekindle_protocol::recovery::policy::Mode;

use crate::command::{Rejection, Reply};
use crate::limits;
use crate::rules::scene::{Process, Scene, being_replaced, reconcile, require_current};
use crate::session::Session;
use crate::shared::Shared;

/// A worker's state at the position that `steps` reach from `after`.
pub(crate) struct Saved<'a> {
    pub(crate) after: u64,
    pub(crate) steps: &'a [u16],
    pub(crate) data: &'a [u8],
}

/// Handles [`Command::StoreCheckpoint`](crate::command::Command::StoreCheckpoint).
pub(crate) fn store_checkpoint(
    scene: &Scene<'_>,
    session: &mut Session,
    process: Process,
    saved: &Saved<'_>,
) -> Result<Reply, Rejection> {
    let id = process.role;
    let (role, _) = require_current(scene, session, process)?;
    let name = scene.image.role_name(id);
    let mode = session.spec.roles[id.index()].mode;
    if !matches!(mode, Mode::Checkpoint | Mode::Replay) {
        return Err(Rejection::Invalid(format!("role `{name}` saves no checkpoints in its recovery mode")));
    }
    let failed = session.open_recovery().is_some_and(|open| open.opening.has_failed(id));
    if role.restarting || failed {
        return Err(being_replaced(process, name, "is being restarted"));
    }
    check_size(scene, session, saved.data.len())?;
    let reached = continued(&role.recorded, saved.after, saved.steps).ok_or_else(|| {
        let (after, known) = (saved.after, role.recorded.position());
        Rejection::Invalid(format!("role `{name}` goes on after event {after}, but the log knows {known}"))
    })?;
    if reached.steps.len() > limits::HISTORY {
        return Err(Rejection::limit("events of a role", limits::HISTORY));
    }
    let recorded = reconcile(scene, session, id, &reached)?;
    let role = &mut session.roles[id.index()];
    role.record(recorded);
    role.proven = role.proven.max(reached.position());
    role.checkpoints.insert(reached.position(), Shared::new(saved.data.to_vec()));
    while role.checkpoints.len() > limits::CHECKPOINTS {
        role.checkpoints.pop_first();
    }
    Ok(Reply::Done)
}

fn check_size(scene: &Scene<'_>, session: &Session, bytes: usize) -> Result<(), Rejection> {
    if bytes > limits::CHECKPOINT_BYTES {
        return Err(Rejection::limit("bytes of a checkpoint", limits::CHECKPOINT_BYTES));
    }
    let total = scene.index.checkpoint_bytes + session.checkpoint_bytes() + bytes as u64;
    if total > limits::CHECKPOINT_TOTAL_BYTES {
        let what = "bytes of all checkpoints".to_owned();
        return Err(Rejection::Limit { what, limit: limits::CHECKPOINT_TOTAL_BYTES });
    }
    Ok(())
}

/// The first `after` events of a history, and `steps` from there; `None` if it is shorter than `after`.
fn continued(history: &History, after: u64, steps: &[u16]) -> Option<History> {
    let known = history.steps.get(..usize::try_from(after).ok()?)?;
    Some(History { steps: [known, steps].concat() })
}
