//! Text to tokens. Total: any bytes give tokens and findings, never a panic.

use crate::code::Code;
use crate::diagnostics::{Diagnostic, Span};

/// How many characters a name may have; it is repeated for each state and event of a machine.
pub(crate) const MAX_WORD: usize = 256;

/// Begins a comment to the end of the line, in files of nuscr. In a comment it neither opens nor closes one.
const LINE_COMMENT: &[u8] = b"(*)";

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// Letters, digits and underscores, in any order: an identifier may start with a digit. After the first character
    /// also `'`.
    Word,
    /// A quoted text.
    Text,
    /// One of `( ) { } < > ; , . : @ [ ]`.
    Mark(u8),
    /// `->` and the like, which relatives write between sender and receiver.
    Arrow,
    /// The end of the file.
    End,
}

/// A token and its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

/// Splits a source into tokens; the last is always [`TokenKind::End`].
pub(crate) fn tokens(file: u32, text: &str, findings: &mut Vec<Diagnostic>) -> Vec<Token> {
    let mut lexer = Lexer { file, bytes: text.as_bytes(), at: 0, tokens: Vec::new(), findings };
    lexer.run();
    lexer.tokens
}

struct Lexer<'a> {
    file: u32,
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    findings: &'a mut Vec<Diagnostic>,
}

impl Lexer<'_> {
    fn run(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            let start = self.at;
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | 0x0c => self.at += 1,
                b'/' if self.next() == Some(b'/') => self.line_comment(),
                b'/' if self.next() == Some(b'*') => self.block_comment(b"/*", b"*/", false),
                b'(' if self.bytes[self.at..].starts_with(LINE_COMMENT) => self.line_comment(),
                b'(' if self.next() == Some(b'*') => self.block_comment(b"(*", b"*)", true),
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => {
                    let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'\'');
                    while self.bytes.get(self.at).is_some_and(in_word) {
                        self.at += 1;
                    }
                    self.word(start);
                }
                b'"' => self.quoted(),
                b'(' | b')' | b'{' | b'}' | b'<' | b'>' | b';' | b',' | b'.' | b':' | b'@' | b'[' | b']' => {
                    self.at += 1;
                    self.push(TokenKind::Mark(byte), start);
                }
                b'-' | b'=' | 0xe2 if self.arrow() > 0 => {
                    self.at += self.arrow();
                    self.push(TokenKind::Arrow, start);
                }
                _ => self.unknown(),
            }
        }
        self.push(TokenKind::End, self.bytes.len());
    }

    fn word(&mut self, start: usize) {
        if self.at - start > MAX_WORD {
            let message = format!("this name is longer than {MAX_WORD} characters");
            self.findings.push(Diagnostic::new(Code::Syntax, self.span(start), message).hint("shorten it"));
        }
        self.push(TokenKind::Word, start);
    }

    /// How long an arrow is that begins here; 0: there is none.
    fn arrow(&self) -> usize {
        let rest = &self.bytes[self.at..];
        if rest.starts_with("→".as_bytes()) {
            return "→".len();
        }
        let shaft = rest.iter().take_while(|byte| matches!(byte, b'-' | b'=')).count();
        if shaft > 0 && rest.get(shaft) == Some(&b'>') { shaft + 1 } else { 0 }
    }

    fn next(&self) -> Option<u8> {
        self.bytes.get(self.at + 1).copied()
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        let span = self.span(start);
        self.tokens.push(Token { kind, span });
    }

    fn span(&self, start: usize) -> Span {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { file: self.file, start: narrow(start), end: narrow(self.at.max(start)) }
    }

    /// Runs to the end of the line or of the file; a `/*` inside opens nothing.
    fn line_comment(&mut self) {
        while self.bytes.get(self.at).is_some_and(|byte| *byte != b'\n') {
            self.at += 1;
        }
    }

    fn block_comment(&mut self, open: &[u8], close: &[u8], nests: bool) {
        let start = self.at;
        self.at += 2;
        let mut depth = 1;
        while depth > 0 {
            let rest = &self.bytes[self.at..];
            if rest.is_empty() {
                let span = Span { end: self.span(start).start + 2, ..self.span(start) };
                let finding = Diagnostic::new(Code::Syntax, span, "this comment is never closed");
                let close = String::from_utf8_lossy(close);
                self.findings.push(finding.label("opened here").hint(format!("close it with `{close}`")));
                return;
            }
            if nests && rest.starts_with(LINE_COMMENT) {
                self.at += LINE_COMMENT.len();
            } else if rest.starts_with(close) {
                depth -= 1;
                self.at += 2;
            } else if nests && rest.starts_with(open) {
                depth += 1;
                self.at += 2;
            } else {
                self.at += 1;
            }
        }
    }

    fn quoted(&mut self) {
        let start = self.at;
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.at += 1;
                    self.push(TokenKind::Text, start);
                    return;
                }
                b'\n' => break,
                b'\\' => self.at = (self.at + 2).min(self.bytes.len()),
                _ => self.at += 1,
            }
        }
        let finding = Diagnostic::new(Code::Syntax, self.span(start), "this text is never closed");
        self.findings.push(finding.hint("close it with `\"` on the same line"));
        self.push(TokenKind::Text, start);
    }

    /// One finding for a whole run of bytes that start no token.
    fn unknown(&mut self) {
        let start = self.at;
        let starts_token = |byte: u8| {
            byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"_\"(){}<>;,.:@[]/".contains(&byte)
        };
        self.at += 1;
        while self.bytes.get(self.at).is_some_and(|byte| !starts_token(*byte)) {
            self.at += 1;
        }
        let shown = String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned();
        let shown: String = shown.chars().take(20).collect();
        let message = format!("`{}` cannot stand here", shown.escape_debug());
        self.findings.push(
            Diagnostic::new(Code::Syntax, self.span(start), message)
                .hint("names are made of letters, digits, underscores and, after the first character, `'`"),
        );
    }
}
