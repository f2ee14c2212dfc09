//! The log on disk, behind a cache of its end.
//!
//! openraft appends and goes on; the [`Writer`] gathers what many appends left and syncs once. What is not on disk yet is
//! in the cache, so that readers (replication, apply) see every entry from the moment it is appended.
//!
//! Invariants
//! * the cache is the end of the log without a gap, and holds every entry that is not written yet;
//! * vote, append, truncation and purge are on disk before they are reported; the commit mark is not worth a sync, it
//!   only says how much may be applied again after a restart, and it is never on disk before the entries it covers.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, ControlFlow, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use rekindle_proto::payload::Format;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::TERM_LIMIT;
use super::types::{LogEntry, LogId, TypeConfig, Vote};
use crate::storage::room::Space;
use crate::storage::writer::Writer;
use crate::storage::{Disk, Durability, Op, Table};

const VOTE: &[u8] = b"vote";
const PURGED: &[u8] = b"purged";
const COMMITTED: &[u8] = b"committed";
/// Of an entry of the log: its place, and the bytes of the command in the state machine's own format.
pub(super) const ENTRY: Format = Format::disk("log entry", 1);
/// Of the marks beside the log: vote, purged, committed.
pub(super) const MARK: Format = Format::disk("log's mark", 1);
/// The cache forgets written entries beyond this.
const CACHE_BYTES: usize = 32 << 20;
/// One answer to a reader, and so one message to a follower, stops at the first entry past this.
const READ_BYTES: usize = 1 << 20;

/// The log. Clones share it; each is also a reader.
#[derive(Clone)]
pub(crate) struct LogStore {
    disk: Arc<dyn Disk>,
    writer: Writer,
    tail: Arc<Mutex<Tail>>,
}

/// What a log says of itself.
pub(super) struct Standing {
    /// What was promised last.
    pub(super) vote: Option<Vote>,
    pub(super) purged: Option<LogId>,
    /// The last entry that is known to stand for good.
    pub(super) committed: Option<LogId>,
}

#[derive(Default)]
struct Tail {
    vote: Option<Vote>,
    purged: Option<LogId>,
    committed: Option<LogId>,
    last: Option<LogId>,
    /// The first entry that is there; `None` if there is none. Right after the purged ones in a real log.
    first: Option<u64>,
    cache: VecDeque<Cached>,
    cached_bytes: usize,
    /// Every entry up to here is on disk.
    written: Option<u64>,
    /// Counts truncations and purges.
    removals: u64,
}

struct Cached {
    entry: LogEntry,
    bytes: usize,
}

impl LogStore {
    /// The log as the disk has it.
    pub(crate) fn open(disk: Arc<dyn Disk>, writer: Writer) -> io::Result<Self> {
        let purged: Option<LogId> = mark(disk.as_ref(), PURGED)?;
        let last = match disk.last(Table::Log)? {
            Some((key, value)) => Some(decode_entry(&key, &value)?.log_id),
            None => purged,
        };
        let first = first_index(disk.as_ref())?;
        let expected = purged.map_or(0, |purged| purged.index + 1);
        if first.is_some_and(|first| first != expected) {
            return Err(corrupt(format!("the log has no entry {expected}")));
        }
        let vote: Option<Vote> = mark(disk.as_ref(), VOTE)?;
        if let Some(vote) = vote.filter(|vote| vote.leader_id.term > TERM_LIMIT) {
            let term = vote.leader_id.term;
            return Err(corrupt(format!(
                "the vote on disk is of term {term}, and terms end at {TERM_LIMIT}: elections do not lead there, so it \
                 was forged or damaged. The other nodes go on while they are a majority; keep a copy of the folder, and \
                 do not start this node on an empty one"
            )));
        }
        let tail = Tail {
            first,
            vote,
            purged,
            committed: mark(disk.as_ref(), COMMITTED)?,
            last,
            written: last.map(|last| last.index),
            ..Tail::default()
        };
        Ok(LogStore { disk, writer, tail: Arc::new(Mutex::new(tail)) })
    }

    /// Whether there is room for more, and its changes.
    pub(crate) fn space(&self) -> watch::Receiver<Space> {
        self.writer.space()
    }

    /// What the log says of itself, without a look at the disk.
    pub(super) fn standing(&self) -> Standing {
        let tail = self.tail();
        Standing { vote: tail.vote, purged: tail.purged, committed: tail.committed.max(tail.purged) }
    }

    /// The id of an entry, if it is there.
    pub(super) fn log_id(&self, index: u64) -> io::Result<Option<LogId>> {
        let entries = self.read(index, index.saturating_add(1), usize::MAX)?;
        Ok(entries.first().map(|entry| entry.log_id))
    }

    /// Whether nothing was ever stored.
    pub(crate) fn is_pristine(&self) -> bool {
        let tail = self.tail();
        tail.vote.is_none() && tail.last.is_none() && tail.purged.is_none()
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Entries of `from..to` as far as there are any, from the disk as far as the cache does not reach; stops after
    /// `bytes`, never before one.
    fn read(&self, from: u64, to: u64, bytes: usize) -> io::Result<Vec<LogEntry>> {
        loop {
            let view = self.tail().view(from, to, bytes);
            match self.read_disk(view.from, view.disk_to, bytes) {
                Ok(DiskRead { mut entries, cut }) => {
                    if !cut {
                        entries.extend(view.cached);
                    }
                    return Ok(entries);
                }
                // Truncated or purged between the look at the cache and the look at the disk: look again.
                Err(_) if self.tail().removals != view.removals => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// All of `from..to`, or the first `bytes` of it. That they are there is an invariant, so a gap is damage.
    fn read_disk(&self, from: u64, to: u64, bytes: usize) -> io::Result<DiskRead> {
        let mut read = DiskRead { entries: Vec::new(), cut: false };
        if from >= to {
            return Ok(read);
        }
        let mut size = 0;
        let mut next = from;
        let mut failure = None;
        self.disk.scan(Table::Log, &key(from), &key(to), &mut |key, value| match decode_entry(key, value) {
            Ok(entry) if entry.log_id.index == next => {
                read.entries.push(entry);
                next += 1;
                size += value.len();
                read.cut = size >= bytes && next < to;
                if read.cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            Ok(_) => ControlFlow::Break(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        })?;
        match failure {
            Some(error) => Err(error),
            None if next < to && !read.cut => Err(corrupt(format!("the log has no entry {next}"))),
            None => Ok(read),
        }
    }
}

struct DiskRead {
    entries: Vec<LogEntry>,
    /// There is more, but it was enough.
    cut: bool,
}

/// What a reader needs, as of one moment.
struct View {
    from: u64,
    /// The disk is read up to here, the rest is `cached`.
    disk_to: u64,
    cached: Vec<LogEntry>,
    removals: u64,
}

impl Tail {
    fn view(&self, from: u64, to: u64, bytes: usize) -> View {
        let end = self.last.map_or(0, |last| last.index + 1);
        let (from, to) = (from.max(self.first.unwrap_or(end)), to.min(end));
        let disk_to = to.min(self.first_cached().unwrap_or(end));
        View { from, disk_to, cached: self.cached(from, to, bytes), removals: self.removals }
    }

    fn first_cached(&self) -> Option<u64> {
        self.cache.front().map(|cached| cached.entry.log_id.index)
    }

    fn cached(&self, from: u64, to: u64, bytes: usize) -> Vec<LogEntry> {
        let Some(first) = self.first_cached() else { return Vec::new() };
        let skip = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut size = 0;
        self.cache
            .iter()
            .skip(skip)
            .take_while(|cached| {
                let fits = cached.entry.log_id.index < to && size < bytes;
                size += cached.bytes;
                fits
            })
            .map(|cached| cached.entry.clone())
            .collect()
    }

    fn push(&mut self, entry: LogEntry, bytes: usize) {
        self.last = Some(entry.log_id);
        self.first.get_or_insert(entry.log_id.index);
        self.cached_bytes += bytes;
        self.cache.push_back(Cached { entry, bytes });
    }

    fn forget_written(&mut self) {
        while self.cached_bytes > CACHE_BYTES {
            let Some(first) = self.cache.front() else { return };
            if self.written.is_none_or(|written| written < first.entry.log_id.index) {
                return;
            }
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(first) = self.cache.pop_front() {
            self.cached_bytes -= first.bytes;
        }
    }

    fn pop_back(&mut self) {
        if let Some(last) = self.cache.pop_back() {
            self.cached_bytes -= last.bytes;
        }
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<LogEntry>> {
        let (from, to) = bounds(&range);
        self.read(from, to, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<LogEntry>> {
        // A reader that comes too late for its first entry gets none: what follows a gap must not be sent.
        let entries = self.read(start, end, READ_BYTES)?;
        Ok(if entries.first().is_some_and(|first| first.log_id.index == start) { entries } else { Vec::new() })
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.tail().vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let tail = self.tail();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.writer.commit(vec![put_mark(VOTE, vote)]).await?;
        self.tail().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.tail().committed = committed;
        let Some(committed) = committed else { return Ok(()) };
        self.writer.submit(vec![put_mark(COMMITTED, &committed)], Durability::Buffered, || ()).await
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.tail().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut ops = Vec::new();
        let last = {
            let mut tail = self.tail();
            for entry in entries {
                let value = Bytes::from(ENTRY.encode(&entry));
                let bytes = value.len();
                ops.push(Op::Put { table: Table::Log, key: key(entry.log_id.index), value });
                tail.push(entry, bytes);
            }
            tail.last.map(|last| last.index)
        };
        let tail = Arc::clone(&self.tail);
        let done = move || {
            {
                let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                tail.written = tail.written.max(last);
                tail.forget_written();
            }
            callback.io_completed(Ok(()));
        };
        self.writer.submit(ops, Durability::Synced, done).await
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let from = last_log_id.map_or(0, |last| last.index + 1);
        {
            let mut tail = self.tail();
            tail.removals += 1;
            while tail.cache.back().is_some_and(|cached| cached.entry.log_id.index >= from) {
                tail.pop_back();
            }
            tail.last = tail.last.min(last_log_id).max(tail.purged);
            tail.first = tail.first.filter(|first| *first < from);
        }
        self.writer.commit(vec![delete(from, u64::MAX)]).await?;
        // Completions of earlier appends, with indices that are gone now, have all run before this one.
        let mut tail = self.tail();
        tail.written = tail.written.min(tail.last.map(|last| last.index));
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        {
            let mut tail = self.tail();
            if tail.purged >= Some(log_id) {
                return Ok(());
            }
            tail.removals += 1;
            tail.purged = Some(log_id);
            let next = log_id.index + 1;
            let left = tail.last.is_some_and(|last| last.index >= next);
            tail.first = tail.first.filter(|_| left).map(|first| first.max(next));
            tail.last = tail.last.max(Some(log_id));
            while tail.cache.front().is_some_and(|cached| cached.entry.log_id.index <= log_id.index) {
                tail.pop_front();
            }
        }
        self.writer.commit(vec![put_mark(PURGED, &log_id), delete(0, log_id.index + 1)]).await
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(to) => *to,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

fn key(index: u64) -> Bytes {
    Bytes::copy_from_slice(&index.to_be_bytes())
}

fn delete(from: u64, to: u64) -> Op {
    Op::DeleteRange { table: Table::Log, from: key(from), to: key(to) }
}

fn put_mark<T: Serialize>(name: &'static [u8], value: &T) -> Op {
    Op::Put { table: Table::Meta, key: Bytes::from_static(name), value: MARK.encode(value).into() }
}

fn mark<T: DeserializeOwned>(disk: &dyn Disk, name: &[u8]) -> io::Result<Option<T>> {
    let Some(bytes) = disk.get(Table::Meta, name)? else { return Ok(None) };
    MARK.decode(&bytes).map(Some).map_err(corrupt)
}

fn first_index(disk: &dyn Disk) -> io::Result<Option<u64>> {
    let mut first = None;
    disk.scan(Table::Log, &key(0), &key(u64::MAX), &mut |key, _| {
        first = key.try_into().ok().map(u64::from_be_bytes);
        ControlFlow::Break(())
    })?;
    Ok(first)
}

fn decode_entry(key: &[u8], value: &[u8]) -> io::Result<LogEntry> {
    let entry: LogEntry = ENTRY.decode(value).map_err(corrupt)?;
    if key != entry.log_id.index.to_be_bytes() {
        return Err(corrupt(format!("the log has entry {} under another index", entry.log_id.index)));
    }
    Ok(entry)
}

pub(super) fn corrupt(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
