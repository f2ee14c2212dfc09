//! openraft's view of the state machine: applies the log, takes and installs snapshots.
//!
//! The state is in memory. What makes it durable is the log and the last snapshot, which is on disk before openraft
//! hears of it and may purge the log that led to it.
//!
//! Invariants
//! * state, last applied log id and membership belong to the same index;
//! * a snapshot on disk never goes back, even if an older one is finished after a newer one was installed.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use rekindle_statemachine::codec::decode_entry;
use rekindle_statemachine::command::Reply;
use rekindle_statemachine::{StateMachine, View};

use super::log_store::corrupt;
use super::reception::Received;
use super::snapshots::Snapshots;
use super::threads::{apart, aside};
use super::types::{LogEntry, LogId, Membership, Snapshot, SnapshotMeta, TypeConfig};
use crate::replica::Replica;

/// The applied state as openraft sees it.
pub(crate) struct StateStore {
    replica: Arc<Replica>,
    snapshots: Snapshots,
    received: Received,
    last_applied: Option<LogId>,
    membership: Membership,
}

/// A snapshot that is taken and neither written out nor stored yet: entries are applied meanwhile.
pub(crate) struct Taken {
    snapshots: Snapshots,
    meta: SnapshotMeta,
    view: View,
}

impl StateStore {
    pub(super) fn new(replica: Arc<Replica>, snapshots: Snapshots, received: Received) -> Self {
        StateStore { replica, snapshots, received, last_applied: None, membership: Membership::default() }
    }

    fn apply_one(&mut self, entry: LogEntry) -> io::Result<Reply> {
        let index = entry.log_id.index;
        match entry.payload {
            EntryPayload::Blank => {
                self.replica.pass(index);
                Ok(Reply::Done)
            }
            EntryPayload::Normal(bytes) => {
                // Only a release that writes another format leads here, and to skip the entry would be to diverge.
                let read = || decode_entry(&bytes.0).map_err(corrupt);
                apart(bytes.0.len(), || read().map(|entry| self.replica.apply(index, &entry)))
            }
            EntryPayload::Membership(membership) => {
                self.replica.pass(index);
                self.membership = Membership::new(Some(entry.log_id), membership);
                Ok(Reply::Done)
            }
        }
    }
}

impl RaftStateMachine<TypeConfig> for StateStore {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Taken;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, Membership)> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let log_id = entry.log_id();
            let reply = self.apply_one(entry)?;
            self.last_applied = Some(log_id);
            if let Some(responder) = responder {
                responder.send(reply);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Taken {
        let view = self.replica.state().view();
        let meta = SnapshotMeta { last_log_id: self.last_applied, last_membership: self.membership.clone() };
        Taken { snapshots: self.snapshots.clone(), meta, view }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Bytes) -> io::Result<()> {
        // One that came over the network has been decoded already; one from the disk has not.
        let state = match self.received.take(meta.last_log_id.as_ref()) {
            Some(state) => state,
            None => apart(data.len(), || StateMachine::restore(&data)).map_err(corrupt)?,
        };
        self.snapshots.store(meta, &data).await?;
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.replica.install(meta.last_log_id.map_or(0, |last| last.index), state);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        self.snapshots.load()
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Taken {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let data = Bytes::from(aside(|| self.view.snapshot()));
        self.snapshots.store(&self.meta, &data).await?;
        Ok(Snapshot { meta: self.meta.clone(), snapshot: data })
    }
}
