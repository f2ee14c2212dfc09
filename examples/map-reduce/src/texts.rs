//! The texts to count, and how they are cut into pieces.
//!
//! Each process finds the same pieces by itself: they follow from the names and lengths of the files.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use rekindle_examples::setting;

/// Bytes of a file, `from` to `to`. The words that begin there belong to the piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    file: PathBuf,
    from: u64,
    to: u64,
}

/// All pieces, in order.
pub(crate) fn pieces() -> anyhow::Result<Vec<Piece>> {
    let folder = setting::text("WORDS_TEXTS").unwrap_or_else(|| "texts".to_owned());
    let length = setting::number("WORDS_PIECE", 8192)?;
    ensure!(length > 0, "WORDS_PIECE must not be 0");
    let once = cut(Path::new(&folder), length).with_context(|| format!("reading the folder {folder}"))?;
    ensure!(!once.is_empty(), "there are no texts in {folder}");
    Ok(vec![once; setting::number("WORDS_REPEAT", 1)?].concat())
}

fn cut(folder: &Path, length: u64) -> anyhow::Result<Vec<Piece>> {
    let entries: Vec<_> = folder.read_dir()?.collect::<Result<_, _>>()?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut pieces = Vec::new();
    for file in files {
        let end = file.metadata()?.len();
        let starts = (0..end).step_by(usize::try_from(length)?);
        pieces.extend(starts.map(|from| Piece { file: file.clone(), from, to: end.min(from + length) }));
    }
    Ok(pieces)
}

impl Piece {
    /// Calls `word` with each word of the piece, in lower case.
    pub(crate) fn each_word(&self, mut word: impl FnMut(String)) -> anyhow::Result<()> {
        let context = || format!("reading {}", self.file.display());
        let text = self.read().with_context(context)?;
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.for_each(|text| word(text.to_lowercase()));
        Ok(())
    }

    /// The text of the piece. A cut is moved to the next line break, so that no word is cut.
    fn read(&self) -> std::io::Result<String> {
        let mut reader = BufReader::new(File::open(&self.file)?);
        let mut position = self.from;
        let mut skipped = Vec::new();
        if self.from > 0 {
            // If the byte before is a line break, this reads nothing but it.
            reader.seek(SeekFrom::Start(self.from - 1))?;
            position = self.from - 1 + reader.read_until(b'\n', &mut skipped)? as u64;
        }
        let mut text = Vec::new();
        while position < self.to {
            let read = reader.read_until(b'\n', &mut text)?;
            if read == 0 {
                break;
            }
            position += read as u64;
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pieces: &[Piece]) -> Vec<String> {
        let mut words = Vec::new();
        for piece in pieces {
            piece.each_word(|word| words.push(word)).expect("readable");
        }
        words
    }

    #[test]
    fn cutting_loses_and_doubles_no_word() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "One two,\nthree\n\nvier fünf sechs\r\nseven-eight\na b\n\n9";
        std::fs::write(folder.path().join("b.txt"), text).expect("written");
        std::fs::write(folder.path().join("a.txt"), "zero\n").expect("written");
        std::fs::write(folder.path().join("c.md"), "not a text").expect("written");
        std::fs::write(folder.path().join("d.txt"), "").expect("written");
        let expected = ["zero", "one", "two", "three", "vier", "fünf", "sechs", "seven", "eight", "a", "b", "9"];
        for length in 1..=60 {
            let pieces = cut(folder.path(), length).expect("cut");
            assert_eq!(words(&pieces), expected, "pieces of {length} bytes");
        }
        assert_eq!(cut(folder.path(), 60).expect("cut").len(), 2);
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        assert!(cut(Path::new("no such folder"), 10).is_err());
    }
}
