//! Checkpoints: a worker's saved state at a position.
//!
//! Invariants
//! * a checkpoint's position is among the known events of its role, and they are proven up to it;
//! * a decision voids every checkpoint past the line;
//! * a role that is restarting stores none, so the order that restarts it stays the same.

use rekindle_protocol::history::History;
use rekindle_protocol::image::RoleId;
use rekindle_protocol::recovery::policy::Mode;

use crate::command::{Rejection, Reply};
use crate::ids::Incarnation;
use crate::limits;
use crate::session::Session;
use crate::turn::Turn;

impl Turn<'_> {
    /// Keeps the state of a worker at the position that `steps` reach from `after`.
    pub(crate) fn store_checkpoint(
        &mut self,
        id: RoleId,
        incarnation: Incarnation,
        (after, steps): (u64, &[u16]),
        data: &[u8],
    ) -> Result<Reply, Rejection> {
        let (role, _) = self.require_current(id, incarnation)?;
        let name = self.image.role_name(id);
        let mode = self.session.spec.roles[id.index()].mode;
        if !matches!(mode, Mode::Checkpoint | Mode::Replay) {
            return Err(Rejection::Invalid(format!("role `{name}` saves no checkpoints in its recovery mode")));
        }
        if role.restarting || self.session.open_recovery().is_some_and(|recovery| recovery.has_failed(id)) {
            return Err(Rejection::Invalid(format!("role `{name}` is being restarted")));
        }
        if data.len() > limits::CHECKPOINT_BYTES {
            return Err(limits::reached("bytes of a checkpoint", limits::CHECKPOINT_BYTES));
        }
        let total = self.index.checkpoint_bytes + self.session.checkpoint_bytes() + data.len() as u64;
        if total > limits::CHECKPOINT_TOTAL_BYTES {
            let what = "bytes of all checkpoints".to_owned();
            return Err(Rejection::Limit { what, limit: limits::CHECKPOINT_TOTAL_BYTES });
        }
        let reached = continued(&role.recorded, after, steps).ok_or_else(|| {
            let known = role.recorded.position();
            Rejection::Invalid(format!("role `{name}` goes on after event {after}, but the log knows {known}"))
        })?;
        if reached.steps.len() > limits::HISTORY {
            return Err(limits::reached("events of a role", limits::HISTORY));
        }
        let recorded = self.reconcile(id, &reached)?;
        let role = &mut self.session.roles[id.index()];
        role.record(recorded);
        role.proven = role.proven.max(reached.position());
        role.checkpoints.insert(reached.position(), data.to_vec());
        while role.checkpoints.len() > limits::CHECKPOINTS {
            role.checkpoints.pop_first();
        }
        Ok(Reply::Done)
    }
}

impl Session {
    /// Bytes of its stored checkpoints.
    pub(crate) fn checkpoint_bytes(&self) -> u64 {
        let sizes = self.roles.iter().flat_map(|role| role.checkpoints.values());
        sizes.map(|data| data.len() as u64).sum()
    }
}

/// The first `after` events of a history, and `steps` from there; `None` if it is shorter than `after`.
fn continued(history: &History, after: u64, steps: &[u16]) -> Option<History> {
    let known = history.steps.get(..usize::try_from(after).ok()?)?;
    Some(History { steps: [known, steps].concat() })
}
