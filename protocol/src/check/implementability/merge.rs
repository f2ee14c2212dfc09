//! Merge-based projection: whether what a role sees of the branches of choices that it does not hear of at once can be
//! merged into one local type.
//!
//! This is the full merge of multiparty session types. Receives from one peer are united, label by label; everything
//! else must be the same in all branches. `continue` stands for its loop, unfolded as often as it takes. What begins with
//! the same event in two loops merges from the beginnings of both only, and not with what is in no loop.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::knowledge::{Closure, act};
use super::{Budget, Spent};
use crate::global::automaton::{Automaton, Event, StateId};
use crate::global::flow::Flow;
use crate::global::{Global, NodeId, Role};
use crate::local::Act;

/// Whether the projection to a role is defined.
pub(super) fn is_defined(
    global: &Global,
    flow: &Flow,
    automaton: &Automaton,
    role: Role,
    budget: &mut Budget,
) -> Result<bool, Spent> {
    let mut merger = Merger { global, flow, automaton, role, beginnings: HashMap::new() };
    let mut closure = Closure::over(automaton);
    let mut seen = BTreeSet::from([vec![0]]);
    let mut todo = vec![vec![0]];
    while let Some(start) = todo.pop() {
        let members = closure.of(automaton, role, &start, budget)?;
        let turns: Vec<Turn<'_>> = members.iter().filter_map(|member| merger.turn(*member)).collect();
        budget.spend(turns.iter().map(Vec::len).sum())?;
        if !fit(role, &turns) {
            return Ok(false);
        }
        let mut common: BTreeMap<Act, Vec<&Event>> = BTreeMap::new();
        for event in turns.into_iter().flatten() {
            common.entry(act(role, event)).or_default().push(event);
        }
        for events in common.into_values() {
            if events.len() > 1 && !merger.in_step(&events, budget)? {
                return Ok(false);
            }
            let mut start: Vec<StateId> = events.iter().map(|event| event.target).collect();
            start.sort_unstable();
            start.dedup();
            if seen.insert(start.clone()) {
                todo.push(start);
            }
        }
    }
    Ok(true)
}

/// The events of the role in a state of the protocol in which it is its turn; none where all is over.
type Turn<'a> = Vec<&'a Event>;

/// Whether what the role does next can be merged: it receives from one peer, or does the same in each case.
fn fit(role: Role, turns: &[Turn<'_>]) -> bool {
    let Some((first, others)) = turns.split_first() else { return true };
    let receives_from = |turn: &Turn<'_>| turn.first().filter(|event| event.to == role).map(|event| event.from);
    let acts = |turn: &Turn<'_>| turn.iter().map(|event| act(role, event)).collect::<BTreeSet<Act>>();
    others.iter().all(|other| match receives_from(first) {
        Some(peer) => receives_from(other) == Some(peer),
        None => acts(first) == acts(other),
    })
}

struct Merger<'a> {
    global: &'a Global,
    flow: &'a Flow,
    automaton: &'a Automaton,
    role: Role,
    /// Per loop, the interactions of the role that may come first in it.
    beginnings: HashMap<NodeId, BTreeSet<NodeId>>,
}

impl<'a> Merger<'a> {
    fn turn(&self, state: StateId) -> Option<Turn<'a>> {
        let events = &self.automaton.states[state as usize];
        let own: Turn<'a> = events.iter().filter(|event| event.is_of(self.role)).collect();
        (!own.is_empty() || events.is_empty()).then_some(own)
    }

    /// Whether the loops that some of these events are in and others are not stand at their beginnings together.
    fn in_step(&mut self, events: &[&Event], budget: &mut Budget) -> Result<bool, Spent> {
        let around = |event: &&Event| -> Vec<NodeId> {
            let mut loops: Vec<NodeId> = self.flow.loops_around(event.node).collect();
            loops.reverse();
            loops
        };
        let loops: Vec<Vec<NodeId>> = events.iter().map(around).collect();
        let shared = loops.iter().fold(loops[0].len(), |shared, other| {
            shared.min(loops[0].iter().zip(other).take_while(|(left, right)| left == right).count())
        });
        let mut places = BTreeSet::new();
        for (event, loops) in events.iter().zip(&loops) {
            let place = match loops.get(shared) {
                None => None,
                Some(&own) => Some(self.begins(own, event.node, budget)?),
            };
            places.insert(place);
        }
        Ok(places.len() == 1)
    }

    /// Whether an interaction may come first for the role in a loop.
    fn begins(&mut self, own: NodeId, node: NodeId, budget: &mut Budget) -> Result<bool, Spent> {
        if !self.beginnings.contains_key(&own) {
            let beginning = self.beginning(own, budget)?;
            self.beginnings.insert(own, beginning);
        }
        Ok(self.beginnings[&own].contains(&node))
    }

    fn beginning(&self, own: NodeId, budget: &mut Budget) -> Result<BTreeSet<NodeId>, Spent> {
        let mut first = BTreeSet::new();
        let mut seen = BTreeSet::from([self.flow.head(own)]);
        let mut todo = vec![self.flow.head(own)];
        while let Some(point) = todo.pop() {
            for &(target, by) in &self.flow.steps[point as usize] {
                budget.spend(1)?;
                match by {
                    Some(node) if self.global.takes_part(self.role, node) => {
                        first.insert(node);
                    }
                    _ if seen.insert(target) => todo.push(target),
                    _ => {}
                }
            }
        }
        Ok(first)
    }
}
