//! Whatever the text: no panic, no hang, and findings that point into it.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::harness::{front, pipeline, text_of};

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
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(front(&text_of(&bytes)));
    }

    #[test]
    fn any_protocol(choices in prop::collection::vec(any::<u8>(), 0..400)) {
        pipeline(&text_of(&[&[0xff], choices.as_slice()].concat()));
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
