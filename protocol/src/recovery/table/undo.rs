//! What a failure undoes, found by running a configuration's possible pasts backwards.
//!
//! A node is a configuration, the roles that have failed or been moved back so far, and *claims*: "the last event of
//! this role was that send, and it has been received". An obligation says which role must go back next; each event
//! that may have been its last gives one successor. Every walk from a configuration with a failed role to a node
//! without obligations is the recovery of one real run, so together they give exactly the lines of all runs. The order
//! of the obligations is fixed, for a line does not depend on it.
//!
//! Where stored checkpoints decide, the row must hold for every set of them: a role may then stop wherever nothing
//! forces it further, or go on.

use std::collections::{BTreeSet, HashMap};

use crate::image::StateId;
use crate::recovery::table::space::Space;

/// How far back a role goes that must leave a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grain {
    /// Every position is a recovery point.
    Fine,
    /// Some positions are: which ones depends on what was saved.
    Saved,
    /// Only the start.
    Start,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Node {
    configuration: usize,
    /// Failed or moved, one bit for each role of the group.
    moved: u64,
    /// Role and step, by role.
    claims: Vec<(usize, usize)>,
}

/// What must happen at a node.
enum Duty {
    /// This role must undo its last event.
    Undo(usize),
    /// This role must undo this step, which it has claimed.
    Unsend(usize, usize),
    /// Claims contradict each other: no run has this past.
    Impossible,
    /// Nothing: the node is a possible result.
    Done,
}

/// The backward exploration of one group, shared by its rows.
pub(super) struct Undo<'s> {
    space: &'s Space,
    grains: Vec<Grain>,
    /// Whether messages in the mailbox of a failed or moved role are lost.
    volatile: bool,
    numbers: HashMap<Node, usize>,
    nodes: Vec<Node>,
    /// By node, once it has been visited: whether nothing is left to undo there, and what can follow.
    outcomes: Vec<Option<(bool, Vec<usize>)>>,
    /// By node, the number of the last row that visited it.
    visited: Vec<usize>,
    rows: usize,
}

/// For each role of the group, where it may have to resume.
pub(super) type Resumes = Vec<BTreeSet<StateId>>;

impl<'s> Undo<'s> {
    pub(super) fn new(space: &'s Space, grains: Vec<Grain>, volatile: bool) -> Self {
        Undo {
            space,
            grains,
            volatile,
            numbers: HashMap::new(),
            nodes: Vec::new(),
            outcomes: Vec::new(),
            visited: Vec::new(),
            rows: 0,
        }
    }

    /// The row for a failure of `role` in `state`; `None` if it takes more than what is left of `budget` to find it.
    pub(super) fn row(&mut self, role: usize, state: StateId, budget: &mut usize) -> Option<Resumes> {
        self.rows += 1;
        let mut resumes = vec![BTreeSet::new(); self.grains.len()];
        let mut open = Vec::new();
        for configuration in 0..self.space.len() {
            if self.space.state(configuration, role) == state {
                let node = Node { configuration, moved: 1 << role, claims: Vec::new() };
                self.reach(node, &mut open);
            }
        }
        while let Some(number) = open.pop() {
            *budget = budget.checked_sub(1)?;
            let (done, next) = match self.outcomes[number].take() {
                Some(outcome) => outcome,
                None => self.outcome(number),
            };
            for &node in &next {
                self.visit(node, &mut open);
            }
            if done {
                let node = &self.nodes[number];
                for role in (0..self.grains.len()).filter(|&role| node.moved & (1 << role) != 0) {
                    resumes[role].insert(self.space.state(node.configuration, role));
                }
            }
            self.outcomes[number] = Some((done, next));
        }
        Some(resumes)
    }

    fn reach(&mut self, node: Node, open: &mut Vec<usize>) {
        let number = self.number(node);
        self.visit(number, open);
    }

    fn visit(&mut self, number: usize, open: &mut Vec<usize>) {
        if self.visited[number] != self.rows {
            self.visited[number] = self.rows;
            open.push(number);
        }
    }

    fn number(&mut self, node: Node) -> usize {
        if let Some(&known) = self.numbers.get(&node) {
            return known;
        }
        self.nodes.push(node.clone());
        self.outcomes.push(None);
        self.visited.push(0);
        self.numbers.insert(node, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn outcome(&mut self, number: usize) -> (bool, Vec<usize>) {
        let node = self.nodes[number].clone();
        let mut found = Vec::new();
        let duty = self.duty(&node);
        match duty {
            Duty::Undo(role) => self.undo_last(&node, role, &mut found),
            Duty::Unsend(role, step) => self.undo_step(&node, role, step, &mut found),
            Duty::Impossible => {}
            Duty::Done => {
                for role in 0..self.grains.len() {
                    if self.grains[role] == Grain::Saved && node.moved & (1 << role) != 0 {
                        self.undo_last(&node, role, &mut found);
                    }
                }
            }
        }
        let next = found.into_iter().map(|node| self.number(node)).collect();
        (matches!(duty, Duty::Done), next)
    }

    fn duty(&self, node: &Node) -> Duty {
        if let Some(&(role, _)) = node.claims.first() {
            return self.claim_duty(node, role);
        }
        let is_moved = |role: usize| node.moved & (1 << role) != 0;
        for role in (0..self.grains.len()).filter(|&role| is_moved(role)) {
            if self.grains[role] == Grain::Start && !self.space.at_start(node.configuration, role) {
                return Duty::Undo(role);
            }
        }
        if self.volatile {
            for (channel, &(from, to)) in self.space.channels.iter().enumerate() {
                if is_moved(to) && self.space.is_filled(node.configuration, channel) {
                    return Duty::Undo(from);
                }
            }
        }
        Duty::Done
    }

    /// A claimed send can be undone once its receiver has given the message back; until then the receiver goes first.
    fn claim_duty(&self, node: &Node, first: usize) -> Duty {
        let mut role = first;
        for _ in 0..=node.claims.len() {
            let Some(&(_, step)) = node.claims.iter().find(|(claimant, _)| *claimant == role) else {
                return Duty::Undo(role);
            };
            let channel = self.space.steps[role][step].channel;
            if self.space.is_filled(node.configuration, channel) {
                return Duty::Unsend(role, step);
            }
            role = self.space.channels[channel].1;
        }
        Duty::Impossible
    }

    /// Each event that may have been the role's last: undone, or claimed where its message has been received.
    fn undo_last(&self, node: &Node, role: usize, found: &mut Vec<Node>) {
        for arrival in &self.space.arrivals[node.configuration] {
            if arrival.role == role {
                found.push(node.back(role, arrival.before));
            }
        }
        if self.grains[role] == Grain::Start && self.space.at_start(node.configuration, role) {
            return;
        }
        for &step in self.space.sends_into(node.configuration, role) {
            if !self.space.is_filled(node.configuration, self.space.steps[role][step].channel) {
                let mut claiming = node.clone();
                claiming.moved |= 1 << role;
                claiming.claims.push((role, step));
                claiming.claims.sort_unstable();
                found.push(claiming);
            }
        }
    }

    fn undo_step(&self, node: &Node, role: usize, step: usize, found: &mut Vec<Node>) {
        for arrival in &self.space.arrivals[node.configuration] {
            if arrival.role == role && arrival.step == step {
                found.push(node.back(role, arrival.before));
            }
        }
    }
}

impl Node {
    /// The node after a role has undone an event.
    fn back(&self, role: usize, before: usize) -> Node {
        let claims = self.claims.iter().copied().filter(|(claimant, _)| *claimant != role).collect();
        Node { configuration: before, moved: self.moved | (1 << role), claims }
    }
}
