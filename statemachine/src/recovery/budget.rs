//! The restart budget.
//!
//! What counts is each failure that a local supervisor reports and that opens a recovery. The loss of an agent does not
//! count: it says nothing about the workers, and each takes at least a lease. Neither does the launch.
//!
//! Within the window, up to `max_restarts` failures are answered with the recovery line. The next one sends every role
//! in the table's row back to its start, the one after it every role of the session, and the one after that fails the
//! session.

use crate::recovery::{FailedRole, Scope};
use crate::turn::Turn;

/// What the budget says to one more failure.
pub(super) enum Verdict {
    /// Recover that widely.
    Within(Scope),
    /// Give up after that many failures in the window.
    Exhausted(usize),
}

impl Turn<'_> {
    /// Counts one failure.
    pub(super) fn charge(&mut self) -> Verdict {
        self.forget_old_failures();
        self.session.failures.push(self.moment.time);
        let count = self.session.failures.len();
        match count.saturating_sub(self.session.spec.budget.max_restarts as usize) {
            0..=2 => Verdict::Within(self.scope()),
            _ => Verdict::Exhausted(count),
        }
    }

    /// How widely to recover after the failures counted so far.
    pub(super) fn scope(&mut self) -> Scope {
        self.forget_old_failures();
        match self.session.failures.len().saturating_sub(self.session.spec.budget.max_restarts as usize) {
            0 => Scope::Minimal,
            1 => Scope::Affected,
            _ => Scope::All,
        }
    }

    /// Fails the session because of one failure too many.
    pub(super) fn exhaust(&mut self, last: &FailedRole, count: usize) {
        let budget = self.session.spec.budget;
        let name = self.image.role_name(last.role);
        self.fail(format!(
            "restart budget exhausted: {count} failures within {} ms, {} allowed; the last: role `{name}` {}",
            budget.window_ms, budget.max_restarts, last.cause
        ));
    }

    fn forget_old_failures(&mut self) {
        let (now, window) = (self.moment.time.0, self.session.spec.budget.window_ms);
        self.session.failures.retain(|failure| now.saturating_sub(failure.0) < window);
    }
}
