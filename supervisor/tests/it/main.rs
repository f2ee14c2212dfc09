//! The agent with real worker processes, against a leader that the tests script.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, missing_docs)]

mod channels;
mod failures;
mod host;
mod leader;
mod link;
mod recovery;
mod sessions;

#[allow(dead_code, reason = "shared with the unit tests")]
#[path = "../../src/session/testing.rs"]
mod plan;
