//! Rekindle's protocol language and the theory of recovery.
//!
//! Pure: no I/O, no async, no clock, no randomness. Text goes in, values come out.
//!
//! * [`program`]: a source with its imports, parsed and resolved; the way in.
//! * [`diagnostics`], [`code`]: what the front end has to say, and under which rule.
//! * [`graph`]: a protocol as a picture.
//! * [`image`]: a compiled protocol, one communicating machine per role.
//! * [`history`]: what a role has done so far, as a path of its machine.
//! * [`recovery`]: recovery modes, failures, the recovery line and the recovery table.

pub mod check;
pub mod code;
mod compile;
pub mod corpus;
pub mod diagnostics;
pub mod explain;
mod global;
pub mod graph;
pub mod history;
pub mod image;
mod local;
pub mod program;
pub mod projection;
pub mod recovery;
mod syntax;

pub use check::CheckOptions;
pub use program::{Program, load};
