//! Which messages stand for a crash: nobody sends them, the receiver notices that the sender has crashed for good.
//!
//! An empty message `crash` is one if it begins a branch of a choice at its sender, or if it comes after such a message of
//! the same sender: then somebody else notices, too, that it has crashed.

use std::collections::BTreeSet;

use super::{Feature, Global, NodeId, NodeKind, Role};
use crate::program::Program;

/// The label of messages that stand for a crash.
pub(crate) const CRASH: &str = "crash";

/// Marks these messages.
pub(super) fn mark(program: &Program, global: &mut Global) {
    let mut marker = Marker { program, global, found: Vec::new() };
    marker.sequence(&global.root, None, &BTreeSet::new());
    let found = marker.found;
    if let Some(first) = found.first() {
        let span = global.node(*first).span;
        global.features.push((Feature::Crash, span));
    }
    for id in found {
        if let NodeKind::Message { crash, .. } = &mut global.nodes[id as usize].kind {
            *crash = true;
        }
    }
}

struct Marker<'a> {
    program: &'a Program,
    global: &'a Global,
    found: Vec<NodeId>,
}

impl Marker<'_> {
    /// `chooser`: the sequence is a branch of a choice of that role. `crashed`: who has crashed before.
    fn sequence(&mut self, nodes: &[NodeId], chooser: Option<Role>, crashed: &BTreeSet<Role>) {
        let global = self.global;
        let mut leading = chooser;
        let mut crashed = crashed.clone();
        for &id in nodes {
            match &global.node(id).kind {
                NodeKind::Message { from, message, .. } => {
                    let label = global.messages.label(*message).map(|label| self.program.names.text(label));
                    let named = label == Some(CRASH) && global.messages.payload(*message).is_empty();
                    if named && (leading == Some(*from) || crashed.contains(from)) {
                        crashed.insert(*from);
                        self.found.push(id);
                        continue;
                    }
                }
                NodeKind::Choice { at, blocks } => {
                    for block in blocks {
                        self.sequence(block, Some(*at), &crashed);
                    }
                }
                NodeKind::Par { blocks } => blocks.iter().for_each(|block| self.sequence(block, None, &crashed)),
                NodeKind::Rec { body } => self.sequence(body, None, &crashed),
                NodeKind::Connect { .. }
                | NodeKind::Disconnect { .. }
                | NodeKind::Wrap { .. }
                | NodeKind::Continue { .. } => {}
            }
            leading = None;
        }
    }
}
