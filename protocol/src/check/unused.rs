//! Check 2: every declared role takes part.
//!
//! Found without inlining: a role takes part where it is named, or where a call passes it for a role that takes part.
//! So it is linear in the text, and the same for protocols that are only called.

use std::collections::HashMap;

use crate::code::Code;
use crate::diagnostics::Diagnostic;
use crate::program::{Program, ProtocolId};
use crate::syntax::ast::{Block, Ident, QName, StatementKind};
use crate::syntax::names::Name;

/// Which roles of each protocol of a program send, receive or choose.
pub(crate) struct Participation {
    first: Vec<usize>,
    takes_part: Vec<Vec<bool>>,
}

impl Participation {
    /// Computes it for all protocols.
    pub(crate) fn of(program: &Program) -> Self {
        let calls = Calls::of(program);
        let silent = calls.silent();
        let mut walk =
            Walk { calls: &calls, silent, sites: vec![Vec::new(); calls.protocols.len()], found: Vec::new() };
        for caller in 0..calls.protocols.len() {
            walk.protocol(caller);
        }
        let takes_part = walk.close();
        Participation { first: calls.first, takes_part }
    }

    /// Reports declared roles that neither send, nor receive, nor choose.
    pub(crate) fn check(&self, program: &Program, id: ProtocolId) -> Vec<Diagnostic> {
        let protocol = program.protocol(id);
        let takes_part = &self.takes_part[self.first[id.module] + id.index];
        let unused = protocol.roles.iter().zip(takes_part).filter(|(_, takes_part)| !**takes_part);
        unused
            .map(|(role, _)| {
                let text = program.names.text(role.name.name);
                let message = format!("role `{text}` takes no part in `{}`", program.names.text(protocol.name.name));
                Diagnostic::new(Code::UnusedRole, role.name.span, message)
                    .label("declared here, and not used")
                    .hint(format!("send `{text}` a message, or leave the role out"))
            })
            .collect()
    }
}

/// All protocols of a program under one numbering.
struct Calls<'a> {
    program: &'a Program,
    /// The number of the first protocol of each module.
    first: Vec<usize>,
    protocols: Vec<ProtocolId>,
}

impl<'a> Calls<'a> {
    fn of(program: &'a Program) -> Self {
        let mut calls = Calls { program, first: Vec::new(), protocols: Vec::new() };
        for (module, ast) in program.modules.iter().enumerate() {
            calls.first.push(calls.protocols.len());
            calls.protocols.extend((0..ast.protocols.len()).map(|index| ProtocolId { module, index }));
        }
        calls
    }

    fn body(&self, number: usize) -> &'a Block {
        &self.program.protocol(self.protocols[number]).body
    }

    fn called(&self, caller: usize, name: &QName) -> Option<usize> {
        let (module, scopes) = (self.protocols[caller].module, &self.program.scopes);
        let id = scopes[module].protocol(module, scopes, name)?;
        Some(self.first[id.module] + id.index)
    }

    fn callees(&self, caller: usize, block: &Block, out: &mut Vec<usize>) {
        for statement in block {
            match &statement.kind {
                StatementKind::Do { protocol, .. } => out.extend(self.called(caller, protocol)),
                StatementKind::Choice { blocks, .. } | StatementKind::Par { blocks } => {
                    for block in blocks {
                        self.callees(caller, block, out);
                    }
                }
                StatementKind::Rec { body, .. } => self.callees(caller, body, out),
                _ => {}
            }
        }
    }

    /// Which protocols are nothing once inlined. One that calls itself is not: the call becomes a `continue`.
    ///
    /// Callees come first; what is still open when it is asked for calls itself.
    fn silent(&self) -> Vec<bool> {
        let mut silent = vec![false; self.protocols.len()];
        let mut entered = vec![false; self.protocols.len()];
        for start in 0..self.protocols.len() {
            let mut open = Vec::new();
            let mut next = Some(start);
            loop {
                if let Some(number) = next.take()
                    && !std::mem::replace(&mut entered[number], true)
                {
                    let mut callees = Vec::new();
                    self.callees(number, self.body(number), &mut callees);
                    open.push((number, callees));
                }
                let Some((number, callees)) = open.last_mut() else { break };
                next = callees.pop();
                if next.is_none() {
                    silent[*number] = self.is_silent(*number, self.body(*number), &silent);
                    open.pop();
                }
            }
        }
        silent
    }

    fn is_silent(&self, caller: usize, block: &Block, silent: &[bool]) -> bool {
        block.iter().all(|statement| match &statement.kind {
            StatementKind::Do { protocol, .. } => self.called(caller, protocol).is_none_or(|called| silent[called]),
            StatementKind::Choice { blocks, .. } | StatementKind::Par { blocks } => {
                blocks.iter().all(|block| self.is_silent(caller, block, silent))
            }
            StatementKind::Rec { body, .. } => self.is_silent(caller, body, silent),
            _ => false,
        })
    }
}

/// A `do`: who calls, and which of its roles stands for each role of the called protocol.
#[derive(Clone)]
struct Site {
    caller: usize,
    roles: Vec<Option<usize>>,
}

struct Walk<'a> {
    calls: &'a Calls<'a>,
    silent: Vec<bool>,
    /// The calls of each protocol.
    sites: Vec<Vec<Site>>,
    /// Roles that are named in a protocol itself.
    found: Vec<(usize, usize)>,
}

impl<'a> Walk<'a> {
    fn protocol(&mut self, caller: usize) {
        let roles = &self.calls.program.protocol(self.calls.protocols[caller]).roles;
        let positions = roles.iter().enumerate().map(|(position, role)| (role.name.name, position)).collect();
        self.block(caller, &positions, self.calls.body(caller));
    }

    fn name(&mut self, caller: usize, positions: &HashMap<Name, usize>, roles: &[Ident]) {
        self.found.extend(roles.iter().filter_map(|role| Some((caller, *positions.get(&role.name)?))));
    }

    fn block(&mut self, caller: usize, positions: &HashMap<Name, usize>, block: &'a Block) {
        for statement in block {
            match &statement.kind {
                StatementKind::Message { from, to, .. } => {
                    self.name(caller, positions, &[*from]);
                    self.name(caller, positions, to);
                }
                StatementKind::Connect { from, to, .. }
                | StatementKind::Wrap { from, to }
                | StatementKind::Disconnect { left: from, right: to } => {
                    self.name(caller, positions, &[*from, *to]);
                }
                StatementKind::Choice { at, blocks, .. } => {
                    if blocks.iter().any(|block| !self.calls.is_silent(caller, block, &self.silent)) {
                        self.name(caller, positions, &[*at]);
                    }
                    for block in blocks {
                        self.block(caller, positions, block);
                    }
                }
                StatementKind::Par { blocks } => blocks.iter().for_each(|block| self.block(caller, positions, block)),
                StatementKind::Rec { body, .. } => self.block(caller, positions, body),
                StatementKind::Do { protocol, roles, .. } => {
                    if let Some(called) = self.calls.called(caller, protocol) {
                        let protocol = self.calls.program.protocol(self.calls.protocols[called]);
                        let mut passed = vec![None; protocol.roles.len()];
                        for (at, argument) in roles.iter().enumerate() {
                            if let Some(place) = protocol.place(at, argument) {
                                passed[place] = positions.get(&argument.role.name).copied();
                            }
                        }
                        self.sites[called].push(Site { caller, roles: passed });
                    }
                }
                StatementKind::Continue { .. } => {}
            }
        }
    }

    /// Carries what was found from the called protocols to their callers; each role once over each call.
    fn close(mut self) -> Vec<Vec<bool>> {
        let program = self.calls.program;
        let counts = self.calls.protocols.iter().map(|id| program.protocol(*id).roles.len());
        let mut takes_part: Vec<Vec<bool>> = counts.map(|count| vec![false; count]).collect();
        while let Some((protocol, role)) = self.found.pop() {
            if !std::mem::replace(&mut takes_part[protocol][role], true) {
                let callers = self.sites[protocol].iter();
                self.found.extend(callers.filter_map(|site| Some((site.caller, (*site.roles.get(role)?)?))));
            }
        }
        takes_part
    }
}
