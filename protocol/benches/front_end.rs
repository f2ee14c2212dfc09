//! How long the front end takes, and how much memory, by the shape and size of a protocol.
//!
//! `cargo bench -p rekindle-protocol` prints for each shape the sizes below one another: where one is twice the last, so
//! should be its time (at most 2.2 times) and its peak memory (`max alloc`). `check` loads and checks, worst case
//! included; `compile` loads, checks for fair choices and projects every role. Goals: the fixed shapes below 1 s, a
//! sequence of 100,000 interactions below 2 s.

#![allow(missing_docs, reason = "the names are what is printed")]

use divan::{AllocProfiler, Bencher};
use rekindle_protocol::{CheckOptions, Program};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// Interactions; each size is twice the one before.
const SIZES: [usize; 4] = [25_000, 50_000, 100_000, 200_000];

fn main() {
    divan::main();
}

fn load(text: &str) -> Program {
    rekindle_protocol::load("protocol.scr", &[], &mut |_| Some(text.to_owned()))
        .unwrap_or_else(|report| panic!("{report}"))
}

fn check(text: &str) {
    let report = load(text).check(CheckOptions::default());
    assert!(report.diagnostics.is_empty(), "{report}");
}

fn compile(text: &str) {
    load(text).compile(None).unwrap_or_else(|report| panic!("{report}"));
}

/// For a shape that does not scale yet: the projection of a loop repeats its first moves where each branch goes round, and
/// the roles are looked at in every combination of these places.
const SMALL_SIZES: [usize; 3] = [1_000, 2_000, 4_000];

/// A bench of each operation for a text of each size.
macro_rules! shapes {
    ($sizes:ident: $($shape:ident),*) => {
        $(mod $shape {
            use super::{Bencher, $sizes};

            #[divan::bench(args = $sizes, sample_count = 3, sample_size = 1)]
            fn check(bencher: Bencher<'_, '_>, size: usize) {
                let text = super::text::$shape(size);
                bencher.bench(|| super::check(&text));
            }

            #[divan::bench(args = $sizes, sample_count = 3, sample_size = 1)]
            fn compile(bencher: Bencher<'_, '_>, size: usize) {
                let text = super::text::$shape(size);
                bencher.bench(|| super::compile(&text));
            }
        })*
    };
}

shapes!(SIZES:
    three_roles,
    ten_roles,
    hundred_roles,
    thousand_roles,
    wide_choice,
    nested_choices,
    loops,
    pairs_with_loops,
    long_loop,
    calls
);

shapes!(SMALL_SIZES: wide_choice_in_a_loop);

#[divan::bench(sample_count = 10, sample_size = 1)]
fn twelve_independent_pairs() {
    check(&text::pairs(12, 3));
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn recursion_with_permuted_roles() {
    check(
        "global protocol P(role A, role B, role C) {
            choice at A { l() from A to B; l() from A to C; do P(B, C, A); }
            or { r() from A to B; r() from A to C; do P(C, A, B); }
        }",
    );
}

/// Valid protocols of about so many interactions.
mod text {
    use std::fmt::Write as _;

    fn protocol(roles: usize, body: &str) -> String {
        let roles: Vec<String> = (0..roles).map(|role| format!("role R{role}")).collect();
        format!("global protocol P({}) {{\n{body}}}\n", roles.join(", "))
    }

    /// One after another, each role to the next.
    fn ring(roles: usize, size: usize) -> String {
        let body = (0..size).fold(String::new(), |mut out, at| {
            let _ = writeln!(out, "m{}() from R{} to R{};", at % 50, at % roles, (at + 1) % roles);
            out
        });
        protocol(roles, &body)
    }

    pub(super) fn three_roles(size: usize) -> String {
        ring(3, size)
    }

    pub(super) fn ten_roles(size: usize) -> String {
        ring(10, size)
    }

    pub(super) fn hundred_roles(size: usize) -> String {
        ring(100, size)
    }

    pub(super) fn thousand_roles(size: usize) -> String {
        ring(1000, size)
    }

    /// A choice with a branch for every ten interactions, each ending with `end`.
    fn branches(size: usize, end: impl Fn(usize) -> String) -> String {
        let branches: Vec<String> = (0..size / 10)
            .map(|branch| {
                let rest = (0..8).map(|at| format!("n{at}() from R{} to R{};\n", 1 - at % 2, at % 2));
                format!("l{branch}() from R0 to R1;\n{}{}", rest.collect::<String>(), end(branch))
            })
            .collect();
        format!("choice at R0 {{\n{}}}\n", branches.join("} or {\n"))
    }

    pub(super) fn wide_choice(size: usize) -> String {
        protocol(2, &branches(size, |_| "z() from R0 to R1;\n".to_owned()))
    }

    pub(super) fn wide_choice_in_a_loop(size: usize) -> String {
        protocol(2, &format!("rec X {{\n{}}}\n", branches(size, |_| "continue X;\n".to_owned())))
    }

    /// Choices in choices, a hundred deep, one such nest after another.
    pub(super) fn nested_choices(size: usize) -> String {
        let open = "choice at R0 { a() from R0 to R1; b() from R1 to R0;\n".repeat(100);
        let close = "} or { c() from R0 to R1; d() from R1 to R0; }\n".repeat(100);
        protocol(2, &format!("{open}{close}").repeat(size / 400))
    }

    /// A loop in each branch of a choice.
    pub(super) fn loops(size: usize) -> String {
        let round =
            "rec X { choice at R0 { a() from R0 to R1; b() from R1 to R0; continue X; } or { c() from R0 to R1; } }\n";
        protocol(2, &branches(size, |_| round.to_owned()))
    }

    /// Independent pairs of roles, each with its loop.
    pub(super) fn pairs(pairs: usize, size: usize) -> String {
        let body = (0..pairs).fold(String::new(), |mut out, pair| {
            let (one, other) = (format!("R{}", 2 * pair), format!("R{}", 2 * pair + 1));
            let rest = "n() from A to B; m() from B to A;\n".repeat(size / 2);
            let text = format!(
                "rec X {{ choice at A {{ a() from A to B; b() from B to A; {rest} continue X; }} or {{ c() from A to B; }} }}\n"
            );
            out.push_str(&text.replace(" A", &format!(" {one}")).replace(" B", &format!(" {other}")));
            out
        });
        protocol(2 * pairs, &body)
    }

    pub(super) fn pairs_with_loops(size: usize) -> String {
        pairs(50, size / 50)
    }

    pub(super) fn long_loop(size: usize) -> String {
        let body = "m() from R0 to R1;\nn() from R1 to R0;\nn() from R1 to R0;\n".repeat(size / 3);
        protocol(2, &format!("rec X {{\n{body}continue X;\n}}\n"))
    }

    /// A call for every ten interactions.
    pub(super) fn calls(size: usize) -> String {
        let called: String = (0..10).map(|at| format!("m{at}() from A to B;\n")).collect();
        let body = "do Q(R0, R1);\ndo Q(R1, R0);\n".repeat(size / 20);
        format!("{}aux global protocol Q(role A, role B) {{\n{called}}}\n", protocol(2, &body))
    }
}
