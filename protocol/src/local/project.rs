//! Projection: what a role sees of a global protocol.
//!
//! Branches and loops in which the role has no part vanish; in particular a choice with one such branch leaves the role
//! only the others, so that it waits for a message it may never get, which the later checks report. Parts of a `par` are
//! interleaved in every way.

use std::collections::HashMap;

use super::determinise::{MAX_STATES, TooManyStates};
use super::{Act, ActKind, Local, LocalState, Move};
use crate::global::{Global, MessageId, NodeId, NodeKind, Role};

/// How much the interleavings of the parts of one `par` may take: moves, and places of all parts.
const MAX_PAR: usize = 4_000_000;

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

    /// Whose projection it is.
    pub(crate) fn role(&self) -> Role {
        self.role
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
            // What comes after its own crash it does not see: what is sent to it then is lost.
            if matches!(self.global.node(node).kind, NodeKind::Message { from, crash: true, .. } if from == self.role) {
                break;
            }
        }
        any
    }

    fn mark(&mut self, id: NodeId) -> bool {
        let global = self.global;
        let present = match &global.node(id).kind {
            // Who crashes does not take part in how the others handle it.
            NodeKind::Message { to, crash: true, .. } => *to == self.role,
            NodeKind::Message { .. }
            | NodeKind::Connect { .. }
            | NodeKind::Wrap { .. }
            | NodeKind::Disconnect { .. } => global.takes_part(self.role, id),
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
pub(crate) fn project(presence: &Presence<'_>) -> Result<Local, TooManyStates> {
    let mut builder = Builder::new(presence);
    let (initial, end) = (builder.state(), builder.state());
    if presence.any(&presence.global.root) {
        builder.sequence(&presence.global.root, initial, end)?;
    }
    Ok(builder.close(initial, end).into_local())
}

/// A machine with silent moves.
struct Builder<'a> {
    presence: &'a Presence<'a>,
    moves: Vec<Vec<Step>>,
    /// Per state: where it may go silently.
    silent: Vec<Vec<u32>>,
    /// How many states of parts of a `par` there are.
    choices: u32,
    /// The state of each loop.
    entries: HashMap<NodeId, u32>,
}

impl<'a> Builder<'a> {
    fn new(presence: &'a Presence<'a>) -> Self {
        Builder { presence, moves: Vec::new(), silent: Vec::new(), choices: 0, entries: HashMap::new() }
    }

    fn state(&mut self) -> u32 {
        self.moves.push(Vec::new());
        self.silent.push(Vec::new());
        narrow(self.moves.len() - 1)
    }

    fn sequence(&mut self, nodes: &[NodeId], entry: u32, exit: u32) -> Result<(), TooManyStates> {
        let presence = self.presence;
        let mut rest = presence.of_sequence(nodes).peekable();
        let mut entry = entry;
        while let Some(node) = rest.next() {
            let target = match rest.peek() {
                None => exit,
                Some(next) => self.head_if_continued(*next).unwrap_or_else(|| self.state()),
            };
            self.node(node, entry, target)?;
            entry = target;
        }
        Ok(())
    }

    /// What leads to a `continue` leads to its loop at once: many such states would each copy all that may come first in it.
    fn head_if_continued(&self, id: NodeId) -> Option<u32> {
        match self.presence.global.node(id).kind {
            NodeKind::Continue { target } => self.entries.get(&target).copied(),
            _ => None,
        }
    }

    fn node(&mut self, id: NodeId, entry: u32, exit: u32) -> Result<(), TooManyStates> {
        let presence = self.presence;
        let me = presence.role;
        match &presence.global.node(id).kind {
            NodeKind::Message { from, to, message, number, crash } => {
                let (kind, peer) = match *from == me {
                    true => (ActKind::Send, *to),
                    false if *crash => (ActKind::Detect, *from),
                    false => (ActKind::Receive, *from),
                };
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
            NodeKind::Choice { blocks, .. } => {
                for block in blocks.iter().filter(|block| presence.any(block)) {
                    self.sequence(block, entry, exit)?;
                }
            }
            NodeKind::Par { blocks } => self.par(blocks, entry, exit)?,
            NodeKind::Rec { body } => {
                let state = self.state();
                self.silent[entry as usize].push(state);
                self.entries.insert(id, state);
                self.sequence(body, state, exit)?;
            }
            NodeKind::Continue { target } => {
                let state = self.entries.get(target).copied().unwrap_or(entry);
                if state != entry {
                    self.silent[entry as usize].push(state);
                }
            }
        }
        Ok(())
    }

    fn act(&mut self, entry: u32, exit: u32, act: Act, number: u32) {
        self.moves[entry as usize].push(Step { act, to: exit, number, choice: None });
    }

    /// All interleavings of the parts: a state for each combination of theirs that can be reached.
    fn par(&mut self, blocks: &[Vec<NodeId>], entry: u32, exit: u32) -> Result<(), TooManyStates> {
        let presence = self.presence;
        let mut parts = Vec::new();
        for block in blocks.iter().filter(|block| presence.any(block)) {
            let mut part = Builder::new(presence);
            let (initial, end) = (part.state(), part.state());
            part.sequence(block, initial, end)?;
            parts.push(part.close(initial, end));
        }
        // The choices of the parts' states, in a row.
        let mut first_choices = Vec::with_capacity(parts.len());
        for part in &parts {
            first_choices.push(self.choices);
            self.choices += narrow(part.states.len()) + part.choices;
        }
        let mut known: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut todo = vec![vec![0; parts.len()]];
        let start = self.state();
        self.silent[entry as usize].push(start);
        known.insert(todo[0].clone(), start);
        let mut size = 0;
        while let Some(places) = todo.pop() {
            let state = known[&places];
            let here = parts.iter().zip(&places).map(|(part, place)| &part.states[*place as usize]);
            if here.clone().all(|state| state.ends) {
                self.silent[state as usize].push(exit);
            }
            for (index, (part, from)) in parts.iter().zip(here).enumerate() {
                let own = first_choices[index] + narrow(part.states.len());
                for step in &from.moves {
                    let mut after = places.clone();
                    after[index] = step.to;
                    let to = *known.entry(after).or_insert_with_key(|after| {
                        todo.push(after.clone());
                        self.moves.push(Vec::new());
                        self.silent.push(Vec::new());
                        narrow(self.moves.len() - 1)
                    });
                    let choice = step.choice.map_or(first_choices[index] + places[index], |inner| own + inner);
                    self.moves[state as usize].push(Step { to, choice: Some(choice), ..*step });
                    size += 1;
                }
                if self.moves.len() > MAX_STATES || size + known.len() * parts.len() > MAX_PAR {
                    return Err(TooManyStates);
                }
            }
        }
        Ok(())
    }

    /// Gives each state the moves of all states that it reaches silently, and keeps the reachable states.
    fn close(self, initial: u32, exit: u32) -> Closed {
        let mut numbers = vec![u32::MAX; self.moves.len()];
        let mut order = vec![initial];
        numbers[initial as usize] = 0;
        let mut states = Vec::new();
        let mut closure = Closure { seen: vec![u32::MAX; self.moves.len()], stack: Vec::new() };
        let mut next = 0;
        while next < order.len() {
            let mut state = closure.state(&self, order[next], exit);
            for step in &mut state.moves {
                let to = step.to as usize;
                if numbers[to] == u32::MAX {
                    numbers[to] = narrow(order.len());
                    order.push(step.to);
                }
                step.to = numbers[to];
            }
            states.push(state);
            next += 1;
        }
        Closed { states, choices: self.choices }
    }
}

/// A move with what is to be known of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    act: Act,
    to: u32,
    /// Of the interaction; 0 for what is none.
    number: u32,
    /// In a part of a `par`: the state of the part that it leaves.
    choice: Option<u32>,
}

/// A machine without silent moves; its initial state is 0.
struct Closed {
    states: Vec<ClosedState>,
    /// How many choices the moves tell apart.
    choices: u32,
}

#[derive(Default)]
struct ClosedState {
    moves: Vec<Step>,
    /// The end can be reached without another move.
    ends: bool,
}

impl Closed {
    fn into_local(self) -> Local {
        Local { initial: 0, states: self.states.into_iter().map(ClosedState::into_local).collect() }
    }
}

impl ClosedState {
    fn into_local(mut self) -> LocalState {
        let numbers = self.moves.iter().map(|step| step.number).filter(|number| *number > 0).collect();
        self.moves.sort_unstable();
        self.moves.dedup_by_key(|step| (step.act, step.to));
        let moves = self.moves.iter().map(|step| Move { act: step.act, to: step.to }).collect();
        // Beside others, what a `par` begins with is one choice with them.
        let choices: Option<Vec<u32>> = self.moves.iter().map(|step| step.choice).collect();
        let choices = choices.filter(|choices| choices.windows(2).any(|pair| pair[0] != pair[1]));
        let mut state = LocalState { moves, numbers, choices: choices.unwrap_or_default() };
        state.settle();
        state
    }
}

struct Closure {
    /// The last state from which each state was reached.
    seen: Vec<u32>,
    stack: Vec<u32>,
}

impl Closure {
    fn state(&mut self, builder: &Builder<'_>, from: u32, exit: u32) -> ClosedState {
        let mut closed = ClosedState::default();
        self.stack.push(from);
        self.seen[from as usize] = from;
        while let Some(state) = self.stack.pop() {
            closed.ends |= state == exit;
            closed.moves.extend_from_slice(&builder.moves[state as usize]);
            for &to in &builder.silent[state as usize] {
                if self.seen[to as usize] != from {
                    self.seen[to as usize] = from;
                    self.stack.push(to);
                }
            }
        }
        closed
    }
}

fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
