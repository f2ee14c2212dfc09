//! Recovery: what a failure costs each role of a session, and why.
//!
//! The definitions are those of `docs/recovery.md`: cuts, availability of messages, recovery points, the recovery
//! line as the greatest valid cut, and the recovery table that bounds it before anything runs.

pub mod line;
pub mod policy;
pub mod table;
