//! Standard error: the log, errors, the words of workers. Talking never waits for who reads it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::Duration;

use rekindle_node::Ending;

use crate::queue::Queue;

/// At the end, how long nothing may move before what waits is given up.
const PATIENCE: Duration = Duration::from_secs(1);

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Starts the thread that writes.
pub(crate) fn start() -> io::Result<()> {
    // Not the handle of the standard library: whoever writes through it holds a lock that a panic would wait for.
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let queue =
        Queue::start("talk", stderr, |count| format!("{count} lines are missing here: nobody read standard error"))?;
    QUEUE.get_or_init(|| queue);
    Ok(())
}

/// One line.
pub(crate) fn say(text: &str) {
    leave(format!("{text}\n").into_bytes());
}

fn leave(text: Vec<u8>) {
    match QUEUE.get() {
        Some(queue) => queue.offer(text),
        // Before the start, which is before any task; a closed standard error is no reason to die.
        None => drop(io::stderr().write_all(&text)),
    }
}

/// Writes what waits, unless nobody reads.
pub(crate) fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(PATIENCE);
    }
}

/// Makes a panic in any task or thread end the process, with a status of its own, after it was reported.
///
/// `panic = "abort"` in the profile would compile every dependency twice, for binaries and for tests.
pub(crate) fn end_on_panic() {
    std::panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name");
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            say(&backtrace.to_string());
        }
        finish();
        rekindle_node::end(Ending::Panicked, &format!("this is a defect, please report it: thread {name}: {info}"));
    }));
}

/// Takes the lines of the log, each in one piece.
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        leave(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
