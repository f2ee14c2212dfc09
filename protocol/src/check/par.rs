//! Parts of a `par` go on by themselves: no loop leads out of one, and who gets a message knows to which part it belongs.
//!
//! They meet in the channels that more than one of them uses: there a message of one part may stand before one of another.
//! That matters where the receiver waits, in the part of the first one, for another sender. A circle of such waiting needs
//! two such channels.

use std::collections::{BTreeSet, HashMap};

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

/// Says that nothing is proved of a `par` where two channels or more may be in the way: the configurations that are looked
/// at hold one message in each, and behind it there may be another that matters.
pub(super) fn unproved(program: &Program, global: &Global) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    if global.uses(Feature::Par) {
        outermost(program, global, &global.root, &mut findings);
    }
    findings
}

fn outermost(program: &Program, global: &Global, nodes: &[NodeId], findings: &mut Vec<Diagnostic>) {
    for &node in nodes {
        match &global.node(node).kind {
            NodeKind::Choice { blocks, .. } => {
                for block in blocks {
                    outermost(program, global, block, findings);
                }
            }
            NodeKind::Rec { body } => outermost(program, global, body, findings),
            NodeKind::Par { .. } => {
                let mut shared = BTreeSet::new();
                channels(global, std::slice::from_ref(&node), &mut shared);
                if shared.len() > 1 {
                    let text = |role| program.role_text(global, role);
                    let named: Vec<String> =
                        shared.iter().map(|(from, to)| format!("`{}` to `{}`", text(*from), text(*to))).collect();
                    let message = "not proved: messages of one part of this `par` may stand before those of another";
                    let finding = Diagnostic::new(Code::NotProved, global.node(node).span, message)
                        .label(format!("several parts send from {}, beside others", named.join(", from ")));
                    findings.push(finding.hint(
                        "let each receiver have one sender in such a part, or let the parts come one after another",
                    ));
                }
            }
            _ => {}
        }
    }
}

/// The channels of a sequence; those in which parts of a `par` in it may be in each other's way are added to `shared`.
fn channels(global: &Global, nodes: &[NodeId], shared: &mut BTreeSet<(Role, Role)>) -> BTreeSet<(Role, Role)> {
    let mut all = BTreeSet::new();
    for &node in nodes {
        match &global.node(node).kind {
            NodeKind::Message { from, to, crash: false, .. } => {
                all.insert((*from, *to));
            }
            NodeKind::Choice { blocks, .. } => {
                for block in blocks {
                    all.extend(channels(global, block, shared));
                }
            }
            NodeKind::Rec { body } => all.extend(channels(global, body, shared)),
            NodeKind::Par { blocks } => {
                let parts: Vec<_> = blocks.iter().map(|block| channels(global, block, shared)).collect();
                // Of parts that use a channel, one in which its receiver hears from others too.
                let waits_elsewhere = |part: &BTreeSet<(Role, Role)>, (from, to): (Role, Role)| {
                    part.contains(&(from, to)) && part.iter().any(|(other, at)| *at == to && *other != from)
                };
                for channel in parts.iter().flatten() {
                    let several = parts.iter().filter(|part| part.contains(channel)).count() > 1;
                    if several && parts.iter().any(|part| waits_elsewhere(part, *channel)) {
                        shared.insert(*channel);
                    }
                }
                all.extend(parts.into_iter().flatten());
            }
            _ => {}
        }
    }
    all
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
                // Both parts may notice a crash: it is no message.
                NodeKind::Message { crash: true, .. } => {}
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
