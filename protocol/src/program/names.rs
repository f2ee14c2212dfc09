//! Check 1: every name stands for something, nothing is declared twice, `do` gets what it needs.

use std::collections::{HashMap, HashSet};

use super::{Program, scope};
use crate::code::Code;
use crate::diagnostics::{Diagnostic, Severity, Span, listed};
use crate::syntax::ast::{
    Argument, Block, Ident, Message, ParameterKind, Payload, Protocol, QName, RoleArgument, StatementKind,
};
use crate::syntax::names::Name;

/// Reports every name of a program that does not resolve. `links` holds the modules that each module imports.
pub(super) fn check(program: &Program, links: &[Vec<Option<usize>>], findings: &mut Vec<Diagnostic>) {
    let imported: HashSet<usize> = links.iter().flatten().flatten().copied().collect();
    for (index, module) in program.modules.iter().enumerate() {
        module_name(program, index, imported.contains(&index), findings);
        annotations(&module.annotations, findings);
        let mut undeclared = HashSet::new();
        for protocol in &module.protocols {
            let mut checker = Checker::new(program, index, protocol, &mut undeclared, findings);
            checker.header();
            checker.block(&protocol.body);
        }
    }
}

/// Notes the annotations of a module, once.
fn annotations(annotations: &[Span], findings: &mut Vec<Diagnostic>) {
    let Some(first) = annotations.first() else { return };
    let message = match annotations.len() {
        1 => "this annotation has no effect".to_owned(),
        count => format!("this annotation and {} more have no effect", count - 1),
    };
    let note = Diagnostic::new(Code::AnnotationIgnored, *first, message).severity(Severity::Note);
    findings.push(note.hint("what it asks for is up to the workers"));
}

/// A module that is imported is found by its name, so it must have that of its file.
fn module_name(program: &Program, index: usize, imported: bool, findings: &mut Vec<Diagnostic>) {
    let Some(name) = &program.modules[index].name else { return };
    let Some(simple) = name.parts.last() else { return };
    let path = program.sources[index].path.as_str();
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let declared = program.names.text(simple.name);
    if stem != declared {
        let message = format!("module `{declared}` is in the file `{file}`");
        let finding = Diagnostic::new(Code::ModuleName, simple.span, message);
        let severity = if imported { Severity::Error } else { program.dialect.severity() };
        let hint = format!("rename the file to `{declared}.scr` or the module to `{stem}`");
        findings.push(finding.severity(severity).hint(hint));
    }
}

struct Checker<'a> {
    program: &'a Program,
    module: usize,
    protocol: &'a Protocol,
    roles: HashSet<Name>,
    parameters: HashMap<Name, ParameterKind>,
    loops: Vec<Name>,
    /// The types of the module that have been reported.
    undeclared: &'a mut HashSet<Vec<Name>>,
    findings: &'a mut Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    fn new(
        program: &'a Program,
        module: usize,
        protocol: &'a Protocol,
        undeclared: &'a mut HashSet<Vec<Name>>,
        findings: &'a mut Vec<Diagnostic>,
    ) -> Self {
        let parameters = protocol.parameters.iter().map(|parameter| (parameter.name.name, parameter.kind)).collect();
        let roles = protocol.roles.iter().map(|role| role.name.name).collect();
        Checker { program, module, protocol, roles, parameters, loops: Vec::new(), undeclared, findings }
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
        let (mut inside, mut outside) = (HashMap::new(), HashMap::new());
        for role in &self.protocol.roles {
            let twice = scope::twice(&mut inside, role.name.name, role.name.span, &self.program.names, self.findings);
            if twice && role.name == role.public {
                continue;
            }
            scope::twice(&mut outside, role.public.name, role.public.span, &self.program.names, self.findings);
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
                StatementKind::Choice { at, blocks, .. } => {
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
        let renamed = self.protocol.roles.iter().find(|declared| declared.public.name == role.name);
        let roles = self.protocol.roles.iter().map(|role| self.text(role.name.name));
        let hint = match renamed {
            Some(renamed) => format!("`{text}` is called `{}` in this protocol", self.text(renamed.name.name)),
            None => format!("the roles of this protocol are {}", listed(roles)),
        };
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
            (Some(label), None) => self.bare(*label),
            _ => {}
        }
    }

    /// A bare name is a label without payload, but for modules that declare what their messages are.
    fn bare(&mut self, label: Ident) {
        let scope = &self.program.scopes[self.module];
        let mut signatures: Vec<&str> = scope.signatures().map(|name| self.text(name)).collect();
        let text = self.text(label.name);
        if signatures.is_empty() || signatures.contains(&text) || self.parameters.contains_key(&label.name) {
            return;
        }
        signatures.sort_unstable();
        let hint = format!(
            "write `{text}()` for a label without payload; the messages declared here are {}",
            listed(signatures.into_iter())
        );
        self.report(Code::UnknownMessage, label.span, format!("no message `{text}`")).set_hint(hint);
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
        let message = match found {
            Some(_) => format!("`{text}` is a message, not a type"),
            None => format!("no type `{text}`"),
        };
        let hint = if name.parts.len() > 1 {
            "import its module, and declare the type there".to_owned()
        } else {
            format!("declare it: `type <schema> \"name\" from \"file\" as {text};`")
        };
        match found {
            None => self.undeclared_type(name, message, hint),
            Some(_) => self.report(Code::UnknownType, name.span, message).set_hint("declare it with `type`".to_owned()),
        }
    }

    /// A type without declaration is one all the same, unless its module is there and does not have it.
    fn undeclared_type(&mut self, name: &'a QName, message: String, hint: String) {
        let scope = &self.program.scopes[self.module];
        if scope.is_of_failed_import(name) {
            return;
        }
        let severity =
            if scope.names_module(self.module, name) { Severity::Error } else { self.program.dialect.severity() };
        let parts = name.parts.iter().map(|part| part.name).collect();
        if severity == Severity::Error || self.undeclared.insert(parts) {
            let finding = Diagnostic::new(Code::UnknownType, name.span, message).severity(severity);
            let label = if severity == Severity::Error { "" } else { "taken as a type of that name" };
            self.findings.push(finding.label(label).hint(hint));
        }
    }

    fn delegation(&mut self, protocol: &'a QName, role: Ident) {
        let scopes = &self.program.scopes;
        let Some(id) = scopes[self.module].protocol(self.module, scopes, protocol) else {
            return self.no_protocol(protocol);
        };
        if !self.program.protocol(id).roles.iter().any(|declared| declared.public.name == role.name) {
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

    fn call(&mut self, name: &'a QName, arguments: &'a [Argument], roles: &[RoleArgument]) {
        let mut named = HashSet::new();
        for RoleArgument { role, .. } in roles {
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
        if called.roles.len() == roles.len() {
            self.places(name, called, roles);
        } else {
            let text = self.qualified(name);
            let message = format!("`{text}` has {} roles, {} are given", called.roles.len(), roles.len());
            let wanted = listed(called.roles.iter().map(|role| self.text(role.public.name)));
            self.report(Code::RoleArguments, name.span, message)
                .set_hint(format!("give one role for each of {wanted}"));
        }
        self.arguments(name, called, arguments);
    }

    /// Each role of the called protocol is given once, by its name or at its place.
    fn places(&mut self, name: &'a QName, called: &'a Protocol, roles: &[RoleArgument]) {
        let mut given = HashSet::new();
        for (at, argument) in roles.iter().enumerate() {
            let (span, wanted) = match argument.parameter {
                Some(parameter) => (parameter.span, self.text(parameter.name)),
                None => (argument.role.span, self.text(called.roles[at].public.name)),
            };
            let message = match called.place(at, argument) {
                None => format!("`{}` has no role `{wanted}`", self.qualified(name)),
                Some(place) if !given.insert(place) => {
                    format!("role `{wanted}` of `{}` is given twice", self.qualified(name))
                }
                Some(_) => continue,
            };
            let declared = listed(called.roles.iter().map(|role| self.text(role.public.name)));
            self.report(Code::RoleArguments, span, message).set_hint(format!("its roles are {declared}"));
        }
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
            (None, _) if scopes[self.module].is_of_failed_import(given) => {}
            (None, Some(ParameterKind::Type)) => {
                let hint = format!("declare it: `type <schema> \"name\" from \"file\" as {text};`");
                self.undeclared_type(given, format!("no type `{text}`"), hint);
            }
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
        if self.program.scopes[self.module].is_of_failed_import(name) {
            return;
        }
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
