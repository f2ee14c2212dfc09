//! `rekindle protocol check`, and `explain` for its codes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use rekindle_files::Links;
use rekindle_protocol::check::{Accepted, CheckOptions, Method, Verdict};
use rekindle_protocol::code::Code;
use rekindle_protocol::corpus::{self, CorpusReport};
use rekindle_protocol::diagnostics::{Colour, Diagnostic, Located, Report, Severity, SourceFile, Span};
use rekindle_protocol::explain::Explanation;
use rekindle_protocol::program::Dialect;
use serde::Serialize;

use crate::args::{Deny, ProtocolCheck};
use crate::output::{Output, Tone};
use crate::protocols;

/// Most of the size of a manifest or a baseline.
const LIST_BYTES: u64 = 16 << 20;

pub(super) fn run(args: &ProtocolCheck, output: &Output) -> Result<ExitCode> {
    if let Some(manifest) = &args.corpus {
        return against_corpus(manifest, args.baseline.as_deref(), output);
    }
    let mut all_valid = true;
    for file in &args.files {
        all_valid &= check(file, args, output)?;
    }
    Ok(if all_valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Serialize)]
struct FileVerdict {
    file: PathBuf,
    verdict: &'static str,
    errors: Vec<Located>,
    /// Warnings and notes.
    warnings: Vec<Located>,
    /// The protocols found valid, and how.
    accepted: Vec<Accepted>,
    /// How many errors there are beside those listed.
    more_errors: usize,
    /// How many warnings and notes there are beside those listed.
    more_warnings: usize,
}

fn check(file: &Path, args: &ProtocolCheck, output: &Output) -> Result<bool> {
    let options = CheckOptions { fair: args.fair, complete: args.complete };
    let dialect = if args.strict { Dialect::Strict } else { Dialect::Lenient };
    let Verdict { mut report, accepted } = match protocols::read_as(dialect, file, &args.include) {
        Ok(Ok(program)) => program.verdict(options),
        Ok(Err(report)) => Verdict { report, accepted: Vec::new() },
        // One file that cannot be read is no reason to leave out the others.
        Err(error) => Verdict { report: unreadable(file, &error), accepted: Vec::new() },
    };
    if args.deny == Some(Deny::Warnings) {
        report = report.deny_warnings();
    }
    let valid = !report.has_errors();
    let (errors, warnings): (Vec<_>, Vec<_>) =
        report.located().into_iter().partition(|finding| finding.severity == Severity::Error);
    let more_errors = report.count(Severity::Error) - errors.len();
    let verdict = FileVerdict {
        file: file.to_owned(),
        verdict: if valid { "valid" } else { "invalid" },
        more_errors,
        more_warnings: report.more() - more_errors,
        errors,
        warnings,
        accepted,
    };
    output.value(&verdict, |verdict| text(verdict, &report, output))?;
    Ok(valid)
}

fn unreadable(file: &Path, error: &anyhow::Error) -> Report {
    let finding = Diagnostic::new(Code::ImportNotFound, Span::default(), format!("{error:#}"));
    let source = SourceFile { path: file.display().to_string(), text: String::new() };
    Report::new(vec![finding], vec![source])
}

fn text(verdict: &FileVerdict, report: &Report, output: &Output) -> String {
    let file = verdict.file.display();
    let mut text = report.render(if output.colour() { Colour::On } else { Colour::Off });
    if !verdict.errors.is_empty() {
        text.push_str(&format!("{file}: {}", output.paint(Tone::Bad, "invalid")));
        return text;
    }
    text.push_str(&format!("{file}: {}", output.paint(Tone::Good, "valid")));
    for accepted in verdict.accepted.iter().filter(|accepted| accepted.method == Method::Implementability) {
        let how = format!("  {}: accepted by the complete check", accepted.protocol);
        text.push_str(&format!("\n{}", output.paint(Tone::Dim, how)));
    }
    text
}

/// Says what a rule is about.
pub(super) fn explain(code: &str, output: &Output) -> Result<()> {
    #[derive(Serialize)]
    struct Explained {
        code: &'static str,
        kind: &'static str,
        rule: &'static str,
        bad: &'static str,
        good: &'static str,
        why: &'static str,
    }
    let known = Code::parse(&code.to_ascii_uppercase()).with_context(|| {
        format!("no error code `{code}`\nhint: codes look like S012; errors of `protocol check` show theirs")
    })?;
    let Explanation { rule, bad, good, why } = known.explanation();
    let explained = Explained { code: known.as_str(), kind: known.kind(), rule, bad, good, why };
    output.value(&explained, |_| known.explain())
}

#[derive(Serialize)]
struct Agreement {
    cases: usize,
    agreed: usize,
    disagreed: usize,
    disagreements: Vec<Disagreement>,
    /// Disagreements that the baseline does not have.
    new: Vec<String>,
}

#[derive(Serialize)]
struct Disagreement {
    path: String,
    expected: String,
    got: String,
}

fn against_corpus(manifest: &Path, baseline: Option<&Path>, output: &Output) -> Result<ExitCode> {
    let text = rekindle_files::read_text(manifest, LIST_BYTES, Links::Followed)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    let root = manifest.parent().unwrap_or(Path::new("")).to_str().context("the path of the corpus is not UTF-8")?;
    let root = if root.is_empty() { "." } else { root };
    let report = corpus::run(&text, root, &mut |path| protocols::module(path).ok());
    let known = baseline.map(known_disagreements).transpose()?.unwrap_or_default();
    let agreement = Agreement::new(report, &known);
    output.value(&agreement, |agreement| agreement_text(agreement, output))?;
    Ok(if agreement.new.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Paths at the start of the lines of a list; lines that start with `#` are comments.
fn known_disagreements(list: &Path) -> Result<BTreeSet<String>> {
    let text = rekindle_files::read_text(list, LIST_BYTES, Links::Followed)
        .with_context(|| format!("cannot read {}", list.display()))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Ok(lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

impl Agreement {
    fn new(report: CorpusReport, known: &BTreeSet<String>) -> Self {
        let (cases, agreed) = (report.total, report.agreed());
        let disagreements = report.disagreements.into_iter().map(|case| Disagreement {
            path: case.path,
            expected: case.expected,
            got: case.got,
        });
        let disagreements: Vec<_> = disagreements.collect();
        let new = disagreements.iter().map(|case| case.path.clone()).filter(|path| !known.contains(path));
        Agreement { cases, agreed, disagreed: disagreements.len(), new: new.collect(), disagreements }
    }
}

fn agreement_text(agreement: &Agreement, output: &Output) -> String {
    let mut text = String::new();
    for case in &agreement.disagreements {
        text.push_str(&format!("{}: expected {}, got {}\n", case.path, case.expected, case.got));
    }
    let counts = format!("{} cases: {} agreed, {} disagreed", agreement.cases, agreement.agreed, agreement.disagreed);
    let tone = if agreement.new.is_empty() { Tone::Good } else { Tone::Bad };
    text.push_str(&output.paint(tone, counts));
    text
}
