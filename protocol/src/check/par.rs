//! Parts of a `par` go on by themselves: no loop leads out of one, and who gets a message knows to which part it belongs.

use std::collections::HashMap;

use crate::code::Code;
use crate::diagnostics::{Diagnostic, Span};
use crate::global::{Feature, Global, NodeId, NodeKind, Role};
use crate::program::Program;
use crate::syntax::names::Name;

/// Reports each `continue` that would lead out of a part, and messages that stand in two parts.
pub(super) fn check(program: &Program, global: &Global) -> Vec<Diagnostic> {
    let mut checker = Checker { program, global, findings: Vec::new() };
    if global.uses(Feature::Par) {
        checker.sequence(&global.root, &mut Vec::new());
    }
    checker.findings
}

/// Sender, receiver and label; the empty label is none.
type Key = (Role, Role, Option<Name>);

/// The messages of a part, each with the place where it stands first.
type Messages = HashMap<Key, Span>;

struct Checker<'a> {
    program: &'a Program,
    global: &'a Global,
    findings: Vec<Diagnostic>,
}

impl Checker<'_> {
    /// `inside` holds the loops of the innermost part around. The messages of the sequence are the answer.
    fn sequence(&mut self, nodes: &[NodeId], inside: &mut Vec<NodeId>) -> Messages {
        let global = self.global;
        let mut messages = Messages::new();
        for &node in nodes {
            let span = global.node(node).span;
            match &global.node(node).kind {
                NodeKind::Message { from, to, message, .. } | NodeKind::Connect { from, to, message, .. } => {
                    messages.entry((*from, *to, global.messages.label(*message))).or_insert(span);
                }
                NodeKind::Choice { blocks, .. } => {
                    for block in blocks {
                        let branch = self.sequence(block, inside);
                        unite(&mut messages, branch);
                    }
                }
                NodeKind::Par { blocks } => {
                    let parts = self.parts(blocks);
                    unite(&mut messages, parts);
                }
                NodeKind::Rec { body } => {
                    inside.push(node);
                    let body = self.sequence(body, inside);
                    inside.pop();
                    unite(&mut messages, body);
                }
                NodeKind::Continue { target } if !inside.contains(target) => {
                    let finding = Diagnostic::new(Code::LeavesPar, span, "this continues a loop around the `par`")
                        .label("the other parts of the `par` would still go on");
                    self.findings.push(finding.hint("put the loop into the part, or continue it after the `par`"));
                }
                NodeKind::Continue { .. } | NodeKind::Disconnect { .. } | NodeKind::Wrap { .. } => {}
            }
        }
        messages
    }

    fn parts(&mut self, blocks: &[Vec<NodeId>]) -> Messages {
        let mut all = Messages::new();
        for block in blocks {
            let part = self.sequence(block, &mut Vec::new());
            let mut twice: Vec<(Span, Key)> =
                part.iter().filter(|(key, _)| all.contains_key(*key)).map(|(key, span)| (*span, *key)).collect();
            twice.sort_unstable();
            for (span, (from, to, label)) in twice {
                let text = |role| self.program.role_text(self.global, role);
                let label = label.map_or("", |label| self.program.names.text(label));
                let message =
                    format!("`{label}` from `{}` to `{}` stands in two parts of a `par`", text(from), text(to));
                let finding = Diagnostic::new(Code::AmbiguousPar, span, message)
                    .label(format!("`{}` could not tell to which part it belongs", text(to)));
                self.findings.push(finding.hint("give one of the messages another label"));
            }
            unite(&mut all, part);
        }
        all
    }
}

fn unite(all: &mut Messages, more: Messages) {
    for (key, span) in more {
        all.entry(key).or_insert(span);
    }
}
