//! The data of sessions and their roles.
//!
//! Invariants, which `Session::is_sound` checks
//! * `roles` is parallel to the protocol's roles and to the spec's;
//! * incarnations, the epoch and the revision only grow, across snapshots too;
//! * every agent in `orders` holds a lease, and every agent that runs a role of a live session is in `orders`;
//! * only while positions are gathered an order asks for any;
//! * a role without an agent belongs to a session that gathers (and has failed) or restores (and is to be restarted).

use std::collections::{BTreeMap, VecDeque};

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Image, RoleId};
use rekindle_protocol::recovery::line::Lost;
use rekindle_protocol::recovery::table::RecoveryTable;
use serde::{Deserialize, Serialize};

use crate::command::Outcome;
use crate::effect::Floor;
use crate::events::{SessionEvent, SessionEventKind};
use crate::ids::{AgentId, EntryTime, Epoch, Generation, Incarnation, ProtocolId, RecoveryNumber, SessionId};
use crate::limits;
use crate::recovery::{Ending, Gathering, Opening, Record, Recovery, Restoring};
use crate::shared::Shared;
use crate::spec::SessionSpec;

/// One running, or ended, instance of a protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// Which session of that name.
    pub generation: Generation,
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
    /// What happened, oldest first. Bounded.
    pub events: VecDeque<SessionEvent>,
    /// When failures counted against the restart budget; only those within its window.
    pub failures: Vec<EntryTime>,
    /// The last recoveries that are over, the launch (number 0) included, oldest first. Bounded.
    pub(crate) past: VecDeque<Recovery>,
    /// The recovery table; `None` once the session has ended.
    pub(crate) table: Option<RecoveryTable>,
    /// The current order of each agent that takes part.
    pub(crate) orders: BTreeMap<AgentId, Standing>,
}

/// What a session is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// A recovery is open and waits for the positions of frozen roles.
    Gathering(Box<Gathering>),
    /// A decision, or the launch, is being carried out; its acknowledgements are awaited.
    Restoring(Box<Restoring>),
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
    pub(crate) checkpoints: BTreeMap<u64, Shared<Vec<u8>>>,
    /// The known events. `known` is their number while the session lives; empty afterwards.
    pub(crate) recorded: History,
    /// Floors of its incarnations; no later one replaces an earlier one of the list.
    pub(crate) floors: Vec<Floor>,
    /// What earlier failures took from its supervisor's store.
    pub(crate) lost: Lost,
}

/// The order that an agent stands under; with the session's phase it gives the [`Order`](crate::effect::Order) again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) revision: u64,
    pub(crate) epoch: Epoch,
    /// The roles that the open recovery asks it for, if it was told of that recovery; otherwise it runs on meanwhile.
    pub(crate) asked: Option<Vec<RoleId>>,
}

impl Session {
    /// Whether it is over for good.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// Whether it is to go on with a role that no agent runs yet.
    pub(crate) fn waits_for_an_agent(&self) -> bool {
        matches!(self.phase, Phase::Restoring(_)) && self.roles.iter().any(|role| role.agent.is_none())
    }

    /// The recovery, or launch, that is under way.
    pub fn open_recovery(&self) -> Option<Record<'_>> {
        match &self.phase {
            Phase::Gathering(open) => Some(open.as_ref().into()),
            Phase::Restoring(open) => Some(open.as_ref().into()),
            Phase::Running | Phase::Ended { .. } => None,
        }
    }

    /// The last recoveries, the launch (number 0) and the open one included, oldest first.
    pub fn recoveries(&self) -> impl DoubleEndedIterator<Item = Record<'_>> {
        self.past.iter().map(Record::from).chain(self.open_recovery())
    }

    /// A recovery that is still remembered.
    pub fn recovery(&self, number: RecoveryNumber) -> Option<Record<'_>> {
        self.recoveries().find(|recovery| recovery.opening.number == number)
    }

    /// One role.
    pub fn role(&self, role: RoleId) -> Option<&Role> {
        self.roles.get(role.index())
    }

    /// Every role with its number.
    pub fn numbered_roles(&self) -> impl Iterator<Item = (RoleId, &Role)> {
        (0u16..).map(RoleId).zip(&self.roles)
    }

    /// Bytes of its stored checkpoints.
    pub(crate) fn checkpoint_bytes(&self) -> u64 {
        let sizes = self.roles.iter().flat_map(|role| role.checkpoints.values());
        sizes.map(|data| data.len() as u64).sum()
    }

    /// Appends to the story and forgets the oldest event past the limit.
    pub(crate) fn tell(&mut self, time: EntryTime, kind: SessionEventKind) {
        let sequence = self.events.back().map_or(1, |last| last.sequence + 1);
        self.events.push_back(SessionEvent { sequence, time, kind });
        if self.events.len() > limits::EVENTS {
            self.events.pop_front();
        }
    }

    /// Keeps the record of a recovery that is over and forgets the oldest past the limit, which the open one counts for.
    pub(crate) fn close(&mut self, opening: Opening, ending: Ending) {
        self.past.push_back(Recovery { opening, ending });
        let open = usize::from(self.open_recovery().is_some());
        while self.past.len() + open > limits::RECOVERIES {
            self.past.pop_front();
        }
    }

    /// Whether the invariants hold that nothing else implies.
    pub(crate) fn is_sound(&self, image: &Image, leased: impl Fn(&AgentId) -> bool) -> bool {
        let count = image.roles.len();
        let fits = |(role, machine)| {
            let Role { recorded, agent, .. }: &Role = role;
            recorded.state(machine).is_ok()
                && (self.has_ended() || (role.is_sound() && agent.as_ref().is_none_or(&leased)))
        };
        self.roles.len() == count
            && self.spec.roles.len() == count
            && self.has_ended() == self.table.is_none()
            && self.orders.keys().all(&leased)
            && self.roles.iter().zip(&image.machines).all(fits)
            && self.asks_only_while_it_gathers()
            && self.is_sound_phase(count)
    }

    fn asks_only_while_it_gathers(&self) -> bool {
        matches!(self.phase, Phase::Gathering(_)) || self.orders.values().all(|standing| standing.asked.is_none())
    }

    fn is_sound_phase(&self, count: usize) -> bool {
        let placed = |homeless: &dyn Fn(RoleId) -> bool| {
            self.numbered_roles().all(|(id, role)| match &role.agent {
                Some(agent) => self.orders.contains_key(agent),
                None => homeless(id),
            })
        };
        let known = |role: &RoleId| role.index() < count;
        match &self.phase {
            Phase::Gathering(open) => {
                placed(&|role| open.opening.has_failed(role))
                    && open.positions.keys().all(known)
                    && open.opening.frozen.iter().all(known)
                    && open.awaited().next().is_some()
            }
            Phase::Restoring(open) => {
                placed(&|role| open.decision.restarts(role))
                    && open.decision.line.roles.len() == count
                    && open.acknowledged.keys().all(known)
            }
            Phase::Running => placed(&|_| false),
            Phase::Ended { .. } => true,
        }
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

    fn is_sound(&self) -> bool {
        self.known == self.recorded.position()
            && self.proven <= self.known
            && self.checkpoints.keys().all(|&position| position <= self.known)
    }
}
