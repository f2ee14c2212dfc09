//! Constructs of relatives of Scribble that are known and refused by name: each once in a file, and without a cascade.

use std::collections::HashSet;

use super::{Broken, Parsed, Parser};
use crate::code::Code;
use crate::diagnostics::{Diagnostic, Span};
use crate::syntax::lexer::TokenKind;

/// How many tokens are looked at to see which construct a statement is.
const AHEAD: usize = 64;

/// What has been refused so far.
#[derive(Default)]
pub(super) struct Refused {
    features: HashSet<&'static str>,
    /// What was skipped, in the order of the text: it is in a language of its own.
    skipped: Vec<Span>,
}

/// A construct and what to write instead.
#[derive(Clone, Copy)]
pub(super) struct Feature {
    name: &'static str,
    hint: &'static str,
}

const fn feature(name: &'static str, hint: &'static str) -> Feature {
    Feature { name, hint }
}

pub(super) const REFINEMENTS: Feature =
    feature("refinement types", "leave the condition out, and check it in the worker");
pub(super) const NESTED: Feature =
    feature("nested protocols", "make it an `aux global protocol` and call it with `do`");
pub(super) const LOCAL: Feature = feature("local protocols", "write the global protocol; Rekindle projects it");
pub(super) const DYNAMIC: Feature = feature("dynamic participants", "declare every role in the first list");
pub(super) const INDEXED: Feature = feature("indexed roles", "declare a role for each: `role A1, role A2`");
pub(super) const VALUES: Feature =
    feature("parameters that are values", "leave them out, and keep them in the workers");
pub(super) const INSTANTIATES: Feature =
    feature("`instantiates`", "write a protocol that calls the other one with `do`");
pub(super) const TYPE_IMPORT: Feature =
    feature("imported types", "declare it: `type <schema> \"name\" from \"file\" as T;`");
pub(super) const ARRAYS: Feature =
    feature("types with arguments or brackets", "give it a name: `type <schema> \"name\" from \"file\" as T;`");
const TIMED: Feature =
    feature("time (`timed`, `within`)", "leave clocks and intervals out, and keep time in the workers");
const FOREACH: Feature = feature("`foreach`", "write the interactions of each role out");
const CONST: Feature = feature("`const`", "write what it stands for where it is used");
const GROUP: Feature = feature("`group`", "name each role: `m() from A to B1, B2;`");
const TRANSIENT: Feature = feature("`transient`", "leave it out: what is sent is received");
const INITIATES: Feature = feature(
    "`initiates … handle`",
    "call an `aux global protocol` with `do`, and say what may fail as a branch of a choice",
);
const CALL: Feature =
    feature("`call … returning`", "write two messages: `get(T) from A to B;` and `got(U) from B to A;`");
const CALLS: Feature = feature("`calls`", "call an `aux global protocol` with `do`");
const INTERRUPTIBLE: Feature = feature("`interruptible`", "say the interrupt as a branch of a choice");
const EXCEPTIONS: Feature = feature("exceptions", "say what may fail as a branch of a choice");
const UNORDERED: Feature = feature("`unordered`", "write `par { … } and { … }`");
const REPEAT: Feature = feature("`repeat`", "write `rec X { … continue X; }`");
const RUN: Feature = feature("`run` and `spawn`", "call an `aux global protocol` with `do`");
const INTRODUCES: Feature =
    feature("`introduces` and `connects`", "declare every role of the protocol, or write `connect A to B;`");
const CONDITIONAL: Feature = feature("conditions", "let a role choose: `choice at A { … } or { … }`");
const ASSERT: Feature = feature("`assert`", "leave the condition out, and check it in the worker");
const COLLECTIVE: Feature = feature("collective operations", "write the messages out, one for each role");
const BLOCK: Feature = feature("a block behind a message", "begin it with `choice at A`, `rec X` or `par`");
const ARROW: Feature = feature("arrows", "write `M() from A to B;`");

/// Of a statement that begins with such a word and is no message.
fn by_first_word(word: &str) -> Option<Feature> {
    Some(match word {
        "timed" => TIMED,
        "foreach" => FOREACH,
        "const" => CONST,
        "group" => GROUP,
        "transient" => TRANSIENT,
        "handle" => INITIATES,
        "call" => CALL,
        "nested" | "protocol" => NESTED,
        "interruptible" => INTERRUPTIBLE,
        "raise" | "throw" | "throws" | "try" | "catch" => EXCEPTIONS,
        "unordered" => UNORDERED,
        "repeat" => REPEAT,
        "run" | "spawn" => RUN,
        "if" | "oneof" => CONDITIONAL,
        "assert" => ASSERT,
        "multicast" | "allreduce" | "barrier" => COLLECTIVE,
        _ => return None,
    })
}

/// Of a statement that begins with a role and such a word.
fn by_second_word(word: &str) -> Option<Feature> {
    Some(match word {
        "calls" => CALLS,
        "initiates" => INITIATES,
        "introduces" | "connects" | "invites" => INTRODUCES,
        "spawns" | "runs" => RUN,
        "raises" | "throws" => EXCEPTIONS,
        _ => return None,
    })
}

/// Of what follows the receivers of a message.
fn by_last_word(word: &str) -> Option<Feature> {
    Some(match word {
        "within" | "using" | "resetting" | "reset" | "timeout" => TIMED,
        "returning" => CALL,
        "throws" | "interrupts" => EXCEPTIONS,
        _ => return None,
    })
}

/// Words after which what stands before a block goes on behind it.
const BETWEEN_BLOCKS: [&str; 8] = ["or", "and", "with", "handle", "catch", "else", "interrupt", "interrupts"];

impl Parser<'_> {
    /// Refuses a construct; says so once in a file.
    pub(super) fn unsupported(&mut self, span: Span, feature: Feature) -> Broken {
        self.unsupported_with(span, feature, feature.hint.to_owned())
    }

    fn unsupported_with(&mut self, span: Span, feature: Feature, hint: String) -> Broken {
        if self.refused.features.insert(feature.name) {
            let finding = Diagnostic::new(Code::Unsupported, span, format!("not supported: {}", feature.name));
            self.report(finding.hint(hint));
        }
        self.last_error = Some(self.at);
        Broken::Refused
    }

    /// Notes that what stands from `start` up to here is no text of ours.
    pub(super) fn skipped(&mut self, start: Span) {
        let end = self.previous();
        self.refused.skipped.push(start.to(end));
    }

    /// Takes back findings of the lexer in what was skipped; they begin at `first`.
    pub(super) fn forgive(&mut self, first: usize) {
        let mut skipped = std::mem::take(&mut self.refused.skipped);
        skipped.sort_unstable();
        // What begins before a place ends at the last of these ends.
        let ends = skipped.iter().scan(0, |last, span| {
            *last = span.end.max(*last);
            Some(*last)
        });
        let ends: Vec<u32> = ends.collect();
        let inside = |finding: &Diagnostic| {
            let before = skipped.partition_point(|span| span.start <= finding.span.start);
            before > 0 && finding.span.end <= ends[before - 1]
        };
        let mut at = 0;
        self.findings.retain(|finding| {
            at += 1;
            at <= first || finding.code != Code::Syntax || !inside(finding)
        });
    }

    fn word(&self, ahead: usize) -> &str {
        let token = self.peek(ahead);
        if token.kind == TokenKind::Word { self.text_of(token) } else { "" }
    }

    /// Refuses and skips the statement here, if it is known and not supported; says whether it was.
    pub(super) fn refused_statement(&mut self) -> bool {
        let span = self.token().span;
        let feature = if let Some(feature) = by_first_word(self.word(0)).filter(|_| !self.message_ahead()) {
            feature
        } else if let Some(feature) = by_second_word(self.word(1)) {
            feature
        } else if self.arrow_ahead() {
            let hint = self.without_arrow().unwrap_or_else(|| ARROW.hint.to_owned());
            self.unsupported_with(span, ARROW, hint);
            self.skip_statement(span);
            return true;
        } else {
            return false;
        };
        self.unsupported(span, feature);
        self.skip_statement(span);
        true
    }

    /// Whether a message begins here, whatever its label.
    fn message_ahead(&self) -> bool {
        if !self.mark_at(1, b'(') {
            return matches!(self.word(1), "from" | "connect");
        }
        let closed = (2..AHEAD).find(|ahead| self.mark_at(*ahead, b')'));
        closed.is_none_or(|closed| matches!(self.word(closed + 1), "from" | "connect"))
    }

    fn arrow_ahead(&self) -> bool {
        let ends = |kind| matches!(kind, TokenKind::End | TokenKind::Mark(b';' | b'{' | b'}'));
        (0..AHEAD)
            .map(|ahead| self.peek(ahead).kind)
            .take_while(|kind| !ends(*kind))
            .any(|kind| kind == TokenKind::Arrow)
    }

    /// What `A -> B: M(T);` is here.
    fn without_arrow(&self) -> Option<String> {
        let arrow = self.peek(1).kind == TokenKind::Arrow;
        let colon = (3..AHEAD).find(|ahead| self.mark_at(*ahead, b':')).filter(|_| arrow)?;
        let end = (colon + 1..AHEAD).find(|ahead| self.mark_at(*ahead, b';') || self.mark_at(*ahead, b'}'))?;
        let between = |first: usize, last: usize| {
            let (first, last) = (self.peek(first).span, self.peek(last).span);
            self.text.get(first.start as usize..last.end as usize).unwrap_or("")
        };
        let (from, to, message) = (self.word(0), between(2, colon - 1), between(colon + 1, end - 1));
        Some(format!("write `{message} from {from} to {to};`"))
    }

    /// Refuses what follows the receivers of a message, if anything known does.
    pub(super) fn refused_suffix(&mut self) -> Parsed<()> {
        let span = self.token().span;
        if self.mark_at(0, b'{') {
            return Err(self.unsupported(span, BLOCK));
        }
        match by_last_word(self.word(0)) {
            Some(feature) => Err(self.unsupported(span, feature)),
            None => Ok(()),
        }
    }

    /// Refuses and skips the declaration here, if it is known and not supported; says whether it was.
    pub(super) fn refused_item(&mut self) -> bool {
        let span = self.token().span;
        let feature = match self.word(0) {
            "const" => CONST,
            "group" => GROUP,
            "timed" => TIMED,
            "transient" => TRANSIENT,
            "nested" => NESTED,
            "local" => LOCAL,
            "import" if self.mark_at(1, b'<') => TYPE_IMPORT,
            _ => return false,
        };
        self.unsupported(span, feature);
        self.skip_item(span);
        true
    }

    /// Skips a declaration or a protocol with its body.
    pub(super) fn skip_item(&mut self, start: Span) {
        loop {
            match self.token().kind {
                TokenKind::End => break,
                TokenKind::Mark(b'{') => {
                    self.skip_group();
                    break;
                }
                TokenKind::Mark(b'(' | b'[') => self.skip_group(),
                TokenKind::Mark(b';') => {
                    self.advance();
                    break;
                }
                _ => {
                    self.advance();
                }
            }
        }
        self.skipped(start);
    }

    /// Skips a statement with its blocks.
    pub(super) fn skip_statement(&mut self, start: Span) {
        loop {
            match self.token().kind {
                TokenKind::End | TokenKind::Mark(b'}') => break,
                TokenKind::Mark(b';') => {
                    self.advance();
                    break;
                }
                TokenKind::Mark(b'(' | b'[') => self.skip_group(),
                TokenKind::Mark(b'{') => {
                    self.skip_group();
                    self.eat_mark(b';');
                    if !BETWEEN_BLOCKS.contains(&self.word(0)) || self.message_ahead() {
                        break;
                    }
                }
                _ => {
                    self.advance();
                }
            }
        }
        self.skipped(start);
    }

    /// Skips annotations; says whether there were any.
    pub(super) fn annotations(&mut self) -> bool {
        let mut any = false;
        while self.mark_at(0, b'@') && self.peek(1).kind == TokenKind::Text {
            let start = self.advance().span;
            let end = self.advance().span;
            self.annotations.push(start.to(end));
            any = true;
        }
        any
    }
}
