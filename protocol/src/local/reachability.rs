//! Check 6, second half: nothing follows a `continue`, nor a loop or choice that may still go round.
//!
//! Decided for each role on its projection, so that roles which take no part in a loop may go on after it.

use std::collections::BTreeSet;

use super::project::Presence;
use crate::global::{Global, NodeId, NodeKind};

/// How a part of a projection may end.
#[derive(Clone, Debug, Default)]
struct Ending {
    /// It never comes to its end: every way through it continues a loop.
    never: bool,
    /// Loops around it that some way through it continues.
    loops: BTreeSet<NodeId>,
}

/// The nodes that follow what may not be followed, in the projection to the role of `presence`, with what they follow.
pub(crate) fn unreachable(global: &Global, presence: &Presence<'_>) -> Vec<(NodeId, NodeId)> {
    let mut checker = Checker { global, presence, found: Vec::new() };
    checker.sequence(&global.root);
    checker.found
}

struct Checker<'a> {
    global: &'a Global,
    presence: &'a Presence<'a>,
    found: Vec<(NodeId, NodeId)>,
}

impl Checker<'_> {
    fn sequence(&mut self, nodes: &[NodeId]) -> Ending {
        let presence = self.presence;
        let mut ending = Ending::default();
        let mut before = None;
        for node in presence.of_sequence(nodes) {
            if let Some(before) = before
                && (ending.never || !ending.loops.is_empty())
            {
                self.found.push((node, before));
                return ending;
            }
            ending = self.node(node);
            before = Some(node);
        }
        ending
    }

    fn node(&mut self, id: NodeId) -> Ending {
        let global = self.global;
        match &global.node(id).kind {
            NodeKind::Par { blocks } => {
                let mut all = Ending::default();
                for block in blocks.iter().filter(|block| self.presence.any(block)) {
                    let ending = self.sequence(block);
                    all.never |= ending.never;
                    all.loops.extend(ending.loops);
                }
                all
            }
            NodeKind::Choice { blocks, .. } => {
                let mut all = Ending { never: true, loops: BTreeSet::new() };
                for block in blocks.iter().filter(|block| self.presence.any(block)) {
                    let ending = self.sequence(block);
                    all.never &= ending.never;
                    all.loops.extend(ending.loops);
                }
                all
            }
            NodeKind::Rec { body } => {
                let mut ending = self.sequence(body);
                ending.loops.remove(&id);
                ending
            }
            NodeKind::Continue { target } => Ending { never: true, loops: BTreeSet::from([*target]) },
            _ => Ending::default(),
        }
    }
}
