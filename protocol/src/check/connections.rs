//! Check 5: connections are opened before they are used, closed after, once each.
//!
//! Each loop keeps what may hold at its head, joined over all ways there, and is walked again until that stays the same.
//! A status joined with another is unclear, and stays so: so the walks are few, whatever the nesting.

use std::collections::{HashMap, HashSet};

use crate::code::Code;
use crate::diagnostics::{Diagnostic, Span};
use crate::global::{Feature, Global, NodeId, NodeKind, Role};
use crate::program::Program;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Connected,
    Disconnected,
    /// Connected on one way here and not on another.
    Unclear,
}

/// The status of each pair of roles that something happens between.
type Connections = Vec<Status>;

/// Reports messages between unconnected roles, and connections that are opened or closed twice.
pub(super) fn check(program: &Program, global: &Global) -> Vec<Diagnostic> {
    if !global.features.iter().any(|(feature, _)| matches!(feature, Feature::Connections | Feature::Wrap)) {
        return Vec::new();
    }
    let start = if global.explicit { Status::Disconnected } else { Status::Connected };
    let pairs = pairs(global);
    let mut connections = vec![start; pairs.len()];
    let (heads, reported) = (HashMap::new(), HashSet::new());
    let mut checker = Checker { program, global, pairs, heads, reported, findings: Vec::new() };
    checker.sequence(&global.root, &mut connections);
    checker.findings
}

/// The pairs of roles, lower first, that something happens between, numbered.
fn pairs(global: &Global) -> HashMap<(Role, Role), usize> {
    let mut pairs = HashMap::new();
    for node in &global.nodes {
        if let NodeKind::Message { from: one, to: other, .. }
        | NodeKind::Connect { from: one, to: other, .. }
        | NodeKind::Disconnect { left: one, right: other }
        | NodeKind::Wrap { from: one, to: other } = node.kind
        {
            let next = pairs.len();
            pairs.entry((one.min(other), one.max(other))).or_insert(next);
        }
    }
    pairs
}

struct Checker<'a> {
    program: &'a Program,
    global: &'a Global,
    pairs: HashMap<(Role, Role), usize>,
    /// What may hold at the head of each loop met so far.
    heads: HashMap<NodeId, Connections>,
    /// Places of the findings: each has one.
    reported: HashSet<Span>,
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
                NodeKind::Par { blocks } => self.par(blocks, connections),
                NodeKind::Rec { body } => self.rounds(node, body, connections),
                NodeKind::Continue { target } => self.reach(*target, connections),
            }
        }
    }

    /// Walks a loop until nothing new reaches its head.
    fn rounds(&mut self, node: NodeId, body: &[NodeId], connections: &mut Connections) {
        self.reach(node, connections);
        while let Some(head) = self.heads.get(&node).cloned() {
            connections.clone_from(&head);
            self.sequence(body, connections);
            if self.heads.get(&node) == Some(&head) {
                return;
            }
        }
    }

    /// Joins what holds here to what may hold at the head of a loop.
    fn reach(&mut self, head: NodeId, connections: &Connections) {
        join(self.heads.entry(head).or_insert_with(|| connections.clone()), connections);
    }

    fn choice(&mut self, blocks: &[Vec<NodeId>], connections: &mut Connections) {
        let before = connections.clone();
        for (index, block) in blocks.iter().enumerate() {
            let mut after = before.clone();
            self.sequence(block, &mut after);
            if index == 0 {
                *connections = after;
            } else {
                join(connections, &after);
            }
        }
    }

    /// What one part of a `par` opens or closes is unclear to the others.
    fn par(&mut self, blocks: &[Vec<NodeId>], connections: &mut Connections) {
        let before = connections.clone();
        let changed: Vec<HashSet<usize>> = blocks.iter().map(|block| self.changed(block)).collect();
        for (index, block) in blocks.iter().enumerate() {
            let others: HashSet<usize> = changed
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .flat_map(|(_, pairs)| pairs)
                .copied()
                .collect();
            let mut part = before.clone();
            for &pair in &others {
                part[pair] = Status::Unclear;
            }
            self.sequence(block, &mut part);
            for &pair in &changed[index] {
                connections[pair] = if others.contains(&pair) { Status::Unclear } else { part[pair] };
            }
        }
    }

    /// The pairs that are connected or disconnected somewhere in a sequence.
    fn changed(&self, nodes: &[NodeId]) -> HashSet<usize> {
        let mut pairs = HashSet::new();
        for &node in nodes {
            match &self.global.node(node).kind {
                NodeKind::Connect { from: left, to: right, .. } | NodeKind::Disconnect { left, right } => {
                    pairs.insert(self.pair(*left, *right));
                }
                NodeKind::Choice { blocks, .. } | NodeKind::Par { blocks } => {
                    pairs.extend(blocks.iter().flat_map(|block| self.changed(block)));
                }
                NodeKind::Rec { body } => pairs.extend(self.changed(body)),
                _ => {}
            }
        }
        pairs
    }

    fn pair(&self, left: Role, right: Role) -> usize {
        self.pairs[&(left.min(right), left.max(right))]
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
        let span = self.global.node(node).span;
        if !self.reported.insert(span) {
            return;
        }
        let (left, right) = (self.program.role_text(self.global, left), self.program.role_text(self.global, right));
        let message = format!("`{left}` and `{right}` {how} {state}");
        self.findings.push(Diagnostic::new(Code::Connection, span, message).hint(hint));
    }
}

fn join(all: &mut Connections, one: &Connections) {
    for (all, one) in all.iter_mut().zip(one) {
        if all != one {
            *all = Status::Unclear;
        }
    }
}
