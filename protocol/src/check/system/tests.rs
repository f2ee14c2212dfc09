//! Exploration with fewer configurations finds what exploration of all finds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::System;
use super::explore::{Explored, Stop, explore};
use super::faults::Fault;
use crate::check::safety::components;
use crate::global::inline::{CallBudget, inline};
use crate::local::Local;
use crate::local::project::{Presence, project};
use crate::program::ProtocolId;

/// What matters of an exploration, in a form that does not depend on its order.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    faults: BTreeSet<String>,
    deadlock: bool,
    ends: BTreeSet<Vec<u32>>,
    starving: BTreeSet<usize>,
    kept: BTreeSet<usize>,
    goes_on: bool,
}

/// `None` if it was not looked at to the end.
fn outcome(system: &System<'_>, explored: &Explored) -> Option<Outcome> {
    if explored.stopped.is_some() {
        return None;
    }
    let width = system.members().len() + system.channels().len();
    let mut outcome = Outcome {
        faults: BTreeSet::new(),
        deadlock: false,
        ends: explored.ends.iter().map(|end| end[..width].to_vec()).collect(),
        starving: BTreeSet::new(),
        kept: BTreeSet::new(),
        goes_on: !explored.traps.is_empty(),
    };
    for fault in &explored.faults {
        match fault {
            // Which roles wait for a circle without being in it depends on when one looks.
            Fault::Deadlock { .. } => outcome.deadlock = true,
            other => {
                outcome.faults.insert(format!("{other:?}"));
            }
        }
    }
    for trap in &explored.traps {
        let still = (0..trap.acts.len()).filter(|member| !trap.acts[*member]);
        outcome.starving.extend(still.filter(|member| !system.state(&trap.sample, *member).moves.is_empty()));
        outcome.kept.extend((0..trap.emptied.len()).filter(|channel| !trap.emptied[*channel]));
    }
    Some(outcome)
}

fn compare(text: &str) {
    let program = crate::load("p.scr", &[], &mut |_| Some(text.to_owned())).unwrap_or_else(|report| panic!("{report}"));
    let Ok(global) = inline(&program, ProtocolId { module: 0, index: 0 }, &mut CallBudget::default()) else { return };
    let locals: Vec<Local> = global.role_ids().map(|role| project(&Presence::of(&global, role)).unwrap()).collect();
    for system in components(&global, &locals) {
        let explored = explore(&system, 100_000);
        assert_ne!(explored.stopped, Some(Stop::Bound), "{text}");
        let fewer = outcome(&system, &explored);
        let all = system.with_all_orders();
        let all = outcome(&all, &explore(&all, 100_000));
        if let (Some(fewer), Some(all)) = (fewer, all) {
            assert_eq!(fewer, all, "{text}");
        }
    }
}

fn protocol() -> impl Strategy<Value = String> {
    let pair = prop::sample::select(vec![("A", "B"), ("B", "A"), ("A", "C"), ("C", "D"), ("D", "C"), ("B", "D")]);
    let message = (prop::sample::select(vec!["a", "b"]), pair)
        .prop_map(|(label, (from, to))| format!("{label}() from {from} to {to};"));
    let leaf = prop_oneof![5 => message, 1 => Just("continue X;".to_owned()), 1 => Just("continue Y;".to_owned())];
    let block = |inner: BoxedStrategy<String>| prop::collection::vec(inner, 1..4).prop_map(|parts| parts.join(" "));
    let body = leaf.prop_recursive(3, 16, 4, move |inner| {
        let role = prop::sample::select(vec!["A", "B", "C"]);
        let (one, two) = (block(inner.clone().boxed()), block(inner.clone().boxed()));
        prop_oneof![
            3 => inner.clone(),
            2 => (one.clone(), two.clone()).prop_map(|(one, two)| format!("par {{ {one} }} and {{ {two} }}")),
            3 => (role, one, two).prop_map(|(at, one, two)| format!("choice at {at} {{ {one} }} or {{ {two} }}")),
            1 => block(inner.boxed()).prop_map(|body| format!("rec X {{ {body} }}")),
        ]
    });
    (prop::collection::vec(body.clone(), 1..4), prop::collection::vec(body, 0..3)).prop_map(|(first, second)| {
        format!(
            "global protocol P(role A, role B, role C, role D) {{ rec Y {{ rec X {{ {} }} }} rec Y {{ rec X {{ {} }} }} }}",
            first.join(" "),
            second.join(" ")
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn fewer_configurations_tell_the_same(text in protocol()) {
        compare(&text);
    }
}

#[test]
fn loops_beside_others_are_not_ignored() {
    compare(
        "global protocol P(role A, role B, role C, role D) {
            s() from C to A;
            rec X { a() from A to B; continue X; }
            choice at C { x() from C to D; y() from D to C; } or { x() from C to D; z() from D to C; }
        }",
    );
}

#[test]
fn the_bound_is_met_and_said() {
    let text = "global protocol P(role A, role B) { rec X { choice at A { a() from A to B; continue X; } or { b() from A to B; continue X; } } }";
    let program = crate::load("p.scr", &[], &mut |_| Some(text.to_owned())).unwrap_or_else(|report| panic!("{report}"));
    let global = inline(&program, ProtocolId { module: 0, index: 0 }, &mut CallBudget::default())
        .unwrap_or_else(|finding| panic!("{finding:?}"));
    let locals: Vec<Local> = global.role_ids().map(|role| project(&Presence::of(&global, role)).unwrap()).collect();
    let systems = components(&global, &locals);
    assert_eq!(explore(&systems[0], 0).stopped, Some(Stop::Bound));
    assert_eq!(explore(&systems[0], 100).stopped, None);
}
