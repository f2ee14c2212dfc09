//! Whether the histories of a run can have happened together.

use std::collections::{BTreeMap, VecDeque};

use crate::image::{Action, Direction, Image, RoleId};
use crate::recovery::plan::PlanError;
use crate::recovery::plan::events::place;
use crate::recovery::run::Run;

/// Executes the histories from the start over FIFO channels.
///
/// An event that can happen stays possible whatever the others do, so running each role as far as it goes finds an
/// order if there is one. Linear in the histories.
pub(super) fn check_executable(run: &Run<'_>) -> Result<(), PlanError> {
    let mut execution = Execution::of(run);
    let mut queue: VecDeque<usize> = (0..execution.events.len()).collect();
    while let Some(role) = queue.pop_front() {
        queue.extend(execution.advance(role));
    }
    // The error that is wrong in itself comes before those that only wait for it.
    let stuck = (0..execution.events.len()).filter_map(|role| execution.stuck(run.image, role));
    match stuck.min_by_key(|(rank, _)| *rank) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

struct Execution<'a> {
    /// The events of each role.
    events: Vec<Vec<&'a Action>>,
    /// How many of them have happened.
    done: Vec<usize>,
    /// Labels on their way, by sender and receiver.
    channels: BTreeMap<(usize, usize), VecDeque<&'a str>>,
}

impl<'a> Execution<'a> {
    fn of(run: &'a Run<'_>) -> Self {
        let events: Vec<Vec<&Action>> = run
            .roles
            .iter()
            .zip(&run.image.machines)
            .map(|(role, machine)| {
                let history = role.as_ref().map(|role| role.history.walk(machine));
                history.into_iter().flatten().map_while(|step| step.ok().map(|(action, _)| action)).collect()
            })
            .collect();
        Execution { done: vec![0; events.len()], events, channels: BTreeMap::new() }
    }

    /// Runs a role as far as it goes; returns the roles that it sent to.
    fn advance(&mut self, role: usize) -> Vec<usize> {
        let mut reached = Vec::new();
        while let Some(action) = self.events[role].get(self.done[role]) {
            let peer = action.peer.index();
            match action.direction {
                Direction::Send => {
                    self.channels.entry((role, peer)).or_default().push_back(&action.label);
                    reached.push(peer);
                }
                Direction::Receive => {
                    let channel = self.channels.entry((peer, role)).or_default();
                    if channel.front() != Some(&action.label.as_str()) {
                        break;
                    }
                    channel.pop_front();
                }
            }
            self.done[role] += 1;
        }
        reached.sort_unstable();
        reached.dedup();
        reached
    }

    /// Why a role cannot go on, if it should: 0 for a wrong label, 1 for a message never sent, 2 for one that waits.
    fn stuck(&self, image: &Image, role: usize) -> Option<(u8, PlanError)> {
        let position = self.done[role];
        let action = self.events[role].get(position)?;
        let peer = action.peer.index();
        let id = RoleId(u16::try_from(role).unwrap_or(u16::MAX));
        let from = image.role_name(action.peer);
        let event = image.event_text(action);
        let taken = self.received(role, peer) + 1;
        let (rank, problem) = match self.channels.get(&(peer, role)).and_then(VecDeque::front) {
            Some(label) => (0, format!("`{event}` cannot happen; message {taken} from {from} is `{label}`")),
            None if self.done.get(peer) == self.events.get(peer).map(Vec::len).as_ref() => {
                (1, format!("`{event}` cannot happen; {from} never sends message {taken} to {}", image.role_name(id)))
            }
            None => (2, format!("`{event}` cannot happen; message {taken} from {from} is not sent before it")),
        };
        Some((rank, PlanError::new(place(image, id, position), problem)))
    }

    /// How many messages from `peer` a role has taken.
    fn received(&self, role: usize, peer: usize) -> usize {
        let takes = |action: &&&Action| action.direction == Direction::Receive && action.peer.index() == peer;
        self.events[role][..self.done[role]].iter().filter(takes).count()
    }
}
