//! Lines: how they are read from and written to the supervisor, and what they say.

use std::io::{BufRead, Read, Write};

use serde::{Deserialize, Serialize};

use crate::start::Start;
use crate::worker::Message;
use crate::{Error, LINE_LIMIT};

/// Bytes of a bad line that an error shows.
const SHOWN: usize = 200;

/// A line from the supervisor.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Incoming {
    /// The first line.
    Start(Start),
    /// The answer to `receive`.
    Message(Message),
    /// A checkpoint is safe.
    Stored {
        /// Where it was taken.
        position: u64,
    },
    /// A type that this version does not know: ignored.
    #[serde(other)]
    Unknown,
}

/// A line to the supervisor.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Outgoing<'a, T: ?Sized = ()> {
    /// Sends a message.
    Send {
        /// The receiving role.
        to: &'a str,
        /// The message's label.
        label: &'a str,
        /// Any JSON value.
        payload: &'a T,
    },
    /// Asks for the next message.
    Receive {
        /// Only of this peer.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<&'a str>,
    },
    /// Saves the state.
    Checkpoint {
        /// Any JSON value.
        data: &'a T,
    },
    /// A line for the log.
    Log {
        /// The line.
        text: &'a str,
    },
}

/// Reads the next line that is not empty.
pub(crate) fn read(reader: &mut impl BufRead) -> Result<Incoming, Error> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = LINE_LIMIT as u64 + 1;
        reader.by_ref().take(limit).read_until(b'\n', &mut line)?;
        if line.len() > LINE_LIMIT {
            return Err(bad_line(&line, "longer than 1 MiB"));
        }
        // A line without its end is what a supervisor leaves behind that died while it wrote.
        if line.last() != Some(&b'\n') {
            return Err(Error::Closed);
        }
        if !line.trim_ascii().is_empty() {
            return serde_json::from_slice(&line).map_err(|error| bad_line(&line, &error.to_string()));
        }
    }
}

/// A line as the bytes to write, line end included.
pub(crate) fn encode<T: Serialize + ?Sized>(line: &Outgoing<'_, T>) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Writes a line at once: a supervisor that waits for it must not wait for a buffer to fill.
pub(crate) fn write(writer: &mut impl Write, line: &[u8]) -> Result<(), Error> {
    writer.write_all(line)?;
    writer.flush()?;
    Ok(())
}

fn bad_line(line: &[u8], reason: &str) -> Error {
    let shown = line.get(..SHOWN).unwrap_or(line);
    Error::BadLine { line: String::from_utf8_lossy(shown).trim_end().to_owned(), reason: reason.to_owned() }
}
