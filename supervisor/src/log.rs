//! Where the words of workers go: their standard error and their `log` lines.

use std::fmt;
use std::sync::Arc;

use rekindle_proto::statemachine::ids::{Incarnation, SessionId};

use crate::printable::printable;

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

/// Takes the lines. Called from the tasks of the agent: it must not block for long.
pub type LogSink = Arc<dyn Fn(&WorkerLog<'_>) + Send + Sync>;

/// A sink that hands the lines to `tracing`, at level `info` with target `worker`.
pub fn tracing_sink() -> LogSink {
    Arc::new(|line| {
        tracing::info!(target: "worker", session = %line.session, incarnation = %line.incarnation, "{line}");
    })
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
