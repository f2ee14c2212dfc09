//! Check 6: nothing follows what does not come to an end, in the projection to any role.

use std::collections::BTreeMap;

use crate::code::Code;
use crate::diagnostics::{Diagnostic, listed};
use crate::global::{Global, NodeId, NodeKind};
use crate::local::project::Presence;
use crate::local::reachability::unreachable;
use crate::program::Program;

/// Reports statements that follow a `continue`, or a loop or choice that may still go round.
pub(super) fn check(program: &Program, global: &Global, presences: &[Presence<'_>]) -> Vec<Diagnostic> {
    let mut found: BTreeMap<NodeId, (NodeId, Vec<&str>)> = BTreeMap::new();
    for (role, presence) in global.role_ids().zip(presences) {
        for (node, before) in unreachable(global, presence) {
            found.entry(node).or_insert((before, Vec::new())).1.push(program.role_text(global, role));
        }
    }
    let mut findings: Vec<Diagnostic> =
        found.into_iter().map(|(node, (before, roles))| finding(global, node, before, &roles)).collect();
    findings.sort_by_key(|finding| finding.span);
    findings
}

fn finding(global: &Global, node: NodeId, before: NodeId, roles: &[&str]) -> Diagnostic {
    let after = match global.node(before).kind {
        NodeKind::Continue { .. } => "`continue`",
        NodeKind::Choice { .. } => "a choice that may go round its loop",
        _ => "a loop that does not end",
    };
    Diagnostic::new(Code::Unreachable, global.node(node).span, format!("this follows {after}"))
        .label(format!("not a proper sequence for {}", listed(roles.iter().copied())))
        .hint("put it into the branches that leave the loop, or leave it out")
}
