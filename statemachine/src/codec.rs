//! Bytes of entries and snapshots, each with a version of its own.
//!
//! What earlier releases wrote is read: see [`v1`]. Decoding refuses what it does not know.

mod v1;

use crate::bytes;
use crate::command::Entry;
use crate::index::Index;
use crate::machine::StateMachine;
use crate::state::State;

pub use crate::bytes::DecodeError;

/// Version of the bytes of an entry.
const ENTRY_VERSION: u8 = 2;
/// Version of the bytes of a snapshot.
const SNAPSHOT_VERSION: u8 = 2;

/// The bytes of an entry.
pub fn encode_entry(entry: &Entry) -> Vec<u8> {
    bytes::versioned(ENTRY_VERSION, entry)
}

/// Reads an entry back.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, DecodeError> {
    match bytes::split(bytes)? {
        (v1::VERSION, body) => bytes::decode::<v1::Entry>(body).map(Entry::from),
        (ENTRY_VERSION, body) => bytes::decode(body),
        (found, _) => Err(DecodeError::Version { found, known: ENTRY_VERSION }),
    }
}

/// The state as it was at one entry, whatever is applied after that.
#[derive(Clone, Debug)]
pub struct View(State);

impl View {
    /// The whole state as bytes: the same on every node that has applied the same entries.
    pub fn snapshot(&self) -> Vec<u8> {
        bytes::versioned(SNAPSHOT_VERSION, &self.0)
    }

    /// BLAKE3 of the snapshot's bytes.
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(&self.snapshot()).as_bytes()
    }
}

impl StateMachine {
    /// The state as of now, to be read while entries are applied. Costs as much as there are sessions and protocols,
    /// whatever their size; the entries that come while it is held copy the sessions that they change, once each.
    pub fn view(&self) -> View {
        View(self.state.clone())
    }

    /// See [`View::snapshot`].
    pub fn snapshot(&self) -> Vec<u8> {
        bytes::versioned(SNAPSHOT_VERSION, &self.state)
    }

    /// The state that [`snapshot`](StateMachine::snapshot) was taken of.
    pub fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        let state: State = match bytes::split(bytes)? {
            (v1::VERSION, body) => State::try_from(bytes::decode::<v1::State>(body)?).map_err(DecodeError::Damaged)?,
            (SNAPSHOT_VERSION, body) => bytes::decode(body)?,
            (found, _) => return Err(DecodeError::Version { found, known: SNAPSHOT_VERSION }),
        };
        state.check().map_err(DecodeError::Damaged)?;
        let index = Index::of(state.sessions.values().map(|session| &**session));
        Ok(StateMachine { state, index })
    }

    /// BLAKE3 of the snapshot's bytes.
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(&self.snapshot()).as_bytes()
    }
}
