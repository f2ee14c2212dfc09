//! A library for Rekindle workers.
//!
//! A worker plays one role of a session. The local supervisor starts it and talks to it in lines of JSON over standard
//! input and output, as `docs/worker-api.md` defines. This crate is a thin layer over those lines: no threads, no
//! async runtime, no knowledge of the protocol (the supervisor checks every step).
//!
//! ```no_run
//! use rekindle_worker::{Error, Worker};
//!
//! /// Plays the shop: answers each order with a price until the customer says `bye`.
//! fn main() -> Result<(), Error> {
//!     let mut worker = Worker::from_stdio()?;
//!     loop {
//!         let message = worker.receive_from("A")?;
//!         if message.label == "bye" {
//!             return Ok(());
//!         }
//!         let items: u32 = message.expect("order")?;
//!         worker.send("A", "price", &(3 * items))?;
//!     }
//! }
//! ```
//!
//! Standard output belongs to the supervisor: a worker must not print to it. Standard error goes to the supervisor's log.
//!
//! After [`Error::Closed`] the supervisor is gone, or does not want this worker any more: exit.
//!
//! [`Worker::new`] takes any reader and writer, so a worker's logic can be tested without a process.

mod error;
mod line;
mod start;
mod worker;

pub use error::Error;
pub use start::{Mode, Start};
pub use worker::{Message, Worker};

/// Longest line, in bytes with its line end, that either side may write.
pub const LINE_LIMIT: usize = 1 << 20;

/// Longest checkpoint, in bytes of its JSON text.
pub const CHECKPOINT_LIMIT: usize = 64 << 10;
