//! Check 6: nothing follows what does not come to an end, in the projection to any role.

use std::collections::BTreeMap;

use crate::code::Code;
use crate::diagnostics::{Diagnostic, listed};
use crate::global::{Global, NodeId, NodeKind};
use crate::local::project::Presence;
use crate::local::reachability::unreachable;
use crate::program::Program;

/// Statements that can never be reached by some role, with what they follow and for which roles.
#[derive(Default)]
pub(super) struct Sequences<'a> {
    found: BTreeMap<NodeId, (NodeId, Vec<&'a str>)>,
}

impl<'a> Sequences<'a> {
    /// Looks at the projection to a role.
    pub(super) fn look(&mut self, program: &'a Program, global: &Global, presence: &Presence<'_>) {
        for (node, before) in unreachable(global, presence) {
            let role = program.role_text(global, presence.role());
            self.found.entry(node).or_insert((before, Vec::new())).1.push(role);
        }
    }

    /// Reports statements that follow a `continue`, or a loop or choice that may still go round.
    pub(super) fn findings(self, program: &Program, global: &Global) -> Vec<Diagnostic> {
        let mut findings: Vec<Diagnostic> = self
            .found
            .into_iter()
            .map(|(node, (before, roles))| finding(program, global, node, before, &roles))
            .collect();
        findings.sort_by_key(|finding| finding.span);
        findings
    }
}

fn finding(program: &Program, global: &Global, node: NodeId, before: NodeId, roles: &[&str]) -> Diagnostic {
    let after = match global.node(before).kind {
        NodeKind::Continue { .. } if program.is_call(global.node(before).span) => "a call that never returns",
        NodeKind::Continue { .. } => "`continue`",
        NodeKind::Choice { .. } => "a choice that may go round its loop",
        _ => "a loop that does not end",
    };
    Diagnostic::new(Code::Unreachable, global.node(node).span, format!("this follows {after}"))
        .label(format!("not a proper sequence for {}", listed(roles.iter().copied())))
        .hint("put it into the branches that leave the loop, or leave it out")
}
