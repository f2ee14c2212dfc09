//! A corpus of existing protocols, where there is one: verdicts, kinds of findings and machines.
//!
//! The corpus is not part of the project. It is looked for in `REKINDLE_CORPUS`, then beside the checkout; where it is
//! absent these tests say so and check nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rekindle_protocol::{corpus, load};
use serde_json::Value;

use super::{read, testdata};

#[allow(clippy::print_stderr, reason = "a comparison that did not take place must be seen")]
fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let root = std::env::var_os("REKINDLE_CORPUS").map_or(beside, PathBuf::from);
    let found = [root.join("scribble"), root].into_iter().find(|folder| folder.join("MANIFEST.tsv").is_file());
    if found.is_none() {
        eprintln!("no corpus here: nothing is compared (set REKINDLE_CORPUS to its folder)");
    }
    found
}

/// `agreed N`, then a line for each known disagreement.
fn baseline() -> (usize, BTreeSet<String>) {
    let text = std::fs::read_to_string(testdata().join("corpus-baseline.txt")).unwrap();
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let agreed = lines.next().unwrap().strip_prefix("agreed ").unwrap().parse().unwrap();
    (agreed, lines.map(str::to_owned).collect())
}

#[test]
fn agrees_with_the_corpus_as_well_as_before() {
    let Some(folder) = folder() else { return };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.tsv")).unwrap();
    let report = corpus::run(&manifest, folder.to_str().unwrap(), &mut read);
    let (agreed, known) = baseline();
    let fresh: Vec<String> = report
        .disagreements
        .iter()
        .filter(|one| !known.contains(&one.path))
        .map(|one| format!("{}: expected {}, got {}", one.path, one.expected, one.got))
        .collect();
    assert!(fresh.is_empty(), "new disagreements:\n{}", fresh.join("\n"));
    assert!(report.agreed() >= agreed, "agreed on {} of {}, was {agreed}", report.agreed(), report.total);
}

/// A machine: per state the events and where they lead.
type Machine = HashMap<u64, Vec<(String, u64)>>;

#[test]
fn machines_are_bisimilar_to_those_of_the_corpus() {
    let Some(folder) = folder() else { return };
    let machines: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(folder.join("efsm.json")).unwrap()).unwrap();
    assert!(!machines.is_empty());
    let mut wrong = Vec::new();
    for theirs in &machines {
        let path = theirs["path"].as_str().unwrap();
        let (protocol, role) = theirs["fsm"].as_str().unwrap().split_once('@').unwrap();
        let file = folder.join("protocols").join(path);
        let program = load(file.to_str().unwrap(), &[], &mut read).unwrap_or_else(|report| panic!("{path}: {report}"));
        let ours = program.project(Some(protocol), role).unwrap_or_else(|report| panic!("{path}: {report}"));
        let ours = serde_json::to_value(&ours).unwrap();
        if !same_traces(
            &machine(&ours),
            ours["initial"].as_u64().unwrap(),
            &machine(theirs),
            theirs["initial"].as_u64().unwrap(),
        ) {
            wrong.push(format!("{path} {protocol}@{role}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), machines.len(), wrong.join("\n"));
}

fn machine(value: &Value) -> Machine {
    let mut machine = Machine::new();
    for edge in value["edges"].as_array().unwrap() {
        let event = normal(edge[1].as_str().unwrap());
        machine.entry(edge[0].as_u64().unwrap()).or_default().push((event, edge[2].as_u64().unwrap()));
    }
    machine
}

/// The peer writes the empty label out, and does not put type arguments in for type parameters: payloads count, their
/// names do not.
fn normal(event: &str) -> String {
    let event = event.replace("EMPTY_OP", "");
    let (label, payload) = event.split_once('(').unwrap();
    let payload = payload.trim_end_matches(')');
    let count = if payload.is_empty() { 0 } else { payload.split(',').count() };
    format!("{label}/{count}")
}

/// Whether two machines, both determinised, are bisimilar; a state without events is final.
fn same_traces(ours: &Machine, our_start: u64, theirs: &Machine, their_start: u64) -> bool {
    let mut seen = BTreeSet::new();
    let mut todo = vec![(BTreeSet::from([our_start]), BTreeSet::from([their_start]))];
    while let Some((left, right)) = todo.pop() {
        if !seen.insert((left.clone(), right.clone())) {
            continue;
        }
        let (mut left, mut right) = (after(ours, &left), after(theirs, &right));
        if !left.keys().eq(right.keys()) {
            return false;
        }
        while let (Some((_, left)), Some((_, right))) = (left.pop_first(), right.pop_first()) {
            todo.push((left, right));
        }
    }
    true
}

fn after(machine: &Machine, states: &BTreeSet<u64>) -> BTreeMap<String, BTreeSet<u64>> {
    let mut events: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for (event, to) in states.iter().filter_map(|state| machine.get(state)).flatten() {
        events.entry(event.clone()).or_default().insert(*to);
    }
    events
}
