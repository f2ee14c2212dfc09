//! The restart budget.
//!
//! What counts is each failure that a local supervisor reports and that opens a recovery. The loss of an agent does not
//! count: it says nothing about the workers, and each takes at least a lease. Neither does the launch.
//!
//! Within the window, up to `max_restarts` failures are answered with the recovery line. The next one sends every role
//! in the table's row back to its start, the one after it every role of the session, and the one after that fails the
//! session.

use crate::ids::EntryTime;
use crate::recovery::{FailedRole, Scope};
use crate::spec::RestartBudget;

/// What the budget says to one more failure.
pub(super) enum Verdict {
    /// Recover that widely.
    Within(Scope),
    /// Give up after that many failures in the window.
    Exhausted(usize),
}

/// Counts one failure.
pub(super) fn charge(budget: RestartBudget, failures: &mut Vec<EntryTime>, now: EntryTime) -> Verdict {
    forget_old(budget, failures, now);
    failures.push(now);
    match over(budget, failures) {
        0..=2 => Verdict::Within(scope_of(budget, failures)),
        _ => Verdict::Exhausted(failures.len()),
    }
}

/// How widely to recover after the failures counted so far.
pub(super) fn scope(budget: RestartBudget, failures: &mut Vec<EntryTime>, now: EntryTime) -> Scope {
    forget_old(budget, failures, now);
    scope_of(budget, failures)
}

/// Why a session ends after one failure too many.
pub(super) fn exhausted(budget: RestartBudget, name: &str, last: &FailedRole, count: usize) -> String {
    format!(
        "restart budget exhausted: {count} failures within {} ms, {} allowed; the last: role `{name}` {}",
        budget.window_ms, budget.max_restarts, last.cause
    )
}

fn scope_of(budget: RestartBudget, failures: &[EntryTime]) -> Scope {
    match over(budget, failures) {
        0 => Scope::Minimal,
        1 => Scope::Affected,
        _ => Scope::All,
    }
}

fn over(budget: RestartBudget, failures: &[EntryTime]) -> usize {
    failures.len().saturating_sub(budget.max_restarts as usize)
}

fn forget_old(budget: RestartBudget, failures: &mut Vec<EntryTime>, now: EntryTime) {
    failures.retain(|failure| now.0.saturating_sub(failure.0) < budget.window_ms);
}
