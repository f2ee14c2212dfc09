//! The complete check of implementability, for protocols that are refused as long as branches which begin alike are kept
//! apart, or that are too large to be explored.
//!
//! Source: Li, Stutz, Wies, Zufferey, *Complete Multiparty Session Type Projection with Automata* (CAV 2023). Each role's
//! machine is made by the subset construction: its states are what the role can know of where the protocol stands. They
//! implement the protocol exactly if each is
//!
//! * send valid: what a role sends can be sent from wherever the protocol may stand;
//! * receive valid: a message from one peer cannot come while the role waits for it from another;
//! * without mixed choice: no state may both send and receive.
//!
//! Then there is no reception error, deadlock or orphan message, in channels without bound, and nothing has to be explored.

mod availability;
mod knowledge;
mod merge;
mod progress;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use crate::diagnostics::Diagnostic;
use crate::global::automaton::Automaton;
use crate::global::flow::Flow;
use crate::global::{Global, Role};
use crate::local::Local;
use crate::program::Program;
use knowledge::Knowledge;

/// How many members all sets of one construction may have together, and how many events are looked at: bounds time and
/// memory.
pub(super) const MAX_STEPS: usize = 4_000_000;

/// What the check says of a protocol.
pub(super) enum Answer {
    /// It can be implemented; the knowledge of each role.
    Implementable(Vec<Knowledge>),
    /// It cannot.
    Not,
    /// The bound was met while looking at this role.
    Undecided(Role),
}

/// What is left of [`MAX_STEPS`].
#[derive(Debug)]
struct Budget(usize);

/// The budget is used up.
#[derive(Debug)]
struct Spent;

impl Budget {
    fn spend(&mut self, steps: usize) -> Result<(), Spent> {
        self.0 = self.0.checked_sub(steps).ok_or(Spent)?;
        Ok(())
    }
}

/// A protocol in the form for which the check is defined.
pub(super) struct Implementability<'a> {
    program: &'a Program,
    global: &'a Global,
    flow: Flow,
    automaton: Automaton,
}

impl<'a> Implementability<'a> {
    /// `None` where a state of the protocol is not decided by one role with messages that differ, or it uses other
    /// constructs than messages, choices and loops.
    pub(super) fn of(program: &'a Program, global: &'a Global) -> Option<Self> {
        let flow = Flow::of(global);
        let automaton = Automaton::of(global, &flow, MAX_STEPS)?;
        Some(Implementability { program, global, flow, automaton })
    }

    /// Whether each interaction takes place in some run.
    pub(super) fn reaches_everything(&self) -> bool {
        let numbers = self.automaton.states.iter().flatten().map(|event| event.number);
        numbers.collect::<HashSet<u32>>().len() == self.global.interactions.len()
    }

    /// Whether merge-based projection is defined for every role. `false` also where the bound is met.
    pub(super) fn merges(&self) -> bool {
        let mut budget = Budget(MAX_STEPS);
        self.global.role_ids().all(|role| {
            merge::is_defined(self.global, &self.flow, &self.automaton, role, &mut budget).is_ok_and(|defined| defined)
        })
    }

    /// Decides it.
    pub(super) fn answer(&self) -> Answer {
        let mut budget = Budget(MAX_STEPS);
        let mut all = Vec::with_capacity(self.global.roles.len());
        for role in self.global.role_ids() {
            match self.role(role, &mut budget) {
                Ok(Some(knowledge)) => all.push(knowledge),
                Ok(None) => return Answer::Not,
                Err(Spent) => return Answer::Undecided(role),
            }
        }
        Answer::Implementable(all)
    }

    fn role(&self, role: Role, budget: &mut Budget) -> Result<Option<Knowledge>, Spent> {
        let knowledge = Knowledge::of(&self.automaton, role, budget)?;
        let valid = !knowledge.has_mixed_choice()
            && knowledge.is_send_valid(&self.automaton, budget)?
            && availability::is_receive_valid(&knowledge, &self.automaton, budget)?;
        Ok(valid.then_some(knowledge))
    }

    /// What an implementable protocol may still lack: roles that are left waiting, at the end or for ever.
    pub(super) fn unfinished(&self, all: &[Knowledge]) -> Vec<Diagnostic> {
        progress::check(self.program, self.global, &self.automaton, all)
    }
}

/// The machines of the roles.
pub(super) fn machines(all: &[Knowledge]) -> Vec<Local> {
    all.iter().map(Knowledge::machine).collect()
}
