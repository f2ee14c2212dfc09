//! Where the words of workers go: to standard error, each line with the role in front.

use std::sync::Arc;

use rekindle_supervisor::{LogSink, WorkerLog};

use crate::talk::say;

/// The sink for a local supervisor of this process.
pub(crate) fn log() -> LogSink {
    Arc::new(|line: &WorkerLog<'_>| say(&line.to_string()))
}
