//! Bytes of entries and snapshots: a version, then postcard.
//!
//! Decoding refuses what it does not know, and allocates no more than a small multiple of what it reads.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::command::Entry;
use crate::index::Index;
use crate::limits;
use crate::machine::{State, StateMachine};
use crate::session::{Phase, Role, Session};

/// Version of the bytes of an entry.
const ENTRY_VERSION: u8 = 1;
/// Version of the bytes of a snapshot.
const SNAPSHOT_VERSION: u8 = 1;

/// Why bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Written by another version of this program.
    #[error("format version {found}, this program reads {known}")]
    Version {
        /// The version found.
        found: u8,
        /// The version known.
        known: u8,
    },
    /// Not what an encoder wrote.
    #[error("damaged: {0}")]
    Damaged(String),
}

/// The bytes of an entry.
pub fn encode_entry(entry: &Entry) -> Vec<u8> {
    versioned(ENTRY_VERSION, entry)
}

/// Reads an entry back.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, DecodeError> {
    decode(ENTRY_VERSION, bytes)
}

impl StateMachine {
    /// The whole state as bytes: the same on every node that has applied the same entries.
    pub fn snapshot(&self) -> Vec<u8> {
        versioned(SNAPSHOT_VERSION, &self.state)
    }

    /// The state that [`snapshot`](StateMachine::snapshot) was taken of.
    pub fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        let state: State = decode(SNAPSHOT_VERSION, bytes)?;
        check(&state).map_err(DecodeError::Damaged)?;
        let index = Index::of(state.sessions.values());
        Ok(StateMachine { state, index })
    }

    /// BLAKE3 of the snapshot's bytes.
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(&self.snapshot()).as_bytes()
    }
}

/// A value's bytes without a version.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    write(Vec::new(), value)
}

fn versioned<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    write(vec![version], value)
}

fn write<T: Serialize>(start: Vec<u8>, value: &T) -> Vec<u8> {
    // Invariant: postcard writes every type of this crate, and a vector takes what fits into memory.
    postcard::to_extend(value, start).expect("a value of the state has bytes")
}

fn decode<T: DeserializeOwned>(known: u8, bytes: &[u8]) -> Result<T, DecodeError> {
    let (&found, body) = bytes.split_first().ok_or_else(|| DecodeError::Damaged("no bytes".to_owned()))?;
    if found != known {
        return Err(DecodeError::Version { found, known });
    }
    let (value, rest) = postcard::take_from_bytes(body).map_err(|error| DecodeError::Damaged(error.to_string()))?;
    if !rest.is_empty() {
        return Err(DecodeError::Damaged(format!("{} bytes too many", rest.len())));
    }
    Ok(value)
}

/// Whether a decoded state has the shape that applying entries relies on.
fn check(state: &State) -> Result<(), String> {
    for (id, image) in &state.protocols {
        let found = crate::protocols::check(image).map_err(|rejection| rejection.to_string())?;
        if found != *id {
            return Err(format!("protocol `{id}` is `{found}`"));
        }
    }
    if state.agents.iter().any(|(id, agent)| agent.id != *id) {
        return Err("an agent under another name".to_owned());
    }
    for (id, session) in &state.sessions {
        if session.id != *id || !is_sound(session, state) {
            return Err(format!("session `{id}` does not hold together"));
        }
    }
    let ended = state.sessions.values().filter(|session| session.has_ended()).count();
    let listed = state.ended.iter().filter_map(|id| state.sessions.get(id)).filter(|session| session.has_ended());
    if ended != state.ended.len() || ended != listed.count() || ended > limits::ENDED_SESSIONS {
        return Err("the list of ended sessions is wrong".to_owned());
    }
    if !state.clients.is_sound() {
        return Err("the client table does not hold together".to_owned());
    }
    Ok(())
}

fn is_sound(session: &Session, state: &State) -> bool {
    let Some(image) = state.protocols.get(&session.protocol) else { return false };
    let count = image.roles.len();
    let open = matches!(session.phase, Phase::Gathering | Phase::Restoring);
    let leased = |agent| state.agents.contains_key(agent);
    session.roles.len() == count
        && session.spec.roles.len() == count
        && session.has_ended() == session.table.is_none()
        && (!open || session.recoveries.back().is_some())
        && session.orders.keys().all(leased)
        && session.roles.iter().zip(&image.machines).all(|(role, machine)| {
            let walks = role.recorded.state(machine).is_ok();
            walks && (session.has_ended() || (is_sound_role(role) && role.agent.as_ref().is_none_or(leased)))
        })
}

fn is_sound_role(role: &Role) -> bool {
    role.known == role.recorded.position()
        && role.proven <= role.known
        && role.checkpoints.keys().all(|&position| position <= role.known)
}
