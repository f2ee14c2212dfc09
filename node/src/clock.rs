//! Where the time of entries comes from.
//!
//! Invariants
//! * no wall clock decides anything: the time of entries, by which budgets and requests are counted, advances by what has
//!   passed on the leader's monotonic clock since the last entry;
//! * the wall clock of the node that proposes the first entry of a cluster says where that time begins, for people who
//!   read it; nothing depends on where it begins.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rekindle_statemachine::ids::EntryTime;

/// The two clocks of a machine.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock. It may jump, and may be years off: it is only shown.
    fn now(&self) -> EntryTime;

    /// What has passed since some moment that stays the same. Never goes back.
    fn elapsed(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> EntryTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        EntryTime(millis(since))
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// What time it is in the cluster, as far as this node can tell from the entries that it has applied.
///
/// Every node keeps it, so that time goes on while nobody leads, and so that it is at hand when this node begins to lead.
pub(crate) struct ClusterTime {
    known: Mutex<Option<Known>>,
}

/// An entry's time, and when it was applied here. The entry that makes the clock go furthest is kept: one that came late
/// would set it back.
#[derive(Clone, Copy)]
struct Known {
    time: EntryTime,
    at: Duration,
}

impl Known {
    fn after(self, elapsed: Duration) -> EntryTime {
        EntryTime(self.time.0.saturating_add(millis(elapsed.saturating_sub(self.at))))
    }
}

impl ClusterTime {
    /// Of a node that has applied nothing yet.
    pub(crate) fn new() -> Self {
        ClusterTime { known: Mutex::new(None) }
    }

    /// An entry was applied; the state is as of `time`.
    pub(crate) fn applied(&self, time: EntryTime, clock: &dyn Clock) {
        let at = clock.elapsed();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|known| known.after(at) < time) {
            *known = Some(Known { time, at });
        }
    }

    /// The time of an entry that is proposed now.
    pub(crate) fn now(&self, clock: &dyn Clock) -> EntryTime {
        let at = clock.elapsed();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(|| Known { time: clock.now(), at }).after(at)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEARS: u64 = 10 * 366 * 24 * 3600 * 1000;
    const NOW: u64 = 50 * 365 * 24 * 3600 * 1000;

    /// Says what it is told.
    #[derive(Default)]
    struct Told(Mutex<(u64, u64)>);

    impl Told {
        fn set(&self, wall: u64, elapsed: u64) {
            *self.0.lock().expect("no panic") = (wall, elapsed);
        }
    }

    impl Clock for Told {
        fn now(&self) -> EntryTime {
            EntryTime(self.0.lock().expect("no panic").0)
        }

        fn elapsed(&self) -> Duration {
            Duration::from_millis(self.0.lock().expect("no panic").1)
        }
    }

    #[test]
    fn time_advances_by_what_has_passed_whatever_the_wall_clock_says() {
        let (clock, time) = (Told::default(), ClusterTime::new());
        clock.set(NOW, 0);
        assert_eq!(time.now(&clock), EntryTime(NOW), "the first entry says where time begins");
        for (passed, wall) in [(10, NOW + YEARS), (20, NOW - YEARS), (30, 0), (40, u64::MAX), (50, NOW)] {
            clock.set(wall, passed);
            assert_eq!(time.now(&clock), EntryTime(NOW + passed));
        }
    }

    #[test]
    fn a_new_leader_goes_on_where_the_last_one_was() {
        let (clock, time) = (Told::default(), ClusterTime::new());
        for (at, applied) in [(7, NOW), (107, NOW + 100)] {
            clock.set(NOW - YEARS, at);
            time.applied(EntryTime(applied), &clock);
        }
        clock.set(NOW - YEARS, 1_107);
        assert_eq!(time.now(&clock), EntryTime(NOW + 1_100), "nobody led for a second, which counts");
    }

    #[test]
    fn what_was_applied_late_does_not_set_time_back() {
        let (clock, time) = (Told::default(), ClusterTime::new());
        clock.set(0, 1_000);
        time.applied(EntryTime(NOW), &clock);
        // A second after it was proposed.
        clock.set(0, 2_100);
        time.applied(EntryTime(NOW + 100), &clock);
        assert_eq!(time.now(&clock), EntryTime(NOW + 1_100));
        // One that was on its way for a shorter time than the first shows how late it is really.
        clock.set(0, 2_200);
        time.applied(EntryTime(NOW + 1_250), &clock);
        assert_eq!(time.now(&clock), EntryTime(NOW + 1_250));
    }

    /// What an earlier release left, whose leader's clock was years ahead.
    #[test]
    fn a_log_from_the_future_does_not_stop_time() {
        let (clock, time) = (Told::default(), ClusterTime::new());
        clock.set(NOW, 0);
        time.applied(EntryTime(NOW + YEARS), &clock);
        clock.set(NOW, 5);
        assert_eq!(time.now(&clock), EntryTime(NOW + YEARS + 5));
    }
}
