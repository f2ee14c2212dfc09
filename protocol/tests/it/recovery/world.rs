//! A session as the outside sees it: what each role did, and what lies in the channels.

use std::collections::{BTreeMap, VecDeque};

use rekindle_protocol::image::{Direction, Image, StateId};

use super::random::Rng;

/// One completed event, spelt out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) sends: bool,
    pub(crate) peer: usize,
    pub(crate) label: String,
    /// Which edge of its state it was.
    pub(crate) edge: u16,
    /// The state it left.
    pub(crate) before: StateId,
}

/// A running session.
#[derive(Clone, Debug)]
pub(crate) struct World<'a> {
    pub(crate) image: &'a Image,
    pub(crate) done: Vec<Vec<Done>>,
    pub(crate) states: Vec<StateId>,
    /// Labels on their way, by sender and receiver.
    pub(crate) channels: BTreeMap<(usize, usize), VecDeque<String>>,
}

impl<'a> World<'a> {
    pub(crate) fn new(image: &'a Image) -> Self {
        World {
            image,
            done: vec![Vec::new(); image.roles.len()],
            states: image.machines.iter().map(|machine| machine.initial).collect(),
            channels: BTreeMap::new(),
        }
    }

    /// The events that could happen now, as role and edge.
    pub(crate) fn enabled(&self) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (role, machine) in self.image.machines.iter().enumerate() {
            for (number, edge) in machine.states[self.states[role].index()].edges.iter().enumerate() {
                let waiting = self.channels.get(&(edge.action.peer.index(), role)).and_then(VecDeque::front);
                if edge.action.direction == Direction::Send || waiting == Some(&edge.action.label) {
                    found.push((role, number));
                }
            }
        }
        found
    }

    pub(crate) fn step(&mut self, role: usize, number: usize) {
        let before = self.states[role];
        let edge = &self.image.machines[role].states[before.index()].edges[number];
        let (peer, label) = (edge.action.peer.index(), edge.action.label.clone());
        let sends = edge.action.direction == Direction::Send;
        if sends {
            self.channels.entry((role, peer)).or_default().push_back(label.clone());
        } else {
            let taken = self.channels.get_mut(&(peer, role)).and_then(VecDeque::pop_front);
            assert_eq!(taken.as_ref(), Some(&label), "a receive takes the head of its channel");
        }
        self.states[role] = edge.to;
        self.done[role].push(Done { sends, peer, label, edge: u16::try_from(number).expect("few edges"), before });
    }

    /// Forgets a role's events past `position`; its channels are left as they are.
    pub(crate) fn rewind(&mut self, role: usize, position: usize) {
        if let Some(first) = self.done[role].get(position) {
            self.states[role] = first.before;
        }
        self.done[role].truncate(position);
    }

    /// Up to `steps` random events, while `go_on` holds. Some roles are slow and some are eager, so that channels fill.
    pub(crate) fn run(&mut self, rng: &mut Rng, steps: usize, go_on: impl Fn(&World<'_>) -> bool) {
        let eager: Vec<usize> = (0..self.done.len()).map(|_| 1 + rng.below(8)).collect();
        for _ in 0..steps {
            let enabled = self.enabled();
            if enabled.is_empty() || !go_on(self) {
                return;
            }
            let weights: Vec<usize> = enabled.iter().map(|&(role, _)| eager[role]).collect();
            let mut drawn = rng.below(weights.iter().sum());
            let mut chosen = 0;
            while drawn >= weights[chosen] {
                drawn -= weights[chosen];
                chosen += 1;
            }
            self.step(enabled[chosen].0, enabled[chosen].1);
        }
    }
}
