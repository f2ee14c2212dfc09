//! Minimisation up to strong bisimulation, for deterministic and non-deterministic machines.
//!
//! Partition refinement: states start in one class and are split by what they can do. When a class splits, its largest
//! part keeps the class number, so a state changes class at most log n times and the whole takes O(m log n) steps
//! (Hopcroft's idea, in the form of Blom and Orzan's signatures).

use std::collections::HashMap;

use super::{Act, Local, LocalState, Move};

/// Merges the states that behave alike. The first state of a class gives the order, numbers are united.
pub(crate) fn minimise(machine: &Local) -> Local {
    let classes = without_loops(machine).unwrap_or_else(|| Refinement::new(machine).run());
    quotient(machine, &classes)
}

/// The classes of a machine without loops, from its ends backwards; `None` if there is a loop.
fn without_loops(machine: &Local) -> Option<Vec<u32>> {
    let mut waiting: Vec<usize> = machine.states.iter().map(|state| state.moves.len()).collect();
    let mut before: Vec<Vec<u32>> = vec![Vec::new(); machine.states.len()];
    for (from, state) in machine.states.iter().enumerate() {
        state.moves.iter().for_each(|step| before[step.to as usize].push(narrow(from)));
    }
    let mut ready: Vec<usize> = (0..waiting.len()).filter(|state| waiting[*state] == 0).collect();
    let mut classes = vec![u32::MAX; machine.states.len()];
    let mut known: HashMap<Signature, u32> = HashMap::new();
    let mut settled = 0;
    while let Some(state) = ready.pop() {
        let signature = signature(machine, &classes, state);
        let fresh = narrow(known.len());
        classes[state] = *known.entry(signature).or_insert(fresh);
        settled += 1;
        for &from in &before[state] {
            waiting[from as usize] -= 1;
            if waiting[from as usize] == 0 {
                ready.push(from as usize);
            }
        }
    }
    (settled == machine.states.len()).then_some(classes)
}

fn signature(machine: &Local, classes: &[u32], state: usize) -> Signature {
    let mut signature: Signature =
        machine.states[state].moves.iter().map(|step| (step.act, classes[step.to as usize])).collect();
    signature.sort_unstable();
    signature.dedup();
    signature
}

struct Refinement<'a> {
    machine: &'a Local,
    class: Vec<u32>,
    /// The states of each class, and the place of each state in its class.
    members: Vec<Vec<u32>>,
    place: Vec<u32>,
    before: Vec<Vec<u32>>,
    dirty: Vec<bool>,
    queue: Vec<u32>,
}

type Signature = Vec<(Act, u32)>;

/// States with the same signature.
type Group = (Signature, Vec<u32>);

impl<'a> Refinement<'a> {
    fn new(machine: &'a Local) -> Self {
        let count = machine.states.len();
        let all: Vec<u32> = (0..count).map(narrow).collect();
        let mut before = vec![Vec::new(); count];
        for (from, state) in machine.states.iter().enumerate() {
            for step in &state.moves {
                before[step.to as usize].push(narrow(from));
            }
        }
        Refinement {
            machine,
            class: vec![0; count],
            members: vec![all.clone()],
            place: all.clone(),
            before,
            dirty: vec![true; count],
            queue: all,
        }
    }

    fn run(mut self) -> Vec<u32> {
        while !self.queue.is_empty() {
            let mut batch: HashMap<u32, Vec<u32>> = HashMap::new();
            let queue = std::mem::take(&mut self.queue);
            for &state in &queue {
                self.dirty[state as usize] = false;
                batch.entry(self.class[state as usize]).or_default().push(state);
            }
            // All signatures of a round are taken before any class changes.
            let mut batch: Vec<(u32, Vec<Group>)> =
                batch.into_iter().map(|(class, states)| (class, self.groups(class, &states))).collect();
            batch.sort_unstable_by_key(|(class, _)| *class);
            for (class, groups) in batch {
                self.split(class, groups);
            }
        }
        self.class
    }

    /// The touched states of a class by signature, with one untouched state standing for all others.
    fn groups(&self, class: u32, touched: &[u32]) -> Vec<Group> {
        let mut groups: HashMap<Signature, Vec<u32>> = HashMap::new();
        for &state in touched {
            groups.entry(self.signature(state)).or_default().push(state);
        }
        let mut groups: Vec<Group> = groups.into_iter().collect();
        groups.sort_unstable_by(|left, right| left.1[0].cmp(&right.1[0]));
        let members = &self.members[class as usize];
        if touched.len() < members.len() {
            let mut marked = std::collections::HashSet::with_capacity(touched.len());
            marked.extend(touched.iter().copied());
            if let Some(clean) = members.iter().find(|state| !marked.contains(state)) {
                let signature = self.signature(*clean);
                let rest = members.len() - touched.len();
                return with_rest(groups, &signature, rest, members, &marked);
            }
        }
        groups
    }

    fn signature(&self, state: u32) -> Signature {
        signature(self.machine, &self.class, state as usize)
    }

    /// Gives every group but one a class of its own. A group without states stands for those that stay.
    fn split(&mut self, class: u32, mut groups: Vec<Group>) {
        let stays = match groups.iter().position(|(_, states)| states.is_empty()) {
            Some(stays) => stays,
            None => (0..groups.len()).max_by_key(|at| groups[*at].1.len()).unwrap_or(0),
        };
        groups.remove(stays);
        for (_, states) in groups {
            let fresh = narrow(self.members.len());
            for &state in &states {
                self.leave(class, state);
                self.class[state as usize] = fresh;
            }
            for (place, &state) in states.iter().enumerate() {
                self.place[state as usize] = narrow(place);
                self.touch_before(state);
            }
            self.members.push(states);
        }
    }

    fn leave(&mut self, class: u32, state: u32) {
        let members = &mut self.members[class as usize];
        let place = self.place[state as usize];
        members.swap_remove(place as usize);
        if let Some(&moved) = members.get(place as usize) {
            self.place[moved as usize] = place;
        }
    }

    fn touch_before(&mut self, state: u32) {
        for &before in &self.before[state as usize] {
            if !std::mem::replace(&mut self.dirty[before as usize], true) {
                self.queue.push(before);
            }
        }
    }
}

/// Adds the untouched states: to the group that they belong to, as a group of their own only if that is small.
fn with_rest(
    mut groups: Vec<Group>,
    signature: &Signature,
    rest: usize,
    members: &[u32],
    marked: &std::collections::HashSet<u32>,
) -> Vec<Group> {
    let joined = groups.iter().position(|(other, _)| other == signature);
    let with = rest + joined.map_or(0, |at| groups[at].1.len());
    let largest = groups.iter().map(|(_, states)| states.len()).max().unwrap_or(0);
    if with >= largest {
        // The untouched ones keep the class: whoever is like them does not move either.
        if let Some(at) = joined {
            groups.remove(at);
        }
        groups.insert(0, (Vec::new(), Vec::new()));
        return groups;
    }
    let clean: Vec<u32> = members.iter().copied().filter(|state| !marked.contains(state)).collect();
    match joined {
        Some(at) => groups[at].1.extend(clean),
        None => groups.push((signature.clone(), clean)),
    }
    groups
}

fn quotient(machine: &Local, classes: &[u32]) -> Local {
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    let mut states: Vec<LocalState> = Vec::new();
    for class in classes {
        let fresh = narrow(numbers.len());
        numbers.entry(*class).or_insert(fresh);
    }
    states.resize_with(numbers.len(), LocalState::default);
    for (state, class) in machine.states.iter().zip(classes) {
        let merged = &mut states[numbers[class] as usize];
        let moves = state.moves.iter().map(|step| Move { act: step.act, to: numbers[&classes[step.to as usize]] });
        merged.moves.extend(moves);
        merged.describe(state);
    }
    states.iter_mut().for_each(LocalState::settle);
    let initial = numbers[&classes[machine.initial as usize]];
    Local { initial, states }
}

fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
