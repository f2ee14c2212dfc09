//! The replicated state machine: protocols, sessions, agents, failures, recoveries.
//!
//! Pure and synchronous: [`StateMachine::apply`] takes an entry, gives a reply and the effects that the leader is to
//! carry out. Time and ids come in with the entry. The same entries give the same bytes on every node.
//!
//! Invariants
//! * `apply` is total: a bad command is refused with a [`Rejection`](command::Rejection) and changes nothing but time
//!   and the client table;
//! * effects may be lost with a leader: [`StateMachine::outstanding`] gives every order that still stands.

//!
//! Modules come in layers, each of which uses only those below: the vocabulary (ids, limits, specification, commands, orders,
//! events, the data of agents, recoveries and sessions), what is kept of them, the rules, and on top the machine that calls
//! the rules and the codec of its bytes. `tests/it/arrows.rs` checks that.

pub mod agents;
mod bytes;
mod clients;
pub mod codec;
pub mod command;
pub mod effect;
pub mod events;
pub mod ids;
mod index;
pub mod limits;
pub mod machine;
pub mod protocols;
pub mod recovery;
mod rules;
pub mod session;
mod shared;
pub mod spec;
mod state;

pub use codec::View;
pub use machine::{Applied, StateMachine};
