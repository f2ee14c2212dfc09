//! One role's machine on the way from the global protocol to the image.
//!
//! Projection gives a non-deterministic machine, on which the checks run; determinised and minimised it becomes the
//! machine of the image. What the complete check accepts has the machine of that check instead.

pub(crate) mod determinise;
pub(crate) mod minimise;
pub(crate) mod project;
pub(crate) mod reachability;

use crate::global::{MessageId, Role};

/// A machine without silent moves. Invariant: `initial` and every `to` index `states`; all states are reachable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Local {
    pub(crate) initial: u32,
    pub(crate) states: Vec<LocalState>,
}

/// A state: what may happen next. No moves: the role is done.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalState {
    pub(crate) moves: Vec<Move>,
    /// Numbers of the interactions that the moves stand for, ascending.
    pub(crate) numbers: Vec<u32>,
    /// Where several parts of a `par` go on: for each move the choice that it belongs to, one for each state of a part.
    /// Which part comes first is not the role's choice. Empty: the moves are one choice. Lost when states are merged.
    pub(crate) choices: Vec<u32>,
}

impl LocalState {
    /// Adds to the description what is said of `other`, which this state stands for too.
    fn describe(&mut self, other: &LocalState) {
        self.numbers.extend_from_slice(&other.numbers);
    }

    /// Puts moves and numbers in order, each once.
    fn settle(&mut self) {
        self.moves.sort_unstable();
        self.moves.dedup();
        self.numbers.sort_unstable();
        self.numbers.dedup();
    }
}

/// A transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Move {
    pub(crate) act: Act,
    pub(crate) to: u32,
}

/// An event of one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Act {
    pub(crate) kind: ActKind,
    pub(crate) peer: Role,
    pub(crate) message: MessageId,
}

/// The kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ActKind {
    Send,
    Receive,
    /// Learns that the peer has crashed for good; everything it sent has been received.
    Detect,
    /// Opens a connection, together with the peer's [`ActKind::Accept`].
    Request,
    Accept,
    Disconnect,
    /// Wraps a connection, together with the peer's [`ActKind::WrapServer`].
    WrapClient,
    WrapServer,
    /// Stops for ever. Only where crashes are looked at.
    Crash,
}

impl ActKind {
    /// Whether the role decides to do it, rather than waiting for it to be done.
    pub(crate) fn is_output(self) -> bool {
        !matches!(self, ActKind::Receive | ActKind::Detect | ActKind::Accept | ActKind::WrapServer)
    }

    /// How it is written between peer and label.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            ActKind::Send => "!",
            ActKind::Receive | ActKind::Detect => "?",
            ActKind::Request => "!!",
            ActKind::Accept => "??",
            ActKind::Disconnect => "-/-",
            ActKind::WrapClient => "(!!)",
            ActKind::WrapServer => "(??)",
            ActKind::Crash => "†",
        }
    }
}
