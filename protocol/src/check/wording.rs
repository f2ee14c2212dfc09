//! Findings that more than one check makes.

use std::collections::BTreeSet;

use crate::code::Code;
use crate::diagnostics::{Diagnostic, Span};
use crate::global::{Global, MessageId, Role};
use crate::local::{Act, ActKind, Move};
use crate::program::Program;

/// How many messages a finding names.
const MAX_NAMED: usize = 20;

/// One protocol, for whoever words findings about it.
#[derive(Clone, Copy)]
pub(super) struct Wording<'a> {
    pub(super) program: &'a Program,
    pub(super) global: &'a Global,
}

impl<'a> Wording<'a> {
    pub(super) fn role(self, role: Role) -> &'a str {
        self.program.role_text(self.global, role)
    }

    /// Where a role stands before the interactions `numbers`: at the first, or where it is declared when it is done.
    pub(super) fn place(self, role: Role, numbers: &[u32]) -> Span {
        match numbers.first() {
            Some(&number) => self.global.interaction(number).span,
            None => self.global.roles[usize::from(role)].span,
        }
    }

    /// What a role does next, as "waits for `a()`, `b()` from `A`" or "sends `a()`".
    pub(super) fn next<'m>(self, moves: impl IntoIterator<Item = &'m Move>) -> String {
        // Receives come first from one peer, then from the next.
        let mut said: Vec<(ActKind, Role, BTreeSet<MessageId>)> = Vec::new();
        for step in moves {
            let Act { kind, peer, message } = step.act;
            let same = |(known, from, _): &(ActKind, Role, BTreeSet<MessageId>)| {
                *known == kind && (kind == ActKind::Send || *from == peer)
            };
            let place = said.iter().position(same).unwrap_or_else(|| {
                said.push((kind, peer, BTreeSet::new()));
                said.len() - 1
            });
            if message != MessageId::NONE {
                said[place].2.insert(message);
            }
        }
        let texts: Vec<String> = said
            .iter()
            .map(|(kind, peer, messages)| {
                let texts =
                    messages.iter().take(MAX_NAMED).map(|message| self.program.message_text(self.global, *message));
                let mut texts: Vec<String> = texts.map(|text| format!("`{text}`")).collect();
                if messages.len() > MAX_NAMED {
                    texts.push(format!("{} more", messages.len() - MAX_NAMED));
                }
                self.acts(*kind, *peer, &texts.join(", "))
            })
            .collect();
        if texts.is_empty() { "is done".to_owned() } else { texts.join(" or ") }
    }

    fn acts(self, kind: ActKind, peer: Role, messages: &str) -> String {
        let peer = self.role(peer);
        match kind {
            ActKind::Send => format!("sends {messages}"),
            ActKind::Receive => format!("waits for {messages} from `{peer}`"),
            ActKind::Detect => format!("waits for the crash of `{peer}`"),
            ActKind::Request => format!("connects to `{peer}`"),
            ActKind::Accept => format!("waits for a connection from `{peer}`"),
            ActKind::Disconnect => format!("disconnects from `{peer}`"),
            ActKind::WrapClient | ActKind::WrapServer => format!("wraps its connection to `{peer}`"),
            ActKind::Crash => "crashes".to_owned(),
        }
    }

    /// A role that is not done where nothing can happen any more.
    pub(super) fn unfinished(self, role: Role, place: Span, next: &str) -> Diagnostic {
        let role = self.role(role);
        Diagnostic::new(Code::UnfinishedRole, place, format!("`{role}` may never come to its end"))
            .label(format!("`{role}` {next}, and nothing can happen any more"))
            .hint(format!("tell `{role}` in every branch how it goes on"))
    }

    /// A role that is not done while others go on for ever, with fair choices or in the worst case.
    pub(super) fn starving(self, role: Role, place: Span, next: &str, fair: bool) -> Diagnostic {
        let role = self.role(role);
        Diagnostic::new(Code::RoleProgress, place, format!("`{role}` may never get a turn again"))
            .label(format!("`{role}` {next}, and the others may go round for ever without it"))
            .hint(if fair {
                format!("let `{role}` take part in every loop that is never left")
            } else {
                format!(
                    "send `{role}` a message in every round of the loop, or check with `--fair` if choices are fair"
                )
            })
    }

    /// More would have to be looked at than the bound allows.
    pub(super) fn not_proved(self, what: &str) -> Diagnostic {
        let name = self.program.names.text(self.global.name);
        Diagnostic::new(Code::NotProved, self.global.span, format!("not proved: `{name}` has {what}"))
            .hint("split the protocol into several, or say some of its choices one after another")
    }
}
