//! Projection: what a role sees of a global protocol.
//!
//! Branches and loops in which the role has no part vanish; in particular a choice with one such branch leaves the role
//! only the others, so that it waits for a message it may never get, which the later checks report.

use super::{Act, ActKind, Local, LocalState, Move};
use crate::global::{Global, MessageId, NodeId, NodeKind, Role};

/// Which nodes leave something in the projection to one role.
pub(crate) struct Presence<'a> {
    global: &'a Global,
    role: Role,
    present: Vec<bool>,
}

impl<'a> Presence<'a> {
    /// Computes it for one role.
    pub(crate) fn of(global: &'a Global, role: Role) -> Self {
        let mut presence = Presence { global, role, present: vec![false; global.nodes.len()] };
        presence.mark_all(&global.root);
        presence
    }

    /// Whether a node leaves something.
    pub(crate) fn has(&self, node: NodeId) -> bool {
        self.present[node as usize]
    }

    /// Whether any node of a sequence leaves something.
    pub(crate) fn any(&self, nodes: &[NodeId]) -> bool {
        nodes.iter().any(|node| self.has(*node))
    }

    /// The nodes of a sequence that leave something.
    pub(crate) fn of_sequence<'n>(&'n self, nodes: &'n [NodeId]) -> impl Iterator<Item = NodeId> + 'n {
        nodes.iter().copied().filter(|node| self.has(*node))
    }

    fn mark_all(&mut self, nodes: &[NodeId]) -> bool {
        let mut any = false;
        for &node in nodes {
            any |= self.mark(node);
        }
        any
    }

    fn mark(&mut self, id: NodeId) -> bool {
        let global = self.global;
        let present = match &global.node(id).kind {
            NodeKind::Message { from, to, .. } | NodeKind::Connect { from, to, .. } | NodeKind::Wrap { from, to } => {
                *from == self.role || *to == self.role
            }
            NodeKind::Disconnect { left, right } => *left == self.role || *right == self.role,
            NodeKind::Choice { blocks, .. } | NodeKind::Par { blocks } => {
                let mut any = false;
                for block in blocks {
                    any |= self.mark_all(block);
                }
                any
            }
            NodeKind::Rec { body } => self.mark_all(body) && !self.only_continues(body, &mut vec![id]),
            NodeKind::Continue { .. } => true,
        };
        self.present[id as usize] = present;
        present
    }

    /// Whether a sequence does nothing but continue one of `loops`.
    fn only_continues(&self, nodes: &[NodeId], loops: &mut Vec<NodeId>) -> bool {
        let mut present = self.of_sequence(nodes);
        let (Some(only), None) = (present.next(), present.next()) else { return false };
        match &self.global.node(only).kind {
            NodeKind::Continue { target } => loops.contains(target),
            NodeKind::Choice { blocks, .. } => {
                blocks.iter().filter(|block| self.any(block)).all(|block| self.only_continues(block, loops))
            }
            NodeKind::Rec { body } => {
                loops.push(only);
                let only = self.only_continues(body, loops);
                loops.pop();
                only
            }
            _ => false,
        }
    }
}

/// Projects a protocol to one role.
pub(crate) fn project(presence: &Presence<'_>) -> Local {
    let mut builder =
        Builder { presence, moves: Vec::new(), silent: Vec::new(), entries: vec![0; presence.global.nodes.len()] };
    let initial = builder.state();
    if presence.any(&presence.global.root) {
        let end = builder.state();
        builder.sequence(&presence.global.root, initial, end);
    }
    builder.finish(initial)
}

struct Builder<'a> {
    presence: &'a Presence<'a>,
    /// Per state: moves with the number of their interaction.
    moves: Vec<Vec<(Move, u32)>>,
    /// Per state: where it may go silently.
    silent: Vec<Vec<u32>>,
    /// Per node that is a loop: its state.
    entries: Vec<u32>,
}

impl Builder<'_> {
    fn state(&mut self) -> u32 {
        self.moves.push(Vec::new());
        self.silent.push(Vec::new());
        u32::try_from(self.moves.len() - 1).unwrap_or(u32::MAX)
    }

    fn sequence(&mut self, nodes: &[NodeId], entry: u32, exit: u32) {
        let presence = self.presence;
        let mut rest = presence.of_sequence(nodes).peekable();
        let mut entry = entry;
        while let Some(node) = rest.next() {
            let target = if rest.peek().is_some() { self.state() } else { exit };
            self.node(node, entry, target);
            entry = target;
        }
    }

    fn node(&mut self, id: NodeId, entry: u32, exit: u32) {
        let presence = self.presence;
        let me = presence.role;
        match &presence.global.node(id).kind {
            NodeKind::Message { from, to, message, number } => {
                let (kind, peer) = if *from == me { (ActKind::Send, *to) } else { (ActKind::Receive, *from) };
                self.act(entry, exit, Act { kind, peer, message: *message }, *number);
            }
            NodeKind::Connect { from, to, message, number } => {
                let (kind, peer) = if *from == me { (ActKind::Request, *to) } else { (ActKind::Accept, *from) };
                self.act(entry, exit, Act { kind, peer, message: *message }, *number);
            }
            NodeKind::Disconnect { left, right } => {
                let peer = if *left == me { *right } else { *left };
                self.act(entry, exit, Act { kind: ActKind::Disconnect, peer, message: MessageId::NONE }, 0);
            }
            NodeKind::Wrap { from, to } => {
                let (kind, peer) = if *from == me { (ActKind::WrapClient, *to) } else { (ActKind::WrapServer, *from) };
                self.act(entry, exit, Act { kind, peer, message: MessageId::NONE }, 0);
            }
            NodeKind::Choice { blocks, .. } | NodeKind::Par { blocks } => {
                for block in blocks.iter().filter(|block| presence.any(block)) {
                    self.sequence(block, entry, exit);
                }
            }
            NodeKind::Rec { body } => {
                let state = self.state();
                self.silent[entry as usize].push(state);
                self.entries[id as usize] = state;
                self.sequence(body, state, exit);
            }
            NodeKind::Continue { target } => {
                let state = self.entries[*target as usize];
                self.silent[entry as usize].push(state);
            }
        }
    }

    fn act(&mut self, entry: u32, exit: u32, act: Act, number: u32) {
        self.moves[entry as usize].push((Move { act, to: exit }, number));
    }

    /// Gives each state the moves of all states that it reaches silently, and keeps the reachable states.
    fn finish(self, initial: u32) -> Local {
        let mut numbers = vec![u32::MAX; self.moves.len()];
        let mut order = vec![initial];
        numbers[initial as usize] = 0;
        let mut states = Vec::new();
        let mut closure = Closure { seen: vec![u32::MAX; self.moves.len()], stack: Vec::new() };
        let mut next = 0;
        while next < order.len() {
            let state = order[next];
            let mut moves = closure.moves(&self, state);
            let mut interactions: Vec<u32> = moves.iter().map(|(_, number)| *number).filter(|n| *n > 0).collect();
            interactions.sort_unstable();
            interactions.dedup();
            for (step, _) in &mut moves {
                let to = step.to as usize;
                if numbers[to] == u32::MAX {
                    numbers[to] = u32::try_from(order.len()).unwrap_or(u32::MAX);
                    order.push(step.to);
                }
                step.to = numbers[to];
            }
            let mut moves: Vec<Move> = moves.into_iter().map(|(step, _)| step).collect();
            moves.sort_unstable();
            moves.dedup();
            states.push(LocalState { moves, numbers: interactions });
            next += 1;
        }
        Local { initial: 0, states }
    }
}

struct Closure {
    /// The last state from which each state was reached.
    seen: Vec<u32>,
    stack: Vec<u32>,
}

impl Closure {
    fn moves(&mut self, builder: &Builder<'_>, from: u32) -> Vec<(Move, u32)> {
        let mut moves = Vec::new();
        self.stack.push(from);
        self.seen[from as usize] = from;
        while let Some(state) = self.stack.pop() {
            moves.extend_from_slice(&builder.moves[state as usize]);
            for &to in &builder.silent[state as usize] {
                if self.seen[to as usize] != from {
                    self.seen[to as usize] = from;
                    self.stack.push(to);
                }
            }
        }
        moves
    }
}
