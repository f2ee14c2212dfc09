//! What the targets run: the same functions as `protocol/tests/it/frontend`, which runs the saved inputs.

use rekindle_protocol::Program;
use rekindle_protocol::diagnostics::Report;

#[path = "../../protocol/tests/it/frontend/generate.rs"]
mod generate;
#[path = "../../protocol/tests/it/frontend/harness.rs"]
mod harness;

/// The text that an input stands for.
pub fn text_of(input: &[u8]) -> String {
    harness::text_of(input)
}

/// Reads, parses and resolves names; renders what there is to say.
pub fn front(text: &str) -> Result<Program, Report> {
    harness::front(text)
}

/// Everything: loads, checks, compiles, projects, renders.
pub fn pipeline(text: &str) -> Report {
    harness::pipeline(text)
}
