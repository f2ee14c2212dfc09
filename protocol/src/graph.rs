//! A global protocol as a picture: a message sequence chart in SVG, a Graphviz digraph, a listing, JSON.
//!
//! What is drawn is the protocol with its calls inlined, so the numbers are those by which states are named. Drawing asks
//! for less than running: names must resolve, but a protocol that a check refuses can be looked at all the same.
//!
//! Invariants
//! * every interaction of the protocol is drawn once, with its number;
//! * frames are nested at most [`MAX_NESTING`] deep, so recursion over steps is bounded, and so is the depth of the JSON;
//! * the size of a picture is linear in roles and steps.

mod build;
mod dot;
mod json;
mod layout;
mod measure;
mod svg;
mod text;

use crate::check::CheckOptions;
use crate::diagnostics::Report;
use crate::global::Role;
use crate::global::inline::{self, CallBudget};
use crate::program::Program;

pub(crate) use dot::quoted;

/// How many roles are drawn.
pub const MAX_ROLES: usize = 200;

/// How many steps are drawn: messages, frames, and whatever else takes a row.
pub const MAX_STEPS: usize = 5_000;

/// How deep frames may be nested in a picture; readers of JSON commonly stop at 128 levels, and each frame takes three.
pub const MAX_NESTING: usize = 40;

/// A global protocol, ready to be drawn.
///
/// As JSON it is `{"protocol":"P","explicit":false,"roles":["A","B"],"steps":[…]}`; `docs/scribble.md` has the steps.
#[derive(Clone, Debug)]
pub struct Graph {
    protocol: String,
    explicit: bool,
    roles: Vec<String>,
    /// Names of the loops. No loop has the name of one around it.
    loops: Vec<String>,
    steps: Vec<Step>,
}

/// One step of a conversation.
#[derive(Clone, Debug)]
enum Step {
    Arrow(Arrow),
    Frame(Frame),
    /// Back to the start of a loop around it, an index into [`Graph::loops`].
    Continue(usize),
}

/// Something between two roles.
#[derive(Clone, Debug)]
struct Arrow {
    kind: ArrowKind,
    from: Role,
    to: Role,
    /// What interacts has a number.
    interaction: Option<Interaction>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ArrowKind {
    Message,
    /// Nothing is sent: the receiver notices that the other has crashed.
    Crash,
    Connect,
    Disconnect,
    Wrap,
}

#[derive(Clone, Debug)]
struct Interaction {
    number: u32,
    label: String,
    payload: Vec<String>,
}

/// Steps that belong together.
#[derive(Clone, Debug)]
struct Frame {
    kind: FrameKind,
    /// From the first to the last of the roles that take part; `None` where nobody does.
    columns: Option<Columns>,
    /// One for a loop.
    branches: Vec<Vec<Step>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameKind {
    Choice(Role),
    /// An index into [`Graph::loops`].
    Loop(usize),
    Par,
}

/// Neighbouring roles, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Columns {
    first: Role,
    last: Role,
}

impl Program {
    /// A protocol of the main source, `aux` ones too, as something to draw; the only one that is not `aux` if none is named.
    ///
    /// Checks nothing but the size: see [`Program::flaws`].
    pub fn graph(&self, protocol: Option<&str>) -> Result<Graph, Report> {
        let id = self.choose(protocol)?;
        let global = inline::inline(self, id, &mut CallBudget::default());
        let graph = global.and_then(|global| build::graph(self, &global));
        graph.map_err(|finding| self.report(vec![finding]))
    }

    /// What the checks find in a protocol that can be drawn all the same. Nothing in one that is `aux`: such a protocol is
    /// checked in its callers.
    pub fn flaws(&self, protocol: Option<&str>, options: CheckOptions) -> Report {
        match self.choose(protocol) {
            Ok(id) if self.protocol(id).aux => Report::default(),
            Ok(id) => self.findings(id, options),
            Err(report) => report,
        }
    }
}

impl Graph {
    /// Name of the protocol.
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// A message sequence chart: a standalone SVG document, for light and dark surroundings.
    pub fn to_svg(&self) -> String {
        svg::document(&layout::picture(self))
    }

    /// The flow of control as a Graphviz digraph: interactions, and the points at which it parts and meets.
    pub fn to_dot(&self) -> String {
        dot::digraph(self)
    }

    /// A listing for a terminal, one line for each step.
    pub fn to_text(&self) -> String {
        text::listing(self)
    }

    fn role(&self, role: Role) -> &str {
        &self.roles[usize::from(role)]
    }

    /// The keyword of a frame, and what it is about.
    fn title(&self, kind: FrameKind) -> (&'static str, &str) {
        match kind {
            FrameKind::Choice(at) => ("choice at", self.role(at)),
            FrameKind::Loop(index) => ("loop", &self.loops[index]),
            FrameKind::Par => ("par", ""),
        }
    }
}

impl FrameKind {
    /// What stands between branches.
    fn separator(self) -> &'static str {
        if self == FrameKind::Par { "and" } else { "or" }
    }
}

impl Arrow {
    /// `label(T, U)`, `connect label(T)`, `disconnect`.
    fn text(&self) -> String {
        let keyword = match self.kind {
            ArrowKind::Message | ArrowKind::Crash => "",
            ArrowKind::Connect => "connect",
            ArrowKind::Disconnect => "disconnect",
            ArrowKind::Wrap => "wrap",
        };
        let message = self.interaction.as_ref().map(|Interaction { label, payload, .. }| {
            let silent = self.kind == ArrowKind::Connect && label.is_empty() && payload.is_empty();
            if silent { String::new() } else { format!("{label}({})", payload.join(", ")) }
        });
        let message = message.unwrap_or_default();
        if keyword.is_empty() || message.is_empty() {
            return format!("{keyword}{message}");
        }
        format!("{keyword} {message}")
    }
}

impl Columns {
    fn of(one: Role, other: Role) -> Columns {
        Columns { first: one.min(other), last: one.max(other) }
    }

    fn with(self, other: Columns) -> Columns {
        Columns { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}
