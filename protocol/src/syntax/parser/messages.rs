//! Messages, payloads and the arguments of `do`.

use super::refused::{ARRAYS, REFINEMENTS};
use super::{Parsed, Parser};
use crate::syntax::ast::{Argument, Message, Payload};
use crate::syntax::lexer::TokenKind;

impl Parser<'_> {
    pub(super) fn message(&mut self) -> Parsed<Message> {
        let start = self.token().span;
        let label = match self.token().kind {
            TokenKind::Word => Some(self.ident("a label")?),
            TokenKind::Mark(b'(') => None,
            _ => return Err(self.expected("a statement", "")),
        };
        if self.eat_mark(b'(').is_none() {
            return Ok(Message { label, payload: None, span: start });
        }
        let payload = self.payload()?;
        let end = self.expect_mark(b')', "after the payload")?;
        Ok(Message { label, payload: Some(payload), span: start.to(end) })
    }

    fn payload(&mut self) -> Parsed<Vec<Payload>> {
        if self.mark_at(0, b')') {
            return Ok(Vec::new());
        }
        self.separated(Self::payload_element)
    }

    fn payload_element(&mut self) -> Parsed<Payload> {
        if self.token().kind == TokenKind::Word && self.mark_at(1, b':') {
            self.advance();
            self.advance();
        }
        let name = self.qname("a type")?;
        if self.eat_mark(b'@').is_some() {
            let role = self.ident("a role after `@`")?;
            return Ok(Payload::Delegation { protocol: name, role });
        }
        self.refinement(b'{', b'}');
        if self.mark_at(0, b'[') || self.mark_at(0, b'<') {
            let span = self.token().span;
            return Err(self.unsupported(span, ARRAYS));
        }
        Ok(Payload::Type(name))
    }

    /// Refuses a refinement by name if there is one here, and goes on behind it.
    pub(super) fn refinement(&mut self, open: u8, close: u8) {
        if !self.mark_at(0, open) {
            return;
        }
        let start = self.token().span;
        self.unsupported(start, REFINEMENTS);
        let mut depth = 0;
        loop {
            match self.token().kind {
                TokenKind::Mark(mark) if mark == open => depth += 1,
                TokenKind::Mark(mark) if mark == close => depth -= 1,
                // The end of a statement, or of the file: it was never closed.
                TokenKind::Mark(b';') | TokenKind::End => return,
                _ => {}
            }
            self.advance();
            if depth == 0 {
                break;
            }
        }
        self.skipped(start);
    }

    pub(super) fn arguments(&mut self) -> Parsed<Vec<Argument>> {
        if self.eat_mark(b'>').is_some() {
            return Ok(Vec::new());
        }
        let arguments = self.separated(|parser| {
            let operator = parser.token().kind == TokenKind::Word && parser.mark_at(1, b'(');
            if operator || parser.mark_at(0, b'(') {
                Ok(Argument::Message(parser.message()?))
            } else {
                Ok(Argument::Name(parser.qname("a message, a type or a parameter")?))
            }
        })?;
        self.expect_mark(b'>', "after the arguments")?;
        Ok(arguments)
    }
}
