//! Rekindle's protocol language and the theory of recovery.
//!
//! Pure: no I/O, no async, no clock, no randomness. Text goes in, values come out.
//!
//! * [`image`]: a compiled protocol, one communicating machine per role.
//! * [`history`]: what a role has done so far, as a path of its machine.
//! * [`recovery`]: recovery modes, failures, the recovery line and the recovery table.

pub mod history;
pub mod image;
pub mod recovery;
