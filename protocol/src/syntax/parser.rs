//! Tokens to tree, with recovery: after a finding the parser goes on at the next statement or declaration, so one run
//! shows all of them.
//!
//! Keywords are words in a place, not reserved: `choice() from A to B;` is a message labelled `choice`.

mod declarations;
mod messages;
mod refused;
mod statements;

use crate::code::Code;
use crate::diagnostics::{Diagnostic, Span};
use crate::syntax::ast::{Ident, Module, QName};
use crate::syntax::lexer::{self, Token, TokenKind};
use crate::syntax::names::Names;

/// How deep blocks may be nested in a source.
pub(crate) const MAX_NESTING: usize = 200;

/// Parses one file. The tree holds what could be understood, the findings say what could not.
pub(crate) fn parse(file: u32, text: &str, names: &mut Names, findings: &mut Vec<Diagnostic>) -> Module {
    let first = findings.len();
    let tokens = lexer::tokens(file, text, findings);
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        names,
        findings,
        depth: 0,
        last_error: None,
        refused: refused::Refused::default(),
        annotations: Vec::new(),
    };
    let mut module = parser.module();
    module.annotations = std::mem::take(&mut parser.annotations);
    parser.forgive(first);
    module
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    names: &'a mut Names,
    findings: &'a mut Vec<Diagnostic>,
    depth: usize,
    /// Where the last finding was: the second one about the same token is an echo.
    last_error: Option<usize>,
    refused: refused::Refused,
    annotations: Vec<Span>,
}

/// A finding has been reported and the parser stands somewhere inside the broken construct.
#[derive(Debug)]
enum Broken {
    /// It is not in the grammar.
    Syntax,
    /// It is known and not supported, so what follows is in a language of its own.
    Refused,
}

type Parsed<T> = Result<T, Broken>;

impl Parser<'_> {
    fn token(&self) -> Token {
        self.peek(0)
    }

    fn peek(&self, ahead: usize) -> Token {
        let last = self.tokens.len() - 1;
        self.tokens[(self.at + ahead).min(last)]
    }

    fn advance(&mut self) -> Token {
        let token = self.token();
        if token.kind != TokenKind::End {
            self.at += 1;
        }
        token
    }

    fn text_of(&self, token: Token) -> &str {
        self.text.get(token.span.start as usize..token.span.end as usize).unwrap_or("")
    }

    fn word_at(&self, ahead: usize, word: &str) -> bool {
        let token = self.peek(ahead);
        token.kind == TokenKind::Word && self.text_of(token) == word
    }

    fn mark_at(&self, ahead: usize, mark: u8) -> bool {
        self.peek(ahead).kind == TokenKind::Mark(mark)
    }

    fn eat_word(&mut self, word: &str) -> Option<Span> {
        self.word_at(0, word).then(|| self.advance().span)
    }

    fn eat_mark(&mut self, mark: u8) -> Option<Span> {
        self.mark_at(0, mark).then(|| self.advance().span)
    }

    fn expect_word(&mut self, word: &str, after: &str) -> Parsed<Span> {
        match self.eat_word(word) {
            Some(span) => Ok(span),
            None => Err(self.expected(&format!("`{word}`"), after)),
        }
    }

    fn expect_mark(&mut self, mark: u8, after: &str) -> Parsed<Span> {
        match self.eat_mark(mark) {
            Some(span) => Ok(span),
            None => Err(self.expected(&format!("`{}`", char::from(mark)), after)),
        }
    }

    fn ident(&mut self, what: &str) -> Parsed<Ident> {
        if self.token().kind != TokenKind::Word {
            return Err(self.expected(what, ""));
        }
        let token = self.advance();
        let name = self.text.get(token.span.start as usize..token.span.end as usize).unwrap_or("");
        Ok(Ident { name: self.names.intern(name), span: token.span })
    }

    fn qname(&mut self, what: &str) -> Parsed<QName> {
        let first = self.ident(what)?;
        let mut span = first.span;
        let mut parts = vec![first];
        while self.eat_mark(b'.').is_some() {
            let part = self.ident("a name after `.`")?;
            span = span.to(part.span);
            parts.push(part);
        }
        Ok(QName { parts, span })
    }

    fn separated<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat_mark(b',').is_some() {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Reports that `what` was expected here, and says what is here instead.
    fn expected(&mut self, what: &str, after: &str) -> Broken {
        let token = self.token();
        let found = match token.kind {
            TokenKind::End => "the end of the file".to_owned(),
            _ => format!("`{}`", self.text_of(token).chars().take(40).collect::<String>().escape_debug()),
        };
        let after = if after.is_empty() { String::new() } else { format!(" {after}") };
        self.report(Diagnostic::new(Code::Syntax, token.span, format!("expected {what}{after}, found {found}")))
    }

    fn report(&mut self, finding: Diagnostic) -> Broken {
        if self.last_error != Some(self.at) {
            self.last_error = Some(self.at);
            self.findings.push(finding);
        }
        Broken::Syntax
    }

    /// Skips one bracketed group, the opening mark being next.
    fn skip_group(&mut self) {
        let mut depth = 0usize;
        loop {
            match self.token().kind {
                TokenKind::End => return,
                TokenKind::Mark(b'{' | b'(' | b'[') => depth += 1,
                TokenKind::Mark(b'}' | b')' | b']') => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.advance();
            if depth == 0 {
                return;
            }
        }
    }
}
