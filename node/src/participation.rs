//! Whether this node may take part in a cluster, and in which.
//!
//! An empty folder neither votes nor counts: it may be that of a node that lost its disk, and would then help to forget
//! what it had acknowledged. A folder is let in by the identity of its cluster, which is written when the cluster begins.
//!
//! Invariants
//! * the identity is on disk before anybody hears of it, and before this node answers anything about the log;
//! * it never changes;
//! * a folder with a log but without an identity was begun by a release that had none, and goes on without.

use std::fmt;
use std::io;

use bytes::Bytes;
use rekindle_proto::payload::Format;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::storage::writer::Writer;
use crate::storage::{Disk, Op, Table};

const IDENTITY: &[u8] = b"identity";
/// Of [`ClusterIdentity`].
pub(crate) const IDENTITY_FORMAT: Format = Format::disk("cluster's identity", 1);

/// Tells a cluster from every other one, whatever their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ClusterIdentity([u8; 16]);

impl ClusterIdentity {
    pub(crate) fn random() -> Self {
        ClusterIdentity(rand::random())
    }

    #[cfg(test)]
    pub(crate) const fn of_byte(byte: u8) -> Self {
        ClusterIdentity([byte; 16])
    }

    pub(crate) fn from_wire(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(ClusterIdentity)
    }

    pub(crate) fn to_wire(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl fmt::Display for ClusterIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What the folder is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Of nothing yet.
    None,
    /// Of this cluster.
    Of(ClusterIdentity),
    /// Of a cluster that a release without identities began.
    Unnamed,
}

impl Part {
    pub(crate) fn identity(self) -> Option<ClusterIdentity> {
        match self {
            Part::Of(identity) => Some(identity),
            Part::None | Part::Unnamed => None,
        }
    }
}

/// The part that this node has, on disk and in memory.
pub(crate) struct Participation {
    writer: Writer,
    part: watch::Sender<Part>,
    /// Held while an identity is written, so that there is never a second one. Guards the order, no data.
    joining: Mutex<()>,
}

/// Why a node does not become part of a cluster that begins.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JoinError {
    #[error("this node is part of another cluster already, {0}")]
    Elsewhere(ClusterIdentity),
    #[error("this node is part of a cluster already, which a release without identities began")]
    Unnamed,
    #[error(transparent)]
    Disk(#[from] io::Error),
}

impl Participation {
    /// As the disk has it; `history` is whether there is a log.
    pub(crate) fn open(disk: &dyn Disk, writer: Writer, history: bool) -> io::Result<Self> {
        let part = match disk.get(Table::Meta, IDENTITY)? {
            Some(bytes) => Part::Of(
                IDENTITY_FORMAT.decode(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            ),
            None if history => Part::Unnamed,
            None => Part::None,
        };
        Ok(Participation { writer, part: watch::Sender::new(part), joining: Mutex::default() })
    }

    pub(crate) fn part(&self) -> Part {
        *self.part.borrow()
    }

    /// Its changes: there is at most one.
    pub(crate) fn changes(&self) -> watch::Receiver<Part> {
        self.part.subscribe()
    }

    /// Becomes part of a cluster that begins. Returns when that is on disk.
    pub(crate) async fn join(&self, identity: ClusterIdentity) -> Result<(), JoinError> {
        let _one_at_a_time = self.joining.lock().await;
        match self.part() {
            Part::Of(own) if own == identity => return Ok(()),
            Part::Of(own) => return Err(JoinError::Elsewhere(own)),
            Part::Unnamed => return Err(JoinError::Unnamed),
            Part::None => {}
        }
        let value = IDENTITY_FORMAT.encode(&identity).into();
        self.writer.commit(vec![Op::Put { table: Table::Meta, key: Bytes::from_static(IDENTITY), value }]).await?;
        self.part.send_replace(Part::Of(identity));
        Ok(())
    }
}

/// Keeps the consensus from answering anybody while this node has no part in the cluster.
#[derive(Clone)]
pub(crate) struct Gate(watch::Receiver<Part>);

impl Gate {
    pub(crate) fn of(participation: &Participation) -> Self {
        Gate(participation.changes())
    }
}

impl Interceptor for Gate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match *self.0.borrow() {
            Part::Of(_) | Part::Unnamed => Ok(request),
            Part::None => Err(Status::unavailable("the folder of this node is empty: it has no part in the cluster")),
        }
    }
}
