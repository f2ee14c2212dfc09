//! Determinisation by the subset construction.

use std::collections::HashMap;

use super::minimise::minimise;
use super::{Act, Local, LocalState, Move};

/// How many states a determinised machine may have.
pub(crate) const MAX_STATES: usize = 1_000_000;

/// How many states of the given machine all of them together may stand for.
const MAX_MEMBERS: usize = 4_000_000;

/// The machine grew beyond [`MAX_STATES`], or what it stands for.
#[derive(Debug)]
pub(crate) struct TooManyStates;

/// A machine in which no state has two moves of the same act, with the same traces. Numbers are united.
pub(crate) fn determinise(machine: Local) -> Result<Local, TooManyStates> {
    let deterministic =
        machine.states.iter().all(|state| state.moves.windows(2).all(|pair| pair[0].act != pair[1].act));
    if deterministic {
        return Ok(machine);
    }
    // Fewer states make fewer sets of them.
    let machine = minimise(&machine);
    let mut subsets: HashMap<Vec<u32>, u32> = HashMap::new();
    let mut order = vec![vec![machine.initial]];
    subsets.insert(order[0].clone(), 0);
    let mut states = Vec::new();
    let mut members = 0;
    let mut next = 0;
    while next < order.len() {
        let mut targets: Vec<(Act, u32)> = Vec::new();
        let mut merged = LocalState::default();
        for &member in &order[next] {
            let state = &machine.states[member as usize];
            targets.extend(state.moves.iter().map(|step| (step.act, step.to)));
            merged.describe(state);
        }
        targets.sort_unstable();
        targets.dedup();
        for group in targets.chunk_by(|left, right| left.0 == right.0) {
            let subset: Vec<u32> = group.iter().map(|(_, to)| *to).collect();
            let fresh = u32::try_from(order.len()).unwrap_or(u32::MAX);
            let to = *subsets.entry(subset).or_insert_with_key(|subset| {
                order.push(subset.clone());
                fresh
            });
            merged.moves.push(Move { act: group[0].0, to });
        }
        members += order[next].len();
        if order.len() > MAX_STATES || members > MAX_MEMBERS {
            return Err(TooManyStates);
        }
        merged.settle();
        states.push(merged);
        next += 1;
    }
    Ok(Local { initial: 0, states })
}
