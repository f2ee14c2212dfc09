//! Why a node does not start, or stops.

use std::io;
use std::path::PathBuf;

use rekindle_statemachine::ids::NodeId;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error("wrong configuration: {0}")]
    Config(String),
    /// The folder belongs to another node.
    #[error(
        "{} belongs to node {node} of cluster `{cluster}`: give this node a folder of its own, or start it as that node",
        path.display()
    )]
    Foreign {
        /// The data folder.
        path: PathBuf,
        /// Whose it is.
        cluster: String,
        /// Whose it is.
        node: String,
    },
    /// The folder is in use.
    #[error("{} is in use: a node runs on it already; stop that one first", path.display())]
    Locked {
        /// The data folder.
        path: PathBuf,
    },
    /// What is in the folder is not what a node left there.
    #[error(
        "{} is damaged: {reason}\nnothing was changed. The other nodes go on while they are a majority; keep a copy, and do not start this node \
         on an empty folder: it would have forgotten what it acknowledged",
        path.display()
    )]
    Corrupt {
        /// The data folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The folder cannot be used.
    #[error("cannot use {}: {source}; check that it may be written and that there is space", path.display())]
    DataDir {
        /// The data folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The listener cannot be used.
    #[error("cannot listen: {0}")]
    Listen(#[source] io::Error),
    /// Log and state could not be recovered.
    #[error("node {id} cannot recover its log: {reason}")]
    Recovery {
        /// This node.
        id: NodeId,
        /// What is wrong.
        reason: String,
    },
}

/// Why a running node stopped. The process should exit: the node can only go on by being started again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node {id} cannot go on: {reason}")]
pub struct NodeFailure {
    /// This node.
    pub id: NodeId,
    /// What happened.
    pub reason: String,
}
