//! Check 3, role enabling: who acts in a branch knows that the branch was taken.
//!
//! All roles start enabled. In a branch only the role that chose is; a message needs an enabled sender and enables its
//! receiver. After a choice those are enabled that were before it, and those enabled in all its branches. The rule holds
//! on the protocol with each loop unfolded once. Instead of unfolding, each loop has a summary: the roles that must be
//! enabled where it begins, and those it enables; that takes one pass over the protocol, whatever the nesting.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::code::Code;
use crate::diagnostics::Diagnostic;
use crate::global::{Global, NodeId, NodeKind, Role};
use crate::program::Program;

type Roles = BTreeSet<Role>;

/// What a loop asks for where it begins, and what it gives.
#[derive(Clone, Debug, Default)]
struct Summary {
    /// Roles that must be enabled, each with the node that needs it.
    needs: BTreeMap<Role, NodeId>,
    gives: Roles,
    /// Loops that its body continues outside of any choice, with the roles enabled up to there.
    continues: Vec<(NodeId, Roles)>,
}

/// Reports roles that act in a branch before they can know of the choice.
pub(super) fn check(program: &Program, global: &Global) -> Vec<Diagnostic> {
    let mut summaries = Summaries { global, dead: Vec::new(), loops: HashMap::new() };
    let mut whole = Summary::default();
    summaries.sequence(&global.root, &mut whole);
    summaries.settle(&global.root, &mut Vec::new());
    let mut checker = Checker { program, global, dead: Vec::new(), loops: &summaries.loops, findings: Vec::new() };
    let mut enabled = global.role_ids().collect();
    checker.sequence(&global.root, &mut enabled);
    checker.findings.dedup();
    checker.findings
}

struct Summaries<'a> {
    global: &'a Global,
    /// Who has crashed on the way here: it does nothing, so it need not know anything.
    dead: Vec<Role>,
    loops: HashMap<NodeId, Summary>,
}

impl Summaries<'_> {
    fn sequence(&mut self, nodes: &[NodeId], summary: &mut Summary) {
        let global = self.global;
        let dead = self.dead.len();
        for &node in nodes {
            match &global.node(node).kind {
                NodeKind::Message { from, to, crash: true, .. } => {
                    self.dead.push(*from);
                    summary.gives.extend([*from, *to]);
                }
                NodeKind::Message { from, to, .. } | NodeKind::Connect { from, to, .. } => {
                    need(summary, *from, node);
                    summary.gives.insert(*to);
                }
                NodeKind::Wrap { from, .. } => need(summary, *from, node),
                NodeKind::Disconnect { left, right } => {
                    need(summary, *left, node);
                    need(summary, *right, node);
                }
                NodeKind::Choice { at, blocks } => {
                    need(summary, *at, node);
                    let given = self.branches(*at, blocks);
                    summary.gives.extend(given);
                }
                NodeKind::Par { blocks } => self.parts(blocks, summary),
                NodeKind::Rec { body } => {
                    let mut inner = Summary::default();
                    self.sequence(body, &mut inner);
                    join(summary, &inner);
                    self.loops.insert(node, inner);
                }
                NodeKind::Continue { target } => summary.continues.push((*target, summary.gives.clone())),
            }
        }
        self.dead.truncate(dead);
    }

    /// Parts of a `par` know nothing of each other; after them all that any of them gives is there.
    fn parts(&mut self, blocks: &[Vec<NodeId>], summary: &mut Summary) {
        let before = summary.gives.clone();
        for block in blocks {
            let mut part = Summary { gives: before.clone(), ..Summary::default() };
            self.sequence(block, &mut part);
            for (role, node) in part.needs {
                summary.needs.entry(role).or_insert(node);
            }
            summary.continues.extend(part.continues);
            summary.gives.extend(part.gives);
        }
    }

    /// The roles enabled in all branches.
    fn branches(&mut self, at: Role, blocks: &[Vec<NodeId>]) -> Roles {
        let mut all: Option<Roles> = None;
        for block in blocks {
            let gives = self.dead.iter().copied().chain([at]).collect();
            let mut branch = Summary { gives, ..Summary::default() };
            self.sequence(block, &mut branch);
            all = Some(match all {
                None => branch.gives,
                Some(all) => all.intersection(&branch.gives).copied().collect(),
            });
        }
        all.unwrap_or_default()
    }

    /// Going round an outer loop from inside an inner one makes the outer one's needs the inner one's.
    fn settle(&mut self, nodes: &[NodeId], around: &mut Vec<NodeId>) {
        let global = self.global;
        for &node in nodes {
            match &global.node(node).kind {
                NodeKind::Choice { blocks, .. } | NodeKind::Par { blocks } => {
                    for block in blocks {
                        self.settle(block, around);
                    }
                }
                NodeKind::Rec { body } => {
                    let continues = self.loops.get_mut(&node).map(|inner| std::mem::take(&mut inner.continues));
                    for (target, given) in continues.unwrap_or_default() {
                        if !around.contains(&target) {
                            continue;
                        }
                        let outer = self.loops.get(&target).map(|outer| outer.needs.clone()).unwrap_or_default();
                        if let Some(inner) = self.loops.get_mut(&node) {
                            for (role, at) in outer.into_iter().filter(|(role, _)| !given.contains(role)) {
                                inner.needs.entry(role).or_insert(at);
                            }
                        }
                    }
                    around.push(node);
                    self.settle(body, around);
                    around.pop();
                }
                _ => {}
            }
        }
    }
}

fn join(summary: &mut Summary, inner: &Summary) {
    for (role, node) in &inner.needs {
        need(summary, *role, *node);
    }
    for (target, given) in &inner.continues {
        summary.continues.push((*target, summary.gives.union(given).copied().collect()));
    }
    summary.gives.extend(&inner.gives);
}

fn need(summary: &mut Summary, role: Role, node: NodeId) {
    if !summary.gives.contains(&role) {
        summary.needs.entry(role).or_insert(node);
    }
}

struct Checker<'a> {
    program: &'a Program,
    global: &'a Global,
    /// Who has crashed on the way here.
    dead: Vec<Role>,
    loops: &'a HashMap<NodeId, Summary>,
    findings: Vec<Diagnostic>,
}

impl Checker<'_> {
    fn sequence(&mut self, nodes: &[NodeId], enabled: &mut Roles) {
        let global = self.global;
        let dead = self.dead.len();
        for &node in nodes {
            match &global.node(node).kind {
                NodeKind::Message { from, to, crash: true, .. } => {
                    self.dead.push(*from);
                    enabled.extend([*from, *to]);
                }
                NodeKind::Message { from, to, .. } => {
                    self.acts(*from, node, enabled, "sends");
                    enabled.insert(*to);
                }
                NodeKind::Connect { from, to, .. } => {
                    self.acts(*from, node, enabled, "connects");
                    enabled.insert(*to);
                }
                NodeKind::Wrap { from, .. } => self.acts(*from, node, enabled, "wraps its connection"),
                NodeKind::Disconnect { left, right } => {
                    self.acts(*left, node, enabled, "disconnects");
                    self.acts(*right, node, enabled, "disconnects");
                }
                NodeKind::Choice { at, blocks } => {
                    self.acts(*at, node, enabled, "chooses");
                    self.choice(*at, blocks, enabled);
                }
                NodeKind::Par { blocks } => {
                    let before = enabled.clone();
                    for block in blocks {
                        let mut inside = before.clone();
                        self.sequence(block, &mut inside);
                        enabled.extend(inside);
                    }
                }
                NodeKind::Rec { body } => self.sequence(body, enabled),
                NodeKind::Continue { target } => self.continues(node, *target, enabled),
            }
        }
        self.dead.truncate(dead);
    }

    fn choice(&mut self, at: Role, blocks: &[Vec<NodeId>], enabled: &mut Roles) {
        let mut all: Option<Roles> = None;
        for block in blocks {
            let mut inside: Roles = self.dead.iter().copied().chain([at]).collect();
            self.sequence(block, &mut inside);
            all = Some(match all {
                None => inside,
                Some(all) => all.intersection(&inside).copied().collect(),
            });
        }
        enabled.extend(all.unwrap_or_default());
    }

    fn acts(&mut self, role: Role, node: NodeId, enabled: &mut Roles, verb: &str) {
        if !enabled.insert(role) {
            return;
        }
        let text = self.program.role_text(self.global, role);
        let span = self.global.node(node).span;
        let message = format!("`{text}` {verb} before it can know that this branch was taken");
        self.findings.push(
            Diagnostic::new(Code::NotEnabled, span, message)
                .label(format!("`{text}` has received nothing in this branch"))
                .hint(format!(
                    "send `{text}` a message in this branch before this; if it does the same in every branch, ask `--complete`"
                )),
        );
    }

    fn continues(&mut self, node: NodeId, target: NodeId, enabled: &mut Roles) {
        let Some(summary) = self.loops.get(&target) else { return };
        for role in summary.needs.keys().filter(|role| !enabled.contains(role)) {
            let text = self.program.role_text(self.global, *role);
            let message = format!("`{text}` acts at the start of the loop before it can know that the loop goes on");
            self.findings.push(
                Diagnostic::new(Code::NotEnabled, self.global.node(node).span, message)
                    .label(format!("the loop goes on here, and `{text}` has received nothing in this branch"))
                    .hint(format!(
                        "send `{text}` a message in this branch; if it does the same in every branch, ask `--complete`"
                    )),
            );
        }
        enabled.extend(&summary.gives);
    }
}
