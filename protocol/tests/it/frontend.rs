//! The front end: goldens, the corpus, machines, and what must hold for any text.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod any_text;
mod corpus;
mod diagnostics;
mod dialects;
mod explain;
mod generate;
mod harness;
mod machines;
mod saved;
mod scale;
mod soundness;

use std::path::{Path, PathBuf};

/// `testdata` of this crate.
fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// Reads a file of the disk, as the command line does.
fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Loads a text as if it were the file `protocol.scr`.
fn load(text: &str) -> Result<rekindle_protocol::Program, rekindle_protocol::diagnostics::Report> {
    rekindle_protocol::load("protocol.scr", &[], &mut |path| (path == "protocol.scr").then(|| text.to_owned()))
}
