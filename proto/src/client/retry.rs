//! How long a client waits before it asks again.

use std::time::Duration;

use crate::backoff::Backoff;

const FIRST: Duration = Duration::from_millis(10);
/// An election takes a third of a second: to wait longer than this would be felt.
const LONGEST: Duration = Duration::from_millis(100);

pub(super) const fn backoff() -> Backoff {
    Backoff::new(FIRST, LONGEST)
}
