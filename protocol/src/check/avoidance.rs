//! Whether some role can be left out for ever: a loop of the protocol that can be gone round without it, while it still
//! has something to do.

use super::system::scc::components;
use crate::global::flow::{Flow, Step};
use crate::global::{Feature, Global, NodeId, Role};

/// Whether there is a loop that can be gone round without some role that acts in it or after it.
///
/// Of parts of a `par` this cannot be told from their text alone, so it is taken to be so.
pub(super) fn some_role_can_be_avoided(global: &Global) -> bool {
    if global.uses(Feature::Par) {
        return true;
    }
    let graph = Graph { global, flow: Flow::of(global) };
    let looping = graph.in_loops();
    global.role_ids().any(|role| graph.avoidable(role, &looping))
}

/// The control flow of a global protocol, with who acts.
struct Graph<'a> {
    global: &'a Global,
    flow: Flow,
}

impl Graph<'_> {
    fn steps(&self, point: usize) -> &[Step] {
        &self.flow.steps[point]
    }

    /// Whether a role takes part in a step.
    fn takes_part(&self, role: Role, by: Option<NodeId>) -> bool {
        by.is_some_and(|node| self.global.takes_part(role, node))
    }

    /// The points that some loop passes.
    fn in_loops(&self) -> Vec<bool> {
        let count = self.flow.steps.len();
        let mut looping = vec![false; count];
        for component in components(count, |point| self.steps(point).iter().map(|(to, _)| *to)) {
            let more = component.len() > 1;
            let first = component[0];
            if more || self.steps(first as usize).iter().any(|(to, _)| *to == first) {
                for point in component {
                    looping[point as usize] = true;
                }
            }
        }
        looping
    }

    /// Whether a loop can be gone round without `role`, which acts in it or after it.
    fn avoidable(&self, role: Role, looping: &[bool]) -> bool {
        let without = |point: usize| {
            let steps: &[Step] = if looping[point] { self.steps(point) } else { &[] };
            steps.iter().filter(move |(to, by)| looping[*to as usize] && !self.takes_part(role, *by)).map(|(to, _)| *to)
        };
        let mut acts_later: Option<Vec<bool>> = None;
        for component in components(self.flow.steps.len(), without) {
            let first = component[0];
            if component.len() == 1 && !without(first as usize).any(|to| to == first) {
                continue;
            }
            let later = acts_later.get_or_insert_with(|| self.acts_later(role));
            if later[first as usize] {
                return true;
            }
        }
        false
    }

    /// The points from which `role` may still act.
    fn acts_later(&self, role: Role) -> Vec<bool> {
        let mut before: Vec<Vec<u32>> = vec![Vec::new(); self.flow.steps.len()];
        let mut later = vec![false; self.flow.steps.len()];
        let mut todo = Vec::new();
        for (from, steps) in (0u32..).zip(&self.flow.steps) {
            for (to, by) in steps {
                before[*to as usize].push(from);
                if self.takes_part(role, *by) && !std::mem::replace(&mut later[from as usize], true) {
                    todo.push(from);
                }
            }
        }
        while let Some(point) = todo.pop() {
            for &from in &before[point as usize] {
                if !std::mem::replace(&mut later[from as usize], true) {
                    todo.push(from);
                }
            }
        }
        later
    }
}
