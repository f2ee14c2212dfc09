//! How far the database was synced, remembered beside it.
//!
//! A write-ahead log that ends early looks like a crash in the middle of a write: the database opens without a word, and
//! what was acknowledged is gone. The mark tells one from the other. It is written after each sync and not synced itself,
//! so after a power loss it may be behind the log, and never ahead of it.
//!
//! Shape: the sequence number in little-endian order, then its complement, 16 bytes in all.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const LENGTH: usize = 16;

/// The file of the mark.
pub(super) struct Mark {
    file: File,
}

impl Mark {
    /// Opens or makes the file, and reads what it says; `None` if it says nothing, or was torn by a power loss.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<u64>)> {
        let file = rekindle_files::open_own(path, File::options().read(true).write(true))?;
        let mut bytes = [0; LENGTH];
        let said = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => decode(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        Ok((Mark { file }, said))
    }

    /// Everything up to this sequence number is synced.
    pub(super) fn set(&self, sequence: u64) -> io::Result<()> {
        self.file.write_all_at(&encode(sequence), 0)
    }
}

fn encode(sequence: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(&sequence.to_le_bytes());
    bytes[8..].copy_from_slice(&(!sequence).to_le_bytes());
    bytes
}

fn decode(bytes: [u8; LENGTH]) -> Option<u64> {
    let (number, complement) = bytes.split_at(8);
    let number = u64::from_le_bytes(number.try_into().ok()?);
    let complement = u64::from_le_bytes(complement.try_into().ok()?);
    (number == !complement).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_read_back_and_a_torn_one_says_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("SYNCED");
        let (mark, said) = Mark::open(&path).expect("writable");
        assert_eq!(said, None);
        mark.set(7).expect("writable");
        mark.set(123_456).expect("writable");
        assert_eq!(Mark::open(&path).expect("readable").1, Some(123_456));
        std::fs::write(&path, [1; LENGTH]).expect("writable");
        assert_eq!(Mark::open(&path).expect("readable").1, None);
    }
}
