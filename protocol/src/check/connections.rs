//! Check 5: connections are opened before they are used, closed after, once each.

use std::collections::HashSet;

use crate::code::Code;
use crate::diagnostics::Diagnostic;
use crate::global::{Feature, Global, NodeId, NodeKind, Role};
use crate::program::Program;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Status {
    Connected,
    Disconnected,
    /// Connected after one branch and not after another.
    Unclear,
}

/// The status of each pair of roles; pairs are at `lower * roles + higher`.
type Connections = Vec<Status>;

/// Reports messages between unconnected roles, and connections that are opened or closed twice.
pub(super) fn check(program: &Program, global: &Global) -> Vec<Diagnostic> {
    if !global.features.iter().any(|(feature, _)| matches!(feature, Feature::Connections | Feature::Wrap)) {
        return Vec::new();
    }
    let start = if global.explicit { Status::Disconnected } else { Status::Connected };
    let roles = global.roles.len();
    let mut checker = Checker { program, global, seen: HashSet::new(), around: Vec::new(), findings: Vec::new() };
    checker.sequence(&global.root, &mut vec![start; roles * roles]);
    let mut spans = HashSet::new();
    checker.findings.retain(|finding| spans.insert(finding.span));
    checker.findings
}

struct Checker<'a> {
    program: &'a Program,
    global: &'a Global,
    /// Loops visited again, with the connections there: each once.
    seen: HashSet<(NodeId, Connections)>,
    around: Vec<NodeId>,
    findings: Vec<Diagnostic>,
}

impl Checker<'_> {
    fn sequence(&mut self, nodes: &[NodeId], connections: &mut Connections) {
        let global = self.global;
        for &node in nodes {
            match &global.node(node).kind {
                NodeKind::Message { from, to, .. } | NodeKind::Wrap { from, to } => {
                    self.uses(*from, *to, node, connections);
                }
                NodeKind::Connect { from, to, .. } => self.connects(*from, *to, node, connections),
                NodeKind::Disconnect { left, right } => self.disconnects(*left, *right, node, connections),
                NodeKind::Choice { blocks, .. } => self.choice(blocks, connections),
                NodeKind::Par { blocks } => blocks.iter().for_each(|block| self.sequence(block, connections)),
                NodeKind::Rec { body } => {
                    self.around.push(node);
                    self.sequence(body, connections);
                    self.around.pop();
                }
                NodeKind::Continue { target } => self.again(*target, connections),
            }
        }
    }

    /// Goes round a loop once more with the connections that hold here.
    fn again(&mut self, target: NodeId, connections: &mut Connections) {
        if !self.seen.insert((target, connections.clone())) {
            return;
        }
        if let NodeKind::Rec { body } = &self.global.node(target).kind
            && self.around.iter().filter(|around| **around == target).count() < 2
        {
            self.around.push(target);
            self.sequence(body, connections);
            self.around.pop();
        }
    }

    fn choice(&mut self, blocks: &[Vec<NodeId>], connections: &mut Connections) {
        let before = connections.clone();
        for (index, block) in blocks.iter().enumerate() {
            let mut after = before.clone();
            self.sequence(block, &mut after);
            if index == 0 {
                *connections = after;
            } else {
                for (all, one) in connections.iter_mut().zip(after) {
                    if *all != one {
                        *all = Status::Unclear;
                    }
                }
            }
        }
    }

    fn pair(&self, left: Role, right: Role) -> usize {
        usize::from(left.min(right)) * self.global.roles.len() + usize::from(left.max(right))
    }

    fn uses(&mut self, from: Role, to: Role, node: NodeId, connections: &mut Connections) {
        let status = connections[self.pair(from, to)];
        if status == Status::Connected {
            return;
        }
        let how = if status == Status::Unclear { "may not be" } else { "are not" };
        self.report(from, to, node, how, "connected here", "connect them before this, in every branch");
    }

    fn connects(&mut self, from: Role, to: Role, node: NodeId, connections: &mut Connections) {
        let pair = self.pair(from, to);
        let status = std::mem::replace(&mut connections[pair], Status::Connected);
        if status == Status::Disconnected {
            return;
        }
        let how = if status == Status::Unclear { "may be" } else { "are" };
        let hint = "connect roles once; protocols that are not `explicit` start connected";
        self.report(from, to, node, how, "connected already", hint);
    }

    fn disconnects(&mut self, left: Role, right: Role, node: NodeId, connections: &mut Connections) {
        let pair = self.pair(left, right);
        let status = std::mem::replace(&mut connections[pair], Status::Disconnected);
        if status == Status::Connected {
            return;
        }
        let how = if status == Status::Unclear { "may be" } else { "are" };
        self.report(left, right, node, how, "disconnected already", "disconnect roles once, after they are connected");
    }

    fn report(&mut self, left: Role, right: Role, node: NodeId, how: &str, state: &str, hint: &str) {
        let (left, right) = (self.program.role_text(self.global, left), self.program.role_text(self.global, right));
        let message = format!("`{left}` and `{right}` {how} {state}");
        self.findings.push(Diagnostic::new(Code::Connection, self.global.node(node).span, message).hint(hint));
    }
}
