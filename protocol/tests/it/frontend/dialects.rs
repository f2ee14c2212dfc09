//! What relatives of Scribble write, and how strictly it is taken.

use rekindle_protocol::CheckOptions;
use rekindle_protocol::check::Method;
use rekindle_protocol::code::Code;
use rekindle_protocol::diagnostics::{Report, Severity};
use rekindle_protocol::program::{Dialect, load_as};

use super::load;

fn said(dialect: Dialect, path: &str, text: &str) -> Report {
    match load_as(dialect, path, &[], &mut |wanted| (wanted == path).then(|| text.to_owned())) {
        Ok(program) => program.verdict(CheckOptions::default()).report,
        Err(report) => report,
    }
}

fn codes(report: &Report) -> Vec<(Severity, Code)> {
    report.diagnostics.iter().map(|finding| (finding.severity, finding.code)).collect()
}

#[test]
fn strictly_taken_names_are_errors_and_everything_else_stays_a_warning() {
    let text = "module other; global protocol P(role A, role B) {
        order(Pizza) from A to B; order(Pizza) from A to B; choice at A { x() from A to B; } or { }
    }";
    let lenient = said(Dialect::Lenient, "p.scr", text);
    let warning = |code| (Severity::Warning, code);
    assert_eq!(
        codes(&lenient),
        [warning(Code::ModuleName), warning(Code::UnknownType), warning(Code::EmptyBranch)],
        "{lenient}"
    );
    assert!(!lenient.has_errors());
    assert!(lenient.clone().deny_warnings().has_errors());
    let strict = said(Dialect::Strict, "p.scr", text);
    let error = |code| (Severity::Error, code);
    let expected = [error(Code::ModuleName), error(Code::UnknownType), error(Code::UnknownType)];
    assert_eq!(codes(&strict), expected, "{strict}");
    let empty =
        said(Dialect::Strict, "p.scr", "global protocol P(role A, role B) { choice at A { x() from A to B; } or { } }");
    assert_eq!(codes(&empty), [warning(Code::EmptyBranch)], "{empty}");
}

#[test]
fn a_note_is_not_denied() {
    let text = "global protocol P(role A, role B) { x() from A to B; @\"x\" @\"y\" }";
    let report = said(Dialect::Strict, "p.scr", text).deny_warnings();
    assert_eq!(codes(&report), [(Severity::Note, Code::AnnotationIgnored)], "{report}");
}

#[test]
fn a_module_that_is_imported_has_the_name_of_its_file() {
    let mut read = |path: &str| match path {
        "main.scr" => Some("module main; import lib; global protocol P(role A, role B) { do lib.Q(A, B); }".to_owned()),
        "lib.scr" => Some("module other; aux global protocol Q(role A, role B) { x() from A to B; }".to_owned()),
        _ => None,
    };
    let report = load_as(Dialect::Lenient, "main.scr", &[], &mut read).err().unwrap();
    assert_eq!(codes(&report), [(Severity::Error, Code::ModuleName)], "{report}");
}

#[test]
fn any_ending_of_a_file_is_left_out_of_the_name_of_its_module() {
    for path in ["p.scr", "a/p.nuscr", "p"] {
        let report = said(Dialect::Strict, path, "module p; global protocol P(role A, role B) { x() from A to B; }");
        assert!(report.diagnostics.is_empty(), "{path}\n{report}");
    }
}

#[test]
fn messages_that_go_astray_are_the_only_finding_unless_strictly_taken() {
    let text = "global protocol P(role A, role B, role C) {
        choice at A { go() from A to B; x() from B to A; bye() from A to C; }
        or { go() from A to B; y() from B to A; bye() from A to C; }
    }";
    let lenient = said(Dialect::Lenient, "p.scr", text);
    assert!(lenient.diagnostics.iter().all(|finding| finding.code == Code::StuckMessage), "{lenient}");
    let strict = said(Dialect::Strict, "p.scr", text);
    assert!(strict.diagnostics.iter().any(|finding| finding.code == Code::UnfinishedRole), "{strict}");
}

#[test]
fn roles_are_called_from_outside_by_their_public_names() {
    let text =
        "global protocol P(role Customer as C, role Shop') { pay() from C to Shop'; do Q(Shop' as Two, C as One); }
        aux global protocol Q(role One, role Two as T) { x() from T to One; }";
    let program = load(text).unwrap();
    assert_eq!(program.protocols().next().unwrap().roles, ["Customer", "Shop'"]);
    let image = program.compile(None).unwrap();
    assert_eq!(image.roles, ["Customer", "Shop'"]);
    let project = |role: &str| program.project(None, role).unwrap().to_text();
    assert_eq!(
        project("Customer"),
        "P at Customer\n0 [1] (start)\n  Shop'!pay() -> 1\n1 [2]\n  Shop'?x() -> 2\n2 [end]\n"
    );
    assert_eq!(
        project("Shop'"),
        "P at Shop'\n0 [1] (start)\n  Customer?pay() -> 1\n1 [2]\n  Customer!x() -> 2\n2 [end]\n"
    );
    assert_eq!(project("C"), project("Customer"));
    assert_eq!(program.graph(None).unwrap().to_text().lines().next().unwrap(), "P: Customer, Shop'");
}

/// Refused for `code`, unless the complete check is asked; what it accepts runs.
fn only_complete(code: Code, text: &str) {
    let program = load(text).unwrap_or_else(|report| panic!("{report}"));
    let report = program.check(CheckOptions::default());
    assert!(report.diagnostics.iter().all(|finding| finding.code == code), "{text}\n{report}");
    assert!(report.has_errors(), "{text}");
    let complete = program.verdict(CheckOptions { complete: true, fair: false });
    assert!(!complete.report.has_errors(), "{text}\n{}", complete.report);
    assert_eq!(complete.accepted[0].method, Method::Implementability);
    program.compile(None).unwrap_or_else(|report| panic!("{text}\n{report}"));
}

#[test]
fn the_complete_check_is_asked_where_a_role_is_not_told_or_told_by_several() {
    only_complete(
        Code::NotEnabled,
        "global protocol P(role A, role B, role S) {
            choice at A { x() from A to S; choice at B { go() from B to S; } or { no() from B to S; } }
            or { y() from A to S; choice at B { go() from B to S; } or { no() from B to S; } }
        }",
    );
    only_complete(
        Code::InconsistentChoice,
        "global protocol P(role A, role B, role C) {
            choice at A { x() from A to B; y() from A to C; z() from B to C; }
            or { v() from A to B; w() from B to C; u() from C to A; }
        }",
    );
    only_complete(
        Code::Unreachable,
        "global protocol P(role A, role B) {
            rec X { choice at A { more() from A to B; continue X; } or { stop() from A to B; } bye() from B to A; }
        }",
    );
}

#[test]
fn where_crashes_are_handled_the_merged_machines_decide() {
    let text = "global protocol P(role A, reliable role B) {
        choice at A { m() from A to B; choice at A { x() from A to B; } or { crash from A to B; } }
        or { m() from A to B; choice at A { y() from A to B; } or { crash from A to B; } }
        or { crash from A to B; }
    }";
    let program = load(text).unwrap();
    let report = program.check(CheckOptions::default());
    assert!(report.diagnostics.iter().all(|finding| finding.code == Code::StuckMessage), "{report}");
    assert!(report.has_errors());
    let complete = program.check(CheckOptions { complete: true, fair: false });
    assert!(!complete.has_errors(), "{complete}");
}

#[test]
fn the_complete_check_refuses_what_a_role_cannot_know_and_text_that_nobody_reaches() {
    let refused = |code: Code, text: &str| {
        let report = load(text).unwrap().check(CheckOptions { complete: true, fair: true });
        assert!(report.diagnostics.iter().any(|finding| finding.code == code), "{text}\n{report}");
    };
    refused(
        Code::NotEnabled,
        "global protocol P(role A, role B, role C) {
            choice at A { x() from A to B; y() from C to B; z() from A to C; } or { v() from A to B; w() from A to C; }
        }",
    );
    refused(
        Code::Unreachable,
        "global protocol P(role A, role B) { rec X { a() from A to B; continue X; } b() from A to B; }",
    );
}
