//! What the front end has to say about a source: every finding with code, place, label and hint.
//!
//! Shape of a rendered finding:
//!
//! ```text
//! error[S012]: role `C` cannot tell these branches apart
//!   --> booking.scr:7:5
//!    |
//! 7  |     choice at A {
//!    |     ^^^^^^ `C` hears nothing in one branch
//! hint: send `C` a message in both branches
//! ```

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::code::Code;
use place::Places;

mod place;

/// How many characters of a message, label or hint are shown.
const MAX_TEXT: usize = 1_000;

/// How many findings are shown, as text and as JSON; of the others only the number.
pub const MAX_SHOWN: usize = 200;

/// How many names a hint lists.
const MAX_LISTED: usize = 20;

/// A range of bytes in one source file of a [`Report`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Index of the file, in the order in which files were loaded.
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// From the start of `self` to the end of `other`; both are of one file.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span { file: self.file, start: self.start, end: other.end.max(self.start) }
    }
}

/// A source text, as the caller loaded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path it was asked for by.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The source is refused.
    Error,
    /// The source is accepted, and likely not meant so.
    Warning,
    /// The source is accepted; something in it has no effect.
    Note,
}

impl Severity {
    /// How it is written before the code of a finding.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which rule.
    pub code: Code,
    /// Whether the source is refused for it.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What stands below the caret; may be empty.
    pub label: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// All findings of one run of the front end, with the sources they point into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The findings: errors, then warnings, then notes; of each in the order of the stages and within a stage in the
    /// order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// The sources, indexed by [`Span::file`].
    pub sources: Vec<SourceFile>,
}

/// A finding with its place resolved, as `-o json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Located {
    /// For example `S012`.
    pub code: &'static str,
    /// For example `role-enabling`.
    pub kind: &'static str,
    /// Whether the source is refused for it.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Path of the source.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Whether a rendering may use ANSI colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Off,
    /// ANSI escapes.
    On,
}

impl Diagnostic {
    /// An error without label and hint.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        let message = shortened(message.into());
        Diagnostic { code, severity: Severity::Error, message, span, label: String::new(), hint: None }
    }

    /// With another severity than that of an error.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// With what stands below the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = shortened(label.into());
        self
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.set_hint(hint);
        self
    }

    pub(crate) fn set_hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(shortened(hint.into()));
    }
}

impl Report {
    /// Puts errors first, then warnings, then notes.
    pub fn new(mut diagnostics: Vec<Diagnostic>, sources: Vec<SourceFile>) -> Self {
        diagnostics.sort_by_key(|finding| finding.severity);
        Report { diagnostics, sources }
    }

    /// Whether the source is refused.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many findings of a severity there are.
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Without warnings and notes.
    #[must_use]
    pub fn errors(mut self) -> Self {
        self.diagnostics.retain(|finding| finding.severity == Severity::Error);
        self
    }

    /// With each warning as an error.
    #[must_use]
    pub fn deny_warnings(mut self) -> Self {
        for finding in &mut self.diagnostics {
            if finding.severity == Severity::Warning {
                finding.severity = Severity::Error;
            }
        }
        Report::new(self.diagnostics, self.sources)
    }

    /// How many findings are beyond the [`MAX_SHOWN`] that are shown.
    pub fn more(&self) -> usize {
        self.diagnostics.len().saturating_sub(MAX_SHOWN)
    }

    /// The findings that are shown, with file, line and column, for JSON.
    pub fn located(&self) -> Vec<Located> {
        let places = Places::of(&self.sources);
        self.diagnostics
            .iter()
            .take(MAX_SHOWN)
            .map(|finding| {
                let place = places.place(finding.span);
                Located {
                    code: finding.code.as_str(),
                    kind: finding.code.kind(),
                    severity: finding.severity,
                    message: finding.message.clone(),
                    file: place.path.to_owned(),
                    line: place.line,
                    column: place.column,
                    hint: finding.hint.clone(),
                }
            })
            .collect()
    }

    /// The findings that are shown as text for people, one after another with an empty line between; then how many more
    /// there are.
    pub fn render(&self, colour: Colour) -> String {
        let places = Places::of(&self.sources);
        let mut out = String::new();
        for (index, finding) in self.diagnostics.iter().take(MAX_SHOWN).enumerate() {
            if index > 0 {
                out.push('\n');
            }
            finding.render(&mut out, &places, colour);
        }
        if self.more() > 0 {
            let what = if self.count(Severity::Error) == self.diagnostics.len() { "errors" } else { "findings" };
            let _ = writeln!(out, "\n{MAX_SHOWN} {what} shown … and {} more", self.more());
        }
        out
    }
}

impl Diagnostic {
    fn render(&self, out: &mut String, places: &Places<'_>, colour: Colour) {
        let paint = Paint { on: colour == Colour::On };
        let place = places.place(self.span);
        let number = place.line.to_string();
        let margin = " ".repeat(number.len() + 2);
        let own = match self.severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
            Severity::Note => "1;36",
        };
        let (own, blue, bold, reset) = (paint.code(own), paint.code("1;34"), paint.code("1"), paint.code("0"));
        let (severity, code) = (self.severity.as_str(), self.code.as_str());
        let _ = writeln!(out, "{own}{severity}[{code}]{reset}{bold}: {}{reset}", self.message);
        let arrow = " ".repeat(number.len() + 1);
        let _ = writeln!(out, "{arrow}{blue}-->{reset} {}:{}:{}", place.path, place.line, place.column);
        let _ = writeln!(out, "{margin}{blue}|{reset}");
        let _ = writeln!(out, "{blue}{number}  |{reset} {}", place.text);
        let caret = "^".repeat(place.width);
        let indent = " ".repeat(place.indent);
        let label = if self.label.is_empty() { String::new() } else { format!(" {}", self.label) };
        let _ = writeln!(out, "{margin}{blue}|{reset} {indent}{own}{caret}{label}{reset}");
        if let Some(hint) = &self.hint {
            let _ = writeln!(out, "{bold}hint{reset}: {hint}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Colour::Off))
    }
}

impl std::error::Error for Report {}

struct Paint {
    on: bool,
}

impl Paint {
    fn code(&self, code: &str) -> String {
        if self.on { format!("\u{1b}[{code}m") } else { String::new() }
    }
}

/// The first characters of a text, which holds whatever stands in a source and may be as long.
fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{} …", &text[..at]),
        None => text,
    }
}

/// Names in quotes; of very many the first.
pub(crate) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(MAX_LISTED);
    let names: Vec<String> = names.take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    names.join(", ") + &more
}
