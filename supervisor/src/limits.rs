//! How much of everything a local supervisor takes.

/// Limits of one agent. All of them bound memory; past one, a worker waits, is refused, or fails with a clear reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of a worker's line, without its line break. Longer: violation.
    pub line_bytes: usize,
    /// Size of a checkpoint's data. Larger: violation.
    pub checkpoint_bytes: usize,
    /// Checkpoints of one role that are not stored yet. More: the worker's lines wait.
    pub pending_checkpoints: usize,
    /// Per channel, at each end: messages that are sent and not yet held by the receiver's supervisor, and messages
    /// that are held and not yet received. More: the sender's lines wait.
    pub channel_bytes: usize,
    /// Per channel: what may be under way to the receiver's supervisor unanswered.
    pub window_bytes: usize,
    /// Per role: everything that is kept for it under retention `retained`. More: the role fails for good.
    pub kept_bytes: usize,
    /// Per worker: output that is read and waits for its turn. More: the worker's pipe is not read.
    pub read_ahead_bytes: usize,
    /// Lines to one worker that it has not read. More: its lines wait.
    pub unread_lines: usize,
    /// Length of a log line; longer ones are cut into several.
    pub log_line_bytes: usize,
    /// Per role: words that go to the log at once. More than this, and than the following: left out, and counted.
    pub log_burst_bytes: u64,
    /// Per role: words that go to the log in a second, in the long run.
    pub log_bytes_per_second: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            line_bytes: 1 << 20,
            checkpoint_bytes: 64 << 10,
            pending_checkpoints: 4,
            channel_bytes: 4 << 20,
            window_bytes: 1 << 20,
            kept_bytes: 256 << 20,
            read_ahead_bytes: 2 << 20,
            unread_lines: 32,
            log_line_bytes: 8 << 10,
            log_burst_bytes: 1 << 20,
            log_bytes_per_second: 128 << 10,
        }
    }
}
