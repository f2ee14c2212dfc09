//! Agents that are attached to this node, and their way to them. Empty on a node that does not lead.
//!
//! Invariants
//! * one stream per agent: a newer one takes the place of an older one and ends it;
//! * a stream that does not take its orders in time is ended, and the agent gets all that stand when it comes back;
//! * orders reach a stream in the order in which they were given.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rekindle_proto::status::RequestError;
use rekindle_proto::{payload, v1};
use rekindle_statemachine::agents::Agent;
use rekindle_statemachine::effect::{Effect, Order};
use rekindle_statemachine::ids::{AgentId, AgentInstance};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Messages on their way to one agent.
const QUEUE: usize = 1024;

/// What comes out at an agent's stream; nothing comes after an error.
pub(crate) type Message = Result<v1::NodeMessage, Status>;

/// Every attached agent.
#[derive(Default)]
pub(crate) struct Hub {
    attached: Mutex<HashMap<AgentId, Outlet>>,
}

/// The node's end of an agent's stream.
#[derive(Clone)]
pub(crate) struct Outlet {
    instance: AgentInstance,
    queue: mpsc::Sender<Message>,
    /// Ends the stream after what is queued.
    over: CancellationToken,
}

impl Hub {
    /// Makes this the agent's stream.
    pub(crate) fn attach(&self, agent: &AgentId, outlet: &Outlet) {
        if let Some(older) = self.attached().insert(agent.clone(), outlet.clone()) {
            older.over.cancel();
        }
    }

    /// Forgets the agent's stream, if it is still this one.
    pub(crate) fn detach(&self, agent: &AgentId, outlet: &Outlet) {
        let mut attached = self.attached();
        if attached.get(agent).is_some_and(|current| current.queue.same_channel(&outlet.queue)) {
            attached.remove(agent);
        }
    }

    /// Passes effects on to those who are attached.
    pub(crate) fn deliver(&self, effects: Vec<Effect>) {
        if effects.is_empty() {
            return;
        }
        let mut attached = self.attached();
        for effect in effects {
            match effect {
                Effect::Send { agent, order } => {
                    if let Some(outlet) = attached.get(&agent) {
                        outlet.order(&order);
                    }
                }
                Effect::Dismiss { agent, instance, superseded_by } => {
                    let outlet = attached.get(&agent).filter(|outlet| outlet.instance == instance);
                    if let Some(outlet) = outlet {
                        outlet.dismiss(superseded_by.as_ref());
                        attached.remove(&agent);
                    }
                }
            }
        }
    }

    fn attached(&self) -> MutexGuard<'_, HashMap<AgentId, Outlet>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a stream whose lease is over ends with.
pub(crate) fn dismissal(superseded_by: Option<&Agent>) -> v1::Dismissed {
    let reason = if superseded_by.is_some() { "another run of this agent took over" } else { "the lease is over" };
    let successor = |agent: &Agent| v1::Successor { instance: agent.instance.0, address: agent.address.clone() };
    v1::Dismissed { reason: reason.to_owned(), superseded_by: superseded_by.map(successor) }
}

impl Outlet {
    /// An outlet, and where its messages come out.
    ///
    /// `at_once` messages fit in addition to what is the limit later.
    pub(crate) fn new(instance: AgentInstance, at_once: usize) -> (Self, mpsc::Receiver<Message>) {
        let (queue, messages) = mpsc::channel(QUEUE + at_once);
        (Outlet { instance, queue, over: CancellationToken::new() }, messages)
    }

    /// Queues an order.
    pub(crate) fn order(&self, order: &Order) {
        self.push(v1::node_message::Kind::Order(v1::AgentOrder { order: payload::encode_order(order) }));
    }

    /// Says that the lease is over, or has gone to another run of the agent, and ends the stream.
    pub(crate) fn dismiss(&self, superseded_by: Option<&Agent>) {
        self.push(v1::node_message::Kind::Dismissed(dismissal(superseded_by)));
        self.over.cancel();
    }

    /// Ends the stream with an error.
    pub(crate) fn refuse(&self, error: RequestError) {
        // A stream with no room left ends all the same.
        let _ = self.queue.try_send(Err(error.into()));
        self.over.cancel();
    }

    /// Queues a message, without waiting: a stream with no room left is ended.
    pub(crate) fn push(&self, kind: v1::node_message::Kind) {
        if self.queue.try_send(Ok(v1::NodeMessage { kind: Some(kind) })).is_err() {
            self.over.cancel();
        }
    }

    /// Whether the stream is to end.
    pub(crate) fn over(&self) -> &CancellationToken {
        &self.over
    }
}
