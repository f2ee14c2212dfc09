//! The local supervisor (agent): runs the workers of one host.
//!
//! It starts worker processes and sees them exit, checks every event against the role's machine, carries messages to
//! other local supervisors, keeps and replays them, and carries out what the leader of the cluster orders. What it
//! decides itself is only that its lease is over; everything else is decided by the replicated state machine.
//!
//! * [`agent`]: configuration, start, shutdown; [`LocalEvent`] is what happens meanwhile.
//! * `link`: the stream to the leader, the lease, reports and orders.
//! * `session`: one actor per session; its state is free of I/O and gives effects.
//! * `role`: one role's monitor, replay, and process.
//! * `channel`: messages between roles: stores, outboxes, fencing, the streams that carry them.
//! * `worker_api`: lines of JSON from and to workers, see `docs/worker-api.md`.
//!
//! Invariant: no event of a worker counts, and no message leaves the host, before the monitor has checked it.

pub mod agent;
mod channel;
pub mod faults;
mod host;
mod leftovers;
pub mod limits;
mod link;
mod local_event;
pub mod log;
mod lookup;
mod role;
mod session;
mod sessions;
mod worker_api;

pub use agent::{Agent, AgentConfig, AgentError, RunningAgent, StartError};
pub use faults::CrashAt;
pub use limits::Limits;
pub use local_event::{EventHook, LocalEvent};
pub use log::{LogSink, WorkerLog};
