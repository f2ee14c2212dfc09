//! Integration tests of the protocol crate.

mod frontend;
mod graph;
mod recovery;
