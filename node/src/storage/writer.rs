//! The one writer: takes what is queued, writes it in one batch with one sync, then tells everybody.
//!
//! Invariants
//! * jobs are written, and their completions called, in the order in which they were queued;
//! * a completion is called only once its job is as durable as it asked for;
//! * a failed write ends the process before anybody can hear of it: to go on would be to lead, or to follow, without a
//!   log. It says why on the way out, in a way that a full disk or a reader that has stopped cannot hold up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use tokio::sync::{mpsc, oneshot, watch};

use super::room::Space;
use super::{Disk, Durability, Op, Table};
use crate::ending::{self, Ending};

/// Jobs waiting; the log's core waits for room beyond that.
const QUEUE: usize = 4096;
/// A batch takes no more jobs than this, or than make up this many bytes.
const BATCH_JOBS: usize = 2048;
const BATCH_BYTES: usize = 8 << 20;

type Completion = Box<dyn FnOnce() + Send>;

/// Changes that belong together.
struct Job {
    ops: Vec<Op>,
    durability: Durability,
    done: Completion,
}

/// How writes are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriterMode {
    /// By a thread of its own, many jobs to one sync.
    #[default]
    Thread,
    /// At once, by whoever asks: for a simulation, where threads would break determinism.
    Inline,
}

/// Queues changes. Cheap to clone; the writer ends when every clone is gone.
#[derive(Clone)]
pub(crate) struct Writer {
    route: Route,
    stall: Arc<Stall>,
    space: watch::Receiver<Space>,
}

#[derive(Clone)]
enum Route {
    Thread(mpsc::Sender<Job>),
    Inline(Arc<dyn Disk>),
}

/// Joins the writer's thread.
pub(crate) struct WriterThread(Option<JoinHandle<()>>);

/// Since when a write has been under way.
struct Stall {
    origin: Instant,
    /// Milliseconds after `origin`, plus one; 0 while nothing is under way.
    since: AtomicU64,
}

impl Writer {
    /// `space` says how much room there is for what is written.
    pub(crate) fn start(
        disk: Arc<dyn Disk>,
        mode: WriterMode,
        space: watch::Receiver<Space>,
    ) -> io::Result<(Self, WriterThread)> {
        let stall = Arc::new(Stall { origin: Instant::now(), since: AtomicU64::new(0) });
        if mode == WriterMode::Inline {
            return Ok((Writer { route: Route::Inline(disk), stall, space }, WriterThread(None)));
        }
        let (queue, jobs) = mpsc::channel(QUEUE);
        let watched = Arc::clone(&stall);
        let handle =
            thread::Builder::new().name("log-writer".to_owned()).spawn(move || run(jobs, disk.as_ref(), &watched))?;
        Ok((Writer { route: Route::Thread(queue), stall, space }, WriterThread(Some(handle))))
    }

    /// Queues a job; `done` is called once it is written.
    pub(crate) async fn submit(
        &self,
        ops: Vec<Op>,
        durability: Durability,
        done: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let job = Job { ops, durability, done: Box::new(done) };
        match &self.route {
            Route::Thread(queue) => queue.send(job).await.map_err(|_| stopped()),
            Route::Inline(disk) => {
                write(disk.as_ref(), &job.ops, job.durability);
                (job.done)();
                Ok(())
            }
        }
    }

    /// Writes, syncs, and returns when that is done.
    pub(crate) async fn commit(&self, ops: Vec<Op>) -> io::Result<()> {
        let (tell, told) = oneshot::channel();
        // Whoever asked may have gone.
        let done = move || {
            let _ = tell.send(());
        };
        self.submit(ops, Durability::Synced, done).await?;
        told.await.map_err(|_| stopped())
    }

    /// Whether there is room on the disk, and its changes.
    pub(crate) fn space(&self) -> watch::Receiver<Space> {
        self.space.clone()
    }

    /// For how long the write that is under way has been.
    pub(crate) fn stalled_for(&self) -> Duration {
        match self.stall.since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => self.stall.origin.elapsed().saturating_sub(Duration::from_millis(since - 1)),
        }
    }
}

impl WriterThread {
    /// Waits until everything that was queued is written. Blocks; every [`Writer`] must be gone.
    pub(crate) fn join(self) {
        if let Some(handle) = self.0 {
            // A panic in the writer has been reported by its hook.
            let _ = handle.join();
        }
    }
}

fn stopped() -> io::Error {
    io::Error::other("the log writer has stopped")
}

fn run(mut jobs: mpsc::Receiver<Job>, disk: &dyn Disk, stall: &Stall) {
    while let Some(first) = jobs.blocking_recv() {
        let mut ops = first.ops;
        let mut durability = first.durability;
        let mut bytes = size(&ops);
        let mut done = vec![first.done];
        while done.len() < BATCH_JOBS && bytes < BATCH_BYTES {
            let Ok(job) = jobs.try_recv() else { break };
            bytes += size(&job.ops);
            ops.extend(job.ops);
            durability = durability.max(job.durability);
            done.push(job.done);
        }
        let now = u64::try_from(stall.origin.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        stall.since.store(now + 1, Ordering::Relaxed);
        write(disk, &ops, durability);
        stall.since.store(0, Ordering::Relaxed);
        for done in done {
            done();
        }
    }
}

fn write(disk: &dyn Disk, ops: &[Op], durability: Durability) {
    if let Err(error) = disk.write(ops, durability) {
        let ending = Ending::of_write(&error);
        let what = if ending == Ending::DiskFull { "the disk is full" } else { "a write failed" };
        ending::end(
            ending,
            &format!(
                "the node ends, since {what}: {error}; everything that it acknowledged is on disk, it can be started again"
            ),
        );
    }
}

fn size(ops: &[Op]) -> usize {
    ops.iter()
        .map(|op| match op {
            Op::Put { key, value, .. } => key.len() + value.len(),
            Op::DeleteRange { .. } => size_of::<Table>(),
        })
        .sum()
}
