//! Room that a node keeps for itself on its disk, and the page for its last words.
//!
//! A database needs room to be opened: on a disk that others have filled, it would not even start, and nobody could ask it
//! anything. The reserve is given back to the disk for that, and taken again when there is room.
//!
//! Shape: one page for the last words of the last run, text and then zeros; the rest is never read.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::posix_fallocate;
use nix::libc::{O_NOFOLLOW, off_t};

use crate::ending::PAGE;

const NAME: &str = "RESERVE";

/// See the module.
pub(crate) struct Reserve {
    file: File,
    bytes: u64,
}

impl Reserve {
    /// Opens or makes the file. Takes no room yet.
    pub(crate) fn open(folder: &Path, bytes: u64) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(O_NOFOLLOW);
        Ok(Reserve { file: options.open(folder.join(NAME))?, bytes })
    }

    /// What the run before said at its end. It is said once. From then on there is a page for this run.
    pub(crate) fn last_words(&self) -> io::Result<Option<String>> {
        let mut page = vec![0; PAGE];
        let length = self.file.read_at(&mut page, 0)?;
        if length < PAGE
            && let Err(error) = self.file.write_all_at(&[0; PAGE], 0)
        {
            tracing::debug!(%error, "there is no room for last words");
        }
        let words = page[..length].split(|byte| *byte == 0).next().unwrap_or_default();
        if words.is_empty() {
            return Ok(None);
        }
        self.file.write_all_at(&[0; PAGE], 0)?;
        Ok(Some(String::from_utf8_lossy(words).trim().to_owned()))
    }

    /// Takes its room.
    pub(crate) fn take(&self) -> io::Result<()> {
        let length = off_t::try_from(self.bytes.max(PAGE as u64)).map_err(io::Error::other)?;
        Ok(posix_fallocate(&self.file, 0, length)?)
    }

    /// Gives its room to whatever needs it, but for the page of last words.
    pub(crate) fn give(&self) -> io::Result<()> {
        self.file.set_len(PAGE as u64)
    }

    /// Another handle, for the last words.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_said_once_and_room_is_taken_and_given() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(NAME);
        let reserve = Reserve::open(folder.path(), 1 << 20).expect("writable");
        assert_eq!(reserve.last_words().expect("readable"), None);
        reserve.take().expect("room");
        assert_eq!(path.metadata().expect("a file").len(), 1 << 20);
        let mut page = [0; PAGE];
        page[..5].copy_from_slice(b"full\n");
        reserve.handle().expect("a handle").write_all_at(&page, 0).expect("writable");
        reserve.give().expect("given");
        assert_eq!(path.metadata().expect("a file").len(), PAGE as u64);
        let next = Reserve::open(folder.path(), 1 << 20).expect("readable");
        assert_eq!(next.last_words().expect("readable").as_deref(), Some("full"));
        assert_eq!(next.last_words().expect("readable"), None);
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let elsewhere = folder.path().join("elsewhere");
        std::fs::write(&elsewhere, "mine").expect("writable");
        std::os::unix::fs::symlink(&elsewhere, folder.path().join(NAME)).expect("a link");
        assert!(Reserve::open(folder.path(), 1 << 20).is_err());
        assert_eq!(std::fs::read_to_string(&elsewhere).expect("readable"), "mine");
    }
}
