//! Loading: the main source and everything it imports, each once.

use std::collections::HashMap;

use crate::code::Code;
use crate::diagnostics::{Diagnostic, SourceFile, Span};
use crate::syntax::ast::{Module, QName};
use crate::syntax::names::Names;
use crate::syntax::parser;

/// How many modules a program may have: links between folders can give one file paths without end.
const MAX_MODULES: usize = 1_000;

/// Reads imported sources until nothing new is imported.
pub(super) struct Loader<'a> {
    include: &'a [String],
    read: &'a mut dyn FnMut(&str) -> Option<String>,
    loaded: Loaded,
    by_path: HashMap<String, usize>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) names: Names,
    pub(super) sources: Vec<SourceFile>,
    pub(super) modules: Vec<Module>,
    /// For each module and each of its imports: the module imported, if it was found.
    pub(super) links: Vec<Vec<Option<usize>>>,
    pub(super) syntax: Vec<Diagnostic>,
    pub(super) imports: Vec<Diagnostic>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(include: &'a [String], read: &'a mut dyn FnMut(&str) -> Option<String>) -> Self {
        Loader { include, read, loaded: Loaded::default(), by_path: HashMap::new() }
    }

    pub(super) fn main(&mut self, path: &str) {
        if let Some(text) = (self.read)(path) {
            self.add(path, text);
        } else {
            self.loaded.sources.push(SourceFile { path: path.to_owned(), text: String::new() });
            let message = format!("cannot read `{path}`");
            self.loaded.syntax.push(Diagnostic::new(Code::ImportNotFound, Span::default(), message));
        }
        let mut next = 0;
        while next < self.loaded.modules.len() {
            self.follow(next);
            next += 1;
        }
    }

    pub(super) fn finish(self) -> Loaded {
        self.loaded
    }

    fn add(&mut self, path: &str, text: String) -> usize {
        let file = self.loaded.sources.len();
        let number = u32::try_from(file).unwrap_or(u32::MAX);
        // Some editors begin a file with a byte order mark; it is no part of the text.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let module = parser::parse(number, &text, &mut self.loaded.names, &mut self.loaded.syntax);
        self.loaded.sources.push(SourceFile { path: path.to_owned(), text });
        self.loaded.modules.push(module);
        self.by_path.insert(path.to_owned(), file);
        file
    }

    fn follow(&mut self, module: usize) {
        let imports: Vec<QName> =
            self.loaded.modules[module].imports.iter().map(|import| import.module.clone()).collect();
        let bases = self.bases(module);
        let links = imports.iter().map(|import| self.import(module, import, &bases)).collect();
        self.loaded.links.push(links);
    }

    fn import(&mut self, importer: usize, import: &QName, bases: &[String]) -> Option<usize> {
        // A module that imports itself is reported with the names; there is nothing to load.
        if self.loaded.modules[importer].name.as_ref().is_some_and(|name| same(name, import)) {
            return Some(importer);
        }
        let parts: Vec<&str> = import.parts.iter().map(|part| self.loaded.names.text(part.name)).collect();
        let relative = format!("{}.scr", parts.join("/"));
        for base in bases {
            let path = if base.is_empty() { relative.clone() } else { format!("{base}/{relative}") };
            if let Some(&known) = self.by_path.get(&path) {
                return Some(known);
            }
            if self.loaded.modules.len() >= MAX_MODULES {
                self.too_many(import);
                return None;
            }
            if let Some(text) = (self.read)(&path) {
                return Some(self.add(&path, text));
            }
        }
        let message = format!("module `{}` is not found", parts.join("."));
        let hint = format!("looked for `{relative}` in: {}", shown(bases));
        self.loaded.imports.push(Diagnostic::new(Code::ImportNotFound, import.span, message).hint(hint));
        None
    }

    /// Reports the first import of a module too many.
    fn too_many(&mut self, import: &QName) {
        if self.loaded.imports.iter().all(|finding| finding.code != Code::TooLarge) {
            let message = format!("more than {MAX_MODULES} modules are imported");
            let finding = Diagnostic::new(Code::TooLarge, import.span, message).label("one too many");
            self.loaded.imports.push(finding.hint("put protocols that belong together into one module"));
        }
    }

    /// Where imports of a module are looked up: the directory above its own path, then the include directories.
    fn bases(&self, module: usize) -> Vec<String> {
        let path = self.loaded.sources[module].path.as_str();
        let above = self.loaded.modules[module].name.as_ref().map_or(1, |name| name.parts.len());
        let mut base = path;
        let mut missing = 0;
        for _ in 0..above {
            match base.rsplit_once('/') {
                Some((rest, _)) => base = rest,
                None if base.is_empty() => missing += 1,
                None => base = "",
            }
        }
        let climb = vec![".."; missing].join("/");
        let base = if missing > 0 && !path.starts_with('/') { climb } else { base.to_owned() };
        std::iter::once(base).chain(self.include.iter().map(|dir| dir.trim_end_matches('/').to_owned())).collect()
    }
}

fn same(left: &QName, right: &QName) -> bool {
    left.parts.len() == right.parts.len() && left.parts.iter().zip(&right.parts).all(|(l, r)| l.name == r.name)
}

fn shown(bases: &[String]) -> String {
    let bases: Vec<String> =
        bases.iter().map(|base| if base.is_empty() { "`.`".to_owned() } else { format!("`{base}`") }).collect();
    bases.join(", ")
}
