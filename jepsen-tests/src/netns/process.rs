//! Processes of a run.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Runs a command to its end; an error says what it printed.
pub fn done(command: &mut Command) -> Result<()> {
    output(command).map(|_| ())
}

/// What a command printed.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program that is started, killed and started again.
#[derive(Debug)]
pub struct Process {
    /// As it is called in the verdict.
    pub name: String,
    /// How often it was started.
    pub run: u32,
    log: PathBuf,
    child: Option<Child>,
    ends: Vec<String>,
}

impl Process {
    /// One that has not been started; its output goes to `log`.
    pub fn new(name: &str, log: PathBuf) -> Self {
        Process { name: name.to_owned(), run: 0, log, child: None, ends: Vec::new() }
    }

    /// Starts it.
    pub fn start(&mut self, command: &mut Command) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        self.run += 1;
        self.child = Some(child);
        Ok(())
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Looks whether it has ended by itself, and notes how. Whether it runs.
    pub fn is_running(&mut self) -> Result<bool> {
        let Some(child) = &mut self.child else { return Ok(false) };
        if let Some(status) = child.try_wait()? {
            self.ends.push(format!("{} ended by itself: {}", self.name, words(status)));
            self.child = None;
        }
        Ok(self.child.is_some())
    }

    /// Kills it. Whether it ran until then.
    pub fn kill(&mut self) -> Result<bool> {
        if !self.is_running()? {
            return Ok(false);
        }
        let Some(mut child) = self.child.take() else { return Ok(false) };
        child.kill()?;
        let status = child.wait()?;
        Ok(status.signal() == Some(Signal::SIGKILL as i32))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.name))?;
        kill(Pid::from_raw(i32::try_from(pid)?), signal)?;
        Ok(())
    }

    /// Ends that nobody brought about. The list is empty then.
    pub fn take_ends(&mut self) -> Vec<String> {
        std::mem::take(&mut self.ends)
    }
}

/// A run leaves no process behind, and removes no folder under one.
impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails only if it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// State of a process's threads, as letters of `/proc`: `T` stopped, `D` waits for a disk.
pub fn thread_states(pid: u32) -> Vec<char> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks.flatten().filter_map(|task| state(&task.path().join("stat"))).collect()
}

fn state(stat: &Path) -> Option<char> {
    let text = std::fs::read_to_string(stat).ok()?;
    // The name, in parentheses, may hold anything.
    text.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Processes whose command line holds all of these words.
pub fn find(words: &[&str]) -> Vec<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<u32> = pids
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let arguments: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
            words.iter().all(|word| arguments.iter().any(|argument| argument == word))
        })
        .collect();
    found.sort_unstable();
    found
}
