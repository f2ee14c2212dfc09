//! Bytes of values: a version where they are kept, then postcard.
//!
//! Decoding refuses what it does not know, and allocates no more than a small multiple of what it reads.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Why bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Written by another version of this program.
    #[error("format version {found}, this program reads {known} and earlier ones")]
    Version {
        /// The version found.
        found: u8,
        /// The version that this program writes.
        known: u8,
    },
    /// Not what an encoder wrote.
    #[error("damaged: {0}")]
    Damaged(String),
}

/// A value's bytes without a version.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    write(Vec::new(), value)
}

/// A version, then the value.
pub(crate) fn versioned<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    write(vec![version], value)
}

fn write<T: Serialize>(start: Vec<u8>, value: &T) -> Vec<u8> {
    // Invariant: postcard writes every type of this crate, and a vector takes what fits into memory.
    postcard::to_extend(value, start).expect("a value of the state has bytes")
}

/// The version that bytes begin with, and the rest.
pub(crate) fn split(bytes: &[u8]) -> Result<(u8, &[u8]), DecodeError> {
    let (&version, body) = bytes.split_first().ok_or_else(|| DecodeError::Damaged("no bytes".to_owned()))?;
    Ok((version, body))
}

/// Reads a value that takes all of the bytes.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = postcard::take_from_bytes(body).map_err(|error| DecodeError::Damaged(error.to_string()))?;
    if !rest.is_empty() {
        return Err(DecodeError::Damaged(format!("{} bytes too many", rest.len())));
    }
    Ok(value)
}
