//! Check 7: at one state the same peer and label carry the same payload; and a state sends or receives, not both.

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
    let mut findings = mixed(program, global, locals);
    findings.extend(found.into_iter().map(|(number, (one, other, roles))| {
        let node = global.node(global.interactions[number as usize - 1]);
        let (one, other) = (program.message_text(global, one), program.message_text(global, other));
        let roles: Vec<String> =
            roles.into_iter().map(|role| format!("`{}`", program.role_text(global, role))).collect();
        let message = format!("`{other}` and `{one}` begin branches of the same choice");
        Diagnostic::new(Code::PayloadConflict, node.span, message)
            .label(format!("the label alone does not tell {} which payload it is", roles.join(" and ")))
            .hint("give one of the messages another label")
    }));
    findings
}

/// States in which a role may both send and receive.
fn mixed(program: &Program, global: &Global, locals: &[Local]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (role, local) in global.role_ids().zip(locals) {
        let outputs = |state: &LocalState| state.moves.iter().filter(|step| step.act.kind.is_output()).count();
        let mixed = local.states.iter().find(|state| outputs(state) > 0 && outputs(state) < state.moves.len());
        let Some(number) = mixed.and_then(|state| state.numbers.first()) else { continue };
        let text = program.role_text(global, role);
        let span = global.node(global.interactions[*number as usize - 1]).span;
        let message = format!("`{text}` may both send and receive here");
        let finding = Diagnostic::new(Code::MixedState, span, message);
        findings.push(finding.hint(format!("let `{text}` either choose, or hear from who chooses, in every branch")));
    }
    findings
}

/// Two moves of a state with the same peer and label and different payloads, and the interaction of the later one.
fn conflict(global: &Global, state: &LocalState) -> Option<(u32, MessageId, MessageId)> {
    if state.moves.len() < 2 {
        return None;
    }
    let mut seen = BTreeMap::new();
    for &number in &state.numbers {
        let node = &global.node(global.interactions[number as usize - 1]).kind;
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
