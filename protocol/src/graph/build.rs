//! From an inlined protocol to what is drawn of it.

use std::collections::HashMap;

use super::{Arrow, ArrowKind, Columns, Frame, FrameKind, Graph, Interaction, MAX_NESTING, MAX_ROLES, MAX_STEPS, Step};
use crate::code::Code;
use crate::diagnostics::{Diagnostic, Span};
use crate::global::{Global, MessageId, NodeId, NodeKind, Role};
use crate::program::Program;
use crate::syntax::ast::{Block, StatementKind};
use crate::syntax::names::Name;

pub(super) fn graph(program: &Program, global: &Global) -> Result<Graph, Diagnostic> {
    if global.roles.len() > MAX_ROLES {
        return Err(too_large(global.span, &format!("has more than {MAX_ROLES} roles")));
    }
    let mut builder = Builder {
        program,
        global,
        source_names: loop_names(program),
        loops: Vec::new(),
        open: Vec::new(),
        steps_left: MAX_STEPS,
    };
    let (steps, _) = builder.steps(&global.root, 0)?;
    Ok(Graph {
        protocol: program.names.text(global.name).to_owned(),
        explicit: global.explicit,
        roles: global.roles.iter().map(|role| program.names.text(role.public).to_owned()).collect(),
        loops: builder.loops,
        steps,
    })
}

fn too_large(span: Span, how: &str) -> Diagnostic {
    Diagnostic::new(Code::TooLarge, span, format!("the protocol is too large to draw: it {how}"))
        .hint("draw a part of it: a protocol that it calls can be named, an `aux` one too")
}

struct Builder<'a> {
    program: &'a Program,
    global: &'a Global,
    source_names: HashMap<Span, Name>,
    /// Names of the loops so far.
    loops: Vec<String>,
    /// The loops around the present place: node, name in the source, index into `loops`.
    open: Vec<(NodeId, Option<Name>, usize)>,
    steps_left: usize,
}

/// Steps, and the roles that take part in them.
type Built = (Vec<Step>, Option<Columns>);

impl Builder<'_> {
    fn steps(&mut self, nodes: &[NodeId], depth: usize) -> Result<Built, Diagnostic> {
        let mut steps = Vec::with_capacity(nodes.len());
        let mut columns = None;
        for &id in nodes {
            let step = self.step(id, depth)?;
            columns = match &step {
                Step::Arrow(arrow) => joined(columns, Some(Columns::of(arrow.from, arrow.to))),
                Step::Frame(frame) => joined(columns, frame.columns),
                Step::Continue(_) => columns,
            };
            steps.push(step);
        }
        Ok((steps, columns))
    }

    fn step(&mut self, id: NodeId, depth: usize) -> Result<Step, Diagnostic> {
        let node = self.global.node(id);
        self.steps_left = self
            .steps_left
            .checked_sub(1)
            .ok_or_else(|| too_large(self.global.span, &format!("has more than {MAX_STEPS} steps once inlined")))?;
        Ok(match &node.kind {
            NodeKind::Message { from, to, message, number, crash } => {
                let kind = if *crash { ArrowKind::Crash } else { ArrowKind::Message };
                self.arrow(kind, *from, *to, Some((*message, *number)))
            }
            NodeKind::Connect { from, to, message, number } => {
                self.arrow(ArrowKind::Connect, *from, *to, Some((*message, *number)))
            }
            NodeKind::Disconnect { left, right } => self.arrow(ArrowKind::Disconnect, *left, *right, None),
            NodeKind::Wrap { from, to } => self.arrow(ArrowKind::Wrap, *from, *to, None),
            NodeKind::Choice { at, blocks } => self.frame(FrameKind::Choice(*at), blocks, node.span, depth)?,
            NodeKind::Par { blocks } => self.frame(FrameKind::Par, blocks, node.span, depth)?,
            NodeKind::Rec { body } => {
                let index = self.open_loop(id, node.span);
                let frame = self.frame(FrameKind::Loop(index), std::slice::from_ref(body), node.span, depth);
                self.open.pop();
                frame?
            }
            NodeKind::Continue { target } => {
                // Invariant of `Global`: the loop is open.
                let open = self.open.iter().rev().find(|(node, _, _)| node == target);
                Step::Continue(open.map_or(0, |(_, _, index)| *index))
            }
        })
    }

    fn arrow(&self, kind: ArrowKind, from: Role, to: Role, message: Option<(MessageId, u32)>) -> Step {
        let messages = &self.global.messages;
        let interaction = message.map(|(message, number)| Interaction {
            number,
            label: messages.label(message).map_or("", |label| self.program.names.text(label)).to_owned(),
            payload: messages.payload(message).to_vec(),
        });
        Step::Arrow(Arrow { kind, from, to, interaction })
    }

    fn frame(&mut self, kind: FrameKind, blocks: &[Vec<NodeId>], span: Span, depth: usize) -> Result<Step, Diagnostic> {
        if depth >= MAX_NESTING {
            return Err(too_large(span, &format!("nests frames more than {MAX_NESTING} deep once inlined")));
        }
        let mut columns = match kind {
            FrameKind::Choice(at) => Some(Columns::of(at, at)),
            FrameKind::Loop(_) | FrameKind::Par => None,
        };
        let mut branches = Vec::with_capacity(blocks.len());
        for block in blocks {
            let (steps, inner) = self.steps(block, depth + 1)?;
            columns = joined(columns, inner);
            branches.push(steps);
        }
        Ok(Step::Frame(Frame { kind, columns, branches }))
    }

    /// Enters a loop: it is called like its variable or its protocol, and numbered where one around it is called so too.
    fn open_loop(&mut self, id: NodeId, span: Span) -> usize {
        let name = self.source_names.get(&span).copied();
        let text = name.map_or("loop", |name| self.program.names.text(name));
        let around = self.open.iter().filter(|(_, other, _)| *other == name).count();
        let index = self.loops.len();
        self.loops.push(if around == 0 { text.to_owned() } else { format!("{text} ({})", around + 1) });
        self.open.push((id, name, index));
        index
    }
}

fn joined(one: Option<Columns>, other: Option<Columns>) -> Option<Columns> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.with(other)),
        (one, other) => one.or(other),
    }
}

/// What the loops of a source are called, by the span that inlining gives them: a `rec` by its variable, recursion
/// through calls by the protocol that calls itself.
fn loop_names(program: &Program) -> HashMap<Span, Name> {
    let mut names = HashMap::new();
    for protocol in program.modules.iter().flat_map(|module| &module.protocols) {
        names.insert(protocol.name.span, protocol.name.name);
        collect(&protocol.body, &mut names);
    }
    names
}

fn collect(block: &Block, names: &mut HashMap<Span, Name>) {
    for statement in block {
        match &statement.kind {
            StatementKind::Rec { variable, body } => {
                names.insert(statement.span, variable.name);
                collect(body, names);
            }
            StatementKind::Do { protocol, .. } => {
                names.extend(protocol.parts.last().map(|part| (statement.span, part.name)));
            }
            StatementKind::Choice { blocks, .. } | StatementKind::Par { blocks } => {
                for block in blocks {
                    collect(block, names);
                }
            }
            _ => {}
        }
    }
}
