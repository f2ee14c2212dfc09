//! Where the words of workers go: their standard error and their `log` lines.

mod allowance;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rekindle_statemachine::ids::{Incarnation, SessionId};
use tokio::time::Instant;

use self::allowance::Allowance;
use crate::limits::Limits;
use rekindle_proto::printable::printable;

/// One line of a worker's log, without its line break.
#[derive(Clone, Copy, Debug)]
pub struct WorkerLog<'a> {
    /// The worker's session.
    pub session: &'a SessionId,
    /// The role that it plays.
    pub role: &'a str,
    /// Which process of that role.
    pub incarnation: Incarnation,
    /// What it wrote, with control characters as escapes.
    pub text: &'a str,
}

impl fmt::Display for WorkerLog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.role, self.text)
    }
}

/// Takes the lines. Called from the tasks of the agent: it must not block, whoever reads or does not.
pub type LogSink = Arc<dyn Fn(&WorkerLog<'_>) + Send + Sync>;

/// A sink that hands the lines to `tracing`, at level `info` with target `worker`.
pub fn tracing_sink() -> LogSink {
    Arc::new(|line| {
        tracing::info!(target: "worker", session = %line.session, incarnation = %line.incarnation, "{line}");
    })
}

/// What the roles of one session say, on its way to the sink; bounded for each role, whichever process of it speaks.
pub(crate) struct Words {
    session: SessionId,
    sink: LogSink,
    burst: u64,
    per_second: u64,
    roles: Mutex<HashMap<String, Allowance>>,
}

impl Words {
    pub(crate) fn new(session: SessionId, sink: LogSink, limits: &Limits) -> Self {
        let (burst, per_second) = (limits.log_burst_bytes, limits.log_bytes_per_second);
        Words { session, sink, burst, per_second, roles: Mutex::default() }
    }

    /// One line of a role.
    pub(crate) fn say(&self, role: &str, incarnation: Incarnation, text: &str) {
        let now = Instant::now();
        self.with(role, now, |allowance| allowance.take(text, now, |text| self.pass(role, incarnation, text)));
    }

    /// A process of the role says nothing more.
    pub(crate) fn end(&self, role: &str, incarnation: Incarnation) {
        self.with(role, Instant::now(), |allowance| {
            allowance.tell(&mut |text: &str| self.pass(role, incarnation, text));
        });
    }

    fn with(&self, role: &str, now: Instant, what: impl FnOnce(&mut Allowance)) {
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        if !roles.contains_key(role) {
            roles.insert(role.to_owned(), Allowance::new(self.burst, self.per_second, now));
        }
        if let Some(allowance) = roles.get_mut(role) {
            what(allowance);
        }
    }

    fn pass(&self, role: &str, incarnation: Incarnation, text: &str) {
        (self.sink)(&WorkerLog { session: &self.session, role, incarnation, text });
    }
}

/// Cuts a stream of bytes into log lines of bounded length.
#[derive(Debug)]
pub(crate) struct LogLines {
    partial: Vec<u8>,
    longest: usize,
}

impl LogLines {
    pub(crate) fn new(longest: usize) -> Self {
        LogLines { partial: Vec::new(), longest: longest.max(1) }
    }

    /// Takes bytes, gives every line that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let mut text = text;
            while self.partial.len() + text.len() > self.longest {
                let (now, later) = text.split_at(self.longest - self.partial.len());
                self.partial.extend_from_slice(now);
                self.flush(&mut line);
                text = later;
            }
            self.partial.extend_from_slice(text);
            if ended {
                self.flush(&mut line);
            }
        }
    }

    /// Gives what is left, at the end of the stream.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.partial.is_empty() {
            self.flush(&mut line);
        }
    }

    fn flush(&mut self, line: &mut impl FnMut(&str)) {
        line(&printable(String::from_utf8_lossy(&self.partial).trim_end_matches('\r')));
        self.partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(longest: usize, chunks: &[&str]) -> Vec<String> {
        let mut lines = LogLines::new(longest);
        let mut out = Vec::new();
        for chunk in chunks {
            lines.push(chunk.as_bytes(), |line| out.push(line.to_owned()));
        }
        lines.finish(|line| out.push(line.to_owned()));
        out
    }

    #[test]
    fn lines_are_cut_at_breaks_and_at_the_limit() {
        assert_eq!(cut(80, &["one\ntw", "o\r\n", "\n", "rest"]), ["one", "two", "", "rest"]);
        assert_eq!(cut(4, &["abcdefghij\nk\n"]), ["abcd", "efgh", "ij", "k"]);
        assert_eq!(cut(4, &["abcd\n"]), ["abcd"]);
    }

    #[test]
    fn a_line_cannot_command_a_terminal() {
        assert_eq!(cut(80, &["\u{1b}[2Jé\u{7}\r\n"]), [r"\u{1b}[2Jé\u{7}"]);
    }
}
