//! Goldens: every code has a file in `testdata/diagnostics` with the exact text of its findings.
//!
//! `NAME.scr` is the source, `NAME.txt` what is printed for it. After a change, run `make bless` and
//! read the difference.

use std::collections::BTreeSet;

use rekindle_protocol::CheckOptions;
use rekindle_protocol::code::Code;
use rekindle_protocol::diagnostics::{Colour, Report};
use rekindle_protocol::load;

use super::{load as load_text, read, testdata};

/// What is said about a source: loading, then checking, then compiling.
fn report(path: &str) -> Report {
    let root = testdata().join("diagnostics");
    let mut read = |path: &str| read(root.join(path).to_str()?);
    let program = match load(path, &[], &mut read) {
        Ok(program) => program,
        Err(report) => return report,
    };
    let report = program.verdict(CheckOptions::default()).report;
    if report.has_errors() { report } else { program.compile(None).err().unwrap_or(report) }
}

fn check(name: &str) -> Report {
    let report = report(&format!("{name}.scr"));
    let text = report.render(Colour::Off);
    let golden = testdata().join("diagnostics").join(format!("{name}.txt"));
    if std::env::var_os("REWRITE").is_some() {
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
        assert_eq!(report.has_errors(), !name.starts_with("valid"), "{name}.scr\n{report}");
        seen.extend(report.diagnostics.iter().map(|finding| finding.code));
    }
    let missing: Vec<&str> = Code::ALL.iter().filter(|code| !seen.contains(code)).map(|code| code.as_str()).collect();
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

/// What is said about a text, which does not load.
fn refusal(text: &str) -> Report {
    load_text(text).err().unwrap()
}

#[test]
fn a_long_line_is_cut_around_the_caret() {
    let filler = "m() from A to B; ".repeat(1000);
    let text = format!("global protocol P(role A, role B) {{ {filler}m() from A to X; {filler}}}");
    let report = refusal(&text);
    let kept = "m() from A to B; ";
    let expected = format!(
        "error[S010]: no role `X`
  --> protocol.scr:1:17051
   |
1  | … {}m() from A to X; {}m …
   |   {}^
hint: the roles of this protocol are `A`, `B`
",
        &kept.repeat(3)[5..],
        kept.repeat(8),
        " ".repeat(60),
    );
    assert_eq!(report.render(Colour::Off), expected);
}

#[test]
fn the_caret_stands_right_after_wide_and_cut_text() {
    // Characters of several bytes on both sides of where the line is cut, and of where characters are counted.
    let text = format!(
        "/*{}*/ global protocol P(role A, role B) {{ m() from A to X; }} // {}",
        "é".repeat(5000),
        "ö".repeat(5000)
    );
    let report = refusal(&text);
    assert_eq!(report.located()[0].column, 5056);
    let rendered = report.render(Colour::Off);
    let lines: Vec<&str> = rendered.lines().collect();
    let caret = lines[4].chars().position(|character| character == '^').unwrap();
    assert_eq!(lines[3].chars().nth(caret), Some('X'), "{rendered}");
    assert!(rendered.chars().count() < 500, "{rendered}");
}

#[test]
fn a_finding_over_a_long_line_and_a_long_message_are_cut() {
    let name = "x".repeat(10_000);
    let rendered =
        refusal(&format!("global protocol P(role A, role B) {{ {name}() from A to B; }}")).render(Colour::Off);
    assert!(rendered.starts_with("error[S001]: this name is longer than 256 characters"), "{rendered}");
    assert!(rendered.len() < 1000, "{rendered}");
    let path = vec!["m"; 10_000].join(".");
    let report = refusal(&format!("import {path}; global protocol P(role A, role B) {{ m() from A to B; }}"));
    assert!(report.render(Colour::Off).len() < 3000);
    assert!(report.located()[0].message.ends_with('…'));
}

#[test]
fn controls_of_a_source_do_not_reach_the_terminal() {
    let rendered =
        refusal("global protocol P(role A, role B) { /*\u{1b}[2J\u{7}*/ m() from A to X; }").render(Colour::Off);
    assert!(!rendered.contains(|character: char| character.is_control() && character != '\n'), "{rendered:?}");
}

#[test]
fn many_roles_are_not_all_listed() {
    let roles: Vec<String> = (0..100).map(|role| format!("role R{role}")).collect();
    let report = refusal(&format!("global protocol P({}) {{ m() from R0 to X; }}", roles.join(", ")));
    let hint = report.diagnostics[0].hint.as_ref().unwrap();
    assert!(hint.ends_with("`R18`, `R19` and 80 more"), "{hint}");
}

#[test]
fn of_very_many_findings_the_first_are_shown() {
    let wrong = |count: usize| {
        let body = "m() from A to X;\n".repeat(count);
        refusal(&format!("global protocol P(role A, role B) {{\n{body}}}"))
    };
    let report = wrong(100_000);
    assert_eq!(report.diagnostics.len(), 100_000);
    let rendered = report.render(Colour::Off);
    assert_eq!(rendered.matches("error[S010]").count(), 200);
    assert!(rendered.ends_with("\n\n200 errors shown … and 99800 more\n"), "{rendered}");
    assert_eq!((report.located().len(), report.more()), (200, 99_800));
    let few = wrong(200);
    assert!(!few.render(Colour::Off).contains("shown"));
    assert_eq!((few.located().len(), few.more()), (200, 0));
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let text = "global protocol P(role A, role B) { m() from A to B; }";
    load_text(&format!("\u{feff}{text}")).unwrap().compile(None).unwrap();
    let report = refusal("\u{feff}global protocol P(role A, role B) { m() from A to X; }");
    assert_eq!(report.located()[0].column, 51);
    assert_eq!(report, refusal("global protocol P(role A, role B) { m() from A to X; }"));
    // Only one, and only at the start.
    assert!(load_text(&format!("\u{feff}\u{feff}{text}")).is_err());
    assert!(load_text(&format!("{text}\u{feff}")).is_err());
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
    assert_eq!(json[0]["severity"], "error");
    let keys: Vec<&String> = json[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["code", "column", "file", "hint", "kind", "line", "message", "severity"]);
    let warned = serde_json::to_value(self::report("valid_empty_branch.scr").located()).unwrap();
    assert_eq!(warned[0]["severity"], "warning");
    assert_eq!(serde_json::to_value(self::report("valid_sugar.scr").located()).unwrap()[0]["severity"], "note");
}
