//! Durable bytes: ordered tables of keys and values behind the [`Disk`] trait.
//!
//! Production uses [`rocks`]; a simulation puts a model with synced and unsynced writes in its place. Everything above
//! (log, vote, snapshots) is written against the trait.
//!
//! Invariants
//! * writes happen in the order in which they are given to the [`Writer`](writer::Writer), those of one job atomically;
//! * after a write with [`Durability::Synced`] has returned, it and everything before it survives a crash;
//! * a write that failed is never tried again: nobody knows what it left behind.

mod mark;
pub(crate) mod reserve;
pub(crate) mod rocks;
pub(crate) mod room;
pub(crate) mod writer;

use std::io;
use std::ops::ControlFlow;

use bytes::Bytes;

/// A table of its own key space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Vote, purge and commit marks, the current snapshot's description.
    Meta,
    /// Log entries; the key is the index, big endian.
    Log,
    /// Chunks of snapshots.
    Snapshot,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets a key.
    Put {
        /// Where.
        table: Table,
        /// Key.
        key: Bytes,
        /// Value.
        value: Bytes,
    },
    /// Removes every key in `from..to`.
    DeleteRange {
        /// Where.
        table: Table,
        /// First key removed.
        from: Bytes,
        /// First key kept.
        to: Bytes,
    },
}

/// What a write must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// May be lost in a crash, together with everything after it.
    Buffered,
    /// Survives, together with everything before it.
    Synced,
}

/// Is shown a key and its value, and says whether to go on.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// A store of ordered tables.
///
/// Reads see every write that has returned. Calls block for as long as the disk takes.
pub trait Disk: Send + Sync + 'static {
    /// Applies all of `ops`, in order, or none of them.
    fn write(&self, ops: &[Op], durability: Durability) -> io::Result<()>;

    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Shows the pairs with keys in `from..to`, in order, until told to stop.
    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()>;

    /// The pair with the greatest key.
    fn last(&self, table: Table) -> io::Result<Option<(Vec<u8>, Vec<u8>)>>;
}
