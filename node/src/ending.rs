//! How a process ends that cannot go on: never without a word, and with a status that says which kind of end it was.
//!
//! The last words go to standard error in one write that cannot block: a reader that has stopped, or a full disk behind it,
//! must not keep a node alive that can do nothing. They also go to a page of the [`Reserve`] that was allocated beforehand,
//! and the next start repeats them.
//!
//! [`Reserve`]: crate::storage::reserve::Reserve

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::time::Duration;
use std::{process, thread};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// As much as one write to a pipe takes without being cut, and as much as the page of last words holds.
pub(crate) const PAGE: usize = 4096;
/// What runs at an orderly exit may wait for the very disk that failed.
const EXIT: Duration = Duration::from_secs(2);

/// Where the last words are kept, besides standard error.
static PAGE_OF_WORDS: OnceLock<File> = OnceLock::new();

/// The kinds of end that a node has a status for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It may not take part with its folder or its peers. To start it again changes nothing.
    NoPart,
    /// The disk is full. It can be started again when there is room.
    DiskFull,
    /// A write failed, or hangs.
    DiskFailed,
    /// A part of it stopped.
    Stopped,
    /// A defect: a task or thread panicked.
    Panicked,
}

impl Ending {
    /// The exit status of the process.
    pub fn exit_status(self) -> u8 {
        match self {
            Ending::NoPart => 10,
            Ending::DiskFull => 11,
            Ending::DiskFailed => 12,
            Ending::Stopped => 13,
            Ending::Panicked => 14,
        }
    }

    /// How a disk ended it.
    pub(crate) fn of_write(error: &io::Error) -> Self {
        if is_full(error) { Ending::DiskFull } else { Ending::DiskFailed }
    }
}

/// Whether an error means that there is no room. The database passes on only the system's text.
pub(crate) fn is_full(error: &io::Error) -> bool {
    const TEXTS: [&str; 3] = ["No space left on device", "Disk quota exceeded", "File too large"];
    let kind =
        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge);
    kind || TEXTS.iter().any(|text| error.to_string().contains(text))
}

/// From now on last words are also written to the first page of this file, which must be allocated. The first node of a
/// process counts.
pub(crate) fn keep_words_in(file: File) {
    // Only tests have a second node in their process.
    let _ = PAGE_OF_WORDS.set(file);
}

/// Ends the process, saying why.
pub fn end(ending: Ending, why: &str) -> ! {
    let mut line = format!("rekindle: {}", why.trim_end());
    if line.len() >= PAGE {
        let cut = (0..PAGE).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line.truncate(cut);
    }
    line.push('\n');
    say(line.as_bytes());
    if let Some(file) = PAGE_OF_WORDS.get() {
        let mut page = vec![0; PAGE];
        page[..line.len()].copy_from_slice(line.as_bytes());
        // There is nobody left to tell.
        let _ = file.write_all_at(&page, 0);
    }
    // Without a thread for it the exit is just not bounded.
    let _ = thread::Builder::new().name("exit".to_owned()).spawn(|| {
        thread::sleep(EXIT);
        process::abort()
    });
    process::exit(i32::from(ending.exit_status()))
}

/// One write, if standard error takes it at once.
fn say(line: &[u8]) {
    let stderr = io::stderr();
    let mut ready = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    if matches!(poll(&mut ready, PollTimeout::ZERO), Ok(1..)) {
        // There is nobody left to tell.
        let _ = nix::unistd::write(stderr.as_fd(), line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        for full in ["IO error: No space left on device: While appending to file: 000004.log", "Disk quota exceeded"] {
            assert_eq!(Ending::of_write(&io::Error::other(full)), Ending::DiskFull);
        }
        assert_eq!(Ending::of_write(&io::Error::from(io::ErrorKind::StorageFull)), Ending::DiskFull);
        assert_eq!(Ending::of_write(&io::Error::other("IO error: Input/output error")), Ending::DiskFailed);
    }
}
