//! The current snapshot on disk: a description, and the bytes in chunks.
//!
//! Invariants
//! * the description is written, synced, after all chunks of its generation, so a crash leaves the old snapshot or the
//!   new one;
//! * chunks of other generations are rubbish and go with the next snapshot.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rekindle_proto::payload::Format;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::log_store::corrupt;
use super::types::{Snapshot, SnapshotMeta};
use crate::storage::writer::Writer;
use crate::storage::{Disk, Durability, Op, Table};

const CURRENT: &[u8] = b"snapshot";
const CHUNK: usize = 1 << 20;

/// Of [`Description`].
pub(super) const DESCRIPTION: Format = Format::disk("snapshot's description", 1);

/// Stores and loads. Clones share the order of stores.
#[derive(Clone)]
pub(crate) struct Snapshots {
    disk: Arc<dyn Disk>,
    writer: Writer,
    /// Made to be held while waiting, unlike every other lock here: it guards no data but the order of whole stores.
    storing: Arc<Mutex<()>>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Description {
    pub(super) generation: u64,
    pub(super) bytes: u64,
    pub(super) meta: SnapshotMeta,
}

impl Snapshots {
    pub(crate) fn new(disk: Arc<dyn Disk>, writer: Writer) -> Self {
        Snapshots { disk, writer, storing: Arc::default() }
    }

    /// Makes this the current snapshot, unless the current one is newer.
    pub(crate) async fn store(&self, meta: &SnapshotMeta, data: &Bytes) -> io::Result<()> {
        let _one_at_a_time = self.storing.lock().await;
        let current = self.description()?;
        if current.as_ref().is_some_and(|current| current.meta.last_log_id > meta.last_log_id) {
            return Ok(());
        }
        let old = current.map_or(0, |current| current.generation);
        let generation = old + 1;
        self.clear(generation..u64::MAX).await?;
        for (number, start) in (0..data.len()).step_by(CHUNK).enumerate() {
            let value = data.slice(start..data.len().min(start + CHUNK));
            let put = Op::Put { table: Table::Snapshot, key: key(generation, number as u64), value };
            self.writer.submit(vec![put], Durability::Buffered, || ()).await?;
        }
        let description = Description { generation, bytes: data.len() as u64, meta: meta.clone() };
        let value = DESCRIPTION.encode(&description).into();
        let put = Op::Put { table: Table::Meta, key: Bytes::from_static(CURRENT), value };
        self.writer.commit(vec![put]).await?;
        self.clear(0..generation).await
    }

    /// The current snapshot.
    pub(crate) fn load(&self) -> io::Result<Option<Snapshot>> {
        let Some(Description { generation, bytes, meta }) = self.description()? else { return Ok(None) };
        let length = usize::try_from(bytes).map_err(corrupt)?;
        let mut data = BytesMut::with_capacity(length);
        self.disk.scan(Table::Snapshot, &key(generation, 0), &key(generation + 1, 0), &mut |_, chunk| {
            data.extend_from_slice(chunk);
            ControlFlow::Continue(())
        })?;
        if data.len() != length {
            return Err(corrupt(format!("the snapshot has {} bytes, {length} were stored", data.len())));
        }
        Ok(Some(Snapshot { meta, snapshot: data.freeze() }))
    }

    fn description(&self) -> io::Result<Option<Description>> {
        let Some(bytes) = self.disk.get(Table::Meta, CURRENT)? else { return Ok(None) };
        DESCRIPTION.decode(&bytes).map(Some).map_err(corrupt)
    }

    async fn clear(&self, generations: std::ops::Range<u64>) -> io::Result<()> {
        let delete =
            Op::DeleteRange { table: Table::Snapshot, from: key(generations.start, 0), to: key(generations.end, 0) };
        self.writer.submit(vec![delete], Durability::Buffered, || ()).await
    }
}

fn key(generation: u64, chunk: u64) -> Bytes {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&generation.to_be_bytes());
    key[8..].copy_from_slice(&chunk.to_be_bytes());
    Bytes::copy_from_slice(&key)
}
