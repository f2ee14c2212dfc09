//! A corpus of protocols with known verdicts: how far do we agree?
//!
//! The manifest has a line for each file, `path<TAB>verdict<TAB>kinds<TAB>protocols`, after one line of headings. The
//! verdict is `valid` or `invalid`, kinds are joined by `+`.

use std::collections::BTreeSet;

use crate::check::CheckOptions;
use crate::diagnostics::{Report, Severity};
use crate::program::{Dialect, load_as};

/// What came of a run over a corpus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorpusReport {
    /// How many files were checked.
    pub total: usize,
    /// Those with another verdict or other kinds than the manifest gives, in its order.
    pub disagreements: Vec<Disagreement>,
}

/// A file on which we and the manifest differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Path, as in the manifest.
    pub path: String,
    /// What the manifest says: `valid`, or the kinds of findings.
    pub expected: String,
    /// What we say.
    pub got: String,
}

impl CorpusReport {
    /// How many files we agree on.
    pub fn agreed(&self) -> usize {
        self.total - self.disagreements.len()
    }
}

/// Checks every file of a manifest, in the strict dialect. Files are read from `protocols/` below `root`, or from `root` itself.
pub fn run(manifest: &str, root: &str, read: &mut dyn FnMut(&str) -> Option<String>) -> CorpusReport {
    let mut report = CorpusReport::default();
    for line in manifest.lines().skip(1) {
        let mut fields = line.split('\t');
        let (Some(path), Some(verdict)) = (fields.next(), fields.next()) else { continue };
        let kinds: BTreeSet<&str> = fields.next().unwrap_or("").split('+').filter(|kind| !kind.is_empty()).collect();
        let got = kinds_of(&format!("{root}/protocols/{path}"), read)
            .or_else(|| kinds_of(&format!("{root}/{path}"), read))
            .unwrap_or_else(|| BTreeSet::from(["unreadable"]));
        report.total += 1;
        let agree = if verdict == "valid" { got.is_empty() } else { same_kinds(&kinds, &got) };
        if !agree {
            let expected = if verdict == "valid" { "valid".to_owned() } else { joined(&kinds) };
            report.disagreements.push(Disagreement { path: path.to_owned(), expected, got: joined(&got) });
        }
    }
    report
}

/// The kinds of findings in a file; `None` if it cannot be read.
fn kinds_of(path: &str, read: &mut dyn FnMut(&str) -> Option<String>) -> Option<BTreeSet<&'static str>> {
    read(path)?;
    let Report { diagnostics, .. } = match load_as(Dialect::Strict, path, &[], read) {
        Ok(program) => program.check(CheckOptions::default()),
        Err(report) => report,
    };
    let errors = diagnostics.iter().filter(|finding| finding.severity == Severity::Error);
    Some(errors.map(|finding| finding.code.kind()).collect())
}

/// `name-disamb` beside other kinds names the stage at which the peer found them, not one more finding.
fn same_kinds(expected: &BTreeSet<&str>, got: &BTreeSet<&'static str>) -> bool {
    let reduced = |kinds: &BTreeSet<&str>| -> Vec<String> {
        let only = kinds.len() == 1;
        kinds.iter().filter(|kind| only || **kind != "name-disamb").map(|kind| (*kind).to_owned()).collect()
    };
    let got: BTreeSet<&str> = got.iter().copied().collect();
    !got.is_empty() && reduced(expected) == reduced(&got)
}

fn joined(kinds: &BTreeSet<&str>) -> String {
    if kinds.is_empty() {
        return "valid".to_owned();
    }
    kinds.iter().copied().collect::<Vec<_>>().join("+")
}
