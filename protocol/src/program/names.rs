//! Check 1: every name stands for something, nothing is declared twice, `do` gets what it needs.

use std::collections::{HashMap, HashSet};

use super::{Program, scope};
use crate::code::Code;
use crate::diagnostics::{Diagnostic, Span, listed};
use crate::syntax::ast::{Argument, Block, Ident, Message, ParameterKind, Payload, Protocol, QName, StatementKind};
use crate::syntax::names::Name;

/// Reports every name of a program that does not resolve.
pub(super) fn check(program: &Program, findings: &mut Vec<Diagnostic>) {
    for (index, module) in program.modules.iter().enumerate() {
        module_name(program, index, findings);
        for protocol in &module.protocols {
            let mut checker = Checker::new(program, index, protocol, findings);
            checker.header();
            checker.block(&protocol.body);
        }
    }
}

fn module_name(program: &Program, index: usize, findings: &mut Vec<Diagnostic>) {
    let Some(name) = &program.modules[index].name else { return };
    let Some(simple) = name.parts.last() else { return };
    let path = program.sources[index].path.as_str();
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let stem = file.strip_suffix(".scr").unwrap_or(file);
    let declared = program.names.text(simple.name);
    if stem != declared {
        let message = format!("module `{declared}` is in the file `{file}`");
        let finding = Diagnostic::new(Code::ModuleName, simple.span, message);
        findings.push(finding.hint(format!("rename the file to `{declared}.scr` or the module to `{stem}`")));
    }
}

struct Checker<'a> {
    program: &'a Program,
    module: usize,
    protocol: &'a Protocol,
    roles: HashSet<Name>,
    parameters: HashMap<Name, ParameterKind>,
    loops: Vec<Name>,
    findings: &'a mut Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    fn new(program: &'a Program, module: usize, protocol: &'a Protocol, findings: &'a mut Vec<Diagnostic>) -> Self {
        let parameters = protocol.parameters.iter().map(|parameter| (parameter.name.name, parameter.kind)).collect();
        let roles = protocol.roles.iter().map(|role| role.name.name).collect();
        Checker { program, module, protocol, roles, parameters, loops: Vec::new(), findings }
    }

    fn text(&self, name: Name) -> &'a str {
        self.program.names.text(name)
    }

    fn report(&mut self, code: Code, span: Span, message: String) -> &mut Diagnostic {
        self.findings.push(Diagnostic::new(code, span, message));
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }

    fn header(&mut self) {
        let mut declared = HashMap::new();
        for role in &self.protocol.roles {
            scope::twice(&mut declared, role.name.name, role.name.span, &self.program.names, self.findings);
        }
        let mut declared = HashMap::new();
        for parameter in &self.protocol.parameters {
            let name = parameter.name;
            scope::twice(&mut declared, name.name, name.span, &self.program.names, self.findings);
        }
    }

    fn block(&mut self, block: &'a Block) {
        for statement in block {
            match &statement.kind {
                StatementKind::Message { message, from, to } => self.transfer(message, *from, to),
                StatementKind::Connect { message, from, to } => {
                    if let Some(message) = message {
                        self.message(message);
                    }
                    self.pair(*from, *to, "connects to");
                }
                StatementKind::Disconnect { left, right } => self.pair(*left, *right, "disconnects from"),
                StatementKind::Wrap { from, to } => self.pair(*from, *to, "wraps its connection to"),
                StatementKind::Choice { at, blocks } => {
                    self.role(*at);
                    for block in blocks {
                        self.block(block);
                    }
                }
                StatementKind::Par { blocks } => blocks.iter().for_each(|block| self.block(block)),
                StatementKind::Rec { variable, body } => {
                    self.loops.push(variable.name);
                    self.block(body);
                    self.loops.pop();
                }
                StatementKind::Continue { variable } => self.continuation(*variable),
                StatementKind::Do { protocol, arguments, roles } => self.call(protocol, arguments, roles),
            }
        }
    }

    fn role(&mut self, role: Ident) {
        if self.roles.contains(&role.name) {
            return;
        }
        let text = self.text(role.name);
        let roles = self.protocol.roles.iter().map(|role| self.text(role.name.name));
        let hint = format!("the roles of this protocol are {}", listed(roles));
        self.report(Code::UnknownRole, role.span, format!("no role `{text}`")).set_hint(hint);
    }

    fn pair(&mut self, from: Ident, to: Ident, verb: &str) {
        self.role(from);
        self.role(to);
        if from.name == to.name {
            let message = format!("`{}` {verb} itself", self.text(to.name));
            self.report(Code::SelfMessage, to.span, message).set_hint("name another role".to_owned());
        }
    }

    fn transfer(&mut self, message: &'a Message, from: Ident, to: &[Ident]) {
        self.message(message);
        self.role(from);
        let mut named = HashSet::new();
        for receiver in to {
            self.role(*receiver);
            let text = self.text(receiver.name);
            if receiver.name == from.name {
                let finding = self.report(Code::SelfMessage, receiver.span, format!("`{text}` sends to itself"));
                finding.set_hint("a role keeps what it knows; leave the message out or name another role".to_owned());
            } else if !named.insert(receiver.name) {
                let message = format!("`{text}` is named twice among the receivers");
                self.report(Code::DeclaredTwice, receiver.span, message)
                    .set_hint("send the message twice if that is meant".to_owned());
            }
        }
    }

    fn message(&mut self, message: &'a Message) {
        match (&message.label, &message.payload) {
            (_, Some(payload)) => payload.iter().for_each(|element| self.payload(element)),
            (Some(label), None) if self.is_type(*label) => {
                let text = format!("`{}` is a type, not a message", self.text(label.name));
                self.report(Code::Arguments, label.span, text)
                    .set_hint("write a label before it: `label(Type) from A to B;`".to_owned());
            }
            _ => {}
        }
    }

    /// Whether a simple name is that of a type.
    fn is_type(&self, ident: Ident) -> bool {
        let scopes = &self.program.scopes;
        let name = QName { parts: vec![ident], span: ident.span };
        let declared = || scopes[self.module].declaration(self.module, scopes, &name).map(|(_, kind)| kind);
        self.parameters.get(&ident.name).copied().or_else(declared) == Some(ParameterKind::Type)
    }

    fn payload(&mut self, element: &'a Payload) {
        match element {
            Payload::Type(name) => self.payload_type(name),
            Payload::Delegation { protocol, role } => self.delegation(protocol, *role),
        }
    }

    fn payload_type(&mut self, name: &'a QName) {
        if let [simple] = name.parts.as_slice()
            && let Some(kind) = self.parameters.get(&simple.name)
        {
            if *kind == ParameterKind::Signature {
                let text = format!("`{}` is a message, not a type", self.text(simple.name));
                self.report(Code::UnknownType, name.span, text).set_hint("declare it with `type`".to_owned());
            }
            return;
        }
        let scopes = &self.program.scopes;
        let found = scopes[self.module].declaration(self.module, scopes, name);
        // Files without a `module` line are of a dialect that declares no types.
        let undeclared_is_fine = self.program.modules[self.module].name.is_none() && name.parts.len() == 1;
        if found.is_none() && undeclared_is_fine || matches!(found, Some((_, ParameterKind::Type))) {
            return;
        }
        let text = self.qualified(name);
        let hint = if name.parts.len() > 1 {
            "import its module, and declare the type there".to_owned()
        } else {
            format!("declare it: `type <schema> \"name\" from \"file\" as {text};`")
        };
        self.report(Code::UnknownType, name.span, format!("no type `{text}`")).set_hint(hint);
    }

    fn delegation(&mut self, protocol: &'a QName, role: Ident) {
        let scopes = &self.program.scopes;
        let Some(id) = scopes[self.module].protocol(self.module, scopes, protocol) else {
            return self.no_protocol(protocol);
        };
        if !self.program.protocol(id).roles.iter().any(|declared| declared.name.name == role.name) {
            let message = format!("protocol `{}` has no role `{}`", self.qualified(protocol), self.text(role.name));
            self.report(Code::UnknownRole, role.span, message);
        }
    }

    fn continuation(&mut self, variable: Ident) {
        if !self.loops.contains(&variable.name) {
            let text = self.text(variable.name);
            let message = format!("no loop `{text}` around this");
            self.report(Code::UnknownRecursion, variable.span, message)
                .set_hint(format!("put it inside `rec {text} {{ … }}`"));
        }
    }

    fn call(&mut self, name: &'a QName, arguments: &'a [Argument], roles: &[Ident]) {
        let mut named = HashSet::new();
        for role in roles {
            self.role(*role);
            if !named.insert(role.name) {
                let message = format!("`{}` plays two roles of the called protocol", self.text(role.name));
                self.report(Code::RoleArguments, role.span, message)
                    .set_hint("give each role of the called protocol another role".to_owned());
            }
        }
        let scopes = &self.program.scopes;
        let Some(id) = scopes[self.module].protocol(self.module, scopes, name) else {
            return self.no_protocol(name);
        };
        let called = self.program.protocol(id);
        if called.roles.len() != roles.len() {
            let text = self.qualified(name);
            let message = format!("`{text}` has {} roles, {} are given", called.roles.len(), roles.len());
            let wanted = listed(called.roles.iter().map(|role| self.text(role.name.name)));
            self.report(Code::RoleArguments, name.span, message)
                .set_hint(format!("give one role for each of {wanted}"));
        }
        self.arguments(name, called, arguments);
    }

    fn arguments(&mut self, name: &'a QName, called: &'a Protocol, arguments: &'a [Argument]) {
        if called.parameters.len() != arguments.len() {
            let (wanted, given) = (called.parameters.len(), arguments.len());
            let message = format!("`{}` has {wanted} parameters, {given} are given", self.qualified(name));
            self.report(Code::Arguments, name.span, message)
                .set_hint("give one argument in `<…>` for each parameter".to_owned());
        }
        for (index, argument) in arguments.iter().enumerate() {
            let wanted = called.parameters.get(index).map(|parameter| parameter.kind);
            match argument {
                Argument::Message(message) => {
                    self.message(message);
                    if wanted == Some(ParameterKind::Type) {
                        let text = "this parameter is a type, a message is given".to_owned();
                        self.report(Code::Arguments, message.span, text).set_hint("give a type".to_owned());
                    }
                }
                Argument::Name(given) => self.named_argument(given, wanted),
            }
        }
    }

    fn named_argument(&mut self, given: &'a QName, wanted: Option<ParameterKind>) {
        let scopes = &self.program.scopes;
        let parameter = match given.parts.as_slice() {
            [simple] => self.parameters.get(&simple.name).copied(),
            _ => None,
        };
        let kind =
            parameter.or_else(|| scopes[self.module].declaration(self.module, scopes, given).map(|(_, kind)| kind));
        let text = self.qualified(given);
        let headerless = self.program.modules[self.module].name.is_none();
        match (kind, wanted) {
            (None, Some(ParameterKind::Type)) if headerless => {}
            (None, _) => {
                let message = format!("no message or type `{text}`");
                self.report(Code::UnknownType, given.span, message)
                    .set_hint(format!("write `{text}()` for a message, or declare `{text}`"));
            }
            (Some(kind), Some(wanted)) if kind != wanted => {
                let (is, should) = match kind {
                    ParameterKind::Type => ("a type", "a message"),
                    ParameterKind::Signature => ("a message", "a type"),
                };
                let message = format!("`{text}` is {is}, this parameter is {should}");
                self.report(Code::Arguments, given.span, message).set_hint(format!("give {should}"));
            }
            _ => {}
        }
    }

    fn no_protocol(&mut self, name: &'a QName) {
        let text = self.qualified(name);
        let hint = if name.parts.len() > 1 {
            "import its module, and name it in full or by the alias of the import"
        } else {
            "protocols of other modules are named with their module: `module.Protocol`"
        };
        self.report(Code::UnknownProtocol, name.span, format!("no protocol `{text}`")).set_hint(hint.to_owned());
    }

    fn qualified(&self, name: &QName) -> String {
        let parts: Vec<&str> = name.parts.iter().map(|part| self.program.names.text(part.name)).collect();
        parts.join(".")
    }
}
