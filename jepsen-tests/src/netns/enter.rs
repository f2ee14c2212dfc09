//! Into the namespaces of a run, and out of them.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use super::site::FAKETIME;
use crate::faults::Fault;

/// Set for the process inside.
const INSIDE: &str = "REKINDLE_JEPSEN_INSIDE";
const TOOLS: [&str; 6] = ["unshare", "nsenter", "ip", "nft", "mount", "sh"];

/// Why a run is not possible here; `None` if it is.
pub fn obstacle() -> Option<String> {
    let user = std::fs::metadata("/proc/self").map_or(u32::MAX, |process| process.uid());
    if user != 0 {
        return Some("netns needs root, to make network namespaces: run it as root".to_owned());
    }
    let missing: Vec<_> = TOOLS.into_iter().filter(|tool| !is_there(tool)).collect();
    if !missing.is_empty() {
        return Some(format!("netns needs {}: install util-linux, iproute2 and nftables", missing.join(", ")));
    }
    let probe = Command::new("unshare").args(["--net", "--mount", "--pid", "--fork", "true"]).output();
    match probe {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            Some(format!("namespaces are not allowed here: {}", String::from_utf8_lossy(&output.stderr).trim()))
        }
        Err(error) => Some(format!("unshare does not start: {error}")),
    }
}

/// What a fault needs and is not installed here.
pub fn lacks(fault: Fault) -> Option<&'static str> {
    let needs: Vec<(&'static str, bool)> = match fault {
        Fault::ClockJump => vec![("libfaketime", Path::new(FAKETIME).is_file())],
        Fault::DiskFreeze | Fault::PowerLoss => {
            let loops = Path::new("/dev/loop-control").exists() && is_there("mkfs.ext4");
            vec![
                ("loop devices and mkfs.ext4", loops),
                ("python3", is_there("python3")),
                ("fsfreeze", is_there("fsfreeze")),
            ]
        }
        _ => Vec::new(),
    };
    needs.iter().find(|(_, there)| !there).map(|(what, _)| *what)
}

/// Whether a program is in `PATH`.
pub fn is_there(tool: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()))
}

/// Whether this process is the one inside.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Starts this program again with the same arguments in namespaces of its own, and returns what it exits with.
///
/// Whoever is inside is told to stop by the end of its standard input, so it stops too if this process is killed.
pub async fn go_inside(arguments: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let own = std::env::current_exe().context("cannot find this program")?;
    // The shell is process 1 there: it waits for all that is left to it, which the harness must not do.
    let mut child = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .args(["sh", "-c", "\"$@\"; exit $?", "sh"])
        .arg(own)
        .args(arguments)
        .env(INSIDE, "1")
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start unshare")?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let leash = child.stdin.take();
    let mut ended = tokio::task::spawn_blocking(move || wait(child));
    let status = tokio::select! {
        status = &mut ended => status,
        _ = interrupt.recv() => { drop(leash); ended.await }
        _ = terminate.recv() => { drop(leash); ended.await }
    };
    let code = status.context("the run was lost")??;
    Ok(ExitCode::from(code))
}

fn wait(mut child: Child) -> Result<u8> {
    let status = child.wait()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Returns when the process outside wants the run to stop, or is gone.
pub async fn told_to_stop() {
    // Nobody writes: any return means that the other end is closed.
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0])).await;
}

/// Folders that belong to the run alone: names of namespaces, mount points.
pub fn prepare(mounts: &Path) -> Result<()> {
    std::fs::create_dir_all("/run/netns")?;
    std::fs::create_dir_all(mounts)?;
    super::process::done(Command::new("mount").args(["-t", "tmpfs", "rekindle-jepsen", "/run/netns"]))
}
