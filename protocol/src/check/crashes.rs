//! Crashes for good, in protocols that have `reliable` roles or `crash` branches: who may crash is handled by whoever
//! waits for it, and who has crashed sends nothing. What is sent to it is lost: whoever sends may not know yet.
//!
//! After Barwell, Hou, Yoshida, Zhou: *Designing Asynchronous Multiparty Protocols with Crash-Stop Failures* (ECOOP 2023).

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Code;
use crate::diagnostics::Diagnostic;
use crate::global::flow::Flow;
use crate::global::{CRASH, Global, NodeId, NodeKind, Role};
use crate::program::Program;

/// Whose crash is handled by whom.
type Handled = BTreeSet<(Role, Role)>;

/// Reports `crash` branches that make no sense, messages whose sender may crash unhandled, and roles that act after they
/// have crashed.
pub(super) fn check(program: &Program, global: &Global) -> Vec<Diagnostic> {
    if !global.handles_crashes() {
        return Vec::new();
    }
    let mut checker = Checker {
        program,
        global,
        dead: Vec::new(),
        crashes: Vec::new(),
        handled: BTreeSet::new(),
        unhandled: Vec::new(),
        findings: Vec::new(),
    };
    checker.sequence(&global.root, &Handled::new());
    let acting = checker.after_crashes();
    // Where the sender has crashed for certain, that is the cause.
    let unhandled = checker.unhandled.drain(..).filter(|(node, _)| !acting.contains(node));
    checker.findings.extend(unhandled.map(|(_, finding)| finding));
    checker.findings.sort_by_key(|finding| (finding.code, finding.span));
    checker.findings
}

struct Checker<'a> {
    program: &'a Program,
    global: &'a Global,
    /// Who has crashed on the way here.
    dead: Vec<Role>,
    /// Where crashes are handled.
    crashes: Vec<NodeId>,
    /// Messages beside which a branch says what comes if their sender has crashed.
    handled: BTreeSet<NodeId>,
    /// Messages whose receivers would wait for ever.
    unhandled: Vec<(NodeId, Diagnostic)>,
    findings: Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    fn text(&self, role: Role) -> &'a str {
        self.program.role_text(self.global, role)
    }

    /// `handled` holds for the first message of the sequence.
    fn sequence(&mut self, nodes: &[NodeId], handled: &Handled) {
        let global = self.global;
        let dead = self.dead.len();
        let none = Handled::new();
        // One message to several receivers is handled as one.
        let mut beginning = true;
        let mut sender = None;
        let mut receivers = BTreeSet::new();
        for &node in nodes {
            let handled = if beginning { handled } else { &none };
            match &global.node(node).kind {
                NodeKind::Message { from, to, crash, .. } => {
                    beginning &= sender.is_none_or(|sender| sender == *from) && receivers.insert(*to);
                    sender = Some(*from);
                    self.message(node, (*from, *to), *crash, if beginning { handled } else { &none });
                }
                NodeKind::Choice { at, blocks } => {
                    self.choice(node, *at, blocks, handled);
                    beginning = false;
                }
                NodeKind::Par { blocks } => {
                    for block in blocks {
                        self.sequence(block, &none);
                    }
                    beginning = false;
                }
                NodeKind::Rec { body } => {
                    self.sequence(body, &none);
                    beginning = false;
                }
                _ => beginning = false,
            }
        }
        self.dead.truncate(dead);
    }

    fn choice(&mut self, node: NodeId, at: Role, blocks: &[Vec<NodeId>], around: &Handled) {
        let told = |block: &Vec<NodeId>| -> Vec<Role> {
            let leading = block.iter().map_while(|node| match self.global.node(*node).kind {
                NodeKind::Message { from, to, crash: true, .. } => Some((from, to)),
                _ => None,
            });
            leading.filter(|(from, _)| *from == at).map(|(_, to)| to).collect()
        };
        let crashes: Vec<Vec<Role>> = blocks.iter().map(told).collect();
        if crashes.iter().all(|by| !by.is_empty()) {
            let message = format!("every branch handles the crash of `{}`", self.text(at));
            let finding = Diagnostic::new(Code::CrashBranch, self.global.node(node).span, message);
            self.findings.push(finding.hint(format!("say in another branch what `{}` sends", self.text(at))));
        }
        let mut once = BTreeSet::new();
        if let Some(twice) = crashes.iter().flatten().find(|by| !once.insert(**by)) {
            let message = format!("`{}` handles the crash of `{}` in two branches", self.text(*twice), self.text(at));
            let finding = Diagnostic::new(Code::CrashBranch, self.global.node(node).span, message);
            self.findings.push(finding.hint("a crash says nothing but that it happened: one branch is enough"));
        }
        let mut handled = around.clone();
        handled.extend(crashes.iter().flatten().map(|by| (at, *by)));
        for block in blocks {
            self.sequence(block, &handled);
        }
    }

    fn message(&mut self, node: NodeId, (from, to): (Role, Role), crash: bool, handled: &Handled) {
        let span = self.global.node(node).span;
        let (sender, receiver) = (self.text(from), self.text(to));
        let reliable = self.global.reliable[usize::from(from)];
        if crash {
            self.dead.push(from);
            self.crashes.push(node);
            self.findings.extend(reliable.then(|| {
                Diagnostic::new(Code::CrashBranch, span, format!("`{sender}` is reliable: it never crashes"))
                    .hint(format!("leave the branch out, or leave `reliable` out before `role {sender}`"))
            }));
        } else if self.is_named_crash(node) {
            let message = "`crash` handles no crash here".to_owned();
            let hint = "put it first into a branch of a choice at the role that crashes, without payload, or behind such a message";
            self.findings.push(Diagnostic::new(Code::CrashBranch, span, message).hint(hint));
        } else if handled.contains(&(from, to)) {
            self.handled.insert(node);
        } else if !reliable && !self.dead.contains(&to) {
            let message = format!("`{receiver}` waits here, and `{sender}` may have crashed");
            let hint = format!(
                "make it a branch of `choice at {sender}` with another one that begins with `crash() from {sender} to {receiver};`, or declare `reliable role {sender}`"
            );
            self.unhandled.push((node, Diagnostic::new(Code::CrashUnhandled, span, message).hint(hint)));
        }
    }

    fn is_named_crash(&self, node: NodeId) -> bool {
        let NodeKind::Message { message, .. } = self.global.node(node).kind else { return false };
        self.global.messages.label(message).is_some_and(|label| self.program.names.text(label) == CRASH)
    }

    /// Who has crashed sends nothing; returns where it would. What is sent to it is lost.
    ///
    /// Beside a message that somebody handles the crash of, the way goes on through the branch that does.
    fn after_crashes(&mut self) -> BTreeSet<NodeId> {
        let flow = Flow::of(self.global);
        let mut targets: BTreeMap<NodeId, u32> = BTreeMap::new();
        for &(target, by) in flow.steps.iter().flatten() {
            if let Some(node) = by {
                targets.insert(node, target);
            }
        }
        let mut starts: BTreeMap<Role, Vec<u32>> = BTreeMap::new();
        for &crash in &self.crashes {
            if let NodeKind::Message { from: dead, .. } = self.global.node(crash).kind {
                starts.entry(dead).or_default().extend(targets.get(&crash));
            }
        }
        let mut reported = BTreeSet::new();
        for (dead, mut todo) in starts {
            let mut seen = vec![false; flow.steps.len()];
            while let Some(point) = todo.pop() {
                if std::mem::replace(&mut seen[point as usize], true) {
                    continue;
                }
                for &(target, by) in &flow.steps[point as usize] {
                    match by.filter(|node| self.acts(dead, *node)) {
                        Some(node) if self.handled.contains(&node) => {}
                        Some(node) => {
                            reported.insert((node, dead));
                        }
                        None => todo.push(target),
                    }
                }
            }
        }
        for &(node, dead) in &reported {
            let dead = self.text(dead);
            let message = format!("`{dead}` may have crashed before this");
            let finding = Diagnostic::new(Code::CrashedActs, self.global.node(node).span, message)
                .label(format!("comes after a branch that handles the crash of `{dead}`"));
            self.findings.push(finding.hint(format!("let the others go on without `{dead}` in that branch")));
        }
        reported.into_iter().map(|(node, _)| node).collect()
    }

    /// Whether a role would have to do something.
    fn acts(&self, role: Role, node: NodeId) -> bool {
        match self.global.node(node).kind {
            NodeKind::Message { from, crash, .. } => from == role && !crash,
            _ => self.global.takes_part(role, node),
        }
    }
}
