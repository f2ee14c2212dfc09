//! Where a process of mode `replay` is in the events that stand.

use rekindle_protocol::image::{Direction, Edge, RoleId, StateId};

use super::monitor::Monitor;

/// A process that has done fewer events than stand.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    done: u64,
    state: StateId,
    /// Per peer: messages sent and received in the events done.
    sent: Vec<u64>,
    received: Vec<u64>,
}

/// The next event that stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded<'a> {
    pub(crate) edge: &'a Edge,
    /// Index of its message on the channel.
    pub(crate) index: u64,
}

impl Replay {
    /// For a process that starts at `base`, in a protocol of `roles` roles; `None` if `base` is no position of the role.
    pub(crate) fn new(monitor: &Monitor, roles: usize, base: u64) -> Option<Self> {
        let mut replay = Replay { done: 0, state: monitor.initial(), sent: vec![0; roles], received: vec![0; roles] };
        while replay.done < base {
            let edge = monitor.recorded(replay.done, replay.state)?.clone();
            replay.advance(&edge);
        }
        Some(replay)
    }

    /// The state that the process is in.
    pub(crate) fn state(&self) -> StateId {
        self.state
    }

    /// What the process has to do next; `None` once it has done everything that stands.
    pub(crate) fn next<'a>(&self, monitor: &'a Monitor) -> Option<Recorded<'a>> {
        let edge = monitor.recorded(self.done, self.state)?;
        let counts = match edge.action.direction {
            Direction::Send => &self.sent,
            Direction::Receive => &self.received,
        };
        Some(Recorded { edge, index: count(counts, edge.action.peer) + 1 })
    }

    /// The process did the event.
    pub(crate) fn advance(&mut self, edge: &Edge) {
        let counts = match edge.action.direction {
            Direction::Send => &mut self.sent,
            Direction::Receive => &mut self.received,
        };
        if let Some(count) = counts.get_mut(edge.action.peer.index()) {
            *count += 1;
        }
        self.state = edge.to;
        self.done += 1;
    }
}

fn count(counts: &[u64], peer: RoleId) -> u64 {
    counts.get(peer.index()).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rekindle_protocol::history::History;

    use super::*;
    use crate::session::testing::ping_pong;

    #[test]
    fn the_cursor_walks_what_stands_and_counts_messages() {
        // A sends ping, receives pong, and again.
        let history = History { steps: vec![0, 0, 0] };
        let monitor = Monitor::new(Arc::new(ping_pong()), RoleId(0), history).expect("a path");
        let mut replay = Replay::new(&monitor, 2, 1).expect("a position");
        let mut seen = Vec::new();
        while let Some(next) = replay.next(&monitor) {
            seen.push((next.edge.action.label.clone(), next.index));
            let edge = next.edge.clone();
            replay.advance(&edge);
        }
        assert_eq!(seen, [("pong".to_owned(), 1), ("ping".to_owned(), 2)]);
        assert_eq!(replay.state(), monitor.state());
        assert!(Replay::new(&monitor, 2, 4).is_none());
    }
}
