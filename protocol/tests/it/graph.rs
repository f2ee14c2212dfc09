//! Pictures of protocols: goldens, and what must hold for the picture of any protocol.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod goldens;
mod properties;
mod xml;

use rekindle_protocol::diagnostics::Report;
use rekindle_protocol::graph::Graph;

/// The picture of the only protocol of a text.
fn graph(text: &str) -> Result<Graph, Report> {
    let program =
        rekindle_protocol::load("protocol.scr", &[], &mut |path| (path == "protocol.scr").then(|| text.to_owned()))?;
    program.graph(None)
}
