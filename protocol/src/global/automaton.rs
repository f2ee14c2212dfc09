//! A global protocol as one automaton whose events are whole messages.
//!
//! This is the form in which implementability is defined (Li, Stutz, Wies, Zufferey: *Complete Multiparty Session Type
//! Projection with Automata*, CAV 2023): in each state one role decides, and its events are told apart by receiver and
//! message.

use super::flow::Flow;
use super::{Global, MessageId, NodeId, NodeKind, Role};

/// A state of an [`Automaton`].
pub(crate) type StateId = u32;

/// A message that is sent and received, and where that leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    pub(crate) from: Role,
    pub(crate) to: Role,
    pub(crate) message: MessageId,
    pub(crate) target: StateId,
    /// Of the interaction, from 1.
    pub(crate) number: u32,
    pub(crate) node: NodeId,
}

/// A global protocol without silent steps. Invariant: state 0 is the start, and all states can be reached.
#[derive(Clone, Debug)]
pub(crate) struct Automaton {
    /// The events of each state; none: the protocol is over.
    pub(crate) states: Vec<Vec<Event>>,
}

impl Event {
    /// Whether a role sends or receives here.
    pub(crate) fn is_of(&self, role: Role) -> bool {
        self.from == role || self.to == role
    }
}

impl Automaton {
    /// The automaton of a protocol, if it is of the form: plain messages only, one role decides in each state, and its
    /// messages differ. At most `limit` events.
    pub(crate) fn of(global: &Global, flow: &Flow, limit: usize) -> Option<Self> {
        let plain = |node: &super::Node| match node.kind {
            NodeKind::Message { crash, .. } => !crash,
            NodeKind::Choice { .. } | NodeKind::Rec { .. } | NodeKind::Continue { .. } => true,
            _ => false,
        };
        if !global.nodes.iter().all(plain) {
            return None;
        }
        let mut numbers = vec![StateId::MAX; flow.steps.len()];
        let mut order = vec![Flow::START];
        numbers[Flow::START as usize] = 0;
        let mut automaton = Automaton { states: Vec::new() };
        let mut silent = Silent { seen: vec![u32::MAX; flow.steps.len()], stack: Vec::new() };
        let mut total = 0;
        while let Some(&point) = order.get(automaton.states.len()) {
            let mut events = silent.events(global, flow, point)?;
            for event in &mut events {
                let target = event.target as usize;
                if numbers[target] == StateId::MAX {
                    numbers[target] = StateId::try_from(order.len()).unwrap_or(StateId::MAX);
                    order.push(event.target);
                }
                event.target = numbers[target];
            }
            total += events.len();
            if total > limit || !decided(&mut events) {
                return None;
            }
            automaton.states.push(events);
        }
        Some(automaton)
    }
}

/// Puts events in order; whether one role decides, and a message of it leads to one state.
fn decided(events: &mut Vec<Event>) -> bool {
    events.sort_unstable();
    events.dedup();
    events.windows(2).all(|pair| {
        let [one, other] = pair else { return true };
        one.from == other.from && (one.to, one.message) != (other.to, other.message)
    })
}

struct Silent {
    /// The last point from which each point was reached.
    seen: Vec<u32>,
    stack: Vec<u32>,
}

impl Silent {
    /// The events after silent steps from a point; `None` if it may also be over there.
    fn events(&mut self, global: &Global, flow: &Flow, from: u32) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        let mut over = false;
        self.stack.push(from);
        self.seen[from as usize] = from;
        while let Some(point) = self.stack.pop() {
            over |= point == Flow::END;
            for &(target, by) in &flow.steps[point as usize] {
                if let Some(node) = by {
                    if let NodeKind::Message { from, to, message, number, .. } = global.node(node).kind {
                        events.push(Event { from, to, message, target, number, node });
                    }
                } else if self.seen[target as usize] != from {
                    self.seen[target as usize] = from;
                    self.stack.push(target);
                }
            }
        }
        (events.is_empty() || !over).then_some(events)
    }
}
