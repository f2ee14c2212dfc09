//! A compiled protocol: what a node stores and a local supervisor monitors.
//!
//! Invariants
//! * `machines` is parallel to `roles`; a [`RoleId`] indexes both;
//! * every `to` and `initial` is an index into `states`;
//! * no two edges of a state have the same direction, peer and label; only in parts of a `par` do some send and some
//!   receive;
//! * a state without edges is final.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A role, as an index into [`Image::roles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoleId(pub u16);

impl RoleId {
    /// The index as `usize`.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A state of one role's machine, as an index into [`Machine::states`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateId(pub u32);

impl StateId {
    /// The index as `usize`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One checked global protocol with the machine of each of its roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Simple name of the global protocol.
    pub name: String,
    /// Role names in the order of declaration.
    pub roles: Vec<String>,
    /// The machine of each role, parallel to `roles`.
    pub machines: Vec<Machine>,
}

/// The communicating finite state machine (EFSM) of one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Where a run starts.
    pub initial: StateId,
    /// All states.
    pub states: Vec<State>,
}

/// One state of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The numbers, in text order, of the next interactions: `3`, `3|5`, or `end`.
    pub name: String,
    /// What may happen next.
    pub edges: Vec<Edge>,
}

/// A transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The event.
    pub action: Action,
    /// The state after it.
    pub to: StateId,
}

/// A send or a receive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Action {
    /// Send or receive.
    pub direction: Direction,
    /// The other role.
    pub peer: RoleId,
    /// The message label; may be empty.
    pub label: String,
    /// Payload type names.
    pub payload: Vec<String>,
}

/// Which way a message goes, seen from the role whose machine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// `peer!label`
    Send,
    /// `peer?label`
    Receive,
}

impl Direction {
    /// `!` or `?`.
    pub fn sign(self) -> char {
        match self {
            Direction::Send => '!',
            Direction::Receive => '?',
        }
    }
}

impl Image {
    /// All roles in order.
    pub fn role_ids(&self) -> impl Iterator<Item = RoleId> + use<> {
        (0..u16::try_from(self.roles.len()).unwrap_or(u16::MAX)).map(RoleId)
    }

    /// The role of that name.
    pub fn role(&self, name: &str) -> Option<RoleId> {
        let index = self.roles.iter().position(|role| role == name)?;
        u16::try_from(index).ok().map(RoleId)
    }

    /// The name of a role; `?` for one that is not of this protocol.
    pub fn role_name(&self, role: RoleId) -> &str {
        self.roles.get(role.index()).map_or("?", String::as_str)
    }

    /// The machine of a role.
    pub fn machine(&self, role: RoleId) -> Option<&Machine> {
        self.machines.get(role.index())
    }

    /// `peer!label` or `peer?label`.
    pub fn event_text(&self, action: &Action) -> impl fmt::Display + use<> {
        format!("{}{}{}", self.role_name(action.peer), action.direction.sign(), action.label)
    }
}

impl Machine {
    /// A state by its index.
    pub fn state(&self, id: StateId) -> Option<&State> {
        self.states.get(id.index())
    }
}

impl State {
    /// Whether the role has nothing more to do here.
    pub fn is_final(&self) -> bool {
        self.edges.is_empty()
    }
}
