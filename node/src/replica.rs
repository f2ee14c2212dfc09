//! The applied state, shared by those who read it.
//!
//! Invariant: the lock is held for the length of one entry or one look, never across an await.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use rekindle_statemachine::StateMachine;
use rekindle_statemachine::command::{Entry, Reply};
use rekindle_statemachine::ids::EntryTime;
use tokio::sync::watch;

use crate::clock::{Clock, ClusterTime};
use crate::hub::Hub;
use crate::raft::threads::aside;

/// The state machine, how far it is, and who is to hear of its effects.
pub(crate) struct Replica {
    state: RwLock<StateMachine>,
    applied: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
    time: ClusterTime,
    hub: Arc<Hub>,
}

impl Replica {
    pub(crate) fn new(hub: Arc<Hub>, clock: Arc<dyn Clock>) -> Self {
        Replica { state: RwLock::default(), applied: watch::Sender::new(0), clock, time: ClusterTime::new(), hub }
    }

    /// The time of an entry that is proposed now.
    pub(crate) fn now(&self) -> EntryTime {
        self.time.now(self.clock.as_ref())
    }

    /// The state as of now.
    pub(crate) fn state(&self) -> RwLockReadGuard<'_, StateMachine> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state together with the index of the last entry that is in it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&StateMachine, u64) -> T) -> T {
        let state = self.state();
        look(&state, *self.applied.borrow())
    }

    /// Index of the last applied entry; changes together with the state.
    pub(crate) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// Applies an entry and hands its effects to the agents that are attached here: on a follower, none.
    pub(crate) fn apply(&self, index: u64, entry: &Entry) -> Reply {
        let mut state = self.exclusive();
        let applied = state.apply(index, entry);
        // Still under the lock: an agent that attaches sees either the effect or the state after it.
        self.hub.deliver(applied.effects);
        self.time.applied(state.time(), self.clock.as_ref());
        self.applied.send_replace(index);
        applied.reply
    }

    /// Passes over an entry that the state machine does not see.
    pub(crate) fn pass(&self, index: u64) {
        let _state = self.exclusive();
        self.applied.send_replace(index);
    }

    /// Replaces the state by that of a snapshot.
    pub(crate) fn install(&self, index: u64, state: StateMachine) {
        let mut current = self.exclusive();
        *current = state;
        self.time.applied(current.time(), self.clock.as_ref());
        self.applied.send_replace(index);
    }

    /// For apply, which runs on the threads of the consensus: while it waits for who is looking, another thread takes
    /// over what else was to run on this one.
    fn exclusive(&self) -> RwLockWriteGuard<'_, StateMachine> {
        match self.state.try_write() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => aside(|| self.state.write().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}
