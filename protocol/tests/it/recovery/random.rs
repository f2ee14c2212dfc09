//! Random protocols, from nothing but a seed.
//!
//! A protocol is a graph of interactions, safe by construction: in a choice every role that goes on learns the branch
//! from the same peer in each, before it acts. It is projected here, independently of the front end.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_protocol::image::{Action, Direction, Edge, Image, Machine, RoleId, State, StateId};

/// `SplitMix64`: small, and the same sequence on every platform for ever.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Rng(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    /// True `percent` times out of 100.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// One place in the text of a global protocol: a message, or the first messages of a choice.
#[derive(Clone, Debug)]
struct Interaction {
    from: usize,
    to: usize,
    /// Text number, label, what follows.
    branches: Vec<(usize, String, Next)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    At(usize),
    End,
}

/// How large a random protocol gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) roles: usize,
    /// About how many interactions.
    pub(crate) size: usize,
    pub(crate) loops: bool,
}

impl Shape {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        Shape { roles: 2 + rng.below(4), size: 2 + rng.below(10), loops: rng.chance(60) }
    }
}

/// A random protocol: deadlock-free, no orphan messages, no message of a wrong type.
pub(crate) fn protocol(rng: &mut Rng, shape: Shape) -> Image {
    let mut text = Text { interactions: Vec::new(), number: 0, shape };
    let mut roles: Vec<usize> = (0..shape.roles).collect();
    rng.shuffle(&mut roles);
    // Now and then two conversations that have nothing to do with each other, or a role that is in both.
    let split = if shape.roles >= 4 && rng.chance(15) { 2 } else { 0 };
    let shared = shape.roles >= 3 && split == 0 && rng.chance(15);
    let (first, second) = if shared { (&roles[..2], &roles[1..]) } else { roles.split_at(split) };
    let starts = [first, second].map(|group| text.body(rng, group, shape.size, &[]));
    let machines = (0..shape.roles)
        .map(|role| match (first.contains(&role), second.contains(&role)) {
            (true, true) => interleaved(&text.project(role, starts[0]), &text.project(role, starts[1])),
            (true, false) => text.project(role, starts[0]),
            _ => text.project(role, starts[1]),
        })
        .collect();
    let names = (0..shape.roles).map(|role| char::from(b'A' + u8::try_from(role).expect("few roles")).to_string());
    Image { name: "Random".to_owned(), roles: names.collect(), machines }
}

/// The machine of a role that takes part in two conversations at once, as in the parts of a `par`.
fn interleaved(left: &Machine, right: &Machine) -> Machine {
    let width = right.states.len();
    let state = |at: usize, other: usize| StateId(u32::try_from(at * width + other).expect("few states"));
    let mut states = Vec::new();
    for (at, one) in left.states.iter().enumerate() {
        for (other, two) in right.states.iter().enumerate() {
            let on_the_left = one.edges.iter().map(|edge| (edge, state(edge.to.index(), other)));
            let on_the_right = two.edges.iter().map(|edge| (edge, state(at, edge.to.index())));
            let edges = on_the_left.chain(on_the_right).map(|(edge, to)| Edge { action: edge.action.clone(), to });
            let names: BTreeSet<&str> = [&one.name, &two.name].into_iter().flat_map(|name| name.split('|')).collect();
            let mut numbers: Vec<usize> = names.iter().filter_map(|name| name.parse().ok()).collect();
            numbers.sort_unstable();
            let name = numbers.iter().map(usize::to_string).collect::<Vec<_>>().join("|");
            states.push(State { name: if name.is_empty() { "end".to_owned() } else { name }, edges: edges.collect() });
        }
    }
    Machine { initial: state(left.initial.index(), right.initial.index()), states }
}

struct Text {
    interactions: Vec<Interaction>,
    number: usize,
    shape: Shape,
}

impl Text {
    /// Adds a random rest of a protocol between `roles`; `loops` are the heads of loops that all of them are in.
    fn body(&mut self, rng: &mut Rng, roles: &[usize], size: usize, loops: &[usize]) -> Next {
        if roles.len() < 2 {
            return Next::End;
        }
        if size == 0 {
            let again = !loops.is_empty() && rng.chance(60);
            return if again { Next::At(*rng.pick(loops)) } else { Next::End };
        }
        if self.shape.loops && loops.len() < 2 && rng.chance(25) {
            let head = self.interactions.len();
            let inner: Vec<usize> = loops.iter().copied().chain([head]).collect();
            return self.step(rng, roles, size, &inner);
        }
        self.step(rng, roles, size, loops)
    }

    fn step(&mut self, rng: &mut Rng, roles: &[usize], size: usize, loops: &[usize]) -> Next {
        if rng.chance(25) { self.choice(rng, roles, size, loops) } else { self.message(rng, roles, size, loops) }
    }

    fn message(&mut self, rng: &mut Rng, roles: &[usize], size: usize, loops: &[usize]) -> Next {
        let from = *rng.pick(roles);
        let others: Vec<usize> = roles.iter().copied().filter(|&role| role != from).collect();
        let to = *rng.pick(&others);
        let here = self.add(from, to);
        let next = self.body(rng, roles, size - 1, loops);
        self.branch(here, format!("m{}", rng.below(3)), next);
        Next::At(here)
    }

    /// A choice: a chain of messages tells each role that goes on which branch was taken, then the branches go on.
    fn choice(&mut self, rng: &mut Rng, roles: &[usize], size: usize, loops: &[usize]) -> Next {
        let mut informed = roles.to_vec();
        rng.shuffle(&mut informed);
        if rng.chance(30) && informed.len() > 2 {
            informed.truncate(2 + rng.below(informed.len() - 1));
        }
        // A loop goes on only with everybody in it.
        let loops = if informed.len() == roles.len() { loops } else { &[] };
        let told: Vec<(usize, usize)> =
            (1..informed.len()).map(|last| (informed[rng.below(last)], informed[last])).collect();
        let here = self.add(told[0].0, told[0].1);
        for branch in 0..2 + rng.below(2) {
            let label = format!("c{branch}");
            let chain: Vec<usize> = told[1..].iter().map(|&(from, to)| self.add(from, to)).collect();
            let rest = size.saturating_sub(1 + told.len() / 2);
            let size = rng.below(rest + 1);
            let mut next = self.body(rng, &informed, size, loops);
            for &link in chain.iter().rev() {
                self.branch(link, label.clone(), next);
                next = Next::At(link);
            }
            self.branch(here, label, next);
        }
        Next::At(here)
    }

    fn add(&mut self, from: usize, to: usize) -> usize {
        self.interactions.push(Interaction { from, to, branches: Vec::new() });
        self.interactions.len() - 1
    }

    fn branch(&mut self, at: usize, label: String, next: Next) {
        self.number += 1;
        self.interactions[at].branches.push((self.number, label, next));
    }

    /// The interactions that `role` may see next.
    fn visible(&self, role: usize, from: &BTreeSet<usize>) -> BTreeSet<usize> {
        let (mut seen, mut found) = (BTreeSet::new(), BTreeSet::new());
        let mut open: Vec<usize> = from.iter().copied().collect();
        while let Some(at) = open.pop() {
            let interaction = &self.interactions[at];
            if interaction.from == role || interaction.to == role {
                found.insert(at);
            } else if seen.insert(at) {
                open.extend(interaction.branches.iter().filter_map(|branch| match branch.2 {
                    Next::At(next) => Some(next),
                    Next::End => None,
                }));
            }
        }
        found
    }

    /// The machine of a role: subset construction over what it can see.
    fn project(&self, role: usize, start: Next) -> Machine {
        let first = match start {
            Next::At(at) => self.visible(role, &BTreeSet::from([at])),
            Next::End => BTreeSet::new(),
        };
        let mut numbers = BTreeMap::from([(first.clone(), 0u32)]);
        let mut open = vec![first];
        let mut states: Vec<State> = Vec::new();
        while let Some(here) = open.get(states.len()).cloned() {
            let mut moves: BTreeMap<Action, BTreeSet<usize>> = BTreeMap::new();
            let mut names = BTreeSet::new();
            for interaction in here.iter().map(|&at| &self.interactions[at]) {
                let sends = interaction.from == role;
                let peer = if sends { interaction.to } else { interaction.from };
                let direction = if sends { Direction::Send } else { Direction::Receive };
                for (number, label, next) in &interaction.branches {
                    names.insert(*number);
                    let peer = RoleId(u16::try_from(peer).expect("few roles"));
                    let action = Action { direction, peer, label: label.clone(), payload: Vec::new() };
                    let targets = moves.entry(action).or_default();
                    targets.extend(match next {
                        Next::At(at) => Some(*at),
                        Next::End => None,
                    });
                }
            }
            let directions: BTreeSet<Direction> = moves.keys().map(|action| action.direction).collect();
            assert!(directions.len() <= 1, "a generated state both sends and receives");
            let edges = moves.into_iter().map(|(action, targets)| {
                let after = self.visible(role, &targets);
                let fresh = u32::try_from(numbers.len()).expect("few states");
                let to = *numbers.entry(after.clone()).or_insert_with(|| {
                    open.push(after);
                    fresh
                });
                Edge { action, to: StateId(to) }
            });
            let edges = edges.collect();
            let name = names.iter().map(usize::to_string).collect::<Vec<_>>().join("|");
            states.push(State { name: if name.is_empty() { "end".to_owned() } else { name }, edges });
        }
        Machine { initial: StateId(0), states }
    }
}
