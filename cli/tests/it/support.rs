//! Processes that a test starts, and ends again however it ends.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// How long a condition may take to come true before the test is given up. Not a measure of anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub(crate) const REKINDLE: &str = env!("CARGO_BIN_EXE_rekindle");

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// A deployment file of `examples/`, whose workers must have been built.
pub(crate) fn example(path: &str) -> PathBuf {
    let worker = Path::new(REKINDLE).with_file_name("rekindle-crawler");
    assert!(worker.exists(), "the example workers are not built; run `cargo build --workspace --bins` first");
    root().join("examples").join(path)
}

/// `rekindle` with arguments, and nothing of this machine's configuration.
pub(crate) fn rekindle<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(REKINDLE);
    command.args(arguments).stdin(Stdio::null());
    for variable in ["REKINDLE_ENDPOINTS", "REKINDLE_OUTPUT", "REKINDLE_TIMEOUT", "REKINDLE_LOG"] {
        command.env_remove(variable);
    }
    command
}

/// Runs to the end.
pub(crate) fn finish(command: &mut Command) -> Output {
    command.output().expect("the binary runs")
}

/// The JSON object on the last line of standard output.
pub(crate) fn last_json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last)
        .unwrap_or_else(|error| panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// A child that is killed when the test lets go of it.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Running(command.spawn().expect("the binary runs"))
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).expect("a pid"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it runs");
    }

    /// SIGKILL, and gone.
    pub(crate) fn kill(&mut self) {
        // Fails only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Its exit status, once it has ended.
    pub(crate) fn ended(&mut self) -> std::process::ExitStatus {
        let mut status = None;
        wait_for("the process to end", || {
            status = self.0.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("just seen")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Lines of a child's standard output, as they come.
pub(crate) struct Lines(mpsc::Receiver<String>);

impl Lines {
    pub(crate) fn of(child: &mut Running) -> Self {
        let stdout = child.0.stdout.take().expect("piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Lines(lines)
    }

    /// The next line; `None` when there will be no more.
    pub(crate) fn next(&self) -> Option<String> {
        match self.0.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no line for {PATIENCE:?}"),
        }
    }
}

/// Waits for a condition; fails the test if it never comes true.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// A port on loopback that is free now, outside the range that the system hands out by itself.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = rand::random_range(20_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Processes that have an environment variable of this value.
pub(crate) fn processes_with(variable: &str, value: &str) -> Vec<Pid> {
    let wanted = format!("{variable}={value}");
    let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
        })
        .map(Pid::from_raw)
        .collect()
}
