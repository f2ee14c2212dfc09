//! Check 9 in the worst case: a choice to send that can come back to itself always goes the same way.
//!
//! Where no loop of the protocol can be gone round without some role that still has something to do, that role gets its
//! turn whatever is chosen, and nothing is left to check. Otherwise each machine is rewritten so that it remembers what
//! it chose, as if it had been written for that one way, and the system is explored again.

use std::collections::HashMap;

use super::safety::{Reporter, components as systems};
use super::system::crashes::crashing;
use super::system::explore::explore;
use super::system::scc::{components, numbers};
use super::wording::Wording;
use crate::diagnostics::Diagnostic;
use crate::global::{Global, NodeKind};
use crate::local::{Act, Local, LocalState, Move};
use crate::program::Program;

/// How many states a rewritten machine may have.
const MAX_STATES: usize = 20_000;
/// How many choices they may remember in all.
const MAX_COMMITMENTS: usize = 2_000_000;
/// How many configurations of the rewritten system are remembered at most.
const MAX_CONFIGURATIONS: usize = 100_000;

/// Reports roles that starve, and messages that are never received, in the worst case.
pub(super) fn check(program: &Program, global: &Global, locals: &[Local]) -> Vec<Diagnostic> {
    if global.nodes.iter().all(|node| !matches!(node.kind, NodeKind::Continue { .. })) {
        return Vec::new();
    }
    if !super::avoidance::some_role_can_be_avoided(global) {
        return Vec::new();
    }
    let mut reporter = Reporter::new(program, global, false);
    let rewritten: Option<Vec<Local>> = locals.iter().map(commit).collect();
    let Some(rewritten) = rewritten else {
        let what = "a role whose machine is too large if its choices always go the same way";
        return vec![Wording { program, global }.not_proved(what).hint("check with `--fair` if choices are fair")];
    };
    // Crashes come after: they are nobody's choice.
    let rewritten = crashing(global, &rewritten);
    for system in systems(global, &rewritten) {
        let explored = explore(&system, MAX_CONFIGURATIONS);
        explored.traps.iter().for_each(|trap| reporter.trap(&system, trap));
        if explored.stopped.is_some() {
            reporter.bounded();
        }
    }
    reporter.findings
}

/// Something to be chosen: a state, or a state of a part of a `par`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Choice {
    State(u32),
    Part(u32),
}

impl Choice {
    /// The choice that a move of a state belongs to.
    fn of(state: u32, moves: &LocalState, index: usize) -> Choice {
        moves.choices.get(index).map_or(Choice::State(state), |part| Choice::Part(*part))
    }
}

/// What was chosen, in which state for the first time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Commitment {
    choice: Choice,
    act: Act,
    /// Where the move leads; parts of a `par` lead elsewhere in other states.
    to: Option<u32>,
    at: u32,
}

/// Which moves of a state belong to a choice between several sends.
fn chosen(number: u32, state: &LocalState) -> Vec<bool> {
    let mut choices: HashMap<Choice, (usize, bool)> = HashMap::new();
    for (index, step) in state.moves.iter().enumerate() {
        let (count, outputs) = choices.entry(Choice::of(number, state, index)).or_insert((0, true));
        *count += 1;
        *outputs &= step.act.kind.is_output();
    }
    let is_choice = |index| matches!(choices[&Choice::of(number, state, index)], (count, true) if count > 1);
    (0..state.moves.len()).map(is_choice).collect()
}

/// The machine that takes the same move whenever it comes back to a choice; `None` if it gets too large.
///
/// Of several parts of a `par` it is not the role that says which goes on first: that counts as fair.
fn commit(machine: &Local) -> Option<Local> {
    let chosen: Vec<Vec<bool>> = (0u32..).zip(&machine.states).map(|(number, state)| chosen(number, state)).collect();
    if chosen.iter().flatten().all(|chosen| !chosen) {
        return Some(machine.clone());
    }
    // Whoever has been in a state comes back to it as long as it stays in the same component.
    let component = components_of(machine);
    let returns = |from: u32, to: u32| component[from as usize] == component[to as usize];
    let mut total = 0;
    let mut numbers: HashMap<(u32, Vec<Commitment>), u32> = HashMap::new();
    let mut order = vec![(machine.initial, Vec::new())];
    numbers.insert(order[0].clone(), 0);
    let mut states: Vec<LocalState> = Vec::new();
    while states.len() < order.len() {
        let (state, commitments) = order[states.len()].clone();
        let original = &machine.states[state as usize];
        let mut moves = Vec::with_capacity(original.moves.len());
        let mut choices = Vec::with_capacity(original.choices.len());
        for (index, step) in original.moves.iter().enumerate() {
            let choice = Choice::of(state, original, index);
            let to = matches!(choice, Choice::State(_)).then_some(step.to);
            let committed = commitments.iter().find(|commitment| commitment.choice == choice);
            if committed.is_some_and(|committed| (committed.act, committed.to) != (step.act, to)) {
                continue;
            }
            let kept = commitments.iter().filter(|commitment| returns(step.to, commitment.at)).copied();
            let fresh = chosen[state as usize][index] && committed.is_none() && returns(step.to, state);
            let mut after: Vec<Commitment> =
                kept.chain(fresh.then_some(Commitment { choice, act: step.act, to, at: state })).collect();
            after.sort_unstable();
            total += after.len() + 1;
            let fresh = u32::try_from(order.len()).ok()?;
            let to = *numbers.entry((step.to, after)).or_insert_with_key(|key| {
                order.push(key.clone());
                fresh
            });
            moves.push(Move { act: step.act, to });
            choices.extend(original.choices.get(index));
        }
        if order.len() > MAX_STATES || total > MAX_COMMITMENTS {
            return None;
        }
        states.push(LocalState { moves, numbers: original.numbers.clone(), choices });
    }
    Some(Local { initial: 0, states })
}

/// For each state, the number of its strongly connected component.
fn components_of(machine: &Local) -> Vec<u32> {
    let successors = |state: usize| machine.states[state].moves.iter().map(|step| step.to);
    numbers(machine.states.len(), &components(machine.states.len(), successors))
}
