//! Whether some role can be left out for ever: a loop of the protocol that can be gone round without it, while it still
//! has something to do.

use super::system::scc::components;
use crate::global::{Global, NodeId, NodeKind, Role};

/// Whether there is a loop that can be gone round without some role that acts in it or after it.
pub(super) fn some_role_can_be_avoided(global: &Global) -> bool {
    let graph = Graph::of(global);
    let looping = graph.in_loops();
    global.role_ids().any(|role| graph.avoidable(role, &looping))
}

/// Where a step leads, and between whom it is.
type Step = (u32, Option<(Role, Role)>);

/// The control flow of a global protocol: points and the interactions between them.
struct Graph {
    /// Per point: where it leads, and with whom. No roles: a silent step.
    steps: Vec<Vec<Step>>,
    entries: Vec<u32>,
}

impl Graph {
    fn of(global: &Global) -> Self {
        let mut graph = Graph { steps: vec![Vec::new(), Vec::new()], entries: vec![0; global.nodes.len()] };
        graph.sequence(global, &global.root, 0, 1);
        graph
    }

    fn point(&mut self) -> u32 {
        self.steps.push(Vec::new());
        u32::try_from(self.steps.len() - 1).unwrap_or(u32::MAX)
    }

    fn sequence(&mut self, global: &Global, nodes: &[NodeId], entry: u32, exit: u32) {
        let mut entry = entry;
        for (index, &node) in nodes.iter().enumerate() {
            let target = if index + 1 == nodes.len() { exit } else { self.point() };
            self.node(global, node, entry, target);
            entry = target;
        }
    }

    fn node(&mut self, global: &Global, id: NodeId, entry: u32, exit: u32) {
        let step = match &global.node(id).kind {
            NodeKind::Message { from, to, .. } | NodeKind::Connect { from, to, .. } | NodeKind::Wrap { from, to } => {
                (exit, Some((*from, *to)))
            }
            NodeKind::Disconnect { left, right } => (exit, Some((*left, *right))),
            NodeKind::Choice { blocks, .. } | NodeKind::Par { blocks } => {
                for block in blocks {
                    self.sequence(global, block, entry, exit);
                }
                return;
            }
            NodeKind::Rec { body } => {
                let head = self.point();
                self.entries[id as usize] = head;
                self.sequence(global, body, head, exit);
                (head, None)
            }
            NodeKind::Continue { target } => (self.entries[*target as usize], None),
        };
        self.steps[entry as usize].push(step);
    }

    /// The points that some loop passes.
    fn in_loops(&self) -> Vec<bool> {
        let mut looping = vec![false; self.steps.len()];
        for component in components(self.steps.len(), |point| self.steps[point].iter().map(|(to, _)| *to)) {
            let more = component.len() > 1;
            let first = component[0];
            if more || self.steps[first as usize].iter().any(|(to, _)| *to == first) {
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
            let steps: &[Step] = if looping[point] { &self.steps[point] } else { &[] };
            let keep = move |with: &Option<(Role, Role)>| with.is_none_or(|(from, to)| from != role && to != role);
            steps.iter().filter(move |(to, with)| looping[*to as usize] && keep(with)).map(|(to, _)| *to)
        };
        let mut acts_later: Option<Vec<bool>> = None;
        for component in components(self.steps.len(), without) {
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
        let mut before: Vec<Vec<u32>> = vec![Vec::new(); self.steps.len()];
        let mut later = vec![false; self.steps.len()];
        let mut todo = Vec::new();
        for (from, steps) in (0u32..).zip(&self.steps) {
            for (to, with) in steps {
                before[*to as usize].push(from);
                if with.is_some_and(|(one, other)| one == role || other == role)
                    && !std::mem::replace(&mut later[from as usize], true)
                {
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
