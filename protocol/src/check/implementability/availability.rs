//! Receive validity: while a role waits for one peer, no message of another can be the first to come.

use std::collections::{BTreeSet, HashSet};

use super::knowledge::Knowledge;
use super::{Budget, Spent};
use crate::global::automaton::{Automaton, StateId};
use crate::global::{MessageId, Role};
use crate::local::{Act, ActKind};

/// Whether it holds in every set: where the role may receive from two peers, the message of one cannot be there when the
/// other's branch was taken.
pub(super) fn is_receive_valid(
    knowledge: &Knowledge,
    automaton: &Automaton,
    budget: &mut Budget,
) -> Result<bool, Spent> {
    for set in &knowledge.sets {
        let receives: Vec<&Act> = set.moves.keys().filter(|act| act.kind == ActKind::Receive).collect();
        if receives.windows(2).all(|pair| pair[0].peer == pair[1].peer) {
            continue;
        }
        for (taken, known) in &set.moves {
            budget.spend(receives.len())?;
            for other in receives.iter().filter(|other| other.peer != taken.peer) {
                let wanted = Wanted { from: other.peer, to: knowledge.role, message: other.message };
                if wanted.is_available(automaton, &known.right_after, budget)? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// A message that may come at the wrong time.
struct Wanted {
    from: Role,
    to: Role,
    message: MessageId,
}

impl Wanted {
    /// Whether it can be the first in its channel after one of the states, though its receiver does nothing, nor anybody
    /// who waits for somebody that does nothing.
    fn is_available(&self, automaton: &Automaton, after: &[StateId], budget: &mut Budget) -> Result<bool, Spent> {
        let mut seen: HashSet<(StateId, BTreeSet<Role>)> = HashSet::new();
        let mut todo: Vec<(StateId, BTreeSet<Role>)> =
            after.iter().map(|state| (*state, BTreeSet::from([self.to]))).collect();
        while let Some((state, blocked)) = todo.pop() {
            if !seen.insert((state, blocked.clone())) {
                continue;
            }
            for event in &automaton.states[state as usize] {
                budget.spend(1 + blocked.len())?;
                if blocked.contains(&event.from) {
                    let mut more = blocked.clone();
                    more.insert(event.to);
                    todo.push((event.target, more));
                } else if (event.from, event.to) != (self.from, self.to) {
                    todo.push((event.target, blocked.clone()));
                } else if event.message == self.message {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
