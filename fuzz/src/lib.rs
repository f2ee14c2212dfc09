//! What the targets run: the same functions as `protocol/tests/it/frontend`, which runs the saved inputs.

#[path = "../../protocol/tests/it/frontend/generate.rs"]
mod generate;
#[path = "../../protocol/tests/it/frontend/harness.rs"]
pub mod harness;
