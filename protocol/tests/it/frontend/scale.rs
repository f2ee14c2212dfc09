//! Large protocols are checked within the bounds: no stack, no blow-up where roles do not depend on each other.
//!
//! No timings here: what would blow up would not come to an end at all.

use std::fmt::Write as _;

use rekindle_protocol::CheckOptions;

use super::load;

/// 41 protocols, each of which calls the next twice: the outermost is 2^40 interactions long.
fn doubling(aux: &str) -> String {
    let mut text = String::new();
    for level in 0..40 {
        let next = level + 1;
        let _ =
            writeln!(text, "{aux} global protocol Q{level}(role A, role B) {{ do Q{next}(A, B); do Q{next}(A, B); }}");
    }
    text + "aux global protocol Q40(role A, role B) { a() from A to B; }"
}

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

#[test]
fn very_many_roles_and_receivers() {
    let names = |what: &str| (0..200_000).map(|role| format!("{what}R{role}")).collect::<Vec<_>>().join(", ");
    let text = format!("global protocol P({}) {{ m() from R0 to {}; }}", names("role "), names(""));
    let report = load(&text).err().unwrap();
    let messages: Vec<&str> = report.diagnostics.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages, ["`R0` sends to itself"]);
}

/// Each of forty loops, one in the other, may be gone round with another connection open: 2^40 ways.
#[test]
fn connections_in_nested_loops() {
    let count = 40;
    let roles: String = (1..=count).fold("role R0".to_owned(), |roles, role| format!("{roles}, role R{role}"));
    let open: String = (1..=count).fold(String::new(), |open, at| format!("{open} rec X{at} {{"));
    let branches: Vec<String> = (1..=count).map(|at| format!("connect R0 to R{at}; continue X{at};")).collect();
    let body = format!("choice at R0 {{ {} }}", branches.join(" } or { "));
    let text = format!("explicit global protocol P({roles}) {{ {open} {body} {} }}", "}".repeat(count));
    let report = load(&text).unwrap().check(CheckOptions::default());
    let codes: Vec<&str> = report.diagnostics.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["S040"; 40]);
    assert!(report.diagnostics.iter().all(|finding| finding.message.ends_with("may be connected already")), "{report}");
}

#[test]
fn imports_without_end_are_refused() {
    // As where a folder holds a link to itself: each path is another one, and imports the next.
    let mut asked = 0;
    let mut read = |_: &str| {
        asked += 1;
        Some("module M; import x.M as Next; import y.M as Other;".to_owned())
    };
    let report = rekindle_protocol::load("M.scr", &[], &mut read).unwrap_err();
    let messages: Vec<&str> = report.diagnostics.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages, ["more than 1000 modules are imported"]);
    assert!(asked <= 1_000);
}

#[test]
fn what_is_too_large_is_refused_once() {
    let text = format!("{} global protocol P(role A, role B) {{ do Q0(A, B); }}", doubling("aux"));
    let report = load(&text).unwrap().check(CheckOptions::default());
    let messages: Vec<&str> = report.diagnostics.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages, ["the protocol has more than 1000000 interactions once inlined"]);
}

#[test]
fn all_calls_of_a_file_have_one_bound() {
    let report = load(&doubling("")).unwrap().check(CheckOptions::default());
    let last = &report.diagnostics.last().unwrap().message;
    assert_eq!(last, "the calls of this file take more than 4000000 steps to inline");
}

#[test]
fn many_roles_are_refused() {
    let ring = |count: usize| {
        let roles: Vec<String> = (0..count).map(|role| format!("role R{role}")).collect();
        let messages: String = (1..count).fold(String::new(), |mut out, role| {
            let _ = write!(out, "a() from R{} to R{role};", role - 1);
            out
        });
        format!("global protocol P({}) {{ {messages} }}", roles.join(", "))
    };
    valid(&ring(1000));
    let report = load(&ring(1001)).unwrap().check(CheckOptions::default());
    let messages: Vec<&str> = report.diagnostics.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages, ["the protocol has more than 1000 roles"]);
}

#[test]
fn an_aux_protocol_uses_the_roles_that_its_calls_use() {
    let unused = |text: &str| -> Vec<String> {
        let report = load(text).unwrap().check(CheckOptions::default());
        report.diagnostics.into_iter().map(|finding| finding.message).collect()
    };
    // Through a call, with the roles in another order; through recursion that turns them.
    let called = "aux global protocol P(role A, role B, role C) { do Q(C, B); }
        aux global protocol Q(role X, role Y) { m() from X to Y; }";
    assert_eq!(unused(called), ["role `A` takes no part in `P`"]);
    let turned = "aux global protocol P(role A, role B, role C) { m() from A to B; do P(B, C, A); }";
    assert!(unused(turned).is_empty());
    let kept = "aux global protocol P(role A, role B, role C) { m() from A to B; do P(B, A, C); }";
    assert_eq!(unused(kept), ["role `C` takes no part in `P`"]);
    // To choose between nothing and nothing is to take no part.
    let nothing =
        "aux global protocol P(role A, role B, role C) { m() from B to C; choice at A { do Q(B, C); } or { } }
        aux global protocol Q(role X, role Y) { rec L { } }";
    let mut found = unused(nothing);
    found.sort();
    assert_eq!(
        found,
        ["role `A` takes no part in `P`", "role `X` takes no part in `Q`", "role `Y` takes no part in `Q`"]
    );
}
