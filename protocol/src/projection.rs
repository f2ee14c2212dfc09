//! One role's machine for people and tools: text, JSON, Graphviz.

use std::fmt::Write as _;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::check::Valid;
use crate::code::Code;
use crate::diagnostics::{Diagnostic, Report, listed};
use crate::global::{Global, MessageId, Role};
use crate::graph::quoted;
use crate::local::determinise::determinise;
use crate::local::minimise::minimise;
use crate::local::{Act, ActKind, Local};
use crate::program::Program;

/// The minimal deterministic machine of one role.
///
/// As JSON it is `{"initial":N,"edges":[[from,"peer!label(T,U)",to],…]}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// Name of the protocol.
    pub protocol: String,
    /// Name of the role.
    pub role: String,
    /// Where it starts.
    pub initial: u32,
    /// The name of each state: the numbers of its next interactions, or `end`.
    pub states: Vec<String>,
    /// From, event, to; ascending by the first.
    pub edges: Vec<(u32, String, u32)>,
}

impl Program {
    /// Checks a protocol (the only one that is not `aux` if none is named) and projects it to one role.
    pub fn project(&self, protocol: Option<&str>, role: &str) -> Result<Projection, Report> {
        let id = self.choose(protocol)?;
        let Valid { global, mut machines, .. } = self.valid(id)?;
        let called = |index: &Role| self.public_text(&global, *index) == role;
        // Within the protocol a role may have another name; nobody means another role by it.
        let named = || global.role_ids().find(|index| self.role_text(&global, *index) == role);
        let Some(index) = global.role_ids().find(called).or_else(named) else {
            let roles = listed(global.roles.iter().map(|role| self.names.text(role.public)));
            let message = format!("`{}` has no role `{role}`", self.names.text(global.name));
            let finding = Diagnostic::new(Code::UnknownRole, global.span, message);
            return Err(self.report(vec![finding.hint(format!("its roles are {roles}"))]));
        };
        let local = std::mem::take(&mut machines[usize::from(index)]);
        let local = self.deterministic(&global, index, local).map_err(|finding| self.report(vec![finding]))?;
        Ok(self.projection(&global, index, &local))
    }

    /// The minimal deterministic machine of a role.
    pub(crate) fn deterministic(&self, global: &Global, role: Role, local: Local) -> Result<Local, Diagnostic> {
        let local = determinise(local).map_err(|_| self.too_many_states(global, role))?;
        Ok(minimise(&local))
    }

    fn projection(&self, global: &Global, role: Role, local: &Local) -> Projection {
        let mut edges = Vec::new();
        for (from, state) in (0u32..).zip(&local.states) {
            edges.extend(state.moves.iter().map(|step| (from, self.event_text(global, step.act), step.to)));
        }
        Projection {
            protocol: self.names.text(global.name).to_owned(),
            role: self.public_text(global, role).to_owned(),
            initial: local.initial,
            states: local.states.iter().map(|state| crate::compile::state_name(&state.numbers)).collect(),
            edges,
        }
    }

    /// `peer!label(T,U)`
    fn event_text(&self, global: &Global, act: Act) -> String {
        let peer = self.public_text(global, act.peer);
        let sign = act.kind.sign();
        match act.kind {
            ActKind::Disconnect | ActKind::WrapClient | ActKind::WrapServer => format!("{peer}{sign}"),
            _ => format!("{peer}{sign}{}", self.compact_message(global, act.message)),
        }
    }

    /// What a role is called from outside.
    fn public_text(&self, global: &Global, role: Role) -> &str {
        self.names.text(global.roles[usize::from(role)].public)
    }

    fn compact_message(&self, global: &Global, message: MessageId) -> String {
        let label = global.messages.label(message).map_or("", |label| self.names.text(label));
        format!("{label}({})", global.messages.payload(message).join(","))
    }
}

impl Projection {
    /// A line for each state and each event.
    pub fn to_text(&self) -> String {
        let mut out = format!("{} at {}\n", self.protocol, self.role);
        let mut edges = self.edges.iter().peekable();
        for (state, name) in (0u32..).zip(&self.states) {
            let mark = if state == self.initial { " (start)" } else { "" };
            let _ = writeln!(out, "{state} [{name}]{mark}");
            while let Some((_, event, to)) = edges.next_if(|(from, _, _)| *from == state) {
                let _ = writeln!(out, "  {event} -> {to}");
            }
        }
        out
    }

    /// A Graphviz digraph.
    pub fn to_dot(&self) -> String {
        let name = quoted(&format!("{}@{}", self.protocol, self.role));
        let mut out = format!("digraph {name} {{\n  rankdir=LR;\n  start [shape=point];\n");
        for (state, name) in (0u32..).zip(&self.states) {
            let shape = if name == "end" { "doublecircle" } else { "circle" };
            let _ = writeln!(out, "  {state} [shape={shape}, label={}];", quoted(name));
        }
        let _ = writeln!(out, "  start -> {};", self.initial);
        for (from, event, to) in &self.edges {
            let _ = writeln!(out, "  {from} -> {to} [label={}];", quoted(event));
        }
        out.push_str("}\n");
        out
    }
}

impl Serialize for Projection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Projection", 2)?;
        object.serialize_field("initial", &self.initial)?;
        object.serialize_field("edges", &self.edges)?;
        object.end()
    }
}
