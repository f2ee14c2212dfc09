//! Check 4, consistent external choice: a role that learns of a choice learns it from the same peer in every branch.

use std::collections::BTreeMap;

use crate::code::Code;
use crate::diagnostics::Diagnostic;
use crate::global::{Global, NodeId, NodeKind, Role};
use crate::program::Program;

/// Who told a role first, and where.
type Told = BTreeMap<Role, (Role, NodeId)>;

/// Reports roles that learn of a choice from different peers.
pub(super) fn check(program: &Program, global: &Global) -> Vec<Diagnostic> {
    let mut checker = Checker { program, global, dead: Vec::new(), findings: Vec::new() };
    let mut told: Told = global.role_ids().map(|role| (role, (role, 0))).collect();
    checker.sequence(&global.root, &mut told);
    checker.findings
}

struct Checker<'a> {
    program: &'a Program,
    global: &'a Global,
    /// Who has crashed on the way here: it learns nothing any more.
    dead: Vec<Role>,
    findings: Vec<Diagnostic>,
}

impl Checker<'_> {
    fn sequence(&mut self, nodes: &[NodeId], told: &mut Told) {
        let global = self.global;
        let dead = self.dead.len();
        for &node in nodes {
            match &global.node(node).kind {
                NodeKind::Message { to, .. } if self.dead.contains(to) => {}
                NodeKind::Message { from, to, .. } | NodeKind::Connect { from, to, .. } => {
                    if matches!(global.node(node).kind, NodeKind::Message { crash: true, .. }) {
                        self.dead.push(*from);
                    }
                    told.entry(*to).or_insert((*from, node));
                }
                NodeKind::Choice { at, blocks } => self.choice(*at, blocks, told),
                NodeKind::Par { blocks } => self.par(blocks, told),
                NodeKind::Rec { body } => self.sequence(body, told),
                NodeKind::Wrap { .. } | NodeKind::Disconnect { .. } | NodeKind::Continue { .. } => {}
            }
        }
        self.dead.truncate(dead);
    }

    /// Of parts of a `par` either may be the first to tell a role: they are like branches.
    fn par(&mut self, blocks: &[Vec<NodeId>], told: &mut Told) {
        let before = told.clone();
        for block in blocks {
            let mut part = before.clone();
            self.sequence(block, &mut part);
            for (role, (by, node)) in part {
                let (first, _) = *told.entry(role).or_insert((by, node));
                if first != by && !before.contains_key(&role) {
                    self.report(role, first, by, node);
                }
            }
        }
    }

    fn choice(&mut self, at: Role, blocks: &[Vec<NodeId>], told: &mut Told) {
        let mut all = Told::new();
        let mut reported = Vec::new();
        for block in blocks {
            let mut branch = Told::from([(at, (at, 0))]);
            self.sequence(block, &mut branch);
            for (role, (by, node)) in branch {
                let (first, _) = *all.entry(role).or_insert((by, node));
                if first != by && !reported.contains(&role) {
                    reported.push(role);
                    self.report(role, first, by, node);
                }
            }
        }
        for (role, by) in all {
            told.entry(role).or_insert(by);
        }
    }

    fn report(&mut self, role: Role, first: Role, other: Role, node: NodeId) {
        let text = |role| self.program.role_text(self.global, role);
        let (role, first, other) = (text(role), text(first), text(other));
        let message = format!("role `{role}` cannot tell these branches apart");
        let label = format!("`{role}` learns of the choice from `{other}` here, and from `{first}` in another branch");
        self.findings.push(
            Diagnostic::new(Code::InconsistentChoice, self.global.node(node).span, message)
                .label(label)
                .hint(format!("let `{role}` hear first from `{first}` in every branch, or ask `--complete`")),
        );
    }
}
