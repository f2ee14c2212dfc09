//! Whatever the text: no panic, no hang, and findings that point into it.

use std::fmt::Write as _;

use proptest::prelude::*;
use rekindle_protocol::CheckOptions;
use rekindle_protocol::diagnostics::{Colour, Report};

use super::load;

/// Loads, checks, compiles and renders.
fn pipeline(text: &str) -> Report {
    let report = match load(text) {
        Err(report) => report,
        Ok(program) => {
            let report = program.check(CheckOptions::default());
            for protocol in program.protocols() {
                drop(program.compile(Some(&protocol.name)));
            }
            report
        }
    };
    for finding in &report.diagnostics {
        assert!(finding.span.start <= finding.span.end);
        assert!(finding.span.end as usize <= text.len());
    }
    drop(report.render(Colour::On));
    assert_eq!(report.located().len(), report.diagnostics.len());
    report
}

/// Words and marks of the language, in any order.
fn soup() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "module",
        "import",
        "type",
        "sig",
        "global",
        "protocol",
        "aux",
        "explicit",
        "role",
        "choice",
        "at",
        "or",
        "rec",
        "continue",
        "do",
        "par",
        "and",
        "connect",
        "disconnect",
        "wrap",
        "from",
        "to",
        "as",
        "A",
        "B",
        "C",
        "P",
        "X",
        "m()",
        "m",
        "{",
        "}",
        "(",
        ")",
        "<",
        ">",
        ";",
        ",",
        ".",
        "@",
        ":",
        "\"",
        "/*",
        "*/",
        "//",
        "\n",
        "(*",
        "*)",
        "é",
        "global protocol P(role A, role B) {",
        "m() from A to B;",
        "choice at A {",
        "} or {",
        "rec X {",
        "continue X;",
        "do P(A, B);",
        "do P(B, A);",
        "}",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.join(" "))
}

/// Well-formed protocols of three roles, sensible or not.
fn protocol() -> impl Strategy<Value = String> {
    let role = || prop::sample::select(vec!["A", "B", "C"]);
    let message = (prop::sample::select(vec!["a", "b"]), role(), role())
        .prop_map(|(label, from, to)| format!("{label}() from {from} to {to};"));
    let leaf = prop_oneof![6 => message, 1 => Just("continue X;".to_owned()), 1 => Just("do P(B, C, A);".to_owned())];
    let block = |inner: BoxedStrategy<String>| prop::collection::vec(inner, 0..4).prop_map(|parts| parts.join(" "));
    let body = leaf.prop_recursive(4, 24, 4, move |inner| {
        let (one, two) = (block(inner.clone().boxed()), block(inner.clone().boxed()));
        prop_oneof![
            3 => inner.clone(),
            2 => (role(), one, two).prop_map(|(at, one, two)| format!("choice at {at} {{ {one} }} or {{ {two} }}")),
            1 => block(inner.boxed()).prop_map(|body| format!("rec X {{ {body} }}")),
        ]
    });
    prop::collection::vec(body, 1..4)
        .prop_map(|parts| format!("global protocol P(role A, role B, role C) {{ rec X {{ {} }} }}", parts.join(" ")))
}

proptest! {
    #[test]
    fn any_characters(text in "\\PC*") {
        pipeline(&text);
    }

    #[test]
    fn any_words(text in soup()) {
        pipeline(&text);
    }

    #[test]
    fn any_protocol(text in protocol()) {
        pipeline(&text);
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow() {
    for (open, close) in [("choice at A {", "}"), ("rec X {", "}"), ("par {", "}"), ("{", "}")] {
        let text = format!(
            "global protocol P(role A, role B) {{ {} m() from A to B; {} }}",
            open.repeat(100_000),
            close.repeat(100_000)
        );
        assert!(!pipeline(&text).diagnostics.is_empty());
    }
    let unclosed = format!("global protocol P(role A, role B) {{ {}", "rec X { ".repeat(100_000));
    assert!(!pipeline(&unclosed).diagnostics.is_empty());
}

#[test]
fn nesting_up_to_the_bound_is_accepted() {
    let text = format!(
        "global protocol P(role A, role B) {{ {} m() from A to B; {} }}",
        "choice at A {".repeat(199),
        "}".repeat(199)
    );
    assert!(pipeline(&text).diagnostics.is_empty());
}

#[test]
fn a_long_chain_of_calls_is_refused_and_does_not_overflow() {
    let mut text = String::from("global protocol P0(role A, role B) { m() from A to B; do P1(A, B); }\n");
    for index in 1..2000 {
        let next = index + 1;
        let _ = writeln!(text, "aux global protocol P{index}(role A, role B) {{ m() from A to B; do P{next}(A, B); }}");
    }
    text.push_str("aux global protocol P2000(role A, role B) { m() from A to B; }\n");
    let report = pipeline(&text);
    assert!(report.diagnostics.iter().any(|finding| finding.code.as_str() == "S002"), "{report}");
}
