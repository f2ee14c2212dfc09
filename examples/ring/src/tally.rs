//! The token: what the ring has found so far.

use serde::{Deserialize, Serialize};

use crate::primes;

/// What is known of the primes among the numbers below `next`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// The ring looks at the numbers below this.
    pub(crate) numbers: usize,
    /// How many of them make a segment.
    segment: usize,
    /// The first number not looked at.
    next: usize,
    /// Primes found.
    pub(crate) primes: usize,
    /// The largest of them; 0 if there is none.
    largest: usize,
    /// The widest distance between two neighbours.
    widest_gap: usize,
    /// The prime after which that gap comes.
    gap_after: usize,
}

impl Tally {
    /// Nothing is known yet of the `numbers`, which will be looked at in so many segments.
    pub(crate) fn new(numbers: usize, segments: usize) -> Self {
        let segment = numbers.div_ceil(segments).max(1);
        Self { numbers, segment, next: 0, primes: 0, largest: 0, widest_gap: 0, gap_after: 0 }
    }

    /// Whether all numbers were looked at.
    pub(crate) fn is_complete(&self) -> bool {
        self.next >= self.numbers
    }

    /// Looks at the next segment, if there is one.
    pub(crate) fn add_segment(&mut self) {
        let end = self.numbers.min(self.next + self.segment);
        for prime in primes::between(self.next, end) {
            let gap = prime - self.largest;
            if self.primes > 0 && gap > self.widest_gap {
                (self.widest_gap, self.gap_after) = (gap, self.largest);
            }
            self.primes += 1;
            self.largest = prime;
        }
        self.next = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(numbers: usize, segments: usize) -> Tally {
        let mut tally = Tally::new(numbers, segments);
        for _ in 0..segments {
            tally.add_segment();
        }
        assert!(tally.is_complete());
        Tally { segment: 0, ..tally }
    }

    #[test]
    fn does_not_depend_on_the_segments() {
        let one = whole(1000, 1);
        assert_eq!((one.primes, one.largest, one.widest_gap, one.gap_after), (168, 997, 20, 887));
        for segments in [2, 7, 100, 999, 5000] {
            assert_eq!(whole(1000, segments), one, "{segments} segments");
        }
    }

    #[test]
    fn has_an_end_without_primes_too() {
        for numbers in 0..3 {
            assert_eq!(whole(numbers, 5).primes, 0, "below {numbers}");
        }
    }
}
