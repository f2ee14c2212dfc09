//! How long to wait before something that failed is tried again: the one way in which this project does it.
//!
//! Every loop that tries again takes its waits from here; `cli/tests/it/loops.rs` lists them.

use std::iter;
use std::time::Duration;

/// Exponential, with jitter and a cap: each wait is random between half and all of a span, and the span doubles up to
/// the longest. So those who lost the same thing at the same moment do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    span: Duration,
}

impl Backoff {
    /// Waits of up to `first` to begin with, and never of more than `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Backoff { first, longest, span: first }
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        self.next_drawn(rand::random())
    }

    /// The next wait, where randomness is somebody else's matter: `drawn` is from 0 to 1.
    pub fn next_drawn(&mut self, drawn: f64) -> Duration {
        let wait = self.span.mul_f64(0.5 + drawn.clamp(0.0, 1.0) / 2.0);
        self.span = (self.span * 2).min(self.longest);
        wait
    }

    /// The next wait, but not shorter than who was asked wishes; a wish beyond the longest wait is not heeded.
    pub fn next_at_least(&mut self, wish: Duration) -> Duration {
        self.next_wait().max(wish.min(self.longest))
    }

    /// It worked: start over.
    pub fn reset(&mut self) {
        self.span = self.first;
    }

    /// All further waits.
    pub fn waits(mut self) -> impl Iterator<Item = Duration> + Send + 'static {
        iter::repeat_with(move || self.next_wait())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_millis(100);

    #[test]
    fn waits_double_up_to_the_longest_and_start_over() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let waits: Vec<u128> = (0..6).map(|_| backoff.next_drawn(1.0).as_millis()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 100, 100]);
        backoff.reset();
        assert_eq!(backoff.next_drawn(0.0), FIRST / 2);
    }

    #[test]
    fn jitter_spreads_each_wait_over_its_upper_half() {
        for wait in Backoff::new(FIRST, LONGEST).waits().skip(4).take(100) {
            assert!((LONGEST / 2..=LONGEST).contains(&wait), "{wait:?}");
        }
    }

    #[test]
    fn a_wish_is_heeded_up_to_the_longest_wait() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        assert_eq!(backoff.next_at_least(Duration::from_millis(50)), Duration::from_millis(50));
        assert_eq!(backoff.next_at_least(Duration::from_secs(50)), LONGEST);
    }
}
