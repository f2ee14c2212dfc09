//! What must hold for the picture of any protocol, and at the bounds.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rekindle_protocol::graph::{MAX_NESTING, MAX_ROLES, MAX_STEPS};
use serde_json::Value;

use super::graph;
use super::xml::Picture;

const ROLES: [&str; 5] = ["A", "B", "Chancellor", "D", "TheLastOfAllTheRolesThereAre"];

/// Protocols of five roles with every construct, valid or not. Only their names need to resolve.
fn protocol() -> impl Strategy<Value = String> {
    let pair = || (0..5_usize, 1..5_usize).prop_map(|(one, step)| (ROLES[one], ROLES[(one + step) % 5]));
    let message = || {
        let label = prop::sample::select(vec!["", "a", "request", "aVeryLongLabelThatDoesNotFitBetweenTwoLifelines"]);
        let payload = prop::sample::select(vec!["", "T", "T, U", "Number, P@D, NameOfATypeThatIsLong"]);
        (label, payload).prop_map(|(label, payload)| format!("{label}({payload})"))
    };
    let leaf = prop_oneof![
        8 => (message(), pair()).prop_map(|(message, (from, to))| format!("{message} from {from} to {to};")),
        1 => (message(), pair()).prop_map(|(message, (from, to))| format!("{message} connect {from} to {to};")),
        1 => pair().prop_map(|(from, to)| format!("connect {from} to {to};")),
        1 => pair().prop_map(|(from, to)| format!("disconnect {from} and {to};")),
        1 => pair().prop_map(|(from, to)| format!("wrap {from} to {to};")),
        2 => prop::sample::select(vec!["continue X;", "continue ALoopWithAVeryVeryVeryLongName;"]).prop_map(str::to_owned),
        1 => Just("do P(B, A, Chancellor, D, TheLastOfAllTheRolesThereAre);".to_owned()),
    ];
    let block = |inner: BoxedStrategy<String>| prop::collection::vec(inner, 0..4).prop_map(|parts| parts.join(" "));
    let body = leaf.prop_recursive(6, 40, 4, move |inner| {
        let some = || block(inner.clone().boxed());
        prop_oneof![
            2 => inner.clone(),
            3 => (pair(), some(), some(), some()).prop_map(|((at, _), one, two, three)| {
                format!("choice at {at} {{ {one} }} or {{ {two} }} or {{ {three} }}")
            }),
            1 => (some(), some()).prop_map(|(one, two)| format!("par {{ {one} }} and {{ {two} }}")),
            1 => some().prop_map(|body| format!("rec X {{ {body} }}")),
            1 => some().prop_map(|body| format!("rec ALoopWithAVeryVeryVeryLongName {{ {body} }}")),
        ]
    });
    prop::collection::vec(body, 1..5).prop_map(|parts| {
        let roles = ROLES.map(|role| format!("role {role}")).join(", ");
        let parts = parts.join("\n");
        format!("global protocol P({roles}) {{ rec X {{ rec ALoopWithAVeryVeryVeryLongName {{ {parts} }} }} }}")
    })
}

/// Numbers of the interactions of a tree, in its order.
fn numbers(steps: &Value, out: &mut Vec<u64>) {
    for step in steps.as_array().unwrap() {
        out.extend(step["number"].as_u64());
        for branch in step["branches"].as_array().into_iter().flatten().chain(step.get("steps")) {
            numbers(branch, out);
        }
    }
}

/// A protocol of two roles around `body`.
fn pair(body: &str) -> String {
    format!("global protocol P(role A, role B) {{ {body} }}")
}

proptest! {
    #[test]
    fn every_interaction_is_drawn_once_and_nothing_overlaps(text in protocol()) {
        let graph = graph(&text).unwrap_or_else(|report| panic!("{report}"));
        let picture = Picture::parse(&graph.to_svg());
        picture.check();
        let drawn: Vec<u64> = picture.numbers().into_iter().map(u64::from).collect();

        let json = serde_json::to_value(&graph).unwrap();
        let mut in_json = Vec::new();
        numbers(&json["steps"], &mut in_json);
        prop_assert_eq!(&in_json, &drawn);

        let listing = graph.to_text();
        let lines = listing.lines().skip(2).map(|line| line.chars().take(4).collect::<String>());
        let in_text: Vec<u64> = lines.filter_map(|margin| margin.trim().parse().ok()).collect();
        prop_assert_eq!(&in_text, &drawn);

        let in_dot: Vec<u64> = graph.to_dot().split("label=\"").filter_map(|label| label.split_once(": ")?.0.parse().ok()).collect();
        prop_assert_eq!(&in_dot, &drawn);
    }

    #[test]
    fn every_edge_of_the_digraph_joins_two_of_its_nodes(text in protocol()) {
        let dot = graph(&text).unwrap().to_dot();
        let mut nodes = BTreeSet::new();
        for line in dot.lines().filter_map(|line| line.strip_prefix("  n")).filter(|line| !line.starts_with("ode")) {
            let (name, rest) = line.split_once(' ').unwrap();
            match rest.strip_prefix("-> n") {
                Some(rest) => {
                    let to = rest.split([' ', ';']).next().unwrap();
                    prop_assert!(nodes.contains(name) && nodes.contains(to), "{line}");
                }
                None => prop_assert!(nodes.insert(name.to_owned()), "{line}"),
            }
        }
    }
}

#[test]
fn forty_roles_with_long_names() {
    let name = |role: usize| format!("TheParticipantWithALongNameAndTheNumber{role}");
    let roles: Vec<String> = (0..40).map(|role| format!("role {}", name(role))).collect();
    let messages: Vec<String> =
        (0..40).map(|role| format!("hello(T) from {} to {};", name(role), name((role * 7 + 3) % 40))).collect();
    let graph = graph(&format!("global protocol P({}) {{ {} }}", roles.join(", "), messages.join(" "))).unwrap();
    let picture = Picture::parse(&graph.to_svg());
    picture.check();
    assert_eq!(picture.numbers().len(), 40);
    assert_eq!(picture.of_class("lifeline").count(), 40);
}

#[test]
fn a_protocol_in_which_nothing_happens_is_its_roles() {
    let graph = graph("global protocol P(role A, role B) { }").unwrap();
    let picture = Picture::parse(&graph.to_svg());
    picture.check();
    assert_eq!(picture.of_class("lifeline").count(), 2);
    assert!(picture.numbers().is_empty());
}

#[test]
fn the_bounds_are_met_and_kept() {
    let messages = |count: usize| pair(&"m() from A to B; ".repeat(count));
    let nested =
        |depth: usize| pair(&format!("{} m() from A to B; {}", "choice at A {".repeat(depth), "}".repeat(depth)));
    let roles = |count: usize| {
        let roles: Vec<String> = (0..count).map(|role| format!("role R{role}")).collect();
        format!("global protocol P({}) {{ m() from R0 to R1; }}", roles.join(", "))
    };
    for (within, beyond, limit) in [
        (messages(MAX_STEPS), messages(MAX_STEPS + 1), MAX_STEPS),
        (nested(MAX_NESTING), nested(MAX_NESTING + 1), MAX_NESTING),
        (roles(MAX_ROLES), roles(MAX_ROLES + 1), MAX_ROLES),
    ] {
        let graph = graph(&within).unwrap_or_else(|report| panic!("{report}"));
        Picture::parse(&graph.to_svg());
        // Readers stop at some depth; ours is serde's.
        let json = serde_json::to_string(&graph).unwrap();
        serde_json::from_str::<Value>(&json).unwrap();
        let report = super::graph(&beyond).unwrap_err();
        assert_eq!(report.diagnostics[0].code.as_str(), "S004");
        assert!(report.diagnostics[0].message.contains(&format!("more than {limit}")), "{report}");
        assert!(report.diagnostics[0].hint.is_some());
    }
}

#[test]
fn pictures_grow_with_the_protocol_and_not_faster() {
    let size = |count: usize| {
        let body = "choice at A { rec X { m() from A to B; continue X; } } or { n() from B to A; } ".repeat(count);
        let graph = graph(&pair(&body)).unwrap();
        [graph.to_svg().len(), graph.to_dot().len(), graph.to_text().len()]
    };
    for (one, ten) in size(80).into_iter().zip(size(800)) {
        assert!(ten < one * 11, "{one} {ten}");
    }
}
