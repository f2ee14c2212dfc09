//! The disk of a real node: `RocksDB`.
//!
//! Its own default for its write-ahead log drops synced records silently after a flipped bit. Here a torn tail, as
//! a crash leaves it, is accepted and any other damage refused; a tail that is missing though it was synced is told from
//! a torn one by the [`Mark`] beside the database.

use std::io;
use std::path::Path;

use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, DBRecoveryMode, ErrorKind, IteratorMode, Options, ReadOptions,
    WriteBatch, WriteOptions,
};

use super::mark::Mark;
use super::room::Limits;
use super::{Disk, Durability, Op, Table, Visit};

/// It keeps this many of the logs that it writes for people.
const INFO_LOGS: usize = 4;
const INFO_LOG_SIZE: usize = 1 << 20;

/// Why a folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Another process, or another node of this one, has it open.
    #[error("{0}")]
    Locked(String),
    /// What is there is not a database as it was left.
    #[error("{0}")]
    Corrupt(String),
    /// Anything else, a full disk for example.
    #[error("{0}")]
    Io(String),
}

/// Whether a database is to be made where none is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Create {
    IfMissing,
    Never,
}

pub(crate) struct RocksDisk {
    db: DB,
    mark: Mark,
}

impl Table {
    const ALL: [Table; 3] = [Table::Meta, Table::Log, Table::Snapshot];

    fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::Log => "log",
            Table::Snapshot => "snapshot",
        }
    }
}

impl RocksDisk {
    pub(crate) fn open(folder: &Path, create: Create, limits: Limits) -> Result<Self, OpenError> {
        let make = create == Create::IfMissing;
        let mut options = Options::default();
        options.create_if_missing(make);
        options.create_missing_column_families(make);
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_track_and_verify_wals_in_manifest(true);
        options.set_paranoid_checks(true);
        options.set_max_total_wal_size(limits.write_ahead_log);
        options.set_keep_log_file_num(INFO_LOGS);
        options.set_max_log_file_size(INFO_LOG_SIZE);
        let families = Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), family_options(limits)));
        let db = DB::open_cf_descriptors(&options, folder, families).map_err(|error| open_error(&error))?;
        let marked = Mark::open(&folder.with_extension("synced"));
        let (mark, synced) = marked.map_err(|error| OpenError::Io(format!("the mark of the last sync: {error}")))?;
        let found = db.latest_sequence_number();
        match synced {
            Some(synced) if found < synced => Err(OpenError::Corrupt(format!(
                "the database ends at {found}, but was synced up to {synced}: the end of its log is missing"
            ))),
            _ => Ok(RocksDisk { db, mark }),
        }
    }

    fn family(&self, table: Table) -> io::Result<&ColumnFamily> {
        self.db
            .cf_handle(table.name())
            .ok_or_else(|| io::Error::other(format!("the database has no table `{}`", table.name())))
    }
}

fn family_options(limits: Limits) -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(usize::try_from(limits.write_buffer).unwrap_or(usize::MAX));
    options
}

fn open_error(error: &rocksdb::Error) -> OpenError {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::IOError if text.contains("lock ") || text.contains("LOCK") => OpenError::Locked(text),
        ErrorKind::Corruption | ErrorKind::InvalidArgument => OpenError::Corrupt(text),
        // A file that the manifest names is not there.
        ErrorKind::IOError if text.contains("No such file") => OpenError::Corrupt(text),
        _ => OpenError::Io(text),
    }
}

fn io_error(error: rocksdb::Error) -> io::Error {
    let kind = if error.kind() == ErrorKind::Corruption { io::ErrorKind::InvalidData } else { io::ErrorKind::Other };
    io::Error::new(kind, error)
}

impl Disk for RocksDisk {
    fn write(&self, ops: &[Op], durability: Durability) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        for op in ops {
            match op {
                Op::Put { table, key, value } => batch.put_cf(self.family(*table)?, key, value),
                Op::DeleteRange { table, from, to } => batch.delete_range_cf(self.family(*table)?, from, to),
            }
        }
        let mut options = WriteOptions::default();
        let sync = durability == Durability::Synced;
        options.set_sync(sync);
        self.db.write_opt(batch, &options).map_err(io_error)?;
        if sync { self.mark.set(self.db.latest_sequence_number()) } else { Ok(()) }
    }

    fn get(&self, table: Table, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.db.get_cf(self.family(table)?, key).map_err(io_error)
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        for pair in self.db.iterator_cf_opt(self.family(table)?, options, IteratorMode::Start) {
            let (key, value) = pair.map_err(io_error)?;
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, table: Table) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let last = self.db.iterator_cf(self.family(table)?, IteratorMode::End).next();
        let pair = last.transpose().map_err(io_error)?;
        Ok(pair.map(|(key, value)| (key.into_vec(), value.into_vec())))
    }
}
