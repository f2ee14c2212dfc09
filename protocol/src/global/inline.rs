//! Inlining: `do` is replaced by the body of what it calls, arguments put in.
//!
//! A call of a protocol that is being inlined already, with the same roles and arguments, becomes a `continue` to it: so
//! recursion through `do` ends. A call of one with other roles is inlined anew.

use std::collections::{HashMap, HashSet};

use super::messages::{MessageId, PayloadType, TypeKey};
use super::{Feature, Global, Messages, Node, NodeId, NodeKind, Role, RoleInfo, crashes};
use crate::code::Code;
use crate::diagnostics::{Diagnostic, Severity, Span};
use crate::program::{DeclarationId, Program, ProtocolId};
use crate::syntax::ast::{
    Argument, Block, Ident, Message, ParameterKind, Payload, Protocol, QName, RoleArgument, Statement, StatementKind,
};
use crate::syntax::names::Name;

/// How deep blocks and calls may be nested once inlined.
pub(crate) const MAX_DEPTH: usize = 400;

/// How many constructs an inlined protocol may have.
pub(crate) const MAX_NODES: usize = 1_000_000;

/// How many roles a protocol may have: most checks take a step for each role and construct.
pub(crate) const MAX_ROLES: usize = 1_000;

/// How many steps it may take to inline all calls of one file: a step for each construct, role, argument and payload type.
pub(crate) const MAX_CALL_STEPS: usize = 4_000_000;

/// What is left of [`MAX_CALL_STEPS`] for the protocols of a file. What stands in a protocol itself costs nothing: that is
/// bounded by the length of the text.
pub(crate) struct CallBudget {
    steps: usize,
}

impl Default for CallBudget {
    fn default() -> Self {
        CallBudget { steps: MAX_CALL_STEPS }
    }
}

/// Inlines a protocol of `program`.
pub(crate) fn inline(program: &Program, id: ProtocolId, budget: &mut CallBudget) -> Result<Global, Diagnostic> {
    let protocol = program.protocol(id);
    if let Some(role) = protocol.roles.get(MAX_ROLES) {
        let message = format!("the protocol has more than {MAX_ROLES} roles");
        let finding = Diagnostic::new(Code::TooLarge, role.name.span, message).label("one too many");
        return Err(finding.hint("split the protocol into several sessions"));
    }
    let roles: Vec<RoleInfo> = protocol.roles.iter().map(RoleInfo::of).collect();
    let global = Global {
        name: protocol.name.name,
        span: protocol.name.span,
        explicit: protocol.explicit,
        roles,
        nodes: Vec::new(),
        root: Vec::new(),
        messages: Messages::default(),
        reliable: protocol.roles.iter().map(|role| role.reliable.is_some()).collect(),
        features: Vec::new(),
        warnings: Vec::new(),
        interactions: Vec::new(),
    };
    let mut inliner = Inliner { program, global, calls: HashMap::new(), continued: HashSet::new(), depth: 0, budget };
    if let Some(span) = protocol.roles.iter().find_map(|role| role.reliable) {
        inliner.feature(Feature::Reliable, span);
    }
    if protocol.explicit {
        inliner.feature(Feature::Connections, protocol.name.span);
    }
    let identity: Vec<Role> = inliner.global.role_ids().collect();
    let mut root = Vec::new();
    inliner.call(Call { protocol: id, roles: identity, arguments: Vec::new() }, protocol.name.span, &mut root)?;
    inliner.global.root = root;
    crashes::mark(program, &mut inliner.global);
    Ok(inliner.global)
}

/// What a `do` passes for a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Value {
    Message(MessageId),
    Type(PayloadType),
}

/// A call in progress: calling it again continues it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Call {
    protocol: ProtocolId,
    roles: Vec<Role>,
    arguments: Vec<Value>,
}

/// What names mean inside one call.
struct Frame {
    module: usize,
    roles: HashMap<Name, Role>,
    parameters: HashMap<Name, Value>,
    loops: Vec<(Name, NodeId)>,
}

struct Inliner<'a> {
    program: &'a Program,
    budget: &'a mut CallBudget,
    global: Global,
    /// Calls in progress, each with its loop.
    calls: HashMap<Call, NodeId>,
    /// Loops that something continues.
    continued: HashSet<NodeId>,
    depth: usize,
}

type Inlined<T> = Result<T, Diagnostic>;

impl Inliner<'_> {
    fn call(&mut self, call: Call, span: Span, out: &mut Vec<NodeId>) -> Inlined<()> {
        if let Some(&target) = self.calls.get(&call) {
            self.continued.insert(target);
            out.push(self.push(NodeKind::Continue { target }, span)?);
            return Ok(());
        }
        self.enter(span)?;
        let protocol = self.program.protocol(call.protocol);
        let mut frame = Frame {
            module: call.protocol.module,
            roles: protocol.roles.iter().zip(&call.roles).map(|(role, actual)| (role.name.name, *actual)).collect(),
            parameters: HashMap::new(),
            loops: Vec::new(),
        };
        for (parameter, value) in protocol.parameters.iter().zip(&call.arguments) {
            frame.parameters.insert(parameter.name.name, value.clone());
        }
        let node = self.push(NodeKind::Rec { body: Vec::new() }, span)?;
        let key = call.clone();
        self.calls.insert(call, node);
        let body = self.block(&mut frame, &protocol.body)?;
        self.calls.remove(&key);
        self.close(node, body, out);
        self.depth -= 1;
        Ok(())
    }

    /// Ends a loop: its body takes its place if nothing continues it.
    fn close(&mut self, node: NodeId, inner: Vec<NodeId>, out: &mut Vec<NodeId>) {
        if !self.continued.contains(&node) {
            out.extend(inner);
            return;
        }
        if let NodeKind::Rec { body } = &mut self.global.nodes[node as usize].kind {
            *body = inner;
        }
        out.push(node);
    }

    fn enter(&mut self, span: Span) -> Inlined<()> {
        if self.depth >= MAX_DEPTH {
            let message = format!("blocks and calls are nested more than {MAX_DEPTH} deep once inlined");
            let finding = Diagnostic::new(Code::TooDeep, span, message);
            return Err(finding.hint("call with the same roles and arguments, so that the call becomes a loop"));
        }
        self.depth += 1;
        Ok(())
    }

    fn push(&mut self, kind: NodeKind, span: Span) -> Inlined<NodeId> {
        if self.global.nodes.len() >= MAX_NODES {
            let message = format!("the protocol has more than {MAX_NODES} interactions once inlined");
            let finding = Diagnostic::new(Code::TooLarge, span, message).label("while inlining this");
            return Err(finding.hint("each call adds all its interactions: call less often, or go round a loop"));
        }
        self.spend(1, span)?;
        let id = NodeId::try_from(self.global.nodes.len()).unwrap_or(NodeId::MAX);
        self.global.nodes.push(Node { kind, span });
        Ok(id)
    }

    /// Takes steps from the budget, if a call is being inlined.
    fn spend(&mut self, steps: usize, span: Span) -> Inlined<()> {
        // The outermost protocol is the first one in progress.
        if self.calls.len() < 2 {
            return Ok(());
        }
        let Some(left) = self.budget.steps.checked_sub(steps) else {
            let message = format!("the calls of this file take more than {MAX_CALL_STEPS} steps to inline");
            let finding = Diagnostic::new(Code::TooLarge, span, message).label("while inlining this");
            return Err(finding.hint("each call adds all its interactions: call less often, or use several files"));
        };
        self.budget.steps = left;
        Ok(())
    }

    fn feature(&mut self, feature: Feature, span: Span) {
        if !self.global.features.iter().any(|(known, _)| *known == feature) {
            self.global.features.push((feature, span));
        }
    }

    fn block(&mut self, frame: &mut Frame, block: &Block) -> Inlined<Vec<NodeId>> {
        let mut out = Vec::new();
        for statement in block {
            self.statement(frame, statement, &mut out)?;
        }
        Ok(out)
    }

    fn nested(&mut self, frame: &mut Frame, block: &Block, span: Span) -> Inlined<Vec<NodeId>> {
        self.enter(span)?;
        let out = self.block(frame, block);
        self.depth -= 1;
        out
    }

    fn branches(&mut self, frame: &mut Frame, blocks: &[Block], span: Span) -> Inlined<Vec<Vec<NodeId>>> {
        let mut branches = Vec::with_capacity(blocks.len());
        for block in blocks {
            branches.push(self.nested(frame, block, span)?);
        }
        Ok(branches)
    }

    fn choice(
        &mut self,
        frame: &Frame,
        (chooser, span): (Ident, Span),
        opens: &[Span],
        mut branches: Vec<Vec<NodeId>>,
        out: &mut Vec<NodeId>,
    ) -> Inlined<()> {
        if branches.iter().any(Vec::is_empty) {
            self.warn_of_empty(chooser, span, opens, &branches);
            branches.retain(|branch| !branch.is_empty());
        }
        if !branches.is_empty() {
            let at = role(frame, chooser);
            out.push(self.push(NodeKind::Choice { at, blocks: branches }, span)?);
        }
        Ok(())
    }

    /// Says that branches in which nothing happens are left out.
    fn warn_of_empty(&mut self, chooser: Ident, span: Span, opens: &[Span], branches: &[Vec<NodeId>]) {
        let role = self.program.names.text(chooser.name);
        let warning = |span: Span, message: String| {
            Diagnostic::new(Code::EmptyBranch, span, message)
                .severity(Severity::Warning)
                .hint(format!("let `{role}` send a message in it to whoever must know"))
        };
        if branches.iter().all(Vec::is_empty) {
            let message = "nothing happens in any branch of this choice: it is left out".to_owned();
            self.global.warnings.push(warning(span, message));
            return;
        }
        for (open, _) in opens.iter().zip(branches).filter(|(_, branch)| branch.is_empty()) {
            let message = format!("this branch is empty and is left out: `{role}` always takes another one");
            let warning = warning(*open, message).label("nothing is sent here, so nobody could tell that it was taken");
            self.global.warnings.push(warning);
        }
    }

    /// Constructs that hold others; apart from the simple ones, so that nesting takes little of the stack.
    fn statement(&mut self, frame: &mut Frame, statement: &Statement, out: &mut Vec<NodeId>) -> Inlined<()> {
        let span = statement.span;
        match &statement.kind {
            StatementKind::Choice { at, blocks, opens } => {
                let branches = self.branches(frame, blocks, span)?;
                self.choice(frame, (*at, span), opens, branches, out)?;
            }
            StatementKind::Par { blocks } => {
                self.feature(Feature::Par, span);
                let mut blocks = self.branches(frame, blocks, span)?;
                blocks.retain(|block| !block.is_empty());
                if !blocks.is_empty() {
                    out.push(self.push(NodeKind::Par { blocks }, span)?);
                }
            }
            StatementKind::Rec { variable, body } => {
                let node = self.push(NodeKind::Rec { body: Vec::new() }, span)?;
                frame.loops.push((variable.name, node));
                let body = self.nested(frame, body, span)?;
                frame.loops.pop();
                self.close(node, body, out);
            }
            StatementKind::Do { protocol, arguments, roles } => {
                if let Some(call) = self.prepared(frame, span, protocol, arguments, roles)? {
                    self.call(call, span, out)?;
                }
            }
            StatementKind::Message { .. }
            | StatementKind::Connect { .. }
            | StatementKind::Disconnect { .. }
            | StatementKind::Wrap { .. }
            | StatementKind::Continue { .. } => self.simple(frame, statement, out)?,
        }
        Ok(())
    }

    /// What a `do` calls, with what.
    fn prepared(
        &mut self,
        frame: &Frame,
        span: Span,
        protocol: &QName,
        arguments: &[Argument],
        roles: &[RoleArgument],
    ) -> Inlined<Option<Call>> {
        let scopes = &self.program.scopes;
        let Some(called) = scopes[frame.module].protocol(frame.module, scopes, protocol) else { return Ok(None) };
        let inner = arguments.iter().map(|argument| match argument {
            Argument::Message(message) => 1 + weight(message),
            Argument::Name(name) => name.parts.len(),
        });
        self.spend(protocol.parts.len() + roles.len() + inner.sum::<usize>(), span)?;
        let roles = in_order(self.program.protocol(called), frame, roles);
        let arguments = self.arguments(frame, called, arguments);
        Ok(Some(Call { protocol: called, roles, arguments }))
    }

    fn simple(&mut self, frame: &Frame, statement: &Statement, out: &mut Vec<NodeId>) -> Inlined<()> {
        let span = statement.span;
        match &statement.kind {
            StatementKind::Message { message, from, to } => {
                self.spend(weight(message), span)?;
                let message = self.message(frame, message);
                for receiver in to {
                    let (from, to) = (role(frame, *from), role(frame, *receiver));
                    let number = self.number();
                    let node = self.push(NodeKind::Message { from, to, message, number, crash: false }, span)?;
                    self.global.interactions.push(node);
                    out.push(node);
                }
            }
            StatementKind::Connect { message, from, to } => {
                self.feature(Feature::Connections, span);
                self.spend(message.as_ref().map_or(0, weight), span)?;
                let message = match message {
                    Some(message) => self.message(frame, message),
                    None => self.global.messages.intern(None, &[]),
                };
                let (from, to) = (role(frame, *from), role(frame, *to));
                let number = self.number();
                let node = self.push(NodeKind::Connect { from, to, message, number }, span)?;
                self.global.interactions.push(node);
                out.push(node);
            }
            StatementKind::Disconnect { left, right } => {
                self.feature(Feature::Connections, span);
                let (left, right) = (role(frame, *left), role(frame, *right));
                out.push(self.push(NodeKind::Disconnect { left, right }, span)?);
            }
            StatementKind::Wrap { from, to } => {
                self.feature(Feature::Wrap, span);
                let (from, to) = (role(frame, *from), role(frame, *to));
                out.push(self.push(NodeKind::Wrap { from, to }, span)?);
            }
            StatementKind::Continue { variable } => {
                let target = frame.loops.iter().rev().find(|(name, _)| *name == variable.name);
                let target = target.map_or(0, |(_, node)| *node);
                self.continued.insert(target);
                out.push(self.push(NodeKind::Continue { target }, span)?);
            }
            StatementKind::Choice { .. }
            | StatementKind::Par { .. }
            | StatementKind::Rec { .. }
            | StatementKind::Do { .. } => unreachable!("constructs that hold others are not simple"),
        }
        Ok(())
    }

    fn number(&self) -> u32 {
        u32::try_from(self.global.interactions.len() + 1).unwrap_or(u32::MAX)
    }

    fn message(&mut self, frame: &Frame, message: &Message) -> MessageId {
        let Some(payload) = &message.payload else {
            let label = message.label.map(|label| label.name);
            if let Some(Value::Message(id)) = label.and_then(|label| frame.parameters.get(&label)) {
                return *id;
            }
            return self.global.messages.intern(label, &[]);
        };
        let payload: Vec<PayloadType> = payload.iter().map(|element| self.payload(frame, element)).collect();
        self.global.messages.intern(message.label.map(|label| label.name), &payload)
    }

    fn payload(&mut self, frame: &Frame, element: &Payload) -> PayloadType {
        match element {
            Payload::Type(name) => self.payload_type(frame, name),
            Payload::Delegation { protocol, role } => {
                self.feature(Feature::Delegation, role.span);
                let scopes = &self.program.scopes;
                let text = format!("{}@{}", self.qualified(protocol), self.program.names.text(role.name));
                let key = match scopes[frame.module].protocol(frame.module, scopes, protocol) {
                    Some(id) => TypeKey::Delegated(id, role.name),
                    None => TypeKey::Free(role.name),
                };
                PayloadType { key, text }
            }
        }
    }

    fn payload_type(&self, frame: &Frame, name: &QName) -> PayloadType {
        let simple = name.parts[name.parts.len() - 1].name;
        if name.parts.len() == 1
            && let Some(Value::Type(payload)) = frame.parameters.get(&simple)
        {
            return payload.clone();
        }
        let scopes = &self.program.scopes;
        match scopes[frame.module].declaration(frame.module, scopes, name) {
            Some((id, _)) => PayloadType { key: TypeKey::Declared(id), text: self.spelled(id) },
            None => PayloadType { key: TypeKey::Free(simple), text: self.program.names.text(simple).to_owned() },
        }
    }

    /// A type of the main module is called by its simple name, others by their full one, however they are spelled here.
    fn spelled(&self, id: DeclarationId) -> String {
        let module = &self.program.modules[id.module];
        let text = self.program.names.text(module.declarations[id.index].name.name);
        match &module.name {
            Some(name) if id.module > 0 => format!("{}.{text}", self.qualified(name)),
            _ => text.to_owned(),
        }
    }

    fn qualified(&self, name: &QName) -> String {
        let parts: Vec<&str> = name.parts.iter().map(|part| self.program.names.text(part.name)).collect();
        parts.join(".")
    }

    fn arguments(&mut self, frame: &Frame, called: ProtocolId, arguments: &[Argument]) -> Vec<Value> {
        let kinds: Vec<ParameterKind> =
            self.program.protocol(called).parameters.iter().map(|parameter| parameter.kind).collect();
        let mut values = Vec::with_capacity(arguments.len());
        for (argument, kind) in arguments.iter().zip(kinds) {
            values.push(match (argument, kind) {
                (Argument::Message(message), _) => Value::Message(self.message(frame, message)),
                (Argument::Name(name), ParameterKind::Type) => Value::Type(self.payload_type(frame, name)),
                (Argument::Name(name), ParameterKind::Signature) => {
                    let simple = name.parts[name.parts.len() - 1].name;
                    match frame.parameters.get(&simple) {
                        Some(Value::Message(id)) if name.parts.len() == 1 => Value::Message(*id),
                        _ => Value::Message(self.global.messages.intern(Some(simple), &[])),
                    }
                }
            });
        }
        values
    }
}

/// What a message costs beside its construct.
fn weight(message: &Message) -> usize {
    let payload = message.payload.iter().flatten().map(|element| match element {
        Payload::Type(name) | Payload::Delegation { protocol: name, .. } => name.parts.len(),
    });
    payload.sum()
}

/// What a `do` passes for each role of the called protocol, in the order in which that declares them.
fn in_order(called: &Protocol, frame: &Frame, arguments: &[RoleArgument]) -> Vec<Role> {
    let mut roles = vec![0; called.roles.len()];
    for (at, argument) in arguments.iter().enumerate() {
        if let Some(place) = called.place(at, argument) {
            roles[place] = role(frame, argument.role);
        }
    }
    roles
}

/// Names are resolved before, so every role is known.
fn role(frame: &Frame, ident: Ident) -> Role {
    frame.roles.get(&ident.name).copied().unwrap_or(0)
}
