//! How long to wait before asking again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(10);
/// An election takes a third of a second: to wait longer than this would be felt.
const LONGEST: Duration = Duration::from_millis(100);

/// Exponential, with jitter: the wait is random between half and all of a span that doubles up to a tenth of a second.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    span: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { span: FIRST }
    }
}

impl Backoff {
    /// The next wait; never shorter than `at_least`, which the server asked for.
    pub(super) fn next(&mut self, at_least: Duration) -> Duration {
        let jitter = rand::random_range(0.5..=1.0);
        let wait = self.span.mul_f64(jitter);
        self.span = (self.span * 2).min(LONGEST);
        wait.max(at_least.min(LONGEST))
    }

    /// Something worked: start over.
    pub(super) fn reset(&mut self) {
        self.span = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_heed_the_server() {
        let mut backoff = Backoff::default();
        assert!(backoff.next(Duration::ZERO) <= FIRST);
        for _ in 0..20 {
            assert!(backoff.next(Duration::ZERO) <= LONGEST);
        }
        assert!(backoff.next(Duration::ZERO) >= LONGEST / 2);
        backoff.reset();
        assert_eq!(backoff.next(Duration::from_millis(50)), Duration::from_millis(50));
    }
}
