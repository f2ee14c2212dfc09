//! The tasks around one worker process: they read what it writes, write what it is to read, and see it end.
//!
//! Invariants
//! * lines reach the session in the order in which they were written, and the exit after all of them;
//! * a pipe that a stranger holds open delays nothing: after the end of the group only what is in the pipe is read;
//! * dropping the handle kills the group.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rekindle_protocol::image::RoleId;
use rekindle_statemachine::ids::{Incarnation, SessionId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Exit;
use super::process::{self, Birth, Group, Pipes};
use crate::leftovers::Records;
use crate::limits::Limits;
use crate::log::{LogLines, Words};
use crate::session::Launch;
use crate::session::input::Input;
use crate::worker_api::{LineCutter, WorkerLine};

const CHUNK: usize = 64 << 10;
/// As much as a pipe can hold, by default settings of Linux even for a process that enlarged it.
const LAST_WORDS: usize = 1 << 20;
/// A process that ends closes its output a moment before; its exit says more about its end than that.
const EXIT_AFTER_CLOSE: Duration = Duration::from_secs(1);

/// A handle on a worker process.
#[derive(Debug)]
pub(crate) struct Worker {
    incarnation: Incarnation,
    group: Arc<Group>,
    lines: mpsc::Sender<Vec<u8>>,
    budget: Arc<Semaphore>,
    gone: CancellationToken,
}

/// What a worker's tasks need from their agent.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) session: SessionId,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) words: Arc<Words>,
    pub(crate) limits: Limits,
    pub(crate) records: Option<Records>,
    pub(crate) tasks: TaskTracker,
}

impl Worker {
    /// Starts a process; what becomes of it comes as inputs of the session.
    pub(crate) fn start(launch: Launch, around: Surroundings) -> Self {
        let group = Arc::new(Group::default());
        let (lines, unread) = mpsc::channel(2 * around.limits.unread_lines);
        // One read may complete a line of any length.
        let most = around.limits.read_ahead_bytes.max(around.limits.line_bytes + 2 * CHUNK);
        let budget = Arc::new(Semaphore::new(most));
        let gone = CancellationToken::new();
        let worker = Worker {
            incarnation: launch.incarnation,
            group: Arc::clone(&group),
            lines,
            budget: Arc::clone(&budget),
            gone: gone.clone(),
        };
        let tasks = around.tasks.clone();
        let attendant = Attendant { launch, around, group, budget };
        tasks.spawn(async move {
            attendant.run(unread).await;
            gone.cancel();
        });
        worker
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Kills the whole process group.
    pub(crate) fn kill(&self) {
        self.group.kill();
    }

    /// Queues a line. There is room for every line that the session allows itself; a process that is gone reads none.
    pub(crate) fn write(&self, line: Vec<u8>) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.lines.try_send(line) {
            tracing::error!("a worker's queue is full");
        }
    }

    /// So many bytes of its output are done with: as many more may be read.
    pub(crate) fn consumed(&self, bytes: usize) {
        self.budget.add_permits(bytes);
    }

    /// Completes when the process and its group are gone and its exit is told, or when it never started.
    pub(crate) fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.group.kill();
    }
}

struct Attendant {
    launch: Launch,
    around: Surroundings,
    group: Arc<Group>,
    budget: Arc<Semaphore>,
}

impl Attendant {
    async fn run(self, unread: mpsc::Receiver<Vec<u8>>) {
        let (role, incarnation) = (self.launch.role, self.launch.incarnation);
        match self.start().await {
            Ok((pipes, exited)) => match Ends::of(pipes) {
                Ok(ends) => self.attend(ends, exited, unread).await,
                Err(error) => {
                    self.group.kill();
                    drop(exited.await);
                    self.tell(Input::CannotStart { role, incarnation, message: error.to_string() }).await;
                }
            },
            Err(message) => self.tell(Input::CannotStart { role, incarnation, message }).await,
        }
    }

    async fn start(&self) -> Result<(Pipes, oneshot::Receiver<Exit>), String> {
        let (session, records) = (self.around.session.clone(), self.around.records.clone());
        let Birth { started, exited } = process::start(session, &self.launch, Arc::clone(&self.group), records)
            .map_err(|error| format!("no thread for the worker of role `{}`: {error}", self.launch.name))?;
        let pipes = started.await.map_err(|_| format!("the worker of role `{}` is lost", self.launch.name))??;
        Ok((pipes, exited))
    }

    async fn attend(&self, ends: Ends, mut exited: oneshot::Receiver<Exit>, unread: mpsc::Receiver<Vec<u8>>) {
        let (role, incarnation) = (self.launch.role, self.launch.incarnation);
        let dead = CancellationToken::new();
        self.tell(Input::Started { role, incarnation, pid: ends.pid }).await;
        let writer = Writer { role, incarnation, inputs: self.around.inputs.clone(), stdin: ends.stdin };
        self.around.tasks.spawn(writer.run(self.launch.start.clone(), unread, dead.clone()));
        self.around.tasks.spawn(self.log().run(ends.stderr, dead.clone()));

        let mut output = Output::new(ends.stdout, &self.around.limits);
        let exit = tokio::select! {
            biased;
            exit = &mut exited => exit,
            () = self.listen(&mut output) => self.outlive(&mut exited).await,
        };
        dead.cancel();
        let lines = output.last_words();
        if !lines.is_empty() {
            self.tell(Input::Lines { role, incarnation, lines }).await;
        }
        self.tell(Input::Exited { role, incarnation, exit: exit.unwrap_or(Exit::Signal(0)) }).await;
    }

    /// The worker's output is at its end: mostly because it exits, but it may live on.
    async fn outlive(&self, exited: &mut oneshot::Receiver<Exit>) -> Result<Exit, oneshot::error::RecvError> {
        if let Ok(exit) = timeout(EXIT_AFTER_CLOSE, &mut *exited).await {
            return exit;
        }
        self.tell(Input::Closed { role: self.launch.role, incarnation: self.launch.incarnation }).await;
        exited.await
    }

    /// Reads until the worker closes its output. May be dropped at any await: what is read and not handed on is in `output`.
    async fn listen(&self, output: &mut Output) {
        loop {
            match output.read().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(session = %self.around.session, role = self.launch.name, %error, "cannot read from a worker");
                    self.group.kill();
                    return;
                }
            }
            if output.lines.is_empty() {
                continue;
            }
            let Ok(paid) = self.budget.acquire_many(output.price()).await else { return };
            let Ok(place) = self.around.inputs.reserve().await else {
                self.group.kill();
                return;
            };
            // Given back line by line as they are done.
            paid.forget();
            let lines = std::mem::take(&mut output.lines);
            place.send(Input::Lines { role: self.launch.role, incarnation: self.launch.incarnation, lines });
        }
    }

    /// A session that is gone has no use for its workers.
    async fn tell(&self, input: Input) {
        if self.around.inputs.send(input).await.is_err() {
            self.group.kill();
        }
    }

    fn log(&self) -> Stderr {
        Stderr {
            role: self.launch.name.clone(),
            incarnation: self.launch.incarnation,
            words: Arc::clone(&self.around.words),
            lines: LogLines::new(self.around.limits.log_line_bytes),
        }
    }
}

/// Our ends of the pipes, on the runtime.
struct Ends {
    pid: u32,
    stdin: pipe::Sender,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
}

impl Ends {
    fn of(pipes: Pipes) -> io::Result<Self> {
        Ok(Ends {
            pid: pipes.pid,
            stdin: pipe::Sender::from_owned_fd(pipes.stdin)?,
            stdout: pipe::Receiver::from_owned_fd(pipes.stdout)?,
            stderr: pipe::Receiver::from_owned_fd(pipes.stderr)?,
        })
    }
}

/// A worker's standard output.
struct Output {
    pipe: pipe::Receiver,
    chunk: BytesMut,
    cutter: LineCutter,
    /// Read and not handed on.
    lines: Vec<(WorkerLine, usize)>,
}

impl Output {
    fn new(pipe: pipe::Receiver, limits: &Limits) -> Self {
        Output {
            pipe,
            chunk: BytesMut::with_capacity(CHUNK),
            cutter: LineCutter::new(limits.line_bytes),
            lines: Vec::new(),
        }
    }

    /// Reads once; `false` at the end.
    async fn read(&mut self) -> io::Result<bool> {
        self.chunk.clear();
        self.chunk.reserve(CHUNK);
        let count = self.pipe.read_buf(&mut self.chunk).await?;
        self.cutter.push(&self.chunk, &mut self.lines);
        Ok(count > 0)
    }

    fn price(&self) -> u32 {
        let bytes: usize = self.lines.iter().map(|(_, length)| length).sum();
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// Everything that a dead worker has written and that is not handed on.
    fn last_words(self) -> Vec<(WorkerLine, usize)> {
        let Output { pipe, mut cutter, mut lines, .. } = self;
        drain(pipe, |bytes| cutter.push(bytes, &mut lines));
        lines
    }
}

/// Takes what is in a pipe now, and does not wait for more: a process outside the group may hold it open.
fn drain(pipe: pipe::Receiver, mut take: impl FnMut(&[u8])) {
    let Ok(pipe) = pipe.into_nonblocking_fd() else { return };
    let mut pipe = File::from(pipe).take(LAST_WORDS as u64);
    let mut chunk = vec![0; CHUNK];
    loop {
        match pipe.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => take(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Writes to a worker's standard input.
struct Writer {
    role: RoleId,
    incarnation: Incarnation,
    inputs: mpsc::Sender<Input>,
    stdin: pipe::Sender,
}

impl Writer {
    /// Ends with the worker, or with its handle. A worker that has closed its input just reads nothing any more.
    async fn run(mut self, start: Vec<u8>, mut unread: mpsc::Receiver<Vec<u8>>, dead: CancellationToken) {
        let mut next = Some(start);
        while let Some(line) = next {
            tokio::select! {
                () = dead.cancelled() => return,
                written = self.stdin.write_all(&line) => {
                    if let Err(error) = written {
                        tracing::debug!(%error, "a worker does not read");
                    }
                }
            }
            let written = Input::Written { role: self.role, incarnation: self.incarnation, lines: 1 };
            if self.inputs.send(written).await.is_err() {
                return;
            }
            next = tokio::select! {
                () = dead.cancelled() => None,
                line = unread.recv() => line,
            };
        }
    }
}

/// A worker's standard error, on its way to the log.
struct Stderr {
    role: String,
    incarnation: Incarnation,
    words: Arc<Words>,
    lines: LogLines,
}

impl Stderr {
    async fn run(mut self, mut pipe: pipe::Receiver, dead: CancellationToken) {
        let mut chunk = vec![0; CHUNK];
        loop {
            tokio::select! {
                () = dead.cancelled() => break,
                count = pipe.read(&mut chunk) => match count {
                    Ok(0) | Err(_) => break,
                    Ok(count) => self.take(&chunk[..count]),
                },
            }
        }
        drain(pipe, |bytes| self.take(bytes));
        let Stderr { role, incarnation, words, lines } = &mut self;
        lines.finish(|text| words.say(role, *incarnation, text));
        words.end(role, *incarnation);
    }

    fn take(&mut self, bytes: &[u8]) {
        let Stderr { role, incarnation, words, lines } = self;
        lines.push(bytes, |text| words.say(role, *incarnation, text));
    }
}
