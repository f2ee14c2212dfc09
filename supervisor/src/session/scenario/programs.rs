//! Protocols, and programs that play their roles.

use rekindle_protocol::image::{Direction, Edge, Image, RoleId, StateId};
use rekindle_protocol::recovery::policy::Mode;
use serde_json::value::RawValue;

use crate::session::testing::{image, ping_pong};
use crate::worker_api::WorkerLine;

pub(super) const PROTOCOLS: [fn() -> Image; 3] = [ping_pong, triangle, funnel];

/// A token goes round, until `A` stops it.
fn triangle() -> Image {
    image(
        "Triangle",
        &["A", "B", "C"],
        &[
            &[("1|4", &[("B!x", 1), ("B!stop", 2)]), ("3", &[("C?z", 0)]), ("end", &[])],
            &[("1|4", &[("A?x", 1), ("A?stop", 2)]), ("2", &[("C!y", 0)]), ("5", &[("C!stop", 3)]), ("end", &[])],
            &[("2|5", &[("B?y", 1), ("B?stop", 2)]), ("3", &[("A!z", 0)]), ("end", &[])],
        ],
    )
}

/// Two senders at their own pace, and a receiver that takes what comes first.
fn funnel() -> Image {
    image(
        "Funnel",
        &["A", "B", "C"],
        &[
            &[("1|2", &[("C!m", 0), ("C!end", 1)]), ("end", &[])],
            &[("3|4", &[("C!n", 0), ("C!end", 1)]), ("end", &[])],
            &[
                ("1|2|3|4", &[("A?m", 0), ("B?n", 0), ("A?end", 1), ("B?end", 2)]),
                ("3|4", &[("B?n", 1), ("B?end", 3)]),
                ("1|2", &[("A?m", 2), ("A?end", 3)]),
                ("end", &[]),
            ],
        ],
    )
}

/// Events after which a program ends as soon as its protocol lets it.
const ENOUGH: usize = 12;
/// Events between checkpoints.
const SAVE_EVERY: usize = 3;

/// What a role has done: direction, peer, payload.
pub(super) type Deed = (Direction, RoleId, String);

/// A process, as the session's actor would run it.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) incarnation: u64,
    mode: Mode,
    state: StateId,
    /// Everything from the role's start, what earlier processes did before the base included.
    pub(super) done: Vec<Deed>,
    asked: bool,
    saved: usize,
}

impl Program {
    /// A process that goes on in `state`, after `done`.
    pub(super) fn new(incarnation: u64, mode: Mode, state: StateId, done: Vec<Deed>) -> Self {
        let saved = done.len();
        Program { incarnation, mode, state, done, asked: false, saved }
    }

    /// Its next line; `None` if it waits for a message or has ended.
    pub(super) fn line(&mut self, image: &Image, role: RoleId) -> Option<WorkerLine> {
        if self.asked {
            return None;
        }
        if self.mode == Mode::Checkpoint && self.done.len() >= self.saved + SAVE_EVERY {
            self.saved = self.done.len();
            return Some(WorkerLine::Checkpoint { data: RawValue::NULL.to_owned() });
        }
        let edges = self.edges(image, role);
        let first = edges.first()?;
        if first.action.direction == Direction::Receive {
            self.asked = true;
            let one_peer = edges.iter().all(|edge| edge.action.peer == first.action.peer);
            let from =
                (one_peer && self.done.len().is_multiple_of(2)).then(|| image.role_name(first.action.peer).to_owned());
            return Some(WorkerLine::Receive { from });
        }
        let choice = if self.done.len() >= ENOUGH { edges.len() - 1 } else { 0 };
        let edge = edges[choice].clone();
        let payload = self.payload();
        self.done.push((Direction::Send, edge.action.peer, payload.clone()));
        self.state = edge.to;
        Some(WorkerLine::Send {
            to: image.role_name(edge.action.peer).to_owned(),
            label: edge.action.label,
            payload: RawValue::from_string(payload).expect("JSON"),
        })
    }

    /// Takes the answer to its `receive`.
    pub(super) fn take(&mut self, image: &Image, role: RoleId, from: &str, label: &str, payload: String) {
        assert!(self.asked, "an answer without a question");
        self.asked = false;
        let sender = image.role(from).expect("a role");
        let edges = self.edges(image, role);
        let edge = edges.iter().find(|edge| edge.action.peer == sender && edge.action.label == label);
        self.state = edge.expect("a message that the state allows").to;
        self.done.push((Direction::Receive, sender, payload));
    }

    pub(super) fn has_ended(&self, image: &Image, role: RoleId) -> bool {
        !self.asked && self.edges(image, role).is_empty()
    }

    /// Determined by what came before in mode `replay`; else no two processes send the same.
    fn payload(&self) -> String {
        let count = self.done.len();
        match self.mode {
            Mode::Replay => {
                let seen = self.done.iter().filter(|(direction, ..)| *direction == Direction::Receive);
                let digest = blake3::hash(seen.map(|(_, _, payload)| payload.as_str()).collect::<String>().as_bytes());
                format!("\"{count}:{}\"", &digest.to_hex()[..8])
            }
            _ => format!("\"{count}:{}\"", self.incarnation),
        }
    }

    fn edges<'a>(&self, image: &'a Image, role: RoleId) -> &'a [Edge] {
        &image.machines[role.index()].states[self.state.index()].edges
    }
}
