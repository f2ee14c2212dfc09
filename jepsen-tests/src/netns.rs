//! Real processes in network namespaces of the run.
//!
//! The harness starts itself again under `unshare`, in a network, mount and process namespace of its own: everything
//! it makes there (namespaces of nodes, bridge, rules, mounts, loop devices, processes) ends with it, whatever ends it.

pub mod cuts;
pub mod disk;
pub mod enter;
pub mod nemesis;
pub mod net;
pub mod process;
pub mod run;
pub mod site;
pub mod watch;

use std::path::PathBuf;
use std::time::Duration;

use crate::faults::Fault;
use crate::schedule::Planned;

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides the schedule.
    pub seed: u64,
    /// How long clients and faults run; calm run and aftermath come on top.
    pub duration: Duration,
    /// Which faults.
    pub faults: Vec<Fault>,
    /// A schedule to repeat instead of the seed's.
    pub schedule: Option<Vec<Planned>>,
    /// How many nodes.
    pub nodes: usize,
    /// How many local supervisors.
    pub agents: usize,
    /// How many clients.
    pub clients: u32,
    /// How many sessions at a time.
    pub sessions: usize,
    /// The binary under test.
    pub rekindle: PathBuf,
    /// Further arguments for every node.
    pub node_args: Vec<String>,
    /// Where history, logs, verdict and timeline go.
    pub out: PathBuf,
    /// How long everything may take to come back after the last fault.
    pub patience: Duration,
}
