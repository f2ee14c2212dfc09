//! Checks a role's events against its machine.

use std::sync::Arc;

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Direction, Edge, Image, RoleId, State, StateId};
use rekindle_statemachine::command::FailureCause;

use rekindle_proto::printable;

/// Characters of what a worker did that are reported; a label may be of any length.
const LONGEST_GOT: usize = 500;

/// The events of a role, and the state that they lead to.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    image: Arc<Image>,
    role: RoleId,
    history: History,
    state: StateId,
}

/// An event that the state allows: the index of its edge, and where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    edge: u16,
    to: StateId,
}

impl Monitor {
    /// For a role with these events; `None` if they are no path of its machine.
    pub(crate) fn new(image: Arc<Image>, role: RoleId, history: History) -> Option<Self> {
        let state = history.state(image.machine(role)?).ok()?;
        Some(Monitor { image, role, history, state })
    }

    /// Completed events, in order.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Number of completed events.
    pub(crate) fn position(&self) -> u64 {
        self.history.position()
    }

    /// The state reached.
    pub(crate) fn state(&self) -> StateId {
        self.state
    }

    /// Where the machine starts.
    pub(crate) fn initial(&self) -> StateId {
        self.image.machine(self.role).map_or(StateId(0), |machine| machine.initial)
    }

    /// Whether there is nothing more to do.
    pub(crate) fn is_final(&self) -> bool {
        self.edges(self.state).is_empty()
    }

    /// What a state allows.
    pub(crate) fn edges(&self, state: StateId) -> &[Edge] {
        self.state_of(state).map_or(&[], |state| &state.edges)
    }

    /// Event number `position + 1` of the history, done in `state`.
    pub(crate) fn recorded(&self, position: u64, state: StateId) -> Option<&Edge> {
        let step = self.history.steps.get(usize::try_from(position).ok()?)?;
        self.edges(state).get(usize::from(*step))
    }

    /// The event, if the current state allows it.
    pub(crate) fn find(&self, direction: Direction, peer: RoleId, label: &str) -> Option<Move> {
        let edges = (0u16..).zip(self.edges(self.state));
        let mut fitting = edges.filter(|(_, edge)| {
            edge.action.direction == direction && edge.action.peer == peer && edge.action.label == label
        });
        fitting.next().map(|(index, edge)| Move { edge: index, to: edge.to })
    }

    /// Whether the current state receives, from `from` if given.
    pub(crate) fn may_receive(&self, from: Option<RoleId>) -> bool {
        self.edges(self.state)
            .iter()
            .any(|edge| edge.action.direction == Direction::Receive && from.is_none_or(|peer| edge.action.peer == peer))
    }

    /// The event is done.
    pub(crate) fn apply(&mut self, event: Move) {
        self.history.steps.push(event.edge);
        self.state = event.to;
    }

    /// Name of a state.
    pub(crate) fn state_name(&self, state: StateId) -> &str {
        self.state_of(state).map_or("?", |state| &state.name)
    }

    /// The events that a state allows, `peer!label` or `peer?label`.
    pub(crate) fn next(&self, state: StateId) -> Vec<String> {
        self.edges(state).iter().map(|edge| self.image.event_text(&edge.action).to_string()).collect()
    }

    /// The worker did something else than what the current state allows.
    pub(crate) fn violation(&self, got: &str) -> FailureCause {
        self.violation_of(self.state, self.next(self.state), got)
    }

    /// The worker did something else than it was to.
    pub(crate) fn violation_of(&self, state: StateId, expected: Vec<String>, got: &str) -> FailureCause {
        let got = printable::excerpt(got, LONGEST_GOT);
        FailureCause::Violation { state: self.state_name(state).to_owned(), expected, got }
    }

    fn state_of(&self, state: StateId) -> Option<&State> {
        self.image.machine(self.role)?.state(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::ping_pong;

    #[test]
    fn events_follow_the_machine() {
        let image = Arc::new(ping_pong());
        let (a, b) = (RoleId(0), RoleId(1));
        let mut monitor = Monitor::new(Arc::clone(&image), a, History::default()).expect("a path");
        assert!(monitor.find(Direction::Send, b, "pong").is_none());
        assert!(monitor.find(Direction::Receive, b, "ping").is_none());
        assert!(!monitor.may_receive(None));
        let ping = monitor.find(Direction::Send, b, "ping").expect("allowed");
        monitor.apply(ping);
        assert!(monitor.may_receive(None) && monitor.may_receive(Some(b)) && !monitor.may_receive(Some(a)));
        assert_eq!((monitor.position(), monitor.is_final()), (1, false));
        assert_eq!(
            monitor.violation("B!ping"),
            FailureCause::Violation { state: "2".into(), expected: vec!["B?pong".into()], got: "B!ping".into() }
        );
        let FailureCause::Violation { got, .. } = monitor.violation(&format!("B!\u{1b}[2J{}", "é".repeat(10_000)))
        else {
            panic!("no violation");
        };
        assert!(got.starts_with(r"B!\u{1b}[2Jéé") && got.chars().count() < 600, "{got}");
        let again = Monitor::new(Arc::clone(&image), a, monitor.history().clone()).expect("a path");
        assert_eq!(again.state(), monitor.state());
        assert!(Monitor::new(image, a, History { steps: vec![7] }).is_none());
    }
}
