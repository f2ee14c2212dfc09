//! A node of the cluster: consensus, the replicated state machine, and the gRPC services on top.
//!
//! [`start`] runs a node on a listener and a data folder. Crash-only: a node that is killed at any moment is started
//! again with the same arguments and goes on.
//!
//! Inside
//! * `participation`, `founding`: whether this node may take part, and how a cluster begins;
//! * `ending`: how a process ends that cannot go on;
//! * `raft`: the consensus; the only module that knows the library;
//! * `storage`: durable bytes, one writer, one sync for many writes;
//! * `replica`: the applied state; `hub`: agents that are attached here; `leader`, `leases`: what only the leader does;
//! * `services`: gRPC; `workshop`: where they leave what takes long; `connections`: nodes apart from clients.

pub mod clock;
pub mod config;
mod connections;
mod connector;
mod ending;
mod error;
mod founding;
mod handover;
mod hub;
mod identity;
mod leader;
mod leases;
mod participation;
mod raft;
mod replica;
mod round_trips;
mod services;
mod start;
mod storage;
mod workshop;

pub use config::{Compaction, NodeConfig, Seams, Timings};
pub use connector::Connector;
pub use ending::{Ending, end};
pub use error::{FailureCause, NodeFailure, Refusal, StartError};
pub use raft::LIBRARY_LOG;
pub use raft::runtime::seed_thread;
pub use rekindle_statemachine::ids::NodeId;
pub use start::{RunningNode, start, start_with};
pub use storage::room::{FreeSpace, Volume};
pub use storage::writer::WriterMode;
pub use storage::{Disk, Durability, Op, Table, Visit};
