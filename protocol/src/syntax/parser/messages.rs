//! Messages, payloads and the arguments of `do`.

use super::{Broken, Parsed, Parser};
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
        if self.mark_at(0, b'{') {
            return Err(self.refinement());
        }
        Ok(Payload::Type(name))
    }

    pub(super) fn refinement(&mut self) -> Broken {
        let span = self.token().span;
        self.unsupported(span, "refinement types", "leave the condition out, and check it in the worker")
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
