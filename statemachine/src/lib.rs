//! The replicated state machine: protocols, sessions, agents, failures, recoveries.
//!
//! Pure and synchronous: [`StateMachine::apply`] takes an entry, gives a reply and the effects that the leader is to
//! carry out. Time and ids come in with the entry. The same entries give the same bytes on every node.

pub mod command;
pub mod effect;
pub mod ids;
pub mod spec;

pub use rekindle_protocol as protocol;
