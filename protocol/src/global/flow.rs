//! The control flow of a global protocol: points, and the interactions that lead from one to the next.
//!
//! A `par` has no such flow, its parts go on at once; here they stand as if one of them were chosen.

use super::{Global, NodeId, NodeKind};

/// Where a step leads, and the construct that is done on the way; none for a silent step.
pub(crate) type Step = (u32, Option<NodeId>);

/// Points and steps; point 0 is the start, point 1 the end.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// Per point, where it leads.
    pub(crate) steps: Vec<Vec<Step>>,
    /// Per node: the innermost loop around it, for loops the next one.
    loops: Vec<NodeId>,
    /// Per node that is a loop: the point of its head.
    heads: Vec<u32>,
}

/// No loop.
const OUTSIDE: NodeId = NodeId::MAX;

impl Flow {
    /// The point at which the protocol begins.
    pub(crate) const START: u32 = 0;
    /// The point at which it is over.
    pub(crate) const END: u32 = 1;

    /// Lays out a protocol.
    pub(crate) fn of(global: &Global) -> Self {
        let mut flow = Flow {
            steps: vec![Vec::new(), Vec::new()],
            loops: vec![OUTSIDE; global.nodes.len()],
            heads: vec![0; global.nodes.len()],
        };
        flow.sequence(global, &global.root, (Flow::START, Flow::END), OUTSIDE);
        flow
    }

    /// The loops around a node, from the inside out.
    pub(crate) fn loops_around(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let around = move |node: &NodeId| Some(self.loops[*node as usize]).filter(|outer| *outer != OUTSIDE);
        std::iter::successors(around(&node), around)
    }

    /// The point at the head of a loop.
    pub(crate) fn head(&self, node: NodeId) -> u32 {
        self.heads[node as usize]
    }

    fn point(&mut self) -> u32 {
        self.steps.push(Vec::new());
        u32::try_from(self.steps.len() - 1).unwrap_or(u32::MAX)
    }

    fn sequence(&mut self, global: &Global, nodes: &[NodeId], (mut entry, exit): (u32, u32), around: NodeId) {
        for (index, &node) in nodes.iter().enumerate() {
            // What leads to a `continue` leads to its loop at once.
            let target = match nodes.get(index + 1).map(|next| &global.node(*next).kind) {
                None => exit,
                Some(NodeKind::Continue { target }) => self.heads[*target as usize],
                Some(_) => self.point(),
            };
            self.node(global, node, (entry, target), around);
            entry = target;
        }
    }

    fn node(&mut self, global: &Global, id: NodeId, (entry, exit): (u32, u32), around: NodeId) {
        self.loops[id as usize] = around;
        let step = match &global.node(id).kind {
            NodeKind::Choice { blocks, .. } | NodeKind::Par { blocks } => {
                for block in blocks {
                    self.sequence(global, block, (entry, exit), around);
                }
                return;
            }
            NodeKind::Rec { body } => {
                let head = self.point();
                self.heads[id as usize] = head;
                self.sequence(global, body, (head, exit), id);
                (head, None)
            }
            NodeKind::Continue { target } if self.heads[*target as usize] == entry => return,
            NodeKind::Continue { target } => (self.heads[*target as usize], None),
            NodeKind::Message { .. }
            | NodeKind::Connect { .. }
            | NodeKind::Wrap { .. }
            | NodeKind::Disconnect { .. } => (exit, Some(id)),
        };
        self.steps[entry as usize].push(step);
    }
}
