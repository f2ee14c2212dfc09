//! What an implementable protocol may still lack: a role that is left waiting when all is over, or for ever while others
//! go round a loop that is never left. Choices count as fair.

use crate::check::system::scc::{components, numbers};
use crate::check::wording::Wording;
use crate::diagnostics::Diagnostic;
use crate::global::Global;
use crate::global::automaton::Automaton;
use crate::local::Move;
use crate::program::Program;

use super::knowledge::{Knowledge, Set, events};

/// Reports such roles, each place once.
pub(super) fn check(program: &Program, global: &Global, automaton: &Automaton, all: &[Knowledge]) -> Vec<Diagnostic> {
    let wording = Wording { program, global };
    let loops = Loops::of(automaton);
    let mut findings: Vec<Diagnostic> = Vec::new();
    for knowledge in all {
        let role = knowledge.role;
        let acts = loops.acts(automaton, knowledge);
        for set in knowledge.sets.iter().filter(|set| !set.moves.is_empty()) {
            let place = wording.place(role, &set.numbers);
            if set.members.iter().any(|member| automaton.states[*member as usize].is_empty()) {
                findings.push(wording.unfinished(role, place, &wording.next(&moves(set))));
            }
            let idle = |member: &u32| loops.of[*member as usize].is_some_and(|index| !acts[index]);
            if set.members.iter().any(idle) {
                findings.push(wording.starving(role, place, &wording.next(&moves(set)), true));
            }
        }
    }
    let mut known = std::collections::HashSet::new();
    findings.retain(|finding| known.insert((finding.code, finding.span, finding.message.clone())));
    findings
}

fn moves(set: &Set) -> Vec<Move> {
    set.moves.iter().map(|(act, known)| Move { act: *act, to: known.set }).collect()
}

/// The parts of an automaton that are never left and in which events go on for ever.
struct Loops {
    /// Per state: the part that it belongs to.
    of: Vec<Option<usize>>,
    parts: Vec<Vec<u32>>,
}

impl Loops {
    fn of(automaton: &Automaton) -> Self {
        let count = automaton.states.len();
        let all = components(count, |state| automaton.states[state].iter().map(|event| event.target));
        let component = numbers(count, &all);
        let mut loops = Loops { of: vec![None; count], parts: Vec::new() };
        for (index, states) in (0u32..).zip(all) {
            let stays = |target: u32| component[target as usize] == index;
            let goes_on = !automaton.states[states[0] as usize].is_empty();
            if goes_on && events(automaton, &states).all(|event| stays(event.target)) {
                for state in &states {
                    loops.of[*state as usize] = Some(loops.parts.len());
                }
                loops.parts.push(states);
            }
        }
        loops
    }

    /// In which parts a role acts.
    fn acts(&self, automaton: &Automaton, knowledge: &Knowledge) -> Vec<bool> {
        let acts = |states: &Vec<u32>| events(automaton, states).any(|event| event.is_of(knowledge.role));
        self.parts.iter().map(acts).collect()
    }
}
