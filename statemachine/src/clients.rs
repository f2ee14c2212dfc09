//! Requests that were answered, so that a repeated request gets its first answer and changes nothing.
//!
//! What a repeat does not bring back are the effects of the first: those are outstanding until they have done their work.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::command::Reply;
use crate::ids::{EntryTime, RequestId};
use crate::limits;

/// The client table.
///
/// Invariants: `order` holds each key of `answers` once, in the order of time; no more than [`limits::REQUESTS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clients {
    answers: BTreeMap<RequestId, Reply>,
    order: VecDeque<(EntryTime, RequestId)>,
}

impl Clients {
    /// The first answer to this request.
    pub(crate) fn answer(&self, request: RequestId) -> Option<Reply> {
        self.answers.get(&request).cloned()
    }

    /// Forgets answers that are too old.
    pub(crate) fn expire(&mut self, now: EntryTime) {
        while let Some(&(time, _)) = self.order.front() {
            if now.0.saturating_sub(time.0) < limits::REQUEST_TTL_MS {
                return;
            }
            self.forget_oldest();
        }
    }

    /// Keeps the first answer to a request.
    pub(crate) fn remember(&mut self, request: RequestId, now: EntryTime, reply: Reply) {
        if self.answers.insert(request, reply).is_none() {
            self.order.push_back((now, request));
        }
        if self.order.len() > limits::REQUESTS {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, request)) = self.order.pop_front() {
            self.answers.remove(&request);
        }
    }

    /// Whether the invariants hold.
    pub(crate) fn is_sound(&self) -> bool {
        self.order.len() == self.answers.len()
            && self.order.len() <= limits::REQUESTS
            && self.order.iter().all(|(_, request)| self.answers.contains_key(request))
            && self.order.iter().zip(self.order.iter().skip(1)).all(|(earlier, later)| earlier.0 <= later.0)
    }
}
