//! One session on this agent: all its roles that run here.
//!
//! [`Session`] is free of I/O: orders, lines, exits, messages and time go in, [`Effect`]s come out, and messages go out
//! through a [`Wire`]. The [`actor`] owns one `Session` and carries its effects out.
//!
//! Invariants
//! * an order is obeyed only if its revision is not below that of the last one, and it is about this generation;
//! * the last order alone says where every role is;
//! * after each input every role has gone as far as it can: a role in `ready` exists only inside a call.

pub(crate) mod actor;
mod events;
pub(crate) mod input;
mod orders;
mod replaying;
mod reports;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod scenario;
#[cfg(test)]
pub(crate) mod testing;
mod time;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rekindle_proto::v1;
use rekindle_protocol::image::{Image, RoleId};
use rekindle_statemachine::command::Command;
use rekindle_statemachine::effect::Place;
use rekindle_statemachine::ids::{AgentId, Generation, Incarnation, RecoveryNumber, SessionId};
use rekindle_statemachine::spec::SessionSpec;
use tokio::time::Instant;

use crate::channel::outbox::Route;
use crate::faults::CrashAt;
use crate::limits::Limits;
use crate::role::Role;

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct Session {
    id: SessionId,
    generation: Generation,
    setup: Setup,
    revision: u64,
    recovery: RecoveryNumber,
    image: Arc<Image>,
    spec: SessionSpec,
    /// Where every role of the protocol runs.
    places: Vec<Place>,
    /// The roles that run here.
    roles: BTreeMap<RoleId, Role>,
    /// Roles that may be able to go on.
    ready: BTreeSet<RoleId>,
    /// Channels to other agents that may have something to transmit.
    stirred: BTreeSet<(RoleId, RoleId)>,
    /// Messages that have come to roles of this agent.
    arrivals: u64,
    effects: Vec<Effect>,
}

/// What an agent gives each of its sessions.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) me: AgentId,
    pub(crate) limits: Limits,
    pub(crate) faults: Vec<CrashAt>,
}

/// What the owner of a [`Session`] has to do.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Start the process of a role, once every earlier one of that role is gone.
    Start(Box<Launch>),
    /// Kill the process of a role, or do not start it.
    Stop { role: RoleId },
    /// Kill the process of a role as an injected fault.
    Crash { role: RoleId, incarnation: Incarnation, events: u64 },
    /// Write to a process.
    Write { role: RoleId, incarnation: Incarnation, line: Vec<u8> },
    /// So many bytes of its output are done with.
    Consumed { role: RoleId, incarnation: Incarnation, bytes: usize },
    /// For the log.
    Log { role: RoleId, incarnation: Incarnation, text: String },
    /// Tell the cluster.
    Report(Report),
    /// The session is over: stop every process and end.
    End,
}

/// A process to start.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) role: RoleId,
    pub(crate) name: String,
    pub(crate) incarnation: Incarnation,
    pub(crate) command: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) folder: String,
    /// The first line that it reads.
    pub(crate) start: Vec<u8>,
}

/// A command for the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) session: SessionId,
    pub(crate) generation: Generation,
    /// The process that it is about.
    pub(crate) role: RoleId,
    pub(crate) incarnation: Incarnation,
    pub(crate) command: Command,
    /// When the failure was seen, for `ReportFailure`.
    pub(crate) since: Option<Instant>,
    /// What is done with the answer.
    pub(crate) answer: Wanted,
}

/// Who wants to know the answer to a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The session, whatever it is.
    Always,
    /// The session, if the cluster refuses the report for good: then the role cannot go on.
    IfRefused,
    /// Nobody: there is nothing left to do.
    Never,
}

/// The ways to other agents.
pub(crate) trait Wire {
    /// The current connection to the agent at `address`, if there is one.
    fn route(&mut self, address: &str) -> Option<Route>;

    /// Puts a message on its way; `false` if there is no room now.
    fn transmit(&mut self, address: &str, route: Route, envelope: v1::Envelope) -> bool;
}

impl Session {
    /// The effects since the last call, in order.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Name of a role.
    pub(crate) fn role_name(&self, role: RoleId) -> &str {
        self.image.role_name(role)
    }

    fn role(&mut self, id: RoleId) -> Option<&mut Role> {
        self.roles.get_mut(&id)
    }

    /// The role, if `incarnation` is its current process.
    fn current(&mut self, id: RoleId, incarnation: Incarnation) -> Option<&mut Role> {
        self.role(id).filter(|role| role.incarnation == incarnation)
    }

    /// Whether some role of the session runs at this address.
    pub(crate) fn involves(&self, address: &str) -> bool {
        self.places.iter().any(|place| place.address == address)
    }

    /// Revision of the last order.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Which session of its name it is.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    fn is_here(&self, role: RoleId) -> bool {
        self.roles.contains_key(&role)
    }
}
