//! Recovery: what a failure costs each role of a session, and why.
//!
//! The definitions are those of `docs/recovery.md`: cuts, availability of messages, recovery points, the recovery
//! line as the greatest valid cut, and the recovery table that bounds it before anything runs.
//!
//! * [`run`]: one run at the moment of a failure, and the answer; no module below it but [`policy`];
//! * [`mod@line`]: the recovery line of one run, [`line::recovery_line`];
//! * [`explain`]: a line's reasons as sentences;
//! * [`plan`]: the same question asked from outside, JSON in, JSON out;
//! * [`policy`]: recovery modes, retention, kinds of failure;
//! * [`table`]: the recovery table of a protocol, [`table::recovery_table`].

mod availability;
mod channels;
pub mod explain;
mod fixpoint;
pub mod line;
pub mod plan;
mod points;
pub mod policy;
pub mod run;
pub mod table;
