//! Where the time of entries comes from.

use std::time::{SystemTime, UNIX_EPOCH};

use rekindle_statemachine::ids::EntryTime;

/// Wall clock of the proposer. It may jump: the state machine takes the greatest time so far.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> EntryTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> EntryTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        EntryTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}
