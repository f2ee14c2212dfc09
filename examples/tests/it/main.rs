//! Runs each example's workers to their end, with a driver that plays the supervisor: it starts them and carries their
//! messages, but knows no protocol and recovers nothing. The real run, with crashes, is tested where the supervisor is.

mod driver;
mod process;
mod web;

mod booking;
mod calculator;
mod crawler;
mod fetcher;
mod map_reduce;
mod ring;

use std::path::{Path, PathBuf};

/// The folder of an example.
fn folder(example: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(example)
}
