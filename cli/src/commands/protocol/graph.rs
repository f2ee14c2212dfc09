//! `rekindle protocol graph`: a global protocol as a picture.

use anyhow::Result;
use rekindle_protocol::check::CheckOptions;
use rekindle_protocol::graph::Graph;

use crate::args::{Format, ProtocolFile};
use crate::output::{Output, Tone};
use crate::protocols;
use crate::talk::say;

pub(super) fn run(source: &ProtocolFile, output: &Output) -> Result<()> {
    let program = protocols::read(&source.file, &source.include)?.map_err(protocols::invalid)?;
    let wanted = source.protocol.as_deref();
    let graph = program.graph(wanted).map_err(protocols::invalid)?;
    match output.format() {
        Format::Svg => output.line(graph.to_svg().trim_end())?,
        Format::Dot => output.line(graph.to_dot().trim_end())?,
        Format::Text | Format::Json => output.value(&graph, Graph::to_text)?,
    }
    // Drawn all the same: whoever mends a protocol wants to see it.
    if !program.flaws(wanted, CheckOptions::default()).diagnostics.is_empty() {
        say(&note(source, &graph, output));
    }
    Ok(())
}

fn note(source: &ProtocolFile, graph: &Graph, output: &Output) -> String {
    let note = output.paint_error(Tone::Change, "note:");
    let include: String = source.include.iter().map(|folder| format!(" -I {}", folder.display())).collect();
    let file = source.file.display();
    format!("{note} `{}` is invalid; `rekindle protocol check {file}{include}` says why", graph.protocol())
}
