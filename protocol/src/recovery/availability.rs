//! Which messages can be delivered once more.

use crate::recovery::channels::{Asked, Ledger};
use crate::recovery::policy::{FailureKind, Retention};
use crate::recovery::run::{Lost, RoleRun, Run};

/// Whether message `index` of the channel can be delivered again whatever the cut is.
pub(super) fn kept(run: &Run<'_>, from: usize, to: usize, index: usize) -> bool {
    let (sender, receiver) = (run.roles[from].as_ref(), run.roles[to].as_ref());
    let at_receiver =
        |gone| index as u64 > gone_until(receiver, from, |lost| &lost.received) && !failed(receiver, gone);
    let at_sender = |gone| index as u64 > gone_until(sender, to, |lost| &lost.sent) && !failed(sender, gone);
    match run.retention {
        Retention::Volatile => false,
        Retention::Retained => at_receiver(FailureKind::Supervisor),
        Retention::Durable => at_receiver(FailureKind::Host) || at_sender(FailureKind::Host),
    }
}

/// Whether an earlier failure took message `index` of the channel from its receiver's store.
pub(super) fn lost_earlier(run: &Run<'_>, from: usize, to: usize, index: usize) -> bool {
    index as u64 <= gone_until(run.roles[to].as_ref(), from, |lost| &lost.received)
}

/// Whether message `index` of the channel, in transit at the ledger's cut, can be delivered there.
pub(super) fn available(run: &Run<'_>, ledger: &Ledger<'_>, from: usize, to: usize, index: usize) -> bool {
    if run.retention != Retention::Volatile {
        return kept(run, from, to, index);
    }
    // A mailbox lives as long as its worker, and holds what that worker has not taken. A receiver that the cut leaves
    // at the end of its history has not taken a message in transit there.
    ledger.role(to).is_none_or(|to| to.run.failed.is_none() && to.position == to.events.len())
}

/// What a role's supervisor does not hold any more once the session resumes at the ledger's cut.
pub(super) fn lost_after(run: &Run<'_>, ledger: &Ledger<'_>, asked: &Asked<'_>) -> Lost {
    let peers = run.roles.len();
    let role = Some(asked.run);
    let (memory, disk) = (failed(role, FailureKind::Supervisor), failed(role, FailureKind::Host));
    let received = |gone| below(&ledger.received(asked, peers), &asked.run.lost.received, gone);
    let sent = |gone| below(&ledger.sent(asked, peers), &asked.run.lost.sent, gone);
    match run.retention {
        Retention::Volatile => Lost::default(),
        Retention::Retained => Lost { sent: Vec::new(), received: received(memory) },
        Retention::Durable => Lost { sent: sent(disk), received: received(disk) },
    }
}

/// Of the messages up to `counts`, those lost before or, with a store that is gone, all. What lies past the cut is sent
/// and kept afresh.
fn below(counts: &[u64], before: &[u64], gone: bool) -> Vec<u64> {
    let limit = |peer: usize| {
        if gone { u64::MAX } else { before.get(peer).copied().unwrap_or(0) }
    };
    let lost: Vec<u64> = counts.iter().enumerate().map(|(peer, &count)| count.min(limit(peer))).collect();
    if lost.iter().all(|&index| index == 0) { Vec::new() } else { lost }
}

/// Whether a role failed with that kind or one that takes more.
fn failed(role: Option<&RoleRun>, kind: FailureKind) -> bool {
    role.and_then(|role| role.failed).is_some_and(|failure| failure >= kind)
}

fn gone_until(role: Option<&RoleRun>, peer: usize, list: impl Fn(&Lost) -> &Vec<u64>) -> u64 {
    role.and_then(|role| list(&role.lost).get(peer).copied()).unwrap_or(0)
}
