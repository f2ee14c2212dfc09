//! Why a node does not start, or stops.

use std::io;
use std::path::PathBuf;

use rekindle_statemachine::ids::NodeId;

use crate::ending::{Ending, is_full};

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
    /// The nodes are others than those of the cluster.
    #[error(
        "--peers does not name the nodes that node {id} knows from its log: {}\nnothing was changed. Start it with --peers \
         {known}; nodes are added, moved and replaced by commands to the cluster, not by another --peers",
        differences.join("; ")
    )]
    PeersChanged {
        /// This node.
        id: NodeId,
        /// One sentence for each node that differs.
        differences: Vec<String>,
        /// As the log has it, in the notation of the command line.
        known: String,
    },
    /// The listener cannot be used.
    #[error("cannot listen: {0}")]
    Listen(#[source] io::Error),
    /// The system gives no threads.
    #[error("cannot start threads: {0}; check the limits of this process")]
    Threads(#[source] io::Error),
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
#[error("node {id} cannot go on: {cause}")]
pub struct NodeFailure {
    /// This node.
    pub id: NodeId,
    /// What happened.
    pub cause: FailureCause,
}

/// What ended a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FailureCause {
    /// It may not take part. To start it again changes nothing.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A write hangs.
    #[error("{0}")]
    Disk(String),
    /// A part of it stopped.
    #[error("{0}")]
    Stopped(String),
}

impl FailureCause {
    /// How the process should end.
    pub fn ending(&self) -> Ending {
        match self {
            FailureCause::Refused(_) => Ending::NoPart,
            FailureCause::Disk(_) => Ending::DiskFailed,
            FailureCause::Stopped(_) => Ending::Stopped,
        }
    }
}

impl StartError {
    /// How the process should end, if there is a status for it.
    pub fn ending(&self) -> Option<Ending> {
        match self {
            StartError::PeersChanged { .. } => Some(Ending::NoPart),
            StartError::DataDir { source, .. } if is_full(source) => Some(Ending::DiskFull),
            StartError::Config(_)
            | StartError::Foreign { .. }
            | StartError::Locked { .. }
            | StartError::Corrupt { .. }
            | StartError::DataDir { .. }
            | StartError::Listen(_)
            | StartError::Threads(_)
            | StartError::Recovery { .. } => None,
        }
    }
}

/// Why a node may not take part in the cluster that its peers are part of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The folder is empty, and the cluster knows the node.
    #[error(
        "the folder {} is empty, but node {node} at {endpoint} has the log of a cluster that node {id} is part of: what \
         node {id} had acknowledged would be forgotten, so it neither votes nor counts. Nothing was stored\n\
         hint: if its disk is only not mounted, mount it and start the node again; if it is lost, the node must be replaced \
         (`rekindle cluster replace`, in a coming release); until then leave it off: the others go on while they are a \
         majority. If the log of node {node} is the left-over of an older cluster, empty that folder instead",
        folder.display()
    )]
    Forgotten {
        /// This node.
        id: NodeId,
        /// The data folder.
        folder: PathBuf,
        /// Who said so.
        node: NodeId,
        /// Where that is.
        endpoint: String,
    },
    /// The cluster does not know the node.
    #[error(
        "node {id} is not part of the cluster that node {node} at {endpoint} is part of: its nodes are {members}. Nothing \
         was stored\nhint: check --id and --peers; nodes are added by a command to the cluster (in a coming release)"
    )]
    NoMember {
        /// This node.
        id: NodeId,
        /// Who said so.
        node: NodeId,
        /// Where that is.
        endpoint: String,
        /// The nodes of the cluster, in the notation of the command line.
        members: String,
    },
    /// The folder is part of another cluster.
    #[error(
        "the folder {} is part of another cluster than node {node} at {endpoint}, though both have the same name\n\
         hint: check that each node has its own folder and its own peers; an older cluster may have left that folder",
        folder.display()
    )]
    OtherCluster {
        /// This node.
        id: NodeId,
        /// The data folder.
        folder: PathBuf,
        /// Who said so.
        node: NodeId,
        /// Where that is.
        endpoint: String,
    },
}
