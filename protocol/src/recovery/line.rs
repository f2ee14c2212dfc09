//! The recovery line: the greatest valid cut of a run.
//!
//! A cut gives every role a position. It is valid when each role may resume at its position, nothing is received that
//! was not sent, and every message sent but not received can be delivered again. The valid cuts are closed under
//! pointwise maximum and contain the start, so exactly one of them is the greatest. It is found by a worklist fixpoint
//! that only ever moves roles back, and moves each only as far as a violated condition forces it. Every event is undone
//! at most once, so the work is linear in the histories, but for a binary search at each move.

use crate::recovery::availability::lost_after;
use crate::recovery::channels::{Asked, Ledger};
use crate::recovery::fixpoint::settle;
use crate::recovery::points::{Points, latest_base};
use crate::recovery::policy::Mode;

pub use crate::recovery::run::{Cause, InTransit, Lost, RecoveryLine, RoleLine, RoleRun, Run, RunError};

/// The recovery line of a run: the greatest valid cut, and the reason for each role's place in it.
///
/// Deterministic: the same run gives the same answer, reasons included. Linear in the length of the histories, but for
/// a logarithm.
pub fn recovery_line(run: &Run<'_>) -> Result<RecoveryLine, RunError> {
    check_shape(run)?;
    let mut ledger = Ledger::of(run)?;
    let points: Vec<Option<Points>> =
        (0..run.roles.len()).map(|role| Some(Points::of(run, ledger.role(role)?))).collect();
    let causes = settle(run, &mut ledger, &points);
    let roles = run
        .image
        .role_ids()
        .zip(causes)
        .map(|(role, cause)| match ledger.role(role.index()) {
            Some(asked) => asked_line(run, &ledger, asked, cause),
            None => outside_line(),
        })
        .collect();
    Ok(RecoveryLine { roles, in_transit: ledger.in_transit() })
}

fn check_shape(run: &Run<'_>) -> Result<(), RunError> {
    let expected = run.image.roles.len();
    if run.roles.len() != expected {
        return Err(RunError::RoleCount { expected, found: run.roles.len() });
    }
    for (role, asked) in run.image.role_ids().zip(&run.roles) {
        let Some(asked) = asked else { continue };
        let position = asked.history.position();
        if let Some(&checkpoint) = asked.checkpoints.last().filter(|&&last| last > position) {
            return Err(RunError::CheckpointPastEnd { role, checkpoint, position });
        }
        for list in [&asked.lost.sent, &asked.lost.received] {
            if !list.is_empty() && list.len() != expected {
                return Err(RunError::LostCount { role, expected, found: list.len() });
            }
        }
    }
    Ok(())
}

/// The line of a role that was asked, once the ledger stands at the line.
fn asked_line(run: &Run<'_>, ledger: &Ledger<'_>, asked: &Asked<'_>, cause: Cause) -> RoleLine {
    let peers = run.image.roles.len();
    let restarted = asked.run.failed.is_some() || asked.position < asked.events.len();
    let base = if restarted && asked.run.mode == Mode::Replay { latest_base(asked) } else { asked.position };
    RoleLine {
        position: Some(asked.position as u64),
        state: Some(asked.state()),
        restarted,
        base: base as u64,
        sent: ledger.sent(asked, peers),
        received: ledger.received(asked, peers),
        lost: lost_after(run, ledger, asked),
        cause,
    }
}

fn outside_line() -> RoleLine {
    RoleLine {
        position: None,
        state: None,
        restarted: false,
        base: 0,
        sent: Vec::new(),
        received: Vec::new(),
        lost: Lost::default(),
        cause: Cause::NotConcerned,
    }
}
