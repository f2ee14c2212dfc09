//! What can go wrong between a worker and its supervisor.

use std::io;

/// Why a call of [`Worker`](crate::Worker) failed.
///
/// Only [`CheckpointTooLarge`](Error::CheckpointTooLarge) and [`MessageTooLarge`](Error::MessageTooLarge) leave the
/// worker usable: nothing was written. After any other error the worker should exit with a status other than 0.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// End of file, or nobody reads: the supervisor is gone or does not want this worker any more.
    #[error("the supervisor is gone")]
    Closed,

    /// Reading or writing failed in another way.
    #[error("talking to the supervisor failed: {0}")]
    Io(#[source] io::Error),

    /// The supervisor wrote something else than the worker API says.
    #[error("not a line of the worker API ({reason}): {line}")]
    BadLine {
        /// The line, or its beginning.
        line: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A message came with another label than the caller waits for.
    #[error("expected `{expected}`, got `{label}` from {from}")]
    UnexpectedLabel {
        /// The label asked for.
        expected: String,
        /// Who sent the message.
        from: String,
        /// The label that came.
        label: String,
    },

    /// A payload or a checkpoint is not of the type asked for.
    #[error("cannot read {what}: {source}")]
    Decode {
        /// What was being read, for people.
        what: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },

    /// A payload or a checkpoint has no form in JSON.
    #[error("cannot write {what} as JSON: {source}")]
    Encode {
        /// What was being written, for people.
        what: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },

    /// The message's line would be longer than [`LINE_LIMIT`](crate::LINE_LIMIT). Nothing was sent.
    #[error("message `{label}` to {to} takes {bytes} bytes, more than {} are not allowed", crate::LINE_LIMIT)]
    MessageTooLarge {
        /// The receiver.
        to: String,
        /// The label.
        label: String,
        /// Length of the line.
        bytes: usize,
    },

    /// The checkpoint is longer than [`CHECKPOINT_LIMIT`](crate::CHECKPOINT_LIMIT). Nothing was saved; the worker may go on.
    #[error("the checkpoint takes {bytes} bytes, more than {} are not allowed", crate::CHECKPOINT_LIMIT)]
    CheckpointTooLarge {
        /// Length of its JSON text.
        bytes: usize,
    },
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof, WriteZero};
        match error.kind() {
            BrokenPipe | ConnectionReset | UnexpectedEof | WriteZero => Self::Closed,
            _ => Self::Io(error),
        }
    }
}
