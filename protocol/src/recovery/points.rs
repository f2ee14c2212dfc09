//! Where a role may resume.

use crate::recovery::availability::kept;
use crate::recovery::channels::{Asked, Event};
use crate::recovery::policy::Mode;
use crate::recovery::run::Run;

/// The recovery points of one role: a set of positions that contains 0.
pub(super) struct Points {
    /// Inclusive ranges, ascending, none overlapping another.
    ranges: Vec<(usize, usize)>,
}

impl Points {
    /// The recovery points of a role in this run.
    pub(super) fn of(run: &Run<'_>, asked: &Asked<'_>) -> Self {
        let end = asked.events.len();
        let mut points = Points { ranges: Vec::new() };
        match asked.run.mode {
            Mode::Restart => points.add(0, 0),
            Mode::Checkpoint => bases(asked).for_each(|base| points.add(base, base)),
            Mode::Stateless => points.add(0, end),
            Mode::Replay => {
                let stops = unkept_receives(run, asked);
                for base in bases(asked) {
                    let next = stops.partition_point(|&stop| stop < base);
                    points.add(base, stops.get(next).copied().unwrap_or(end));
                }
            }
        }
        if asked.run.failed.is_none() {
            points.add(end, end);
        }
        points
    }

    /// Adds a range that starts no earlier than any before it.
    fn add(&mut self, first: usize, last: usize) {
        match self.ranges.last_mut() {
            Some(range) if first <= range.1 => range.1 = range.1.max(last),
            _ => self.ranges.push((first, last)),
        }
    }

    /// The greatest point that is not past `bound`.
    pub(super) fn at_most(&self, bound: usize) -> usize {
        let after = self.ranges.partition_point(|&(first, _)| first <= bound);
        after.checked_sub(1).map_or(0, |range| self.ranges[range].1.min(bound))
    }
}

/// The greatest base from which a role in mode `replay` can run again up to its place in the cut, a recovery point.
///
/// If any base reaches it, the latest one does: it has the fewest messages to be fed.
pub(super) fn latest_base(asked: &Asked<'_>) -> usize {
    bases(asked).take_while(|&base| base <= asked.position).last().unwrap_or(0)
}

/// The start and each checkpoint, ascending.
fn bases(asked: &Asked<'_>) -> impl Iterator<Item = usize> {
    let saved = asked.run.checkpoints.iter().filter_map(|&checkpoint| usize::try_from(checkpoint).ok());
    std::iter::once(0).chain(saved)
}

/// The positions just before each receive whose message is not kept: replay cannot get past them.
fn unkept_receives(run: &Run<'_>, asked: &Asked<'_>) -> Vec<usize> {
    let stuck = |(position, event): (usize, &Event<'_>)| {
        (event.is_receive() && !kept(run, event.peer(), asked.role, event.index)).then_some(position)
    };
    asked.events.iter().enumerate().filter_map(stuck).collect()
}
