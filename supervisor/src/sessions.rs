//! The sessions of this agent.
//!
//! Invariants
//! * at most one actor per name; a newer session of that name takes the place of an older one, whose workers go first;
//! * an order that is older than a session's end does not bring it back;
//! * after [`Sessions::clear`] returns, no worker of any session runs.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rekindle_statemachine::effect::{Goal, Order};
use rekindle_statemachine::ids::{Generation, SessionId};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::channel::carrier::Named;
use crate::host::Host;
use crate::session::Session;
use crate::session::actor::Actor;
use crate::session::input::{Control, Input};

const CONTROLS: usize = 64;
const INPUTS: usize = 256;
/// Ended sessions that are remembered, so that a late order is recognised.
const REMEMBERED: usize = 1024;

/// A handle on all sessions.
#[derive(Clone)]
pub(crate) struct Sessions {
    host: Arc<Host>,
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    running: HashMap<SessionId, Running>,
    ended: VecDeque<(Named, u64)>,
}

struct Running {
    generation: Generation,
    controls: mpsc::Sender<Control>,
    inputs: mpsc::Sender<Input>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Sessions {
    pub(crate) fn new(host: Arc<Host>) -> Self {
        Sessions { host, table: Arc::default() }
    }

    /// Where inputs of a session go.
    pub(crate) fn find(&self, (session, generation): &Named) -> Option<mpsc::Sender<Input>> {
        let table = self.table();
        let running = table.running.get(session).filter(|running| running.generation == *generation)?;
        Some(running.inputs.clone())
    }

    /// Hands an order to its session, which begins here with its first `Restore`.
    pub(crate) async fn order(&self, order: Order) {
        let earlier = |session: &SessionId, running: &mut Running| {
            *session == order.session && running.generation < order.generation
        };
        let replaced = self.table().running.extract_if(earlier).collect();
        stop(replaced).await;
        let Some(controls) = self.session_for(&order) else {
            tracing::debug!(session = %order.session, revision = order.revision, "an order for a session that is not here");
            return;
        };
        // A session that has just ended needs no orders.
        drop(controls.send(Control::Order(Box::new(order))).await);
    }

    /// Hands the answer to a report, or what to make of it, to the session that made the report.
    pub(crate) async fn tell(&self, (session, generation): &Named, control: Control) {
        let controls = {
            let table = self.table();
            let running = table.running.get(session).filter(|running| running.generation == *generation);
            running.map(|running| running.controls.clone())
        };
        if let Some(controls) = controls {
            drop(controls.send(control).await);
        }
    }

    /// Stops every session and forgets all of them. Their workers are killed at once, and gone at the end.
    pub(crate) async fn clear(&self) {
        let table = std::mem::take(&mut *self.table());
        stop(table.running).await;
    }

    /// Stops every session but these, and forgets all others.
    pub(crate) async fn keep(&self, standing: &HashSet<SessionId>) {
        let over = {
            let mut table = self.table();
            table.ended.retain(|((session, _), _)| standing.contains(session));
            table.running.extract_if(|session, _| !standing.contains(session)).collect()
        };
        stop(over).await;
    }

    fn session_for(&self, order: &Order) -> Option<mpsc::Sender<Control>> {
        let mut table = self.table();
        if let Some(running) = table.running.get(&order.session) {
            // An order to an earlier session of this name comes late: that one is gone.
            return (running.generation == order.generation).then(|| running.controls.clone());
        }
        let Goal::Restore(restore) = &order.goal else { return None };
        let ended = |((session, generation), revision): &(Named, u64)| {
            *session == order.session && (*generation, *revision) >= (order.generation, order.revision)
        };
        if table.ended.iter().any(ended) {
            return None;
        }
        let session = Session::new(self.host.setup.clone(), order.session.clone(), order.generation, restore);
        let (controls, controlled) = mpsc::channel(CONTROLS);
        let (inputs, input) = mpsc::channel(INPUTS);
        let stop = CancellationToken::new();
        let actor = Actor::new(session, Arc::clone(&self.host), controlled, input, inputs.clone());
        let generation = order.generation;
        let (sessions, named, stopped) = (self.clone(), (order.session.clone(), generation), stop.clone());
        let task = self.host.tasks.spawn(async move {
            let revision = actor.run(stopped.clone()).await;
            // A session that was cleared away is out of the table already.
            let mut table = sessions.table();
            if !stopped.is_cancelled() {
                table.end(named, revision);
            }
        });
        table
            .running
            .insert(order.session.clone(), Running { generation, controls: controls.clone(), inputs, stop, task });
        Some(controls)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn stop(sessions: HashMap<SessionId, Running>) {
    for running in sessions.values() {
        running.stop.cancel();
    }
    for (session, running) in sessions {
        if running.task.await.is_err() {
            tracing::error!(%session, "a session broke down");
        }
    }
}

impl Table {
    fn end(&mut self, named: Named, revision: u64) {
        if self.running.get(&named.0).is_some_and(|running| running.generation == named.1) {
            self.running.remove(&named.0);
        }
        self.ended.push_back((named, revision));
        if self.ended.len() > REMEMBERED {
            self.ended.pop_front();
        }
    }
}
