//! Receiving a snapshot of another node.
//!
//! Invariants
//! * one at a time, within a time, of no more bytes than were announced;
//! * its data goes to a file without a name, which is gone with this process whatever ends it; it is read into memory
//!   only when it is whole;
//! * only what is the announced snapshot, and decodes, comes out.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rekindle_proto::v1::SnapshotChunk;
use rekindle_statemachine::StateMachine;
use serde::{Deserialize, Serialize};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::SNAPSHOT_HEADER;
use super::types::{LogId, SnapshotMeta, Vote};

/// A greater snapshot than the state machine's limits allow.
const LIMIT: u64 = 4 << 30;
/// How long the next chunk may take.
const NEXT_CHUNK: Duration = Duration::from_secs(5);

/// What is said of a snapshot before its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) vote: Vote,
    pub(super) meta: SnapshotMeta,
    pub(super) bytes: u64,
    /// BLAKE3 of the data.
    pub(super) checksum: [u8; 32],
}

impl Header {
    /// Of these data; reads all of them.
    pub(super) fn of(vote: Vote, meta: SnapshotMeta, data: &[u8]) -> Self {
        Header { vote, meta, bytes: data.len() as u64, checksum: *blake3::hash(data).as_bytes() }
    }
}

/// The state of the snapshot that was received last, until it is installed: it was decoded to see whether it can be.
#[derive(Clone, Default)]
pub(super) struct Received(Arc<Mutex<Option<(LogId, StateMachine)>>>);

impl Received {
    fn put(&self, received: Option<(LogId, StateMachine)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = received;
    }

    /// The state up to this entry, if it is there.
    pub(super) fn take(&self, last: Option<&LogId>) -> Option<StateMachine> {
        let received = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        received.filter(|(of, _)| Some(of) == last).map(|(_, state)| state)
    }
}

/// Where snapshots come in.
pub(super) struct Reception {
    folder: PathBuf,
    patience: Duration,
    turn: Arc<Semaphore>,
    received: Received,
}

/// A snapshot that may be installed. The next one is received when this is gone.
pub(super) struct Arrived {
    pub(super) data: Bytes,
    received: Received,
    _turn: OwnedSemaphorePermit,
}

impl Drop for Arrived {
    fn drop(&mut self) {
        self.received.put(None);
    }
}

impl Reception {
    /// Data are gathered in a file below `folder`, all of them within `patience`.
    pub(super) fn new(folder: PathBuf, patience: Duration, received: Received) -> Self {
        Reception { folder, patience, turn: Arc::new(Semaphore::new(1)), received }
    }

    /// What is said of the snapshot, and the data that came with it.
    pub(super) async fn header(&self, chunks: &mut Streaming<SnapshotChunk>) -> Result<(Header, Bytes), Status> {
        let first = next(chunks).await?.ok_or_else(|| Status::invalid_argument("a snapshot without a first chunk"))?;
        let header: Header =
            SNAPSHOT_HEADER.decode(&first.header).map_err(|error| Status::invalid_argument(error.to_string()))?;
        if header.bytes > LIMIT {
            let bytes = header.bytes;
            return Err(Status::failed_precondition(format!(
                "refused: a snapshot of {bytes} bytes, {LIMIT} are allowed"
            )));
        }
        Ok((header, first.data))
    }

    /// The rest, whole and checked.
    pub(super) async fn receive(
        &self,
        header: &Header,
        first: Bytes,
        chunks: Streaming<SnapshotChunk>,
    ) -> Result<Arrived, Status> {
        let turn = Arc::clone(&self.turn)
            .try_acquire_owned()
            .map_err(|_| Status::resource_exhausted("another snapshot is being received; send this one again later"))?;
        let gathered = timeout(self.patience, self.gather(header, first, chunks)).await;
        let file = gathered.map_err(|_| Status::deadline_exceeded("the snapshot did not arrive in time"))??;
        let announced = header.clone();
        let checked = tokio::task::spawn_blocking(move || check(&announced, file)).await;
        let (data, state) = checked.map_err(|error| Status::internal(error.to_string()))??;
        self.received.put(header.meta.last_log_id.map(|last| (last, state)));
        Ok(Arrived { data, received: self.received.clone(), _turn: turn })
    }

    async fn gather(
        &self,
        header: &Header,
        first: Bytes,
        mut chunks: Streaming<SnapshotChunk>,
    ) -> Result<std::fs::File, Status> {
        let folder = self.folder.clone();
        let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder)).await;
        let file = file.map_err(|error| Status::internal(error.to_string()))?.map_err(|error| unkept(&error))?;
        let mut file = File::from_std(file);
        let mut left = header.bytes;
        let mut chunk = Some(first);
        while let Some(data) = chunk {
            left = left.checked_sub(data.len() as u64).ok_or_else(another)?;
            file.write_all(&data).await.map_err(|error| unkept(&error))?;
            chunk = next(&mut chunks).await?.map(|chunk| chunk.data);
        }
        if left > 0 {
            return Err(another());
        }
        file.flush().await.map_err(|error| unkept(&error))?;
        Ok(file.into_std().await)
    }
}

async fn next(chunks: &mut Streaming<SnapshotChunk>) -> Result<Option<SnapshotChunk>, Status> {
    let next = timeout(NEXT_CHUNK, chunks.message()).await;
    next.map_err(|_| Status::deadline_exceeded("the next chunk of the snapshot did not come in time"))?
}

/// Reads a whole file back and decodes it.
fn check(header: &Header, mut file: std::fs::File) -> Result<(Bytes, StateMachine), Status> {
    let mut data = Vec::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut data));
    read.map_err(|error| unkept(&error))?;
    if blake3::hash(&data) != header.checksum {
        return Err(another());
    }
    let state = StateMachine::restore(&data).map_err(|reason| {
        Status::failed_precondition(format!(
            "refused: the snapshot cannot be read ({reason}): run the same release on every node"
        ))
    })?;
    Ok((data.into(), state))
}

fn another() -> Status {
    Status::failed_precondition("refused: the data of the snapshot are not those that were announced")
}

fn unkept(error: &io::Error) -> Status {
    Status::resource_exhausted(format!("the snapshot cannot be kept while it arrives: {error}"))
}
