//! What must hold whatever the text: the tests here and the fuzz targets in `fuzz/` run the same functions.
//!
//! An input of the fuzzer is a text, or choices from which [`generate`](super::generate) writes a well-formed one.

use std::collections::BTreeSet;

use rekindle_protocol::code::Code;
use rekindle_protocol::diagnostics::{Colour, Report};
use rekindle_protocol::image::Image;
use rekindle_protocol::program::ProtocolSummary;
use rekindle_protocol::recovery::policy::{Mode, Retention};
use rekindle_protocol::recovery::table::{Policy, recovery_table};
use rekindle_protocol::{CheckOptions, Program};

use super::generate;

/// Longer inputs are cut.
pub(crate) const MAX_INPUT: usize = 8 * 1024;

/// No text in UTF-8 begins with such a byte or a greater one: what follows are choices, not text.
const GENERATED: u8 = 0xf8;

/// A line that begins with this starts another file, whose path follows.
const NEXT_FILE: &str = "//// ";

/// The path of the text before the first such line.
const MAIN: &str = "protocol.scr";

/// The text that an input stands for.
pub(crate) fn text_of(input: &[u8]) -> String {
    let input = &input[..input.len().min(MAX_INPUT)];
    match input.split_first() {
        Some((&first, choices)) if first >= GENERATED => generate::protocols(choices),
        _ => String::from_utf8_lossy(input).into_owned(),
    }
}

/// Reads, parses and resolves names; renders what there is to say.
pub(crate) fn front(text: &str) -> Result<Program, Report> {
    let loaded = load(text);
    match &loaded {
        Ok(program) => assert!(program.protocols().count() <= text.len()),
        Err(report) => {
            assert!(!report.diagnostics.is_empty());
            look_at(report);
        }
    }
    loaded
}

/// Everything: loads, checks, compiles, projects, renders.
pub(crate) fn pipeline(text: &str) -> Report {
    let program = match front(text) {
        Ok(program) => program,
        Err(report) => return report,
    };
    let report = program.check(CheckOptions::default());
    look_at(&report);
    // The worst case comes last: fair choices leave out these findings, and bring no other.
    let fair = if report.diagnostics.iter().any(|finding| of_the_worst_case(finding.code)) {
        let fair = program.check(CheckOptions { fair: true, ..CheckOptions::default() });
        look_at(&fair);
        assert!(fair.diagnostics.len() <= report.diagnostics.len(), "{fair}\n\n{report}");
        fair
    } else {
        report.clone()
    };
    if fair.diagnostics.is_empty() {
        program.protocols().filter(|protocol| !protocol.aux).for_each(|protocol| compiled(&program, &protocol));
    } else {
        // The complete check accepts more; what it accepts compiles.
        let complete = program.verdict(CheckOptions { fair: true, complete: true });
        look_at(&complete.report);
        for protocol in program.protocols() {
            if complete.accepted.iter().any(|accepted| accepted.protocol == protocol.name) {
                compiled(&program, &protocol);
            }
        }
    }
    report
}

fn of_the_worst_case(code: Code) -> bool {
    matches!(code, Code::RoleProgress | Code::EventualReception | Code::NotProved)
}

/// The text as the file [`MAIN`], and whatever other files stand in it.
fn load(text: &str) -> Result<Program, Report> {
    let mut files: Vec<(&str, &str)> = Vec::new();
    let (mut path, mut start, mut at) = (MAIN, 0, 0);
    for line in text.split_inclusive('\n') {
        if let Some(next) = line.strip_prefix(NEXT_FILE) {
            if at > 0 {
                files.push((path, &text[start..at]));
            }
            (path, start) = (next.trim(), at + line.len());
        }
        at += line.len();
    }
    files.push((path, &text[start..]));
    let main = files[0].0;
    let mut read = |path: &str| {
        let found = files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        found.or_else(|| library(path))
    };
    rekindle_protocol::load(main, &["include".to_owned()], &mut read)
}

/// A module that is found wherever `Lib` is imported from.
fn library(path: &str) -> Option<String> {
    let name = path.strip_suffix(".scr")?.trim_start_matches("../").replace('/', ".");
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (name.split('.').all(word) && (name == "Lib" || name.ends_with(".Lib"))).then(|| {
        format!(
            "module {name}; type <rust> \"u64\" from \"std\" as T; sig <rust> \"M\" from \"std\" as M;
            aux global protocol Ask<sig Q, type R>(role Client, role Server) {{
                Q from Client to Server; answer(R) from Server to Client;
            }}"
        )
    })
}

/// Every finding points into a source, and can be shown.
fn look_at(report: &Report) {
    for finding in &report.diagnostics {
        let length = report.sources[finding.span.file as usize].text.len();
        assert!(finding.span.start <= finding.span.end, "{finding:?}");
        assert!(finding.span.end as usize <= length, "{finding:?}");
        assert!(!finding.message.is_empty());
    }
    drop(report.render(Colour::On));
    let located = report.located();
    assert_eq!(located.len() + report.more(), report.diagnostics.len());
    drop(serde_json::to_string(&located).unwrap());
    let codes: BTreeSet<_> = report.diagnostics.iter().map(|finding| finding.code).collect();
    assert!(codes.into_iter().all(|code| code.explain().starts_with(code.as_str())));
}

/// What is valid is compiled, or refused for a reason that is no fault of the protocol; then each role is projected.
fn compiled(program: &Program, protocol: &ProtocolSummary) {
    let image = match program.compile(Some(&protocol.name)) {
        Ok(image) => image,
        Err(report) => {
            look_at(&report);
            let excused = |code| matches!(code, Code::NotRunnable | Code::TooLarge);
            assert!(report.diagnostics.iter().all(|finding| excused(finding.code)), "{report}");
            return;
        }
    };
    machines(&image);
    for role in protocol.roles.iter().take(3) {
        let projection = program.project(Some(&protocol.name), role).unwrap();
        assert!(projection.edges.iter().all(|(from, _, to)| ((*from).max(*to) as usize) < projection.states.len()));
        drop((projection.to_text(), projection.to_dot(), serde_json::to_string(&projection).unwrap()));
    }
    if image.machines.iter().map(|machine| machine.states.len()).sum::<usize>() <= 40 {
        let policy = Policy { retention: Retention::default(), modes: vec![Mode::Checkpoint] };
        drop(recovery_table(&image, &policy));
    }
}

/// What an image promises: indexes in range, labels that tell what comes.
fn machines(image: &Image) {
    assert_eq!(image.roles.len(), image.machines.len());
    for machine in &image.machines {
        assert!(machine.initial.index() < machine.states.len());
        for state in &machine.states {
            let mut seen = BTreeSet::new();
            for edge in &state.edges {
                assert!(edge.to.index() < machine.states.len());
                assert!(edge.action.peer.index() < image.roles.len());
                let event = (edge.action.direction, edge.action.peer, &edge.action.label);
                assert!(seen.insert(event), "{}: {state:?}", image.name);
            }
        }
    }
}
