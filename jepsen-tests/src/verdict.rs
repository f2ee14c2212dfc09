//! What a run comes to.

use std::fmt::Write as _;

use serde::Serialize;

use crate::checkers::Judgement;

/// The word at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// Everything holds, and every fault bit.
    Valid,
    /// Something is violated, or the run proves nothing: a fault had no effect, a checker failed, evidence is missing.
    Invalid,
    /// Nothing is violated as far as could be decided.
    Unknown,
}

/// How one fault went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bite {
    /// Name of the fault.
    pub fault: String,
    /// On whom.
    pub target: String,
    /// Nanoseconds of the run at its begin and end.
    pub from: u64,
    /// See `from`.
    pub to: u64,
    /// What shows that it had an effect; `None` if nothing does.
    pub effect: Option<String>,
}

/// A checker's part of the verdict.
#[derive(Debug, Serialize)]
pub struct Section {
    /// Which checker.
    pub checker: &'static str,
    /// Its word.
    pub word: Word,
    /// What it says.
    pub text: Vec<String>,
}

/// The verdict.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// In a word.
    pub word: Word,
    /// Per checker, the coverage last.
    pub sections: Vec<Section>,
}

/// What a checker came to. `Err`: it failed, or its evidence is not there.
pub type Checked = (&'static str, Result<Judgement, String>);

impl Verdict {
    /// Judges a run by its checkers and by what its faults did.
    pub fn new(checked: Vec<Checked>, bites: &[Bite]) -> Self {
        let mut sections: Vec<Section> = checked.into_iter().map(section).collect();
        let idle: Vec<String> = bites
            .iter()
            .filter(|bite| bite.effect.is_none())
            .map(|bite| {
                format!("{} on {} had no effect: the run does not show what it is meant to", bite.fault, bite.target)
            })
            .collect();
        let covered = format!("{} faults, each with an effect", bites.len());
        sections.push(if idle.is_empty() {
            Section { checker: "coverage", word: Word::Valid, text: vec![covered] }
        } else {
            Section { checker: "coverage", word: Word::Invalid, text: idle }
        });
        let any = |word| sections.iter().any(|section| section.word == word);
        let word = if any(Word::Invalid) {
            Word::Invalid
        } else if any(Word::Unknown) {
            Word::Unknown
        } else {
            Word::Valid
        };
        Verdict { word, sections }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for section in &self.sections {
            for line in &section.text {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{:<8} {:<16} {line}", section.word.name(), section.checker);
            }
        }
        let _ = writeln!(text, "verdict: {}", self.word.name());
        text
    }
}

impl Word {
    /// In lower case.
    pub fn name(self) -> &'static str {
        match self {
            Word::Valid => "valid",
            Word::Invalid => "invalid",
            Word::Unknown => "unknown",
        }
    }
}

fn section((checker, result): Checked) -> Section {
    let (word, text) = match result {
        Ok(Judgement::Holds { examined: 0 }) => (Word::Invalid, vec!["there was nothing to look at".to_owned()]),
        Ok(Judgement::Holds { examined }) => (Word::Valid, vec![format!("{examined} observations")]),
        Ok(Judgement::Violated(findings)) => (Word::Invalid, findings),
        Ok(Judgement::Undecided(why)) => (Word::Unknown, vec![why]),
        Err(why) => (Word::Invalid, vec![format!("the checker could not judge: {why}")]),
    };
    Section { checker, word, text }
}

/// Runs a checker; one that panics is one that failed.
pub fn guarded(check: impl FnOnce() -> Judgement + std::panic::UnwindSafe) -> Result<Judgement, String> {
    std::panic::catch_unwind(check).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        format!("it panicked: {}", text.unwrap_or("no message"))
    })
}
