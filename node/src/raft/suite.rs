//! openraft's own storage suite on the real disk, and what the log must survive besides.

use std::path::Path;
use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use rekindle_statemachine::ids::NodeId;
use tempfile::TempDir;
use tokio::sync::watch;

use super::log_store::LogStore;
use super::reception::Received;
use super::snapshots::Snapshots;
use super::state_store::StateStore;
use super::types::TypeConfig;
use crate::clock::SystemClock;
use crate::hub::Hub;
use crate::identity;
use crate::replica::Replica;
use crate::storage::room::{Limits, Space};
use crate::storage::writer::{Writer, WriterMode};

struct Builder(WriterMode);

impl StoreBuilder<TypeConfig, LogStore, StateStore, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateStore), StorageError<TypeConfig>> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (log, state) = open(folder.path(), self.0);
        Ok((folder, log, state))
    }
}

fn open(folder: &Path, mode: WriterMode) -> (LogStore, StateStore) {
    let disk = identity::open(folder, "suite", NodeId(1), Limits::of(1 << 40, None)).expect("an empty folder opens");
    let (writer, _thread) = Writer::start(Arc::clone(&disk), mode, watch::channel(Space::Enough).1).expect("a writer");
    let log = LogStore::open(Arc::clone(&disk), writer.clone()).expect("an empty log");
    let replica = Arc::new(Replica::new(Arc::new(Hub::default()), Arc::new(SystemClock::default())));
    (log, StateStore::new(replica, Snapshots::new(disk, writer), Received::default()))
}

#[tokio::test]
async fn storage_suite_with_a_writer_thread() {
    Suite::test_all(Builder(WriterMode::Thread)).await.expect("the suite passes");
}

#[tokio::test]
async fn storage_suite_with_inline_writes() {
    Suite::test_all(Builder(WriterMode::Inline)).await.expect("the suite passes");
}
