//! Integration tests of the protocol crate.

mod frontend;
mod recovery;
