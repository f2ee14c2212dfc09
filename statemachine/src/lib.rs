//! The replicated state machine: protocols, sessions, agents, failures, recoveries.
//!
//! Pure and synchronous: [`StateMachine::apply`] takes an entry, gives a reply and the effects that the leader is to
//! carry out. Time and ids come in with the entry. The same entries give the same bytes on every node.
//!
//! Invariants
//! * `apply` is total: a bad command is refused with a [`Rejection`](command::Rejection) and changes nothing but time
//!   and the client table;
//! * effects may be lost with a leader: [`StateMachine::outstanding`] gives every order that still stands.

pub mod agents;
mod checkpoints;
mod clients;
pub mod codec;
pub mod command;
pub mod effect;
pub mod events;
pub mod ids;
mod index;
pub mod limits;
pub mod machine;
mod outstanding;
pub mod protocols;
pub mod recovery;
pub mod session;
mod sessions;
pub mod spec;
mod turn;

pub use machine::{Applied, StateMachine};
pub use rekindle_protocol as protocol;
