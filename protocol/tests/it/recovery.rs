//! Recovery: the line, the table, the plan, and sessions that crash and go on.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a property says its seed and what it covered")]

mod arrows;
mod line;
mod oracle;
mod plan;
pub(crate) mod random;
mod rules;
mod sequence;
mod session;
mod table;
mod world;
