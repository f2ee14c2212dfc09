//! What workers write down about themselves, outside of everything that a fault touches.
//!
//! One file per session, one line of JSON per step, appended in one write. A line about a send is written *before* the
//! message leaves, one about a receive *after* the message is there, with a line `ask` before it: so after a crash the
//! role has done what is written, or one send less, or one receive more.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One step of one worker process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Nanoseconds since the Unix epoch, of the machine: clock faults hit nodes only.
    pub at: u64,
    /// The session.
    pub session: String,
    /// The role.
    pub role: String,
    /// Which process of the role, as its supervisor counts.
    pub incarnation: u64,
    /// Its process id.
    pub pid: u32,
    /// The local supervisor that runs it.
    pub host: String,
    /// What it did.
    pub what: What,
}

/// What a worker did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "lowercase")]
pub enum What {
    /// It was started.
    Start {
        /// Events done for it.
        base: u64,
        /// Events of the role that stand; more than `base` in a replay.
        position: u64,
        /// Whether no other process held the role's lock.
        alone: bool,
    },
    /// It asks for a message.
    Ask,
    /// It got one.
    Receive {
        /// From whom.
        peer: String,
        /// Its label.
        label: String,
        /// Its payload.
        payload: Value,
    },
    /// It is about to send one.
    Send {
        /// To whom.
        peer: String,
        /// Its label.
        label: String,
        /// Its payload.
        payload: Value,
    },
    /// It has done its part, with this result, and is about to exit with 0.
    Finish {
        /// What its work came to.
        result: Value,
    },
}

/// Where the lines of a session go.
pub fn path(folder: &Path, session: &str) -> PathBuf {
    folder.join(format!("{session}.log"))
}

/// The pen of one worker.
#[derive(Debug)]
pub struct Pen {
    file: File,
    /// Held as long as the process lives, if no other process held it.
    _lock: File,
    alone: bool,
    line: Line,
}

impl Pen {
    /// Opens the session's file, and takes the role's lock if nobody holds it.
    pub fn open(folder: &Path, session: &str, role: &str, incarnation: u64, host: &str) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path(folder, session))?;
        let lock = File::options().create(true).append(true).open(folder.join(format!("{session}.{role}.lock")))?;
        let alone = lock.try_lock().is_ok();
        let line = Line {
            at: 0,
            session: session.to_owned(),
            role: role.to_owned(),
            incarnation,
            pid: std::process::id(),
            host: host.to_owned(),
            what: What::Ask,
        };
        Ok(Pen { file, _lock: lock, alone, line })
    }

    /// Whether no other process of the role was there.
    pub fn alone(&self) -> bool {
        self.alone
    }

    /// Writes a line.
    pub fn write(&mut self, what: What) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        self.line.at = u64::try_from(now).unwrap_or(u64::MAX);
        self.line.what = what;
        let mut text = serde_json::to_vec(&self.line)?;
        text.push(b'\n');
        self.file.write_all(&text)
    }
}

/// The lines of a session. A last line that was cut off by a kill is left out; any other that cannot be read is an error.
pub fn read(folder: &Path, session: &str) -> io::Result<Vec<Line>> {
    let text = std::fs::read_to_string(path(folder, session))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).map_err(io::Error::other)).collect()
}
