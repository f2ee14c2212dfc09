//! Sessions and their roles.
//!
//! Invariants
//! * `roles` is parallel to the protocol's roles and to the spec's;
//! * incarnations, the epoch and the revision only grow, across snapshots too;
//! * while a session gathers or restores, its last recovery is the open one; otherwise none is;
//! * every agent in `orders` holds a lease, and every agent that runs a role of a live session is in `orders`;
//! * a role without an agent belongs to a session that gathers (and has failed) or restores (and is to be restarted).

use std::collections::{BTreeMap, VecDeque};

use rekindle_protocol::history::History;
use rekindle_protocol::image::RoleId;
use rekindle_protocol::recovery::line::Lost;
use rekindle_protocol::recovery::table::RecoveryTable;
use serde::{Deserialize, Serialize};

use crate::effect::Floor;
use crate::events::SessionEvent;
use crate::ids::{AgentId, EntryTime, Epoch, Incarnation, ProtocolId, RecoveryNumber, SessionId};
use crate::recovery::Recovery;
use crate::spec::SessionSpec;

/// One running, or ended, instance of a protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// Which protocol.
    pub protocol: ProtocolId,
    /// How it is run.
    pub spec: SessionSpec,
    /// When it was started.
    pub started: EntryTime,
    /// What it is doing.
    pub phase: Phase,
    /// 1 for the launch, one more with each recovery.
    pub epoch: Epoch,
    /// Revision of the last order; 0 before the first.
    pub revision: u64,
    /// One per role of the protocol, in its order.
    pub roles: Vec<Role>,
    /// The last recoveries, the launch (number 0) included, oldest first. Bounded.
    pub recoveries: VecDeque<Recovery>,
    /// What happened, oldest first. Bounded.
    pub events: VecDeque<SessionEvent>,
    /// When failures counted against the restart budget; only those within its window.
    pub failures: Vec<EntryTime>,
    /// The recovery table; `None` once the session has ended.
    pub(crate) table: Option<RecoveryTable>,
    /// The current order of each agent that takes part.
    pub(crate) orders: BTreeMap<AgentId, Standing>,
}

/// What a session is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// A recovery is open and waits for the positions of frozen roles.
    Gathering,
    /// A decision, or the launch, is being carried out; its acknowledgements are awaited.
    Restoring,
    /// Every role may run.
    Running,
    /// Over for good.
    Ended {
        /// How.
        outcome: Outcome,
        /// Why, if it did not complete.
        reason: Option<String>,
        /// When.
        time: EntryTime,
    },
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Outcome {
    /// Every role is done.
    Completed,
    /// It cannot go on.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

/// One role of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Who runs it; `None` while no agent can.
    pub agent: Option<AgentId>,
    /// Its current process.
    pub incarnation: Incarnation,
    /// Whether its worker has exited in a final state. A recovery may take that back.
    pub done: bool,
    /// Whether a recovery restarts it, or the launch starts it, and the session has not resumed since.
    pub restarting: bool,
    /// How many of its events the log knows: to its last restart, checkpoint, or end. It may have done more.
    pub known: u64,
    /// Of the known events, how many no failure can take away: all their sends are held by their receivers' supervisors.
    pub proven: u64,
    /// Stored checkpoints, by position.
    pub(crate) checkpoints: BTreeMap<u64, Vec<u8>>,
    /// The known events. `known` is their number while the session lives; empty afterwards.
    pub(crate) recorded: History,
    /// Floors of its incarnations; no later one replaces an earlier one of the list.
    pub(crate) floors: Vec<Floor>,
    /// What earlier failures took from its supervisor's store.
    pub(crate) lost: Lost,
}

/// The order that an agent stands under; with the session it gives the [`Order`](crate::effect::Order) again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) revision: u64,
    pub(crate) epoch: Epoch,
    pub(crate) goal: StandingGoal,
}

/// The goal of an order without what the session knows anyway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StandingGoal {
    /// Of the open recovery.
    Freeze(Vec<RoleId>),
    /// Of the open recovery.
    Restore,
    Run,
    End,
}

impl Session {
    /// Whether it is over for good.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// The recovery, or launch, that is under way.
    pub fn open_recovery(&self) -> Option<&Recovery> {
        match self.phase {
            Phase::Gathering | Phase::Restoring => self.recoveries.back(),
            Phase::Running | Phase::Ended { .. } => None,
        }
    }

    /// A recovery that is still remembered.
    pub fn recovery(&self, number: RecoveryNumber) -> Option<&Recovery> {
        self.recoveries.iter().find(|recovery| recovery.number == number)
    }

    /// One role.
    pub fn role(&self, role: RoleId) -> Option<&Role> {
        self.roles.get(role.index())
    }

    /// Every role with its number.
    pub fn numbered_roles(&self) -> impl Iterator<Item = (RoleId, &Role)> {
        (0u16..).map(RoleId).zip(&self.roles)
    }
}

impl Role {
    /// A role that has done nothing and has no process yet.
    pub(crate) fn new() -> Self {
        Role {
            agent: None,
            incarnation: Incarnation(0),
            done: false,
            restarting: false,
            known: 0,
            proven: 0,
            checkpoints: BTreeMap::new(),
            recorded: History::default(),
            floors: Vec::new(),
            lost: Lost::default(),
        }
    }

    /// Makes these the known events.
    pub(crate) fn record(&mut self, history: History) {
        self.known = history.position();
        self.recorded = history;
    }

    /// The events that survive the loss of the role's supervisor.
    pub(crate) fn proven_history(&self) -> History {
        let mut history = self.recorded.clone();
        history.truncate(self.proven);
        history
    }

    /// Positions of its stored checkpoints, and their sizes in bytes.
    pub fn checkpoints(&self) -> impl Iterator<Item = (u64, usize)> + '_ {
        self.checkpoints.iter().map(|(&position, data)| (position, data.len()))
    }
}
