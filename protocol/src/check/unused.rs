//! Check 2: every declared role takes part.

use crate::code::Code;
use crate::diagnostics::Diagnostic;
use crate::global::{Global, NodeId, NodeKind, Role};
use crate::program::Program;

/// Reports declared roles that neither send, nor receive, nor choose.
pub(super) fn check(program: &Program, global: &Global) -> Vec<Diagnostic> {
    let mut used = vec![false; global.roles.len()];
    visit(global, &global.root, &mut used);
    let unused = global.roles.iter().zip(used).filter(|(_, used)| !used);
    unused
        .map(|(role, _)| {
            let text = program.names.text(role.name);
            let message = format!("role `{text}` takes no part in `{}`", program.names.text(global.name));
            Diagnostic::new(Code::UnusedRole, role.span, message)
                .label("declared here, and not used")
                .hint(format!("send `{text}` a message, or leave the role out"))
        })
        .collect()
}

fn visit(global: &Global, nodes: &[NodeId], used: &mut [bool]) {
    let mut mark = |role: Role| used[usize::from(role)] = true;
    for &node in nodes {
        match &global.node(node).kind {
            NodeKind::Message { from, to, .. } | NodeKind::Connect { from, to, .. } | NodeKind::Wrap { from, to } => {
                mark(*from);
                mark(*to);
            }
            NodeKind::Disconnect { left, right } => {
                mark(*left);
                mark(*right);
            }
            NodeKind::Choice { at, .. } => mark(*at),
            NodeKind::Par { .. } | NodeKind::Rec { .. } | NodeKind::Continue { .. } => {}
        }
    }
    for &node in nodes {
        match &global.node(node).kind {
            NodeKind::Choice { blocks, .. } | NodeKind::Par { blocks } => {
                for block in blocks {
                    visit(global, block, used);
                }
            }
            NodeKind::Rec { body } => visit(global, body, used),
            _ => {}
        }
    }
}
