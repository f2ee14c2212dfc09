//! A protocol source with everything that it imports, parsed and with its names resolved.

mod imports;
mod names;
mod scope;

use crate::diagnostics::{Diagnostic, Report, Severity, SourceFile, Span};
use crate::syntax::ast::{Module, Protocol};
use crate::syntax::names::Names;

pub(crate) use scope::{DeclarationId, ProtocolId, Scope};

/// A set of modules whose names all resolve.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) names: Names,
    pub(crate) modules: Vec<Module>,
    pub(crate) scopes: Vec<Scope>,
    sources: Vec<SourceFile>,
    dialect: Dialect,
    /// Warnings and notes about names.
    warnings: Vec<Diagnostic>,
}

/// How exactly sources are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// As files are found: a module may be called otherwise than its file, and payload types need not be declared.
    #[default]
    Lenient,
    /// As scribble-java takes them: both are errors, and what follows from a finding is found too.
    Strict,
}

impl Dialect {
    /// How much it matters where other tools refuse what can be understood.
    fn severity(self) -> Severity {
        match self {
            Dialect::Lenient => Severity::Warning,
            Dialect::Strict => Severity::Error,
        }
    }
}

/// A protocol of the main source, as listed by [`Program::protocols`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolSummary {
    /// Its simple name.
    pub name: String,
    /// Whether it is only to be called by `do`.
    pub aux: bool,
    /// Its roles in the order of declaration.
    pub roles: Vec<String>,
}

/// Parses `main` and whatever it imports, and resolves every name.
///
/// `read` gives the text of a path, or `None` where there is no such file; it is the only way out. Imports are looked up
/// from the directory above the module's path, then in each directory of `include`. The error holds every finding of the
/// first stage that has any: text that is not in the grammar, then names.
pub fn load(main: &str, include: &[String], read: &mut dyn FnMut(&str) -> Option<String>) -> Result<Program, Report> {
    load_as(Dialect::default(), main, include, read)
}

/// Like [`load`], in a dialect.
pub fn load_as(
    dialect: Dialect,
    main: &str,
    include: &[String],
    read: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<Program, Report> {
    let mut loader = imports::Loader::new(include, read);
    loader.main(main);
    let imports::Loaded { names, sources, modules, links, syntax, imports } = loader.finish();
    if !syntax.is_empty() {
        return Err(Report { diagnostics: syntax, sources });
    }
    let mut findings = imports;
    let scopes = scope::build(&modules, &links, &names, &mut findings);
    let mut program = Program { names, modules, scopes, sources, dialect, warnings: Vec::new() };
    names::check(&program, &links, &mut findings);
    findings.sort_by_key(|finding| finding.span);
    findings.dedup();
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(Report::new(findings, program.sources));
    }
    program.warnings = findings;
    Ok(program)
}

impl Program {
    /// The protocols of the main source, in the order of the text.
    pub fn protocols(&self) -> impl Iterator<Item = ProtocolSummary> + '_ {
        self.main().protocols.iter().map(|protocol| ProtocolSummary {
            name: self.names.text(protocol.name.name).to_owned(),
            aux: protocol.aux,
            roles: protocol.roles.iter().map(|role| self.names.text(role.public.name).to_owned()).collect(),
        })
    }

    /// The sources, in the order in which they were loaded; the main one is the first.
    pub fn sources(&self) -> &[SourceFile] {
        &self.sources
    }

    /// What is to be said about names though they all resolve.
    pub fn warnings(&self) -> Report {
        self.report(self.warnings.clone())
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(crate) fn report(&self, diagnostics: Vec<Diagnostic>) -> Report {
        Report::new(diagnostics, self.sources.clone())
    }

    /// Whether a `do` stands at a place.
    pub(crate) fn is_call(&self, span: Span) -> bool {
        let text = self.sources.get(span.file as usize).and_then(|source| source.text.get(span.start as usize..));
        text.is_some_and(|text| text.starts_with("do") && text[2..].starts_with(char::is_whitespace))
    }

    pub(crate) fn main(&self) -> &Module {
        &self.modules[0]
    }

    pub(crate) fn protocol(&self, id: ProtocolId) -> &Protocol {
        &self.modules[id.module].protocols[id.index]
    }
}
