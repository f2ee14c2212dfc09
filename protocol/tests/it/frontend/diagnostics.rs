//! Goldens: every code has a file in `testdata/diagnostics` with the exact text of its findings.
//!
//! `NAME.scr` is the source, `NAME.txt` what is printed for it. After a change, run with `REKINDLE_UPDATE_GOLDENS=1` and
//! read the difference.

use std::collections::BTreeSet;

use rekindle_protocol::CheckOptions;
use rekindle_protocol::code::Code;
use rekindle_protocol::diagnostics::{Colour, Report};
use rekindle_protocol::load;

use super::{read, testdata};

/// What is said about a source: loading, then checking, then compiling.
fn report(path: &str) -> Report {
    let root = testdata().join("diagnostics");
    let mut read = |path: &str| read(root.join(path).to_str()?);
    let program = match load(path, &[], &mut read) {
        Ok(program) => program,
        Err(report) => return report,
    };
    let report = program.check(CheckOptions::default());
    if report.diagnostics.is_empty() { program.compile(None).err().unwrap_or_default() } else { report }
}

fn check(name: &str) -> Report {
    let report = report(&format!("{name}.scr"));
    let text = report.render(Colour::Off);
    let golden = testdata().join("diagnostics").join(format!("{name}.txt"));
    if std::env::var_os("REKINDLE_UPDATE_GOLDENS").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(text, expected, "{name}.scr");
    report
}

fn names() -> BTreeSet<String> {
    let folder = std::fs::read_dir(testdata().join("diagnostics")).unwrap();
    let paths =
        folder.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|ext| ext == "scr"));
    paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_golden_holds_and_every_code_has_one() {
    let mut seen = BTreeSet::new();
    for name in names() {
        let report = check(&name);
        assert_eq!(report.diagnostics.is_empty(), name.starts_with("valid"), "{name}.scr\n{report}");
        seen.extend(report.diagnostics.iter().map(|finding| finding.code));
    }
    // A protocol that meets the bounds is too large for a file; those are met in `scale` and in the explorer's tests.
    let without = BTreeSet::from([Code::TooLarge, Code::NotProved, Code::TooDeep, Code::MixedState]);
    let missing: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| !seen.contains(code) && !without.contains(code))
        .map(|code| code.as_str())
        .collect();
    assert!(missing.is_empty(), "no golden for {missing:?}");
}

#[test]
fn several_findings_are_all_shown() {
    for (name, count) in [("several_syntax", 4), ("several_names", 6), ("several_checks", 3)] {
        assert_eq!(check(name).diagnostics.len(), count, "{name}.scr");
    }
}

#[test]
fn colours_change_nothing_but_the_colour() {
    for name in names() {
        let report = report(&format!("{name}.scr"));
        let mut plain = String::new();
        let mut rest = report.render(Colour::On);
        while let Some(start) = rest.find('\u{1b}') {
            plain.push_str(&rest[..start]);
            let end = rest[start..].find('m').unwrap();
            rest.replace_range(..=start + end, "");
        }
        plain.push_str(&rest);
        assert_eq!(plain, report.render(Colour::Off), "{name}.scr");
    }
}

#[test]
fn json_names_the_place() {
    let report = report("unknown_role.scr");
    let json = serde_json::to_value(report.located()).unwrap();
    assert_eq!(json[0]["code"], "S010");
    assert_eq!(json[0]["kind"], "name-disamb");
    assert_eq!(json[0]["file"], "unknown_role.scr");
    assert_eq!(json[0]["line"], 2);
    assert_eq!(json[0]["column"], 23);
    let keys: Vec<&String> = json[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["code", "column", "file", "hint", "kind", "line", "message"]);
}
