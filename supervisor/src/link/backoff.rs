//! How long to wait after the cluster has refused this agent or taken its lease away.
//!
//! Each time is twice as long as the one before, until a renewal shows that all is well.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(5);

/// See the head of the file.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    last: Option<Duration>,
    told: Option<String>,
}

impl Backoff {
    /// The next pause.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.last.map_or(FIRST, |last| (last * 2).min(LONGEST));
        self.last = Some(pause);
        pause
    }

    /// Whether people are to be told this reason: once, until another one comes.
    pub(crate) fn is_news(&mut self, reason: &str) -> bool {
        let news = self.told.as_deref() != Some(reason);
        if news {
            self.told = Some(reason.to_owned());
        }
        news
    }

    /// All is well.
    pub(crate) fn reset(&mut self) {
        *self = Backoff::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..12).map(|_| backoff.next()).collect();
        assert_eq!(pauses[..3], [FIRST, FIRST * 2, FIRST * 4]);
        assert_eq!(pauses[10..], [LONGEST, LONGEST]);
        backoff.reset();
        assert_eq!(backoff.next(), FIRST);
    }

    #[test]
    fn a_reason_is_told_once() {
        let mut backoff = Backoff::default();
        assert_eq!(["a", "a", "b", "a"].map(|reason| backoff.is_news(reason)), [true, false, true, true]);
    }
}
