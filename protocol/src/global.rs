//! A global protocol with its subprotocols inlined: the form that checks and projection work on.
//!
//! Invariants
//! * a [`NodeKind::Continue`] stands inside the loop that it names;
//! * a [`NodeKind::Rec`] is in a sequence only if something continues it; a choice holds no empty branch;
//! * nesting is bounded by [`MAX_DEPTH`](inline::MAX_DEPTH), so recursion over it is; sequences are vectors.

pub(crate) mod automaton;
mod crashes;
pub(crate) mod flow;
pub(crate) mod inline;
mod messages;

use crate::diagnostics::{Diagnostic, Span};
use crate::syntax::ast::RoleDeclaration;
use crate::syntax::names::Name;

pub(crate) use crashes::CRASH;
pub(crate) use messages::{MessageId, Messages};

/// A node of [`Global`].
pub(crate) type NodeId = u32;

/// A role, as an index into [`Global::roles`].
pub(crate) type Role = u16;

/// An inlined global protocol.
#[derive(Clone, Debug)]
pub(crate) struct Global {
    pub(crate) name: Name,
    /// Where the protocol is named.
    pub(crate) span: Span,
    /// Roles start unconnected.
    pub(crate) explicit: bool,
    pub(crate) roles: Vec<RoleInfo>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: Vec<NodeId>,
    pub(crate) messages: Messages,
    /// Roles that never crash. If none is named and nothing handles a crash, crashes are not part of the protocol.
    pub(crate) reliable: Vec<bool>,
    /// Constructs beside the plain ones that the protocol uses, first place of each.
    pub(crate) features: Vec<(Feature, Span)>,
    /// What inlining left out: the protocol is none the worse for it, but may not be what was meant.
    pub(crate) warnings: Vec<Diagnostic>,
    /// The node of each interaction; interaction `n` is at index `n - 1`.
    pub(crate) interactions: Vec<NodeId>,
}

/// A declared role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoleInfo {
    /// What it is called in the text: for findings.
    pub(crate) name: Name,
    /// What it is called from outside: for whoever runs the protocol or draws it.
    pub(crate) public: Name,
    pub(crate) span: Span,
}

impl RoleInfo {
    fn of(role: &RoleDeclaration) -> Self {
        RoleInfo { name: role.name.name, public: role.public.name, span: role.name.span }
    }
}

/// A construct that some check or the runtime must know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    Connections,
    Wrap,
    Par,
    Delegation,
    Reliable,
    Crash,
}

/// One construct and its place in the source.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) span: Span,
}

/// The constructs left after inlining.
#[derive(Clone, Debug)]
pub(crate) enum NodeKind {
    /// One message to one receiver; `number` counts interactions from 1.
    Message {
        from: Role,
        to: Role,
        message: MessageId,
        number: u32,
        /// Nothing is sent: `from` has crashed for good, and `to` handles it.
        crash: bool,
    },
    /// A message that opens a connection.
    Connect {
        from: Role,
        to: Role,
        message: MessageId,
        number: u32,
    },
    Disconnect {
        left: Role,
        right: Role,
    },
    Wrap {
        from: Role,
        to: Role,
    },
    Choice {
        at: Role,
        blocks: Vec<Vec<NodeId>>,
    },
    Rec {
        body: Vec<NodeId>,
    },
    Continue {
        target: NodeId,
    },
    Par {
        blocks: Vec<Vec<NodeId>>,
    },
}

impl Global {
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// Whether the protocol uses a construct.
    pub(crate) fn uses(&self, wanted: Feature) -> bool {
        self.features.iter().any(|(feature, _)| *feature == wanted)
    }

    /// Whether crashes are part of the protocol: roles that are not reliable may stop for ever at any point.
    pub(crate) fn handles_crashes(&self) -> bool {
        self.uses(Feature::Crash) || self.uses(Feature::Reliable)
    }

    /// Whether a role takes part in a node that is no block: sends, receives, connects and so on.
    pub(crate) fn takes_part(&self, role: Role, node: NodeId) -> bool {
        match self.node(node).kind {
            NodeKind::Message { from, to, .. }
            | NodeKind::Connect { from, to, .. }
            | NodeKind::Wrap { from, to }
            | NodeKind::Disconnect { left: from, right: to } => from == role || to == role,
            _ => false,
        }
    }

    /// The interaction of that number.
    pub(crate) fn interaction(&self, number: u32) -> &Node {
        self.node(self.interactions[number as usize - 1])
    }

    /// All roles in order.
    pub(crate) fn role_ids(&self) -> impl Iterator<Item = Role> + use<> {
        0..Role::try_from(self.roles.len()).unwrap_or(Role::MAX)
    }
}
