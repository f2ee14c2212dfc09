//! One worker process and its group.
//!
//! Each process has a thread that starts it, waits for its end, and buries it. A thread rather than the runtime's child
//! handling, because the order matters: the dead leader of a group keeps the group's id from being used again, so the
//! rest of the group is killed *before* the leader is reaped. After that the group is never signalled again.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use rekindle_proto::backoff::Backoff;
use rekindle_statemachine::ids::SessionId;
use tokio::sync::oneshot;

use super::Exit;
use crate::leftovers::Records;
use crate::lookup::Places;
use crate::session::Launch;

/// How often, and after what pauses, a start that failed for a passing reason is tried again: for about a second.
const RETRIES: usize = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A process group, to be killed at any time.
#[derive(Debug, Default)]
pub(crate) struct Group {
    life: Mutex<Life>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Life {
    /// Not started yet.
    #[default]
    Unborn,
    /// Not started yet, and to be killed when it is.
    Doomed,
    /// It runs, or is dead and not reaped.
    Alive(Pid),
    /// Reaped, or never started: its id may be somebody else's.
    Buried,
}

/// Our ends of a process's pipes.
pub(crate) struct Pipes {
    pub(crate) pid: u32,
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// What becomes of a start.
pub(crate) struct Birth {
    /// The pipes, or why there is no process.
    pub(crate) started: oneshot::Receiver<Result<Pipes, String>>,
    /// How it ended; its whole group is dead then.
    pub(crate) exited: oneshot::Receiver<Exit>,
}

impl Group {
    /// Kills every process of the group. Does nothing if it is gone; a process that is not started yet dies at once.
    pub(crate) fn kill(&self) {
        let mut life = self.life();
        match *life {
            Life::Unborn => *life = Life::Doomed,
            Life::Alive(leader) => kill_group(leader),
            Life::Doomed | Life::Buried => {}
        }
    }

    fn born(&self, leader: Pid) {
        let mut life = self.life();
        if matches!(*life, Life::Doomed) {
            kill_group(leader);
        }
        *life = Life::Alive(leader);
    }

    fn bury(&self, reap: impl FnOnce() -> io::Result<ExitStatus>) -> io::Result<ExitStatus> {
        let mut life = self.life();
        if let Life::Alive(leader) = *life {
            kill_group(leader);
        }
        *life = Life::Buried;
        reap()
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kill_group(leader: Pid) {
    match killpg(leader, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => tracing::error!(%leader, %error, "cannot kill a process group"),
    }
}

/// Starts a process on a thread of its own.
pub(crate) fn start(
    session: SessionId,
    launch: &Launch,
    group: Arc<Group>,
    records: Option<Records>,
) -> io::Result<Birth> {
    let (started, birth) = oneshot::channel();
    let (exited, death) = oneshot::channel();
    let launch = launch.clone();
    std::thread::Builder::new().name(format!("worker {}", launch.name)).spawn(move || {
        match spawn(&session, &launch, &group) {
            Ok((child, pipes)) => {
                let record = records.and_then(|records| records.enter(pipes.pid, &session, &launch.name));
                // Nobody may wait for it any more: then it is killed through its group.
                drop(started.send(Ok(pipes)));
                let exit = attend(child, &group);
                if let Some(record) = record {
                    record.erase();
                }
                // As above: whoever asked may be gone.
                let _ = exited.send(exit);
            }
            Err(why) => drop(started.send(Err(why))),
        }
    })?;
    Ok(Birth { started: birth, exited: death })
}

/// Waits for the end of the group's leader, kills the rest, reaps the leader.
fn attend(mut child: Child, group: &Group) -> Exit {
    let leader = pid_of(&child);
    // Any other answer than an interruption means that there is nothing to wait for.
    while waitid(Id::Pid(leader), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
    match group.bury(|| child.wait()) {
        Ok(status) => status.code().map_or_else(|| Exit::Signal(status.signal().unwrap_or(0)), Exit::Status),
        Err(error) => {
            tracing::error!(%error, "the status of a worker is lost");
            Exit::Signal(0)
        }
    }
}

fn pid_of(child: &Child) -> Pid {
    // Process ids of Linux fit.
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

fn spawn(session: &SessionId, launch: &Launch, group: &Group) -> Result<(Child, Pipes), String> {
    let (program, mut command) = command(session, launch)?;
    let failed =
        |error: &io::Error| format!("cannot start `{}` for role `{}`: {error}", program.display(), launch.name);
    let mut pauses = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE).waits().take(RETRIES);
    let mut child = loop {
        match command.spawn() {
            Ok(child) => break child,
            Err(error) => match pauses.next() {
                Some(pause) if passes(&error) => std::thread::sleep(pause),
                _ => return Err(failed(&error)),
            },
        }
    };
    group.born(pid_of(&child));
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed(&io::Error::other("it has no pipes")));
    };
    let pipes = Pipes { pid: child.id(), stdin: stdin.into(), stdout: stdout.into(), stderr: stderr.into() };
    Ok((child, pipes))
}

/// Whether the same start may work a little later.
fn passes(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ExecutableFileBusy
    )
}

fn command(session: &SessionId, launch: &Launch) -> Result<(std::path::PathBuf, Command), String> {
    let folder = Path::new(&launch.folder);
    if !folder.is_dir() {
        return Err(format!(
            "role `{}` is to run in `{}`, which is no folder on this host",
            launch.name, launch.folder
        ));
    }
    let (program, arguments) =
        launch.command.split_first().ok_or_else(|| format!("role `{}` has no command", launch.name))?;
    let path = launch.environment.get("PATH").map(Into::into).or_else(|| std::env::var_os("PATH"));
    let program = Places::new(folder, path.as_deref())
        .find(program)
        .map_err(|missing| format!("the command of role `{}`: {missing}", launch.name))?;
    let mut command = Command::new(&program);
    command
        .args(arguments)
        .current_dir(folder)
        .envs(&launch.environment)
        .env("REKINDLE_SESSION", &session.0)
        .env("REKINDLE_ROLE", &launch.name)
        .env("REKINDLE_INCARNATION", launch.incarnation.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    Ok((program, command))
}
