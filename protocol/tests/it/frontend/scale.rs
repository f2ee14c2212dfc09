//! Large protocols are checked within the bounds: no stack, no blow-up where roles do not depend on each other.
//!
//! No timings here: what would blow up would not come to an end at all.

use std::fmt::Write as _;

use rekindle_protocol::CheckOptions;

use super::load;

fn valid(text: &str) {
    let program = load(text).unwrap_or_else(|report| panic!("{report}"));
    let report = program.check(CheckOptions::default());
    assert!(report.diagnostics.is_empty(), "{report}");
    program.compile(None).unwrap_or_else(|report| panic!("{report}"));
}

fn pairs(body: impl Fn(usize) -> String) -> String {
    let roles: Vec<String> = (0..12).map(|pair| format!("role A{pair}, role B{pair}")).collect();
    let bodies: Vec<String> = (0..12).map(body).collect();
    format!("global protocol P({}) {{ {} }}", roles.join(", "), bodies.join("\n"))
}

#[test]
fn twelve_independent_pairs() {
    valid(&pairs(|pair| {
        format!(
            "rec X {{ choice at A{pair} {{ a() from A{pair} to B{pair}; b() from B{pair} to A{pair}; continue X; }}
                or {{ c() from A{pair} to B{pair}; }} }}"
        )
    }));
}

#[test]
fn twelve_pairs_that_start_from_one_role() {
    let text = pairs(|pair| {
        format!(
            "rec X {{ a() from A{pair} to B{pair}; choice at B{pair} {{ b() from B{pair} to A{pair}; continue X; }} or {{ c() from B{pair} to A{pair}; continue X; }} }}"
        )
    });
    let starts: String = (0..12).fold(String::new(), |mut out, pair| {
        let _ = write!(out, "s() from Z to A{pair}; ");
        out
    });
    valid(&text.replace("P(", "P(role Z, ").replacen('{', &format!("{{ {starts}"), 1));
}

#[test]
fn recursion_with_permuted_roles() {
    valid(
        "global protocol P(role A, role B, role C) {
            choice at A { l() from A to B; l() from A to C; do P(B, C, A); }
            or { r() from A to B; r() from A to C; do P(C, A, B); }
        }",
    );
}

#[test]
fn a_hundred_thousand_interactions() {
    let mut text = String::from("global protocol P(role A, role B, role C) {\n");
    for index in 0..100_000 {
        let (from, to) = [("A", "B"), ("B", "C"), ("A", "C"), ("C", "A")][index % 7 % 4];
        let _ = writeln!(text, "m{}() from {from} to {to};", index % 50);
    }
    text.push('}');
    valid(&text);
}

#[test]
fn a_loop_of_a_hundred_thousand_interactions() {
    let mut text = String::from("global protocol P(role A, role B) { rec X {\n");
    for index in 0..100_000 {
        text.push_str(if index % 3 == 0 { "m() from A to B;\n" } else { "n() from B to A;\n" });
    }
    text.push_str("continue X; } }");
    valid(&text);
}
