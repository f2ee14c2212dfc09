//! Where findings are: line, column, and the part of the line that is shown.
//!
//! However long a source, its lines and the list of findings are: an index of each source is made once, a place takes a
//! search in it, and a long line is cut around the caret.

use super::{SourceFile, Span};

/// Lines that have more characters are cut.
const MAX_LINE: usize = 200;

/// How many characters before the caret are kept of a line that is cut.
const BEFORE: usize = 60;

/// Characters are counted up to each multiple of so many bytes.
const BLOCK: usize = 1_024;

/// The indexes of all sources of a report.
pub(super) struct Places<'a> {
    sources: Vec<Indexed<'a>>,
}

/// One source with its lines and characters counted.
struct Indexed<'a> {
    path: &'a str,
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
    /// How many characters begin before each block.
    characters: Vec<usize>,
}

/// Where a finding is, and what to show of it.
pub(super) struct Place<'a> {
    pub(super) path: &'a str,
    /// From 1.
    pub(super) line: u32,
    /// In characters, from 1.
    pub(super) column: u32,
    /// The line, or the part around the caret.
    pub(super) text: String,
    /// Columns of `text` before the caret.
    pub(super) indent: usize,
    /// Columns of the caret.
    pub(super) width: usize,
}

impl<'a> Places<'a> {
    pub(super) fn of(sources: &'a [SourceFile]) -> Self {
        Places { sources: sources.iter().map(Indexed::of).collect() }
    }

    pub(super) fn place(&self, span: Span) -> Place<'a> {
        match self.sources.get(span.file as usize) {
            Some(source) => source.place(span),
            None => Place { path: "?", line: 1, column: 1, text: String::new(), indent: 0, width: 1 },
        }
    }
}

impl<'a> Indexed<'a> {
    fn of(source: &'a SourceFile) -> Self {
        let text = source.text.as_str();
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let mut characters = vec![0];
        for block in text.as_bytes().chunks(BLOCK) {
            characters.push(characters[characters.len() - 1] + begin(block));
        }
        Indexed { path: &source.path, text, lines: std::iter::once(0).chain(breaks).collect(), characters }
    }

    /// How many characters begin before a byte.
    fn characters_before(&self, at: usize) -> usize {
        let block = at / BLOCK;
        self.characters[block] + begin(&self.text.as_bytes()[block * BLOCK..at])
    }

    fn place(&self, span: Span) -> Place<'a> {
        let start = floor_boundary(self.text, span.start as usize);
        let end = floor_boundary(self.text, span.end as usize).max(start);
        let line = self.lines.partition_point(|begin| *begin <= start);
        let line_start = self.lines[line - 1];
        let line_end = self.lines.get(line).map_or(self.text.len(), |next| next - 1);
        let column = self.characters_before(start) - self.characters_before(line_start);
        let (from, to) = self.shown(line_start, line_end, start);
        let before = visible(&self.text[from..start]);
        let caret = visible(self.text[start..end.clamp(start, to)].trim_end());
        let left = if from > line_start { "… " } else { "" };
        let right = if to < line_end { " …" } else { "" };
        Place {
            path: self.path,
            line: narrow(line),
            column: narrow(column + 1),
            text: format!("{left}{}{right}", visible(self.text[from..to].trim_end())),
            indent: left.chars().count() + before.chars().count(),
            width: caret.chars().count().max(1),
        }
    }

    /// The part of a line that is shown for a caret at `start`.
    fn shown(&self, line_start: usize, line_end: usize, start: usize) -> (usize, usize) {
        if self.characters_before(line_end) - self.characters_before(line_start) <= MAX_LINE {
            return (line_start, line_end);
        }
        let kept = self.text[line_start..start].char_indices().rev().take(BEFORE).last();
        let from = kept.map_or(start, |(at, _)| line_start + at);
        let to = self.text[from..line_end].char_indices().nth(MAX_LINE).map_or(line_end, |(at, _)| from + at);
        (from, to)
    }
}

/// How many characters begin in these bytes of a text.
fn begin(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// Tabs would put the caret in the wrong place, and other controls do as they like with a terminal.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => out.push_str("    "),
            control if control.is_control() => out.push('\u{fffd}'),
            plain => out.push(plain),
        }
    }
    out
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
