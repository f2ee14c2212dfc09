//! Text on its way to a file descriptor that somebody may not read.
//!
//! A pipe whose reader hangs, a terminal that was stopped, a disk that stalls: whoever writes there waits. So only a
//! thread of its own writes; everybody else leaves the text here and goes on.
//!
//! Invariants
//! * leaving a text never waits for the reader;
//! * what waits is bounded; past that, texts are dropped, counted, and the count is told in their place once it flows
//!   again;
//! * texts are written whole and in the order in which they came.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Bytes that may wait.
const ROOM: usize = 1 << 20;

/// What stands in the place of this many dropped texts.
pub(crate) type Dropped = fn(u64) -> String;

/// A handle; the thread behind it lives as long as the process.
#[derive(Clone)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Something waits.
    more: Condvar,
    /// Something was written, or failed.
    moved: Condvar,
    /// The same, for tasks.
    told: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Since the queue was full.
    dropped: u64,
    /// The thread has taken something that is not written yet.
    busy: bool,
    /// How often something was written: who waits sees progress by it.
    written: u64,
    /// The reader is gone, or the file takes nothing: the first error. A full disk may take text again.
    failure: Option<io::Error>,
}

impl State {
    fn idle(&self) -> bool {
        self.waiting.is_empty() && !self.busy && self.dropped == 0
    }
}

impl Queue {
    /// Starts the thread that writes to `target`.
    pub(crate) fn start(name: &str, target: impl Write + Send + 'static, dropped: Dropped) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            more: Condvar::new(),
            moved: Condvar::new(),
            told: Notify::new(),
        });
        let queue = Queue { shared: Arc::clone(&shared) };
        thread::Builder::new().name(name.to_owned()).spawn(move || shared.write_all(target, dropped))?;
        Ok(queue)
    }

    /// Leaves a text, with its line break. Drops it if too much waits.
    pub(crate) fn offer(&self, text: Vec<u8>) {
        let mut state = self.shared.state();
        // Once one was dropped, the next ones are too, until the place of the gap has been written.
        if state.dropped > 0 || state.bytes + text.len() > ROOM {
            state.dropped += 1;
        } else {
            self.push(&mut state, text);
        }
        self.shared.more.notify_one();
    }

    /// Leaves a text that must not be dropped: the last one, of bounded size.
    pub(crate) fn insist(&self, text: Vec<u8>) {
        self.push(&mut self.shared.state(), text);
        self.shared.more.notify_one();
    }

    #[allow(clippy::unused_self, reason = "reads as what it is: the queue takes a text")]
    fn push(&self, state: &mut State, text: Vec<u8>) {
        state.bytes += text.len();
        state.waiting.push_back(text);
    }

    /// Waits until everything is written, for as long as something is: gives up when nothing was for `patience`.
    pub(crate) fn flush(&self, patience: Duration) {
        let mut state = self.shared.state();
        let mut seen = state.written;
        let mut deadline = Instant::now() + patience;
        while !state.idle() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.shared.moved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            if state.written != seen {
                seen = state.written;
                deadline = Instant::now() + patience;
            }
        }
    }

    /// Completes when everything is written, or cannot be.
    pub(crate) async fn flushed(&self) {
        loop {
            let told = self.shared.told.notified();
            if self.shared.state().idle() {
                return;
            }
            told.await;
        }
    }

    /// Why something could not be written, the first time; told once.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        self.shared.state().failure.take()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut target: impl Write, dropped: Dropped) {
        loop {
            let text = self.next(dropped);
            let outcome = target.write_all(&text).and_then(|()| target.flush());
            let mut state = self.state();
            state.busy = false;
            state.written += 1;
            if let Err(error) = outcome {
                state.failure.get_or_insert(error);
            }
            drop(state);
            self.moved.notify_all();
            self.told.notify_waiters();
        }
    }

    /// Waits for a text; when all that waited is taken and some were dropped, it is the words that say so.
    fn next(&self, dropped: Dropped) -> Vec<u8> {
        let mut state = self.state();
        loop {
            if let Some(text) = state.waiting.pop_front() {
                state.bytes -= text.len();
                state.busy = true;
                return text;
            }
            if state.dropped > 0 {
                state.busy = true;
                return format!("{}\n", dropped(std::mem::take(&mut state.dropped))).into_bytes();
            }
            state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A reader that takes one text each time it is let to.
    struct Gate {
        open: mpsc::Receiver<()>,
        taken: mpsc::Sender<String>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // When the test no longer holds the gate, it is open.
            let _ = self.open.recv();
            let text = String::from_utf8(bytes.to_vec()).expect("text");
            self.taken.send(text).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Queue, mpsc::Sender<()>, mpsc::Receiver<String>) {
        let (key, open) = mpsc::channel();
        let (taken, texts) = mpsc::channel();
        let queue = Queue::start("test", Gate { open, taken }, |count| format!("{count} dropped")).expect("a thread");
        (queue, key, texts)
    }

    #[test]
    fn who_leaves_a_text_never_waits_and_what_was_dropped_is_told_in_its_place() {
        let (queue, key, texts) = gated();
        let line = vec![b'x'; ROOM / 4];
        // Nobody reads: if any of these waited, the test would never end.
        for _ in 0..100 {
            queue.offer(line.clone());
        }
        queue.flush(Duration::ZERO);
        drop(key);
        queue.flush(Duration::from_secs(60));
        queue.offer(b"after\n".to_vec());
        queue.flush(Duration::from_secs(60));
        let seen: Vec<String> = texts.try_iter().collect();
        let kept = seen.iter().filter(|text| text.len() == line.len()).count();
        // One may have been taken by the thread before the room was full.
        assert!(kept == 4 || kept == 5, "{kept}");
        assert_eq!(seen[kept..], [format!("{} dropped\n", 100 - kept), "after\n".to_owned()]);
    }

    #[test]
    fn the_last_text_is_never_dropped() {
        let (queue, key, texts) = gated();
        for _ in 0..5 {
            queue.offer(vec![b'x'; ROOM / 2]);
        }
        queue.insist(b"last\n".to_vec());
        drop(key);
        queue.flush(Duration::from_secs(60));
        assert!(texts.try_iter().any(|text| text == "last\n"));
    }

    #[test]
    fn a_reader_that_is_gone_is_told_once_and_holds_nothing_up() {
        let (queue, key, texts) = gated();
        drop((key, texts));
        for _ in 0..10 {
            queue.offer(b"x\n".to_vec());
        }
        queue.flush(Duration::from_secs(60));
        assert_eq!(queue.failure().map(|error| error.kind()), Some(io::ErrorKind::BrokenPipe));
        assert!(queue.failure().is_none());
    }
}
