//! Linearizability after Wing and Gong, with Lowe's memo of what was tried.
//!
//! The search walks the events in order of time. At a call it tries to let the operation take effect there; at the
//! return of one that has not taken effect it goes back. A pair of (operations that took effect, state) is entered
//! once: whatever can follow it has been tried. Operations on different keys are judged apart (linearizability is
//! local), which is what makes long histories possible.
//!
//! An operation with unknown outcome has a call and no return: it may take effect at any later time, or never.
//!
//! Sources: Wing, Gong: Testing and verifying concurrent objects (1993); Lowe: Testing for linearizability (2017);
//! Horn, Kroening: Faster linearizability checking via P-compositionality (2015).

use std::collections::{BTreeMap, HashSet};

use super::{Judgement, Model};
use crate::history::{Operation, Outcome};

/// States entered per key before the search gives up: about a second.
const BUDGET: usize = 2_000_000;

/// An operation on the object of a model.
type Asked<M> = Operation<<M as Model>::Call, <M as Model>::Answer>;

/// Judges a history, apart for each key.
pub fn check<M: Model, K: Ord + std::fmt::Display>(
    model: &M,
    operations: &[Asked<M>],
    key: impl Fn(&M::Call) -> K,
) -> Judgement {
    let mut by_key: BTreeMap<K, Vec<&Asked<M>>> = BTreeMap::new();
    for operation in operations.iter().filter(|operation| !matches!(operation.outcome, Outcome::Failed)) {
        by_key.entry(key(&operation.call)).or_default().push(operation);
    }
    let (mut findings, mut undecided) = (Vec::new(), Vec::new());
    for (key, operations) in &by_key {
        match Search::new(model, operations).run() {
            Found::Order => {}
            Found::NoOrder { stuck } => findings.push(format!("no order explains `{key}`: {stuck}")),
            Found::GaveUp => undecided.push(key.to_string()),
        }
    }
    if !findings.is_empty() {
        return Judgement::Violated(findings);
    }
    if !undecided.is_empty() {
        return Judgement::Undecided(format!("more than {BUDGET} states for {}", undecided.join(", ")));
    }
    Judgement::Holds { examined: operations.len() }
}

enum Found {
    Order,
    NoOrder { stuck: String },
    GaveUp,
}

/// A set of operations of one key.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Bits(Vec<u64>);

impl Bits {
    fn set(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn clear(&mut self, bit: usize) {
        self.0[bit / 64] &= !(1 << (bit % 64));
    }
}

/// One event; `links` of the search put them in order.
#[derive(Clone, Copy)]
struct Event {
    operation: usize,
    returns: bool,
}

struct Search<'a, M: Model> {
    model: &'a M,
    operations: &'a [&'a Asked<M>],
    /// Event `i` is place `i + 1` of `links`; place 0 is the head of the list.
    events: Vec<Event>,
    /// Place of the return of an operation, for those whose outcome is known.
    return_of: Vec<Option<usize>>,
    /// (before, after) in the list of what has not taken effect yet.
    links: Vec<(usize, usize)>,
}

/// After the last place.
const END: usize = usize::MAX;

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, operations: &'a [&'a Asked<M>]) -> Self {
        let mut timed = Vec::new();
        for (number, operation) in operations.iter().enumerate() {
            timed.push((operation.invoked, false, number));
            if matches!(operation.outcome, Outcome::Known(_)) {
                timed.push((operation.returned, true, number));
            }
        }
        // At equal times calls go first: then they overlap, which allows more.
        timed.sort_unstable();
        let events: Vec<Event> =
            timed.into_iter().map(|(_, returns, operation)| Event { operation, returns }).collect();
        let mut return_of = vec![None; operations.len()];
        for (place, event) in events.iter().enumerate().filter(|(_, event)| event.returns) {
            return_of[event.operation] = Some(place + 1);
        }
        let last = events.len();
        let links = (0..=last).map(|place| (place.wrapping_sub(1), if place == last { END } else { place + 1 }));
        Search { model, operations, return_of, links: links.collect(), events }
    }

    fn run(mut self) -> Found {
        let mut waiting = self.return_of.iter().flatten().count();
        let mut state = self.model.initial();
        let mut done = Bits(vec![0; self.operations.len().div_ceil(64).max(1)]);
        let mut tried = HashSet::new();
        let mut taken: Vec<(usize, M::State)> = Vec::new();
        let mut furthest = (0, String::new());
        let mut place = self.links[0].1;
        while waiting > 0 {
            let event = if place == END { None } else { Some(self.events[place - 1]) };
            if let Some(Event { operation, returns: false }) = event {
                if let Some(next) = self.step(&state, operation) {
                    done.set(operation);
                    if tried.insert((done.clone(), next.clone())) {
                        if tried.len() > BUDGET {
                            return Found::GaveUp;
                        }
                        taken.push((place, std::mem::replace(&mut state, next)));
                        waiting -= usize::from(self.return_of[operation].is_some());
                        self.lift(place);
                        place = self.links[0].1;
                        continue;
                    }
                    done.clear(operation);
                }
                place = self.links[place].1;
                continue;
            }
            // A return without effect, or the end with somebody waiting: the last decision was wrong.
            if let Some(Event { operation, .. }) = event.filter(|_| furthest.1.is_empty() || taken.len() > furthest.0) {
                furthest = (taken.len(), self.describe(operation, &state));
            }
            let Some((back, before)) = taken.pop() else {
                return Found::NoOrder { stuck: furthest.1 };
            };
            let operation = self.events[back - 1].operation;
            done.clear(operation);
            waiting += usize::from(self.return_of[operation].is_some());
            state = before;
            self.put_back(back);
            place = self.links[back].1;
        }
        Found::Order
    }

    fn step(&self, state: &M::State, operation: usize) -> Option<M::State> {
        let operation = self.operations[operation];
        let answer = match &operation.outcome {
            Outcome::Known(answer) => Some(answer),
            Outcome::Failed | Outcome::Unknown => None,
        };
        self.model.step(state, &operation.call, answer)
    }

    fn describe(&self, operation: usize, state: &M::State) -> String {
        let operation = self.operations[operation];
        format!(
            "client {} asked {:?} at {} µs and heard {:?} at {} µs, when the best order had led to {state:?}",
            operation.client,
            operation.call,
            operation.invoked / 1000,
            operation.outcome,
            operation.returned / 1000,
        )
    }

    /// Takes the call at `place`, and its return, out of the list.
    fn lift(&mut self, place: usize) {
        self.unlink(place);
        if let Some(returns) = self.return_of[self.events[place - 1].operation] {
            self.unlink(returns);
        }
    }

    /// The exact opposite of the last `lift`.
    fn put_back(&mut self, place: usize) {
        if let Some(returns) = self.return_of[self.events[place - 1].operation] {
            self.link(returns);
        }
        self.link(place);
    }

    fn unlink(&mut self, place: usize) {
        let (before, after) = self.links[place];
        self.links[before].1 = after;
        if after != END {
            self.links[after].0 = before;
        }
    }

    fn link(&mut self, place: usize) {
        let (before, after) = self.links[place];
        self.links[before].1 = place;
        if after != END {
            self.links[after].0 = place;
        }
    }
}
