//! The answer is what trying all runs of small protocols without loops gives.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeSet, HashSet, VecDeque};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{Answer, Implementability, machines};
use crate::check::{CheckOptions, Method};
use crate::global::inline::{CallBudget, inline};
use crate::global::{Global, MessageId, Role};
use crate::local::{Act, ActKind, Local};
use crate::program::{Program, ProtocolId};

/// What each role did.
type Histories = Vec<Vec<Act>>;

fn program(text: &str) -> Program {
    crate::load("p.scr", &[], &mut |_| Some(text.to_owned())).unwrap_or_else(|report| panic!("{report}"))
}

fn global(program: &Program) -> Global {
    inline(program, ProtocolId { module: 0, index: 0 }, &mut CallBudget::default()).unwrap()
}

fn answer(text: &str) -> Option<bool> {
    let program = program(text);
    let global = global(&program);
    let check = Implementability::of(&program, &global)?;
    match check.answer() {
        Answer::Implementable(_) => Some(true),
        Answer::Not => Some(false),
        Answer::Undecided(_) => None,
    }
}

/// The histories of all runs of the protocol itself.
fn runs_of_the_protocol(check: &Implementability<'_>, roles: usize) -> HashSet<Histories> {
    let mut runs = HashSet::new();
    let mut todo = vec![(0, vec![Vec::new(); roles])];
    while let Some((state, histories)) = todo.pop() {
        let events = &check.automaton.states[state as usize];
        if events.is_empty() {
            runs.insert(histories.clone());
        }
        for event in events {
            let mut after = histories.clone();
            let act = |kind, peer| Act { kind, peer, message: event.message };
            after[usize::from(event.from)].push(act(ActKind::Send, event.to));
            after[usize::from(event.to)].push(act(ActKind::Receive, event.from));
            todo.push((event.target, after));
        }
    }
    runs
}

/// One role that follows the protocol: it does next whatever some run with its history so far does next. This is the
/// only implementation that could do.
fn next_of(runs: &HashSet<Histories>, role: usize, history: &[Act]) -> BTreeSet<Act> {
    let continued = runs.iter().filter(|run| run[role].starts_with(history));
    continued.filter_map(|run| run[role].get(history.len()).copied()).collect()
}

/// Whether the roles, each following its part, together do just the runs of the protocol.
fn can_be_implemented(runs: &HashSet<Histories>, roles: usize) -> bool {
    type Channels = Vec<VecDeque<MessageId>>;
    let mut seen: HashSet<(Histories, Channels)> = HashSet::new();
    let mut todo = vec![(vec![Vec::new(); roles], vec![VecDeque::new(); roles * roles])];
    while let Some((histories, channels)) = todo.pop() {
        if !seen.insert((histories.clone(), channels.clone())) {
            continue;
        }
        // What was done so far must be the beginning of some run.
        if !runs.iter().any(|run| run.iter().zip(&histories).all(|(run, done)| run.starts_with(done))) {
            return false;
        }
        let mut stuck = true;
        for role in 0..roles {
            for act in next_of(runs, role, &histories[role]) {
                let peer = usize::from(act.peer);
                let mut channels = channels.clone();
                if act.kind == ActKind::Send {
                    channels[role * roles + peer].push_back(act.message);
                } else if channels[peer * roles + role].front() == Some(&act.message) {
                    channels[peer * roles + role].pop_front();
                } else {
                    continue;
                }
                let mut histories = histories.clone();
                histories[role].push(act);
                stuck = false;
                todo.push((histories, channels));
            }
        }
        if stuck && (!runs.contains(&histories) || channels.iter().any(|channel| !channel.is_empty())) {
            return false;
        }
    }
    true
}

/// Choices at one role with messages that differ, a sequence of messages otherwise.
fn protocol() -> impl Strategy<Value = String> {
    let pair = || prop::sample::select(vec![("A", "B"), ("B", "A"), ("A", "C"), ("C", "A"), ("B", "C"), ("C", "B")]);
    let message = (prop::sample::select(vec!["m", "n"]), pair())
        .prop_map(|(label, (from, to))| format!("{label}() from {from} to {to};"));
    let sequence = prop::collection::vec(message, 0..4).prop_map(|messages| messages.join(" "));
    sequence.prop_recursive(2, 12, 3, move |inner| {
        let first = prop::sample::select(vec!["x", "y"]);
        let role = prop::sample::select(vec![0usize, 1, 2]);
        (inner.clone(), role, first, any::<bool>(), inner.clone(), inner).prop_map(
            |(before, at, label, same, one, two)| {
                let roles = ["A", "B", "C"];
                let (at, left, right) = (roles[at], roles[(at + 1) % 3], roles[(at + 2) % 3]);
                let (other, to) = if same { ("z", left) } else { (label, right) };
                format!(
                    "{before} choice at {at} {{ {label}() from {at} to {left}; {one} }} or {{ {other}() from {at} to {to}; {two} }}"
                )
            },
        )
    })
}

/// So many texts, the same every time.
fn texts(strategy: impl Strategy<Value = String>, count: usize) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn the_answer_is_that_of_trying_all_runs() {
    let mut answers = [0, 0];
    for body in texts(protocol(), 4_000) {
        let text = format!("global protocol P(role A, role B, role C) {{ s() from A to B; {body} }}");
        let program = program(&text);
        let global = global(&program);
        let Some(check) = Implementability::of(&program, &global) else { continue };
        let runs = runs_of_the_protocol(&check, 3);
        let implementable = matches!(check.answer(), Answer::Implementable(_));
        assert_eq!(implementable, can_be_implemented(&runs, 3), "{text}");
        answers[usize::from(implementable)] += 1;
    }
    assert!(answers[0] > 300 && answers[1] > 300, "{answers:?}");
}

/// The role of a text's protocols that are named after letters.
fn of(role: char) -> Role {
    u16::try_from(u32::from(role) - u32::from('A')).unwrap()
}

#[test]
fn who_decides_later_must_know() {
    // C must send what was chosen, and has heard nothing.
    let unknown = "global protocol P(role A, role B, role C) {
        choice at A { x() from A to B; m() from C to B; } or { y() from A to B; n() from C to B; } }";
    assert_eq!(answer(unknown), Some(false));
    let told = "global protocol P(role A, role B, role C) {
        choice at A { x() from A to B; x() from A to C; m() from C to B; }
        or { y() from A to B; y() from A to C; n() from C to B; } }";
    assert_eq!(answer(told), Some(true));
}

#[test]
fn messages_of_two_peers_must_not_race() {
    // C hears first from A or from B. In the first branch both messages may be there, in either order.
    let race = "global protocol P(role A, role B, role C) {
        choice at A { x() from A to B; m() from A to C; m() from B to C; }
        or { y() from A to B; m() from B to C; m() from A to C; } }";
    assert_eq!(answer(race), Some(false));
    let ordered = "global protocol P(role A, role B, role C) {
        choice at A { x() from A to B; m() from B to C; }
        or { y() from A to C; n() from C to B; } }";
    assert_eq!(answer(ordered), Some(true));
}

#[test]
fn a_role_may_count_rounds_to_know_the_branch() {
    let text = "global protocol P(role A, role B, role C) {
        choice at A {
            o() from A to B; o() from B to C;
            rec X { choice at A { o() from A to B; o() from B to C; o() from B to C; continue X; }
                    or { b() from A to B; b() from B to C; odd() from C to A; } }
        } or {
            m() from A to B;
            rec Y { choice at A { o() from A to B; o() from B to C; o() from B to C; continue Y; }
                    or { b() from A to B; b() from B to C; even() from C to A; } }
        } }";
    let program = program(text);
    let global = global(&program);
    let check = Implementability::of(&program, &global).unwrap();
    assert!(!check.merges());
    let Answer::Implementable(knowledge) = check.answer() else { panic!("implementable") };
    let machines: Vec<Local> = machines(&knowledge);
    let counting = &machines[usize::from(of('C'))];
    let sends = counting.states.iter().filter(|state| state.moves.iter().any(|step| step.act.kind == ActKind::Send));
    assert_eq!(sends.count(), 2);
}

#[test]
fn a_choice_whose_messages_do_not_differ_has_no_answer() {
    let text = "global protocol P(role A, role B) {
        choice at A { x() from A to B; m() from A to B; } or { x() from A to B; n() from A to B; } }";
    assert_eq!(answer(text), None);
}

/// Choices in which everybody may be told, loops, and messages between any two.
fn richer() -> impl Strategy<Value = String> {
    let pair = || prop::sample::select(vec![("A", "B"), ("B", "A"), ("A", "C"), ("C", "A"), ("B", "C"), ("C", "B")]);
    let message = (prop::sample::select(vec!["m", "n"]), pair())
        .prop_map(|(label, (from, to))| format!("{label}() from {from} to {to};"));
    let sequence = prop::collection::vec(message, 0..3).prop_map(|messages| messages.join(" "));
    sequence.prop_recursive(3, 16, 3, move |inner| {
        let told = prop::collection::vec((any::<bool>(), any::<bool>()), 4);
        let again = prop::sample::select(vec!["", "", "continue X;"]);
        (inner.clone(), 0usize..3, told, inner.clone(), again, inner, any::<bool>()).prop_map(
            |(before, at, told, one, again, two, looped)| {
                let roles = ["A", "B", "C"];
                let (at, left, right) = (roles[at], roles[(at + 1) % 3], roles[(at + 2) % 3]);
                let tell = |index: usize, branch: usize| {
                    [left, right].into_iter().enumerate().fold(String::new(), |text, (place, to)| {
                        let (told, own) = told[index + place];
                        let label = if own { ["x", "y"][branch] } else { "z" };
                        if told { format!("{text} {label}() from {at} to {to};") } else { text }
                    })
                };
                let again = if looped { again } else { "" };
                let choice = format!("choice at {at} {{ {} {one} {again} }} or {{ {} {two} }}", tell(0, 0), tell(2, 1));
                if looped { format!("{before} rec X {{ {choice} }}") } else { format!("{before} {choice}") }
            },
        )
    })
}

#[test]
fn what_projection_accepts_can_be_implemented() {
    let mut accepted = 0;
    for body in texts(richer(), 20_000) {
        let text = format!("global protocol P(role A, role B, role C) {{ s() from A to B; s() from B to C; {body} }}");
        let options = CheckOptions { fair: true, complete: false };
        let verdict = program(&text).verdict(options);
        if verdict.accepted.iter().all(|accepted| accepted.method == Method::Projection)
            && !verdict.accepted.is_empty()
            && text.contains("choice")
        {
            assert_ne!(answer(&text), Some(false), "{text}");
            accepted += 1;
        }
    }
    assert!(accepted > 300, "{accepted}");
}
