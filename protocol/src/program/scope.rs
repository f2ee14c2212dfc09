//! What each module can name: its own declarations and protocols, and those of the modules it imports.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::code::Code;
use crate::diagnostics::{Diagnostic, Span};
use crate::syntax::ast::{Module, ParameterKind, QName};
use crate::syntax::names::{Name, Names};

/// A protocol of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProtocolId {
    pub(crate) module: usize,
    pub(crate) index: usize,
}

/// A declared type or signature of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DeclarationId {
    pub(crate) module: usize,
    pub(crate) index: usize,
}

/// The names of one module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// Own full name, own simple name, names and aliases of imports.
    modules: HashMap<Vec<Name>, usize>,
    protocols: HashMap<Name, usize>,
    declarations: HashMap<Name, (usize, ParameterKind)>,
    /// Names under which modules were to be imported that were not found.
    failed: HashSet<Vec<Name>>,
}

/// The scopes of all modules. Reports what is declared twice, and imports that hide a name.
pub(super) fn build(
    modules: &[Module],
    links: &[Vec<Option<usize>>],
    names: &Names,
    findings: &mut Vec<Diagnostic>,
) -> Vec<Scope> {
    let mut scopes = Vec::with_capacity(modules.len());
    for (index, module) in modules.iter().enumerate() {
        let mut scope = Scope::default();
        import_names(&mut scope, index, module, &links[index], names, findings);
        let mut declared: HashMap<Name, Span> = HashMap::new();
        for (at, declaration) in module.declarations.iter().enumerate() {
            let name = declaration.name;
            if twice(&mut declared, name.name, name.span, names, findings) {
                continue;
            }
            scope.declarations.insert(name.name, (at, declaration.kind));
        }
        let mut declared: HashMap<Name, Span> = HashMap::new();
        for (at, protocol) in module.protocols.iter().enumerate() {
            let name = protocol.name;
            if !twice(&mut declared, name.name, name.span, names, findings) {
                scope.protocols.insert(name.name, at);
            }
        }
        scopes.push(scope);
    }
    scopes
}

fn import_names(
    scope: &mut Scope,
    index: usize,
    module: &Module,
    links: &[Option<usize>],
    names: &Names,
    findings: &mut Vec<Diagnostic>,
) {
    if let Some(name) = &module.name {
        let full: Vec<Name> = name.parts.iter().map(|part| part.name).collect();
        if let Some(simple) = full.last() {
            scope.modules.insert(vec![*simple], index);
        }
        scope.modules.insert(full, index);
    }
    for (import, link) in module.imports.iter().zip(links) {
        let (visible, span) = match import.alias {
            Some(alias) => (vec![alias.name], alias.span),
            None => (import.module.parts.iter().map(|part| part.name).collect::<Vec<_>>(), import.module.span),
        };
        let shown: Vec<&str> = visible.iter().map(|name| names.text(*name)).collect();
        let shown = shown.join(".");
        match scope.modules.entry(visible) {
            Entry::Occupied(_) => {
                let message = format!("`{shown}` already names a module here");
                let finding = Diagnostic::new(Code::ImportClash, span, message);
                findings.push(finding.hint("import it under another name with `as`, or leave the import out"));
            }
            Entry::Vacant(free) => match link {
                Some(link) => {
                    free.insert(*link);
                }
                None => {
                    scope.failed.insert(free.into_key());
                }
            },
        }
    }
}

/// Notes a declaration; reports it, and says so, if the name is taken.
pub(super) fn twice(
    declared: &mut HashMap<Name, Span>,
    name: Name,
    span: Span,
    names: &Names,
    findings: &mut Vec<Diagnostic>,
) -> bool {
    if declared.insert(name, span).is_none() {
        return false;
    }
    let message = format!("`{}` is declared twice", names.text(name));
    findings.push(Diagnostic::new(Code::DeclaredTwice, span, message).hint("give one of them another name"));
    true
}

impl Scope {
    /// The protocol that `name` stands for in the module of this scope.
    pub(crate) fn protocol(&self, own: usize, scopes: &[Scope], name: &QName) -> Option<ProtocolId> {
        let (module, simple) = self.split(own, name)?;
        let index = *scopes.get(module)?.protocols.get(&simple)?;
        Some(ProtocolId { module, index })
    }

    /// The declared type or signature that `name` stands for in the module of this scope.
    pub(crate) fn declaration(
        &self,
        own: usize,
        scopes: &[Scope],
        name: &QName,
    ) -> Option<(DeclarationId, ParameterKind)> {
        let (module, simple) = self.split(own, name)?;
        let (index, kind) = *scopes.get(module)?.declarations.get(&simple)?;
        Some((DeclarationId { module, index }, kind))
    }

    /// Whether a name belongs to a module that was not found: that has been said.
    pub(super) fn is_of_failed_import(&self, name: &QName) -> bool {
        let prefix = name.parts.split_last().map(|(_, prefix)| prefix).unwrap_or_default();
        !self.failed.is_empty() && self.failed.contains(&prefix.iter().map(|part| part.name).collect::<Vec<_>>())
    }

    /// Whether a name with a module before it names one that is there.
    pub(super) fn names_module(&self, own: usize, name: &QName) -> bool {
        name.parts.len() > 1 && self.split(own, name).is_some()
    }

    /// The signatures declared in the module, in no order.
    pub(super) fn signatures(&self) -> impl Iterator<Item = Name> + '_ {
        let signatures = self.declarations.iter().filter(|(_, (_, kind))| *kind == ParameterKind::Signature);
        signatures.map(|(name, _)| *name)
    }

    /// The module and the simple name in it.
    fn split(&self, own: usize, name: &QName) -> Option<(usize, Name)> {
        let (simple, prefix) = name.parts.split_last()?;
        if prefix.is_empty() {
            return Some((own, simple.name));
        }
        let prefix: Vec<Name> = prefix.iter().map(|part| part.name).collect();
        Some((*self.modules.get(&prefix)?, simple.name))
    }
}
