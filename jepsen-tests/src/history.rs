//! What clients asked and heard.
//!
//! Times are nanoseconds on the harness's own monotonic clock since the run began. An operation is recorded when its
//! outcome is known, or when nobody will learn it any more; its invocation was noted before anything was sent.

pub mod edn;

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<A> {
    /// It took effect, and this is the answer. A committed refusal is an answer.
    Known(A),
    /// It did not take effect, and never will.
    Failed,
    /// It may have taken effect, may yet do so, or may never: it stays open for ever.
    Unknown,
}

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<C, A> {
    /// The client. It has one operation under way at a time.
    pub client: u32,
    /// What was asked.
    pub call: C,
    /// What came of it.
    pub outcome: Outcome<A>,
    /// When it was asked.
    pub invoked: u64,
    /// When the client stopped waiting.
    pub returned: u64,
    /// Index of the log entry that answered it, where the answer names one.
    pub index: Option<u64>,
}

/// The clock of a run, and everything recorded on it.
#[derive(Debug)]
pub struct Recorder<C, A> {
    begin: Instant,
    operations: Mutex<Vec<Operation<C, A>>>,
}

impl<C, A> Recorder<C, A> {
    /// A recorder whose time begins at `begin`.
    pub fn new(begin: Instant) -> Self {
        Recorder { begin, operations: Mutex::default() }
    }

    /// Nanoseconds since the run began.
    pub fn now(&self) -> u64 {
        nanos(self.begin)
    }

    /// Adds a finished operation.
    pub fn record(&self, operation: Operation<C, A>) {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner).push(operation);
    }

    /// Everything recorded so far, by time of invocation; the recorder is empty then.
    pub fn take(&self) -> Vec<Operation<C, A>> {
        let mut operations = std::mem::take(&mut *self.operations.lock().unwrap_or_else(PoisonError::into_inner));
        operations.sort_by_key(|operation| (operation.invoked, operation.client));
        operations
    }
}

/// Nanoseconds since `begin`.
pub fn nanos(begin: Instant) -> u64 {
    u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
