//! What a role knows of where a protocol stands: the subset construction over the projection by erasure.

use std::collections::{BTreeMap, HashMap};

use super::{Budget, Spent};
use crate::global::Role;
use crate::global::automaton::{Automaton, Event, StateId};
use crate::local::{Act, ActKind, Local, LocalState, Move};

/// The deterministic machine of one role, each state with the states of the protocol that it stands for.
pub(in crate::check) struct Knowledge {
    pub(super) role: Role,
    /// The first is the initial one.
    pub(super) sets: Vec<Set>,
}

/// What the role may think: the protocol stands in one of `members`.
pub(super) struct Set {
    /// States of the automaton, ascending; closed under the events of others.
    pub(super) members: Vec<StateId>,
    /// The role's next events, with the set each leads to and the states of the automaton right after it.
    pub(super) moves: BTreeMap<Act, Known>,
    /// Numbers of these interactions, ascending.
    pub(super) numbers: Vec<u32>,
}

/// Where an event leads.
pub(super) struct Known {
    /// Index into [`Knowledge::sets`].
    pub(super) set: u32,
    /// States of the automaton right after the event.
    pub(super) right_after: Vec<StateId>,
}

impl Knowledge {
    /// Computes it.
    pub(super) fn of(automaton: &Automaton, role: Role, budget: &mut Budget) -> Result<Self, Spent> {
        let mut numbers: HashMap<Vec<StateId>, u32> = HashMap::from([(vec![0], 0)]);
        let mut order = vec![vec![0]];
        let mut knowledge = Knowledge { role, sets: Vec::new() };
        let mut closure = Closure::over(automaton);
        while let Some(start) = order.get(knowledge.sets.len()).cloned() {
            let members = closure.of(automaton, role, &start, budget)?;
            let mut after: BTreeMap<Act, Vec<StateId>> = BTreeMap::new();
            let mut interactions = Vec::new();
            for event in events(automaton, &members).filter(|event| event.is_of(role)) {
                after.entry(act(role, event)).or_default().push(event.target);
                interactions.push(event.number);
            }
            interactions.sort_unstable();
            interactions.dedup();
            let mut moves = BTreeMap::new();
            for (act, mut right_after) in after {
                right_after.sort_unstable();
                right_after.dedup();
                let fresh = u32::try_from(order.len()).unwrap_or(u32::MAX);
                let set = *numbers.entry(right_after.clone()).or_insert_with_key(|start| {
                    order.push(start.clone());
                    fresh
                });
                moves.insert(act, Known { set, right_after });
            }
            knowledge.sets.push(Set { members, moves, numbers: interactions });
        }
        Ok(knowledge)
    }

    /// Whether the role may both send and receive somewhere.
    pub(super) fn has_mixed_choice(&self) -> bool {
        let of_kind = |set: &Set, kind| set.moves.keys().any(|act| act.kind == kind);
        self.sets.iter().any(|set| of_kind(set, ActKind::Send) && of_kind(set, ActKind::Receive))
    }

    /// Send validity: each send of a set can be the role's next event from every member of the set.
    pub(super) fn is_send_valid(&self, automaton: &Automaton, budget: &mut Budget) -> Result<bool, Spent> {
        for set in &self.sets {
            let sends = set.moves.keys().filter(|act| act.kind == ActKind::Send);
            if set.members.len() == 1 {
                continue;
            }
            for &send in sends {
                budget.spend(set.members.len())?;
                if !self.possible_everywhere(automaton, &set.members, send) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn possible_everywhere(&self, automaton: &Automaton, members: &[StateId], send: Act) -> bool {
        let place = |state: StateId| members.binary_search(&state).unwrap_or(0);
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); members.len()];
        let mut possible = vec![false; members.len()];
        let mut todo = Vec::new();
        for (index, member) in members.iter().enumerate() {
            for event in &automaton.states[*member as usize] {
                if !event.is_of(self.role) {
                    before[place(event.target)].push(index);
                } else if act(self.role, event) == send && !std::mem::replace(&mut possible[index], true) {
                    todo.push(index);
                }
            }
        }
        while let Some(index) = todo.pop() {
            for &earlier in &before[index] {
                if !std::mem::replace(&mut possible[earlier], true) {
                    todo.push(earlier);
                }
            }
        }
        possible.into_iter().all(|possible| possible)
    }

    /// The machine of the role.
    pub(super) fn machine(&self) -> Local {
        let states = self.sets.iter().map(|set| LocalState {
            moves: set.moves.iter().map(|(act, known)| Move { act: *act, to: known.set }).collect(),
            numbers: set.numbers.clone(),
            ..LocalState::default()
        });
        Local { initial: 0, states: states.collect() }
    }
}

/// The events of some states.
pub(super) fn events<'a>(automaton: &'a Automaton, members: &'a [StateId]) -> impl Iterator<Item = &'a Event> {
    members.iter().flat_map(|member| &automaton.states[*member as usize])
}

/// An event as the role sees it that takes part in it.
pub(super) fn act(role: Role, event: &Event) -> Act {
    let (kind, peer) = if event.from == role { (ActKind::Send, event.to) } else { (ActKind::Receive, event.from) };
    Act { kind, peer, message: event.message }
}

/// Sets of states closed under the events of others.
pub(super) struct Closure {
    seen: Vec<bool>,
}

impl Closure {
    /// For the states of an automaton.
    pub(super) fn over(automaton: &Automaton) -> Self {
        Closure { seen: vec![false; automaton.states.len()] }
    }

    /// The states that can be reached from `start` without an event of `role`, ascending.
    pub(super) fn of(
        &mut self,
        automaton: &Automaton,
        role: Role,
        start: &[StateId],
        budget: &mut Budget,
    ) -> Result<Vec<StateId>, Spent> {
        let mut members = start.to_vec();
        for member in &members {
            self.seen[*member as usize] = true;
        }
        let mut next = 0;
        while let Some(&member) = members.get(next) {
            let events = &automaton.states[member as usize];
            budget.spend(1 + events.len())?;
            for event in events.iter().filter(|event| !event.is_of(role)) {
                if !std::mem::replace(&mut self.seen[event.target as usize], true) {
                    members.push(event.target);
                }
            }
            next += 1;
        }
        for member in &members {
            self.seen[*member as usize] = false;
        }
        members.sort_unstable();
        Ok(members)
    }
}
