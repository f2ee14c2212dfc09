//! Check 9 in the worst case: a choice to send that can come back to itself always goes the same way.
//!
//! Where no loop of the protocol can be gone round without some role that still has something to do, that role gets its
//! turn whatever is chosen, and nothing is left to check. Otherwise each machine is rewritten so that it remembers what
//! it chose, as if it had been written for that one way, and the system is explored again.

use std::collections::HashMap;

use super::safety::{Reporter, components as systems};
use super::system::explore::{Stop, explore};
use super::system::scc::components;
use super::wording::Wording;
use crate::diagnostics::Diagnostic;
use crate::global::{Global, NodeKind};
use crate::local::{Local, LocalState, Move};
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
    let mut reporter = Reporter::new(program, global);
    let rewritten: Option<Vec<Local>> = locals.iter().map(commit).collect();
    let Some(rewritten) = rewritten else {
        let what = format!("a role with more than {MAX_STATES} states if its choices always go the same way");
        return vec![Wording { program, global }.not_proved(&what).hint("check with `--fair` if choices are fair")];
    };
    for system in systems(global, &rewritten) {
        let explored = explore(&system, MAX_CONFIGURATIONS);
        explored.traps.iter().for_each(|trap| reporter.trap(&system, trap));
        if explored.stopped == Some(Stop::Bound) {
            reporter.bounded();
        }
    }
    reporter.findings
}

/// What a machine has chosen so far: for states that it can come back to, the move it took, by state.
type Commitments = Vec<(u32, u32)>;

/// The machine that takes the same move whenever it comes back to a choice; `None` if it gets too large.
fn commit(machine: &Local) -> Option<Local> {
    let chooses: Vec<bool> = machine
        .states
        .iter()
        // Of several parts of a `par` it is not the role that says which goes on first: that counts as fair.
        .map(|state| {
            state.moves.len() > 1 && !state.parallel && state.moves.iter().all(|step| step.act.kind.is_output())
        })
        .collect();
    if chooses.iter().all(|chooses| !chooses) {
        return Some(machine.clone());
    }
    // Whoever has been in a state comes back to it as long as it stays in the same component.
    let component = components_of(machine);
    let returns = |from: u32, to: u32| component[from as usize] == component[to as usize];
    let mut total = 0;
    let mut numbers: HashMap<(u32, Commitments), u32> = HashMap::new();
    let mut order = vec![(machine.initial, Commitments::new())];
    numbers.insert(order[0].clone(), 0);
    let mut states: Vec<LocalState> = Vec::new();
    while states.len() < order.len() {
        let (state, commitments) = order[states.len()].clone();
        let committed = commitments.iter().find(|(at, _)| *at == state).map(|(_, step)| *step);
        let original = &machine.states[state as usize];
        let mut moves = Vec::with_capacity(original.moves.len());
        for (index, step) in (0u32..).zip(&original.moves) {
            if committed.is_some_and(|committed| committed != index) {
                continue;
            }
            let mut after = commitments.clone();
            if chooses[state as usize] && committed.is_none() && returns(step.to, state) {
                after.push((state, index));
                after.sort_unstable();
            }
            after.retain(|(at, _)| returns(step.to, *at));
            total += after.len();
            let key = (step.to, after);
            let fresh = u32::try_from(order.len()).ok()?;
            let to = *numbers.entry(key).or_insert_with_key(|key| {
                order.push(key.clone());
                fresh
            });
            moves.push(Move { act: step.act, to });
        }
        if order.len() > MAX_STATES || total > MAX_COMMITMENTS {
            return None;
        }
        states.push(LocalState { moves, ..original.clone() });
    }
    Some(Local { initial: 0, states })
}

/// For each state, the number of its strongly connected component.
fn components_of(machine: &Local) -> Vec<usize> {
    let mut of = vec![0; machine.states.len()];
    let successors = |state: usize| machine.states[state].moves.iter().map(|step| step.to);
    for (index, component) in components(machine.states.len(), successors).into_iter().enumerate() {
        for state in component {
            of[state as usize] = index;
        }
    }
    of
}
