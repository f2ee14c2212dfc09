//! One worker process, seen from its supervisor.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// How to start a worker.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) command: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Program {
    pub(crate) fn new(command: impl AsRef<Path>, folder: PathBuf) -> Self {
        Self { command: command.as_ref().to_owned(), folder, environment: vec![("RUST_BACKTRACE", "0".to_owned())] }
    }

    pub(crate) fn env(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.environment.push((name, value.to_string()));
        self
    }

    /// Starts the worker and writes its `start` line. The lines that it writes are read from the second part.
    pub(crate) fn spawn(&self, start: &Value) -> (Process, Lines) {
        let mut child = Command::new(&self.command)
            .current_dir(&self.folder)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.command.display()));
        let stdin = child.stdin.take().expect("is piped");
        let lines = Lines(BufReader::new(child.stdout.take().expect("is piped")));
        let mut process = Process { child, stdin: Some(stdin) };
        process.write(start);
        (process, lines)
    }
}

/// A `start` line, of the first incarnation at the beginning.
pub(crate) fn start(role: &str, next: &[&str]) -> Value {
    json!({
        "type": "start", "session": "s-test", "role": role, "incarnation": 1, "position": 0, "base": 0, "state": "",
        "next": next, "roles": [], "mode": "restart", "checkpoint": null
    })
}

/// A running worker. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Process {
    pub(crate) fn write(&mut self, line: &Value) {
        // A worker that has died is seen by its end of file.
        let _ = self.stdin.as_mut().expect("is open").write_all(format!("{line}\n").as_bytes());
    }

    pub(crate) fn give(&mut self, from: &str, label: &str, payload: &Value) {
        self.write(&json!({ "type": "message", "from": from, "label": label, "payload": payload }));
    }

    /// Closes standard input.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Whether it ends with status 0.
    pub(crate) fn succeeds(&mut self) -> bool {
        self.child.wait().expect("is a child").success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines that a worker writes, as they are.
#[derive(Debug)]
pub(crate) struct Lines(BufReader<ChildStdout>);

impl Iterator for Lines {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).expect("is UTF-8");
        (read > 0).then_some(line)
    }
}

/// A line as JSON.
pub(crate) fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}
