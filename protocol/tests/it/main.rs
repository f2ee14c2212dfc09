//! Integration tests of the protocol crate.

mod frontend;
mod graph;
#[path = "../../../statemachine/tests/it/layers.rs"]
mod layers;
mod recovery;
