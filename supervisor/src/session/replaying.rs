//! Lines of a process that runs again up to where its role stands.

use std::sync::Arc;

use rekindle_protocol::image::{Direction, Edge, RoleId};
use rekindle_statemachine::command::FailureCause;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::Session;
use super::events::receive_text;
use crate::channel::digest::Repeated;

impl Session {
    /// A send that was done before: compared, and not sent again.
    pub(super) fn repeat_send(&mut self, id: RoleId, to: &str, label: &str, payload: &RawValue, now: Instant) {
        let Some((edge, index)) = self.recorded(id) else { return };
        let action = &edge.action;
        let same = action.direction == Direction::Send && self.role_name(action.peer) == to && action.label == label;
        if !same {
            self.differ(id, &edge, &format!("{to}!{label}"), now);
            return;
        }
        let digests = self.role(id).and_then(|role| role.digests.get(action.peer.index()));
        match digests.map_or(Repeated::Unknown, |digests| digests.compare(index, payload)) {
            Repeated::Same | Repeated::Unknown => self.repeated(id, &edge, now),
            Repeated::Differs(place) => {
                self.differ(id, &edge, &format!("{to}!{label} with another payload than before: {place}"), now);
            }
        }
    }

    /// A receive that was done before: the same message again.
    pub(super) fn repeat_receive(&mut self, id: RoleId, from: Option<&str>, now: Instant) {
        let Some((edge, index)) = self.recorded(id) else { return };
        let sender = edge.action.peer;
        let same =
            edge.action.direction == Direction::Receive && from.is_none_or(|from| from == self.role_name(sender));
        if !same {
            self.differ(id, &edge, &receive_text(from), now);
            return;
        }
        let kept = self.role(id).and_then(|role| role.inbox(sender)?.kept(index).map(Arc::clone));
        let Some(message) = kept else {
            let message = format!("cannot run again: message {index} from {} is not kept here", self.role_name(sender));
            self.fail(id, FailureCause::CannotRun { message }, now);
            return;
        };
        self.hand_over(id, sender, &message);
        self.repeated(id, &edge, now);
    }

    fn recorded(&mut self, id: RoleId) -> Option<(Edge, u64)> {
        let role = self.role(id)?;
        let next = role.replay.as_ref()?.next(&role.monitor)?;
        Some((next.edge.clone(), next.index))
    }

    fn repeated(&mut self, id: RoleId, edge: &Edge, now: Instant) {
        let Some(role) = self.role(id) else { return };
        role.idle_since = now;
        let Some(replay) = role.replay.as_mut() else { return };
        replay.advance(edge);
        if replay.next(&role.monitor).is_none() {
            role.replay = None;
            role.reached = true;
            self.acknowledge(id);
        }
    }

    fn differ(&mut self, id: RoleId, edge: &Edge, got: &str, now: Instant) {
        let expected = vec![format!("{} as before", self.image.event_text(&edge.action))];
        let Some(role) = self.role(id) else { return };
        let state = role.replay.as_ref().map_or(role.monitor.state(), crate::role::replay::Replay::state);
        let cause = role.monitor.violation_of(state, expected, got);
        self.fail(id, cause, now);
    }
}
