//! Where the words of workers go: to standard error, each line with the role in front.

use std::sync::Arc;

use rekindle_supervisor::{LogSink, WorkerLog};

use crate::exit::eprint;

/// The sink for a local supervisor of this process.
pub(crate) fn log() -> LogSink {
    Arc::new(|line: &WorkerLog<'_>| eprint(&line.to_string()))
}
