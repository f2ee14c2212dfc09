//! Check 7: at one state the same peer and label carry the same payload.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Code;
use crate::diagnostics::Diagnostic;
use crate::global::{Global, MessageId, NodeKind, Role};
use crate::local::{Local, LocalState};
use crate::program::Program;

/// Reports labels that carry different payloads at one state of one role.
pub(super) fn check(program: &Program, global: &Global, locals: &[Local]) -> Vec<Diagnostic> {
    let mut found: BTreeMap<u32, (MessageId, MessageId, BTreeSet<Role>)> = BTreeMap::new();
    for (role, local) in global.role_ids().zip(locals) {
        for state in &local.states {
            if let Some((number, one, other)) = conflict(global, state) {
                found.entry(number).or_insert((one, other, BTreeSet::new())).2.insert(role);
            }
        }
    }
    let findings = found.into_iter().map(|(number, (one, other, roles))| {
        let node = global.interaction(number);
        let (one, other) = (program.message_text(global, one), program.message_text(global, other));
        let roles: Vec<String> =
            roles.into_iter().map(|role| format!("`{}`", program.role_text(global, role))).collect();
        let message = format!("`{other}` and `{one}` begin branches of the same choice");
        Diagnostic::new(Code::PayloadConflict, node.span, message)
            .label(format!("the label alone does not tell {} which payload it is", roles.join(" and ")))
            .hint("give one of the messages another label")
    });
    findings.collect()
}

/// Two moves of a state with the same peer and label and different payloads, and the interaction of the later one.
fn conflict(global: &Global, state: &LocalState) -> Option<(u32, MessageId, MessageId)> {
    if state.moves.len() < 2 {
        return None;
    }
    let mut seen = BTreeMap::new();
    for &number in &state.numbers {
        let node = &global.interaction(number).kind;
        let (NodeKind::Message { from, to, message, .. } | NodeKind::Connect { from, to, message, .. }) = node else {
            continue;
        };
        let first = *seen.entry((*from, *to, global.messages.label(*message))).or_insert(*message);
        if first != *message {
            return Some((number, *message, first));
        }
    }
    None
}
