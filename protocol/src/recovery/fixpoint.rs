//! The worklist fixpoint that moves roles back until the cut is valid.

use std::collections::VecDeque;

use crate::image::RoleId;
use crate::recovery::availability::{available, lost_earlier};
use crate::recovery::channels::Ledger;
use crate::recovery::points::Points;
use crate::recovery::run::{Cause, Run};

struct Settling<'r, 'a> {
    run: &'r Run<'r>,
    ledger: &'r mut Ledger<'a>,
    points: &'r [Option<Points>],
    causes: Vec<Cause>,
    queue: VecDeque<usize>,
    queued: Vec<bool>,
}

/// Moves the ledger to the greatest valid cut; returns why each role stands where it does.
pub(super) fn settle(run: &Run<'_>, ledger: &mut Ledger<'_>, points: &[Option<Points>]) -> Vec<Cause> {
    let causes = run.roles.iter().map(|role| match role {
        None => Cause::NotConcerned,
        Some(role) => match role.failed {
            None => Cause::NothingUndone,
            Some(kind) => Cause::Failed { kind, mode: role.mode },
        },
    });
    let roles = run.roles.len();
    let causes = causes.collect();
    let mut settling = Settling { run, ledger, points, causes, queue: (0..roles).collect(), queued: vec![true; roles] };
    settling.start();
    while let Some(role) = settling.queue.pop_front() {
        settling.queued[role] = false;
        settling.undo_orphans(role);
        settling.undo_lost(role);
    }
    settling.name_senders();
    settling.causes
}

impl Settling<'_, '_> {
    /// Every role to its latest recovery point.
    fn start(&mut self) {
        for (role, points) in self.points.iter().enumerate() {
            if let Some(points) = points {
                self.ledger.move_back(role, points.at_most(usize::MAX));
            }
        }
    }

    /// Moves back each peer that has received a message which `role` has not sent.
    fn undo_orphans(&mut self, role: usize) {
        for number in self.ledger.outgoing(role) {
            let channel = self.ledger.channel(number);
            if channel.received <= channel.sent {
                continue;
            }
            let (to, bound) = (channel.to, channel.receives[channel.sent]);
            let index = channel.sent + 1;
            let label = self.ledger.label(channel, index);
            let cause = Cause::Orphan { from: role_id(role), index: index as u64, label, sender_at: 0 };
            self.move_back(to, bound, cause);
        }
    }

    /// Moves back each peer whose message to `role` cannot be delivered again.
    ///
    /// What is lost of a channel is always its oldest messages or all, so the oldest in transit decides.
    fn undo_lost(&mut self, role: usize) {
        for number in self.ledger.incoming(role) {
            let channel = self.ledger.channel(number);
            let index = channel.received + 1;
            if channel.sent < index || available(self.run, self.ledger, channel.from, role, index) {
                continue;
            }
            let (from, bound) = (channel.from, channel.sends[channel.received]);
            let cause = Cause::Lost {
                to: role_id(role),
                index: index as u64,
                label: self.ledger.label(channel, index),
                receiver_failed: self.run.roles[role].as_ref().is_some_and(|to| to.failed.is_some()),
                consumed: index <= channel.receives.len(),
                earlier: lost_earlier(self.run, from, role, index),
                retention: self.run.retention,
            };
            self.move_back(from, bound, cause);
        }
    }

    fn move_back(&mut self, role: usize, bound: usize, cause: Cause) {
        let target = self.points[role].as_ref().map_or(0, |points| points.at_most(bound));
        self.ledger.move_back(role, target);
        self.causes[role] = cause;
        if !self.queued[role] {
            self.queued[role] = true;
            self.queue.push_back(role);
        }
    }

    /// A sender may have gone further back since; the reasons tell where it ends up.
    fn name_senders(&mut self) {
        for cause in &mut self.causes {
            if let Cause::Orphan { from, sender_at, .. } = cause {
                *sender_at = self.ledger.role(from.index()).map_or(0, |sender| sender.position as u64);
            }
        }
    }
}

/// Roles of an image are numbered by `u16`.
fn role_id(role: usize) -> RoleId {
    RoleId(u16::try_from(role).unwrap_or(u16::MAX))
}
