//! The agent's side of its lease.
//!
//! A lease runs from when the message was sent that asked for it, so this side never believes it longer than the leader
//! does. Workers are killed a little before its end.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// A leader that leaves a renewal unanswered for a third of the lease, but at least so long, is left.
const LEAST_PATIENCE: Duration = Duration::from_millis(250);

/// See the head of the file.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    ttl: Duration,
    until: Option<Instant>,
    /// Unanswered requests of this stream and when they were sent, oldest first.
    asked: VecDeque<(u64, Instant)>,
    last_number: u64,
    renew_at: Option<Instant>,
}

impl Lease {
    /// A new stream; its `hello`, number 0, was sent then. It is the caller's to wait for the answer to it.
    pub(crate) fn attached(&mut self, hello_at: Instant) {
        self.asked = VecDeque::from([(0, hello_at)]);
        self.last_number = 0;
        self.renew_at = None;
    }

    /// The leader granted the request of that number.
    pub(crate) fn granted(&mut self, number: u64, ttl_ms: u64, now: Instant) {
        let Some(&(_, sent)) = self.asked.iter().find(|(asked, _)| *asked == number) else { return };
        self.asked.retain(|(asked, _)| *asked > number);
        self.ttl = Duration::from_millis(ttl_ms);
        self.until = self.until.max(Some(sent + self.ttl));
        self.renew_at = Some(now + self.ttl / 3);
    }

    /// Whether this stream's leader has granted the lease.
    pub(crate) fn is_granted(&self) -> bool {
        self.asked.front().is_none_or(|(number, _)| *number > 0)
    }

    /// A renewal is sent now; gives its number.
    pub(crate) fn renew(&mut self, now: Instant) -> u64 {
        self.last_number += 1;
        self.asked.push_back((self.last_number, now));
        self.renew_at = Some(now + self.ttl / 3);
        self.last_number
    }

    /// When to ask for it again.
    pub(crate) fn renew_at(&self) -> Option<Instant> {
        self.renew_at
    }

    /// When workers have to be killed.
    pub(crate) fn lapses_at(&self) -> Option<Instant> {
        self.until.map(|until| until - self.ttl / 10)
    }

    /// When the leader counts as hanging.
    pub(crate) fn overdue_at(&self) -> Option<Instant> {
        self.asked.front().filter(|(number, _)| *number > 0).map(|(_, sent)| *sent + LEAST_PATIENCE.max(self.ttl / 3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_lease_runs_from_when_it_was_asked_for() {
        let start = Instant::now();
        let mut lease = Lease::default();
        assert_eq!(lease.lapses_at(), None);
        lease.attached(start);
        assert!(!lease.is_granted());
        lease.granted(0, 10_000, start + SECOND);
        assert!(lease.is_granted());
        assert_eq!(lease.lapses_at(), Some(start + 9 * SECOND));
        assert_eq!(lease.renew(start + 4 * SECOND), 1);
        assert_eq!(lease.renew(start + 5 * SECOND), 2);
        assert_eq!(lease.overdue_at(), Some(start + 4 * SECOND + 10 * SECOND / 3));
        lease.granted(1, 10_000, start + 6 * SECOND);
        assert_eq!(lease.lapses_at(), Some(start + 13 * SECOND));
        assert_eq!(lease.overdue_at(), Some(start + 5 * SECOND + 10 * SECOND / 3));
        lease.granted(2, 10_000, start + 7 * SECOND);
        assert_eq!(lease.overdue_at(), None);
    }

    #[test]
    fn answers_out_of_place_do_not_extend_it() {
        let start = Instant::now();
        let mut lease = Lease::default();
        lease.attached(start);
        lease.granted(0, 10_000, start);
        lease.renew(start + 2 * SECOND);
        // The stream breaks; the answer to its renewal says nothing on the next one.
        lease.attached(start + 3 * SECOND);
        lease.granted(1, 10_000, start + 4 * SECOND);
        assert_eq!(lease.lapses_at(), Some(start + 9 * SECOND));
        assert!(!lease.is_granted());
        lease.granted(0, 10_000, start + 4 * SECOND);
        lease.granted(0, 10_000, start + 8 * SECOND);
        assert_eq!(lease.lapses_at(), Some(start + 12 * SECOND));
    }
}
