//! The worker's side of the conversation with its supervisor.

use std::io::{self, BufRead, BufReader, Stdin, Stdout, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::line::{self, Incoming, Outgoing};
use crate::start::{Mode, Start};
use crate::{CHECKPOINT_LIMIT, Error, LINE_LIMIT};

/// A message from a peer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Message {
    /// The role that sent it.
    pub from: String,
    /// Its label.
    pub label: String,
    /// What the sender gave.
    #[serde(default)]
    pub payload: Value,
}

impl Message {
    /// The payload as a `T`.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, Error> {
        serde_json::from_value(self.payload).map_err(|source| Error::Decode {
            what: format!("the payload of `{}` from {}", self.label, self.from),
            source,
        })
    }

    /// The payload as a `T`, if the message has this label.
    pub fn expect<T: DeserializeOwned>(self, label: &str) -> Result<T, Error> {
        if self.label != label {
            return Err(Error::UnexpectedLabel { expected: label.to_owned(), from: self.from, label: self.label });
        }
        self.decode()
    }
}

/// The connection to the supervisor.
///
/// `R` and `W` are standard input and output, unless [`Worker::new`] was given others.
#[derive(Debug)]
pub struct Worker<R = BufReader<Stdin>, W = Stdout> {
    reader: R,
    writer: W,
    start: Start,
    done: u64,
    stored: Option<u64>,
}

impl Worker {
    /// Connects to the supervisor that started this process: reads its `start` line from standard input.
    pub fn from_stdio() -> Result<Self, Error> {
        Self::new(BufReader::new(io::stdin()), io::stdout())
    }
}

impl<R: BufRead, W: Write> Worker<R, W> {
    /// Connects over any reader and writer: reads the `start` line.
    pub fn new(mut reader: R, writer: W) -> Result<Self, Error> {
        match line::read(&mut reader)? {
            Incoming::Start(start) => Ok(Self { reader, writer, done: start.base, stored: None, start }),
            other => {
                Err(Error::BadLine { line: format!("{other:?}"), reason: "the first line must be `start`".into() })
            }
        }
    }

    /// All that the worker was told when it started.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// Id of the session.
    pub fn session(&self) -> &str {
        &self.start.session
    }

    /// The role that this worker plays.
    pub fn role(&self) -> &str {
        &self.start.role
    }

    /// 1 for the first process of the role, higher with each restart.
    pub fn incarnation(&self) -> u64 {
        self.start.incarnation
    }

    /// How many events of this role stood when the process was started.
    pub fn position(&self) -> u64 {
        self.start.position
    }

    /// How many events were done for this process when it was started.
    pub fn base(&self) -> u64 {
        self.start.base
    }

    /// How many events of this role are done now, seen from this process: [`base`](Self::base) and its own.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The name of the state at [`base`](Self::base).
    pub fn state(&self) -> &str {
        &self.start.state
    }

    /// The events that may come next at [`base`](Self::base), as `peer!label` or `peer?label`.
    pub fn next(&self) -> &[String] {
        &self.start.next
    }

    /// The recovery mode of this role.
    pub fn mode(&self) -> Mode {
        self.start.mode
    }

    /// The state that was saved at [`base`](Self::base), if there is one.
    pub fn checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        Option::deserialize(&self.start.checkpoint)
            .map_err(|source| Error::Decode { what: "the checkpoint".into(), source })
    }

    /// Position of the last checkpoint of this process that the supervisor called stored, as far as was read.
    pub fn stored(&self) -> Option<u64> {
        self.stored
    }

    /// Sends a message. May block while the receiver is slow.
    pub fn send<T: Serialize + ?Sized>(&mut self, to: &str, label: &str, payload: &T) -> Result<(), Error> {
        let bytes = line::encode(&Outgoing::Send { to, label, payload })
            .map_err(|source| Error::Encode { what: format!("the payload of `{label}` to {to}"), source })?;
        if bytes.len() > LINE_LIMIT {
            return Err(Error::MessageTooLarge { to: to.to_owned(), label: label.to_owned(), bytes: bytes.len() });
        }
        line::write(&mut self.writer, &bytes)?;
        self.done += 1;
        Ok(())
    }

    /// Waits for the next message, from whichever peer the state allows.
    pub fn receive(&mut self) -> Result<Message, Error> {
        self.request(None)
    }

    /// Waits for the next message of one peer.
    pub fn receive_from(&mut self, peer: &str) -> Result<Message, Error> {
        self.request(Some(peer))
    }

    /// Saves the worker's state as it is after the last send or receive. Does not wait until it is stored.
    pub fn save_checkpoint<T: Serialize + ?Sized>(&mut self, data: &T) -> Result<(), Error> {
        let failed = |source| Error::Encode { what: "the checkpoint".into(), source };
        let bytes = serde_json::to_vec(data).map_err(failed)?.len();
        if bytes > CHECKPOINT_LIMIT {
            return Err(Error::CheckpointTooLarge { bytes });
        }
        let line = line::encode(&Outgoing::Checkpoint { data }).map_err(failed)?;
        line::write(&mut self.writer, &line)
    }

    /// Writes a line to the supervisor's log. What does not fit into a line is cut off.
    pub fn log(&mut self, text: &str) -> Result<(), Error> {
        // In JSON a byte takes at most six.
        let text = &text[..text.floor_char_boundary(LINE_LIMIT / 8)];
        self.write(&Outgoing::Log { text })
    }

    fn request(&mut self, from: Option<&str>) -> Result<Message, Error> {
        self.write(&Outgoing::Receive { from })?;
        loop {
            match line::read(&mut self.reader)? {
                Incoming::Message(message) => {
                    self.done += 1;
                    return Ok(message);
                }
                Incoming::Stored { position } => self.stored = Some(position),
                Incoming::Unknown => {}
                Incoming::Start(start) => {
                    let reason = "a second `start`".to_owned();
                    return Err(Error::BadLine { line: format!("{start:?}"), reason });
                }
            }
        }
    }

    /// Writes a line without payload.
    fn write(&mut self, line: &Outgoing<'_>) -> Result<(), Error> {
        let bytes = line::encode(line).map_err(|source| Error::Encode { what: "a line".into(), source })?;
        line::write(&mut self.writer, &bytes)
    }
}
