//! Fencing: which messages of a sender are undone.
//!
//! When a sender restarts, its receivers learn the *floor*: how many of its messages stand. A message of incarnation
//! `i` with index `k` is undone if some floor of an incarnation above `i` lies below `k`. Every other message is
//! accepted, once per index, in whatever epoch it was sent. See `docs/recovery.md`, section 4.

use rekindle_statemachine::ids::Incarnation;

/// What one channel's receiver knows of its sender's restarts.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    newest: Incarnation,
    floors: Vec<(Incarnation, u64)>,
}

impl Fence {
    /// For a sender of incarnation `newest` with these floors, `(incarnation, messages that stand)`.
    pub(crate) fn new(newest: Incarnation, floors: Vec<(Incarnation, u64)>) -> Self {
        Fence { newest, floors }
    }

    /// The highest incarnation of the sender that is known here.
    pub(crate) fn newest(&self) -> Incarnation {
        self.newest
    }

    /// Whether message `index` of `incarnation` is undone.
    pub(crate) fn undone(&self, incarnation: Incarnation, index: u64) -> bool {
        self.floors.iter().any(|&(started, floor)| started > incarnation && index > floor)
    }

    /// Learns a sender's incarnation and floors, all that still matter.
    ///
    /// Gives the index past which everything held here is undone. Only floors of incarnations that were not known yet
    /// count for that: messages of a known incarnation may be held already, and they are above its floor.
    pub(crate) fn learn(&mut self, newest: Incarnation, floors: Vec<(Incarnation, u64)>) -> Option<u64> {
        if newest <= self.newest {
            return None;
        }
        let known = self.newest;
        let keep = floors.iter().filter(|(started, _)| *started > known).map(|&(_, floor)| floor).min();
        self.newest = newest;
        self.floors = floors;
        keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_undone_by_a_later_incarnation_that_started_below_it() {
        let fence = Fence::new(Incarnation(4), vec![(Incarnation(2), 5), (Incarnation(4), 7)]);
        let cases =
            [((1, 5), false), ((1, 6), true), ((2, 6), false), ((2, 7), false), ((3, 8), true), ((4, 8), false)];
        for ((incarnation, index), undone) in cases {
            assert_eq!(fence.undone(Incarnation(incarnation), index), undone, "{incarnation}/{index}");
        }
    }

    #[test]
    fn a_floor_counts_once() {
        let mut fence = Fence::new(Incarnation(1), vec![]);
        let floors = vec![(Incarnation(2), 5), (Incarnation(3), 3)];
        assert_eq!(fence.learn(Incarnation(3), floors.clone()), Some(3));
        assert_eq!(fence.learn(Incarnation(3), floors), None);
        let more = vec![(Incarnation(3), 3), (Incarnation(4), 9)];
        assert_eq!(fence.learn(Incarnation(4), more), Some(9));
    }
}
