//! Blocks and statements.

use super::refused::INDEXED;
use super::{Broken, MAX_NESTING, Parsed, Parser};
use crate::code::Code;
use crate::diagnostics::{Diagnostic, Span};
use crate::syntax::ast::{Block, Ident, Message, RoleArgument, Statement, StatementKind};
use crate::syntax::lexer::TokenKind;

impl Parser<'_> {
    pub(super) fn block(&mut self, of: &str) -> Parsed<Block> {
        self.annotations();
        let open = self.token().span;
        if !self.mark_at(0, b'{') {
            return Err(self.expected("`{`", &format!("to open {of}")));
        }
        if self.depth >= MAX_NESTING {
            let message = format!("blocks are nested more than {MAX_NESTING} deep");
            let finding =
                Diagnostic::new(Code::TooDeep, open, message).hint("move inner blocks into an `aux` protocol");
            let broken = self.report(finding);
            self.skip_group();
            return Err(broken);
        }
        self.advance();
        self.depth += 1;
        let block = self.statements(open);
        self.depth -= 1;
        block
    }

    fn statements(&mut self, open: Span) -> Parsed<Block> {
        let mut block = Vec::new();
        loop {
            let start = self.token().span;
            match self.token().kind {
                TokenKind::Mark(b'}') => {
                    self.advance();
                    return Ok(block);
                }
                TokenKind::End => {
                    let finding = Diagnostic::new(Code::Syntax, open, "this block is never closed");
                    return Err(self.report(finding.label("opened here").hint("close it with `}`")));
                }
                _ if self.annotations() || self.refused_statement() => {}
                _ => match self.statement() {
                    Ok(statement) => block.push(statement),
                    Err(_) if self.declaration_starts() => {
                        return Err(Broken::Syntax);
                    }
                    Err(Broken::Refused) => self.skip_statement(start),
                    Err(Broken::Syntax) => self.next_statement(),
                },
            }
        }
    }

    /// Whether a broken block was left and the next protocol begins.
    fn declaration_starts(&self) -> bool {
        let header = |ahead| self.word_at(ahead, "protocol") && self.mark_at(ahead + 2, b'(');
        (self.word_at(0, "global") || self.word_at(0, "aux") || self.word_at(0, "explicit"))
            && (header(1) || header(2) || header(3))
    }

    fn statement(&mut self) -> Parsed<Statement> {
        let start = self.token().span;
        // A keyword followed by `(` is a label.
        if self.token().kind == TokenKind::Word && !self.mark_at(1, b'(') && !self.word_at(1, "from") {
            let keyword = self.text_of(self.token()).to_owned();
            let kind = match keyword.as_str() {
                "choice" => Some(self.choice()),
                "rec" => Some(self.rec()),
                "continue" => Some(self.continuation()),
                "do" => Some(self.call()),
                "par" => Some(self.par()),
                "connect" => Some(self.connect(None)),
                "disconnect" => Some(self.disconnect()),
                "wrap" => Some(self.wrap()),
                _ => None,
            };
            if let Some(kind) = kind {
                let kind = kind?;
                let with_blocks = matches!(
                    kind,
                    StatementKind::Choice { .. } | StatementKind::Rec { .. } | StatementKind::Par { .. }
                );
                let span = if with_blocks { start } else { start.to(self.previous()) };
                return Ok(Statement { kind, span });
            }
        }
        let message = self.message()?;
        let kind = if self.word_at(0, "connect") { self.connect(Some(message))? } else { self.transfer(message)? };
        Ok(Statement { kind, span: start.to(self.previous()) })
    }

    pub(super) fn previous(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span
    }

    fn choice(&mut self) -> Parsed<StatementKind> {
        self.advance();
        self.expect_word("at", "after `choice`")?;
        let at = self.role("the role that chooses")?;
        let mut opens = vec![self.token().span];
        let mut blocks = vec![self.block("a branch")?];
        while self.eat_word("or").is_some() {
            opens.push(self.token().span);
            blocks.push(self.block("a branch")?);
        }
        Ok(StatementKind::Choice { at, blocks, opens })
    }

    fn par(&mut self) -> Parsed<StatementKind> {
        self.advance();
        let mut blocks = vec![self.block("a branch")?];
        while self.eat_word("and").is_some() {
            blocks.push(self.block("a branch")?);
        }
        Ok(StatementKind::Par { blocks })
    }

    fn rec(&mut self) -> Parsed<StatementKind> {
        self.advance();
        let variable = self.ident("the name of the loop")?;
        self.refinement(b'[', b']');
        let body = self.block("the loop")?;
        Ok(StatementKind::Rec { variable, body })
    }

    fn continuation(&mut self) -> Parsed<StatementKind> {
        self.advance();
        let variable = self.ident("the name of a loop")?;
        self.refinement(b'[', b']');
        self.semicolon("`continue`")?;
        Ok(StatementKind::Continue { variable })
    }

    fn call(&mut self) -> Parsed<StatementKind> {
        self.advance();
        let protocol = self.qname("the name of a protocol")?;
        let arguments = if self.eat_mark(b'<').is_some() { self.arguments()? } else { Vec::new() };
        self.expect_mark(b'(', "before the roles")?;
        let roles = self.separated(Self::role_argument)?;
        self.expect_mark(b')', "after the roles")?;
        self.semicolon("`do`")?;
        Ok(StatementKind::Do { protocol, arguments, roles })
    }

    fn role_argument(&mut self) -> Parsed<RoleArgument> {
        let role = self.role("the name of a role")?;
        let parameter = match self.eat_word("as") {
            Some(_) => Some(self.ident("the name of a role of the called protocol")?),
            None => None,
        };
        Ok(RoleArgument { role, parameter })
    }

    fn role(&mut self, what: &str) -> Parsed<Ident> {
        let role = self.ident(what)?;
        if self.mark_at(0, b'[') || self.mark_at(0, b'(') {
            let span = self.token().span;
            return Err(self.unsupported(span, INDEXED));
        }
        Ok(role)
    }

    fn connect(&mut self, message: Option<Message>) -> Parsed<StatementKind> {
        self.advance();
        let from = self.ident("the role that connects")?;
        self.expect_word("to", "after the role that connects")?;
        let to = self.ident("the role that accepts")?;
        self.semicolon("`connect`")?;
        Ok(StatementKind::Connect { message, from, to })
    }

    fn disconnect(&mut self) -> Parsed<StatementKind> {
        self.advance();
        let left = self.ident("a role")?;
        self.expect_word("and", "between the roles")?;
        let right = self.ident("a role")?;
        self.semicolon("`disconnect`")?;
        Ok(StatementKind::Disconnect { left, right })
    }

    fn wrap(&mut self) -> Parsed<StatementKind> {
        self.advance();
        let from = self.ident("a role")?;
        self.expect_word("to", "between the roles")?;
        let to = self.ident("a role")?;
        self.semicolon("`wrap`")?;
        Ok(StatementKind::Wrap { from, to })
    }

    fn transfer(&mut self, message: Message) -> Parsed<StatementKind> {
        self.expect_word("from", "after a message")?;
        let from = self.role("the role that sends")?;
        self.expect_word("to", "after the role that sends")?;
        let to: Vec<Ident> = self.separated(|parser| parser.role("the role that receives"))?;
        self.refused_suffix()?;
        self.semicolon("a message")?;
        Ok(StatementKind::Message { message, from, to })
    }

    /// A missing `;` is reported where it belongs, and the next statement is read as if it stood there.
    fn semicolon(&mut self, after: &str) -> Parsed<()> {
        self.annotations();
        if self.eat_mark(b';').is_some() {
            return Ok(());
        }
        let end = self.previous();
        let at = Span { start: end.end.saturating_sub(1), ..end };
        let finding = Diagnostic::new(Code::Syntax, at, format!("expected `;` after {after}"));
        let broken = self.report(finding);
        let goes_on = matches!(self.token().kind, TokenKind::Mark(b'}') | TokenKind::Word);
        if goes_on { Ok(()) } else { Err(broken) }
    }

    /// Skips the rest of a broken statement: past its `;` or its blocks, or up to the `}` of the block around it.
    fn next_statement(&mut self) {
        loop {
            match self.token().kind {
                TokenKind::End | TokenKind::Mark(b'}') => return,
                TokenKind::Mark(b';') => {
                    self.advance();
                    return;
                }
                TokenKind::Mark(b'{') => {
                    self.skip_group();
                    let goes_on =
                        ["or", "and", "with"].iter().any(|word| self.word_at(0, word)) || self.mark_at(0, b')');
                    if !goes_on {
                        return;
                    }
                }
                _ => {
                    self.advance();
                }
            }
        }
    }
}
