//! Connections between two agents: each keeps its order, and may break at any time.

use std::collections::VecDeque;

use rekindle_proto::v1;

use crate::channel::outbox::Route;
use crate::session::Wire;

/// The stream from one agent to the other.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) route: Option<Route>,
    pub(super) envelopes: VecDeque<v1::Envelope>,
    pub(super) answers: VecDeque<v1::Acknowledgement>,
}

/// As many messages as a carrier takes before it says that there is no room.
const ROOM: usize = 8;

impl Stream {
    /// Breaks the connection: what is under way is lost.
    pub(super) fn cut(&mut self) {
        self.route = None;
        self.envelopes.clear();
        self.answers.clear();
    }
}

impl Wire for Stream {
    fn route(&mut self, _address: &str) -> Option<Route> {
        self.route
    }

    fn transmit(&mut self, _address: &str, route: Route, envelope: v1::Envelope) -> bool {
        if self.route != Some(route) || self.envelopes.len() >= ROOM {
            return false;
        }
        self.envelopes.push_back(envelope);
        true
    }
}
