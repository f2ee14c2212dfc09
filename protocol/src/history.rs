//! What one role has done so far in a session: a path of its machine.

use serde::{Deserialize, Serialize};

use crate::image::{Action, Machine, StateId};

/// The events a role has completed, each as the index of the edge taken in the state reached so far.
///
/// One small number an event, and with the [`Machine`] it yields direction, peer, label and state of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct History {
    /// Edge indices, first event first.
    pub steps: Vec<u16>,
}

impl History {
    /// Number of completed events: the current position.
    pub fn position(&self) -> u64 {
        self.steps.len() as u64
    }

    /// Forgets every event past `position`.
    pub fn truncate(&mut self, position: u64) {
        self.steps.truncate(usize::try_from(position).unwrap_or(usize::MAX));
    }

    /// The path in `machine`: each event's action, and the state after it.
    ///
    /// Ends with an `Err` holding the position of the first step that is no edge of the machine.
    pub fn walk<'a>(&'a self, machine: &'a Machine) -> Walk<'a> {
        Walk { machine, steps: self.steps.iter(), state: machine.initial, position: 0, broken: false }
    }

    /// The state reached, or the position of the first step that the machine does not have.
    pub fn state(&self, machine: &Machine) -> Result<StateId, u64> {
        let mut state = machine.initial;
        for step in self.walk(machine) {
            state = step?.1;
        }
        Ok(state)
    }
}

/// Iterator of [`History::walk`].
pub struct Walk<'a> {
    machine: &'a Machine,
    steps: std::slice::Iter<'a, u16>,
    state: StateId,
    position: u64,
    broken: bool,
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<(&'a Action, StateId), u64>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let step = usize::from(*self.steps.next()?);
        let edge = self.machine.state(self.state).and_then(|state| state.edges.get(step));
        let Some(edge) = edge else {
            self.broken = true;
            return Some(Err(self.position));
        };
        self.state = edge.to;
        self.position += 1;
        Some(Ok((&edge.action, edge.to)))
    }
}
