//! Modules, imports, declared types and signatures, protocol headers.

use super::refused::{DYNAMIC, INDEXED, INSTANTIATES, VALUES};
use super::{Parsed, Parser};
use crate::code::Code;
use crate::diagnostics::Diagnostic;
use crate::syntax::ast::{Declaration, Import, Module, ParameterKind, Protocol, QName, RoleDeclaration};
use crate::syntax::lexer::TokenKind;

/// What a file may hold, in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Imports,
    Declarations,
    Protocols,
}

impl Parser<'_> {
    pub(super) fn module(&mut self) -> Module {
        let mut module = Module {
            name: None,
            imports: Vec::new(),
            declarations: Vec::new(),
            protocols: Vec::new(),
            annotations: Vec::new(),
        };
        if self.word_at(0, "module") {
            match self.module_name() {
                Ok(name) => module.name = Some(name),
                Err(_) => self.next_item(),
            }
        }
        let mut section = Section::Imports;
        while self.token().kind != TokenKind::End {
            if self.item(&mut module, &mut section).is_err() {
                self.next_item();
            }
        }
        module
    }

    fn module_name(&mut self) -> Parsed<QName> {
        self.advance();
        let name = self.qname("the name of the module")?;
        self.expect_mark(b';', "after the name of the module")?;
        Ok(name)
    }

    fn item(&mut self, module: &mut Module, section: &mut Section) -> Parsed<()> {
        if self.annotations() || self.refused_item() {
            return Ok(());
        }
        if self.word_at(0, "import") {
            self.in_order(section, Section::Imports, "imports come before types and protocols");
            module.imports.push(self.import()?);
        } else if self.declaration_ahead() {
            self.in_order(section, Section::Declarations, "types and signatures come before protocols");
            module.declarations.push(self.declaration()?);
        } else if self.protocol_ahead() {
            *section = Section::Protocols;
            let protocol = self.protocol()?;
            module.protocols.extend(protocol);
        } else if self.word_at(0, "module") {
            let span = self.token().span;
            let finding = Diagnostic::new(Code::Syntax, span, "the module is named once, in the first line");
            return Err(self.report(finding));
        } else {
            return Err(self.expected("a declaration or a protocol", ""));
        }
        Ok(())
    }

    fn in_order(&mut self, section: &mut Section, wanted: Section, rule: &str) {
        if *section > wanted {
            let span = self.token().span;
            let finding = Diagnostic::new(Code::Syntax, span, rule).hint("move it up");
            self.report(finding);
        } else {
            *section = wanted;
        }
    }

    fn import(&mut self) -> Parsed<Import> {
        self.advance();
        let module = self.qname("the name of a module")?;
        let alias = match self.eat_word("as") {
            Some(_) => Some(self.ident("a name after `as`")?),
            None => None,
        };
        self.expect_mark(b';', "after an import")?;
        Ok(Import { module, alias })
    }

    fn declaration_ahead(&self) -> bool {
        ["type", "data", "sig"].iter().any(|word| self.word_at(0, word))
    }

    fn parameter_kind(&mut self) -> ParameterKind {
        let signature = self.word_at(0, "sig");
        self.advance();
        if signature { ParameterKind::Signature } else { ParameterKind::Type }
    }

    fn declaration(&mut self) -> Parsed<Declaration> {
        let kind = self.parameter_kind();
        self.expect_mark(b'<', "before the schema")?;
        self.ident("the name of a schema")?;
        self.expect_mark(b'>', "after the schema")?;
        self.quoted("the external name, in quotes")?;
        self.expect_word("from", "after the external name")?;
        self.quoted("where it comes from, in quotes")?;
        self.expect_word("as", "before the name it gets here")?;
        let name = self.ident("a name after `as`")?;
        self.expect_mark(b';', "after a declaration")?;
        Ok(Declaration { kind, name })
    }

    fn quoted(&mut self, what: &str) -> Parsed<()> {
        if self.token().kind == TokenKind::Text {
            self.advance();
            return Ok(());
        }
        Err(self.expected(what, ""))
    }

    fn protocol_ahead(&self) -> bool {
        let prefix = |ahead| ["aux", "explicit", "global"].iter().any(|word| self.word_at(ahead, word));
        let ahead = (0..4).find(|ahead| !prefix(*ahead)).unwrap_or(0);
        self.word_at(ahead, "protocol") || ahead > 0
    }

    /// `None` if it is known and not supported.
    fn protocol(&mut self) -> Parsed<Option<Protocol>> {
        let start = self.token().span;
        let mut aux = self.eat_word("aux").is_some();
        let explicit = self.eat_word("explicit").is_some();
        aux |= self.eat_word("aux").is_some();
        self.eat_word("global");
        self.expect_word("protocol", "")?;
        let name = self.ident("the name of the protocol")?;
        let parameters = if self.eat_mark(b'<').is_some() { self.parameters()? } else { Vec::new() };
        self.expect_mark(b'(', "before the roles")?;
        let roles = self.separated(Self::role_declaration)?;
        let refused = match self.token().kind {
            TokenKind::Mark(b';') => Some(DYNAMIC),
            TokenKind::Mark(b'(' | b'[') => Some(INDEXED),
            _ => None,
        };
        if let Some(feature) = refused {
            let span = self.token().span;
            self.unsupported(span, feature);
            self.eat_mark(b';');
            self.skip_item(start);
            return Ok(None);
        }
        self.expect_mark(b')', "after the roles")?;
        self.annotations();
        let refused = match self.token().kind {
            TokenKind::Mark(b'(') => Some(VALUES),
            TokenKind::Word if self.word_at(0, "instantiates") => Some(INSTANTIATES),
            _ => None,
        };
        if let Some(feature) = refused {
            let span = self.token().span;
            self.unsupported(span, feature);
            self.skip_item(start);
            return Ok(None);
        }
        let body = self.block("the protocol")?;
        Ok(Some(Protocol { name, aux, explicit, parameters, roles, body }))
    }

    fn parameters(&mut self) -> Parsed<Vec<Declaration>> {
        if self.eat_mark(b'>').is_some() {
            return Ok(Vec::new());
        }
        let parameters = self.separated(|parser| {
            if !parser.declaration_ahead() {
                return Err(parser.expected("`sig`, `type` or `data`", "before a parameter"));
            }
            let kind = parser.parameter_kind();
            let name = parser.ident("the name of the parameter")?;
            Ok(Declaration { kind, name })
        })?;
        self.expect_mark(b'>', "after the parameters")?;
        Ok(parameters)
    }

    fn role_declaration(&mut self) -> Parsed<RoleDeclaration> {
        // Older files of nuscr say `safe`.
        let reliable = self.eat_word("reliable").or_else(|| self.eat_word("safe"));
        self.expect_word("role", "before the name of a role")?;
        let public = self.ident("the name of a role")?;
        let name = match self.eat_word("as") {
            Some(_) => self.ident("a name after `as`")?,
            None => public,
        };
        Ok(RoleDeclaration { name, public, reliable })
    }

    /// Skips to what may start the next declaration.
    fn next_item(&mut self) {
        let mut first = true;
        loop {
            match self.token().kind {
                TokenKind::End => return,
                TokenKind::Mark(b'{') => {
                    self.skip_group();
                    return;
                }
                TokenKind::Mark(b';' | b'}') => {
                    self.advance();
                    return;
                }
                TokenKind::Word
                    if !first && (self.word_at(0, "import") || self.protocol_ahead() || self.word_at(0, "local")) =>
                {
                    return;
                }
                _ => {
                    self.advance();
                }
            }
            first = false;
        }
    }
}
