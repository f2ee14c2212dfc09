//! A local supervisor saw a worker fail.

use rekindle_protocol::recovery::policy::FailureKind;

use crate::command::{FailureCause, Rejection, Reply};
use crate::effect::Effect;
use crate::ids::EntryTime;
use crate::recovery::FailedRole;
use crate::rules::budget::{self, Verdict};
use crate::rules::ending;
use crate::rules::opening::{self, Failure};
use crate::rules::scene::{Report, Scene, reconcile, require_current};
use crate::session::Session;

/// What failed and how it was seen.
pub(crate) struct Seen<'a> {
    pub(crate) kind: FailureKind,
    pub(crate) cause: &'a FailureCause,
    pub(crate) detected: EntryTime,
}

/// Handles [`Command::ReportFailure`](crate::command::Command::ReportFailure).
pub(crate) fn report_failure(
    scene: &Scene<'_>,
    session: &mut Session,
    report: Report<'_>,
    seen: &Seen<'_>,
    effects: &mut Vec<Effect>,
) -> Result<Reply, Rejection> {
    let process = report.process;
    let (role, _) = require_current(scene, session, process)?;
    let name = scene.image.role_name(process.role);
    if role.done {
        return Err(Rejection::Invalid(format!("role `{name}` is done")));
    }
    let cause = seen.cause.bounded();
    if let FailureCause::CannotRun { message } = &cause {
        ending::fail(scene, session, format!("role `{name}` cannot run: {message}"), effects);
        return Ok(Reply::Done);
    }
    let counted = session.open_recovery().is_some_and(|open| open.opening.counts(process.role, process.incarnation));
    if counted {
        return Ok(Reply::Done);
    }
    if ending::fail_if_too_long(scene, session, &report, effects) {
        return Ok(Reply::Done);
    }
    let reported = reconcile(scene, session, process.role, report.history)?;
    // Only the worker is gone with kind `worker`; any other kind takes what the supervisor knew.
    let history = if seen.kind == FailureKind::Worker {
        reported
    } else {
        opening::history_after(&session.roles[process.role.index()], seen.kind)
    };
    let failed = FailedRole { role: process.role, kind: seen.kind, cause, incarnation: process.incarnation };
    let limit = session.spec.budget;
    match budget::charge(limit, &mut session.failures, scene.moment.time) {
        Verdict::Within(scope) => {
            opening::open(scene, session, vec![Failure { failed, history }], scope, seen.detected, effects);
        }
        Verdict::Exhausted(count) => {
            ending::fail(scene, session, budget::exhausted(limit, name, &failed, count), effects);
        }
    }
    Ok(Reply::Done)
}
