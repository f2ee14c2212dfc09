//! The checks on one inlined protocol, in their order; each stage reports all that it finds, and the first stage that
//! finds something is the last one.

mod avoidance;
mod connections;
mod consistency;
mod enabling;
mod payloads;
mod safety;
mod sequence;
mod system;
mod unused;
mod worst_case;

use crate::code::Code;
use crate::diagnostics::{Diagnostic, Report};
use crate::global::inline::{self, CallBudget};
use crate::global::{Feature, Global, Role};
use crate::local::Local;
use crate::local::project::{Presence, project};
use crate::program::{Program, ProtocolId};
use unused::Participation;

/// What to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Assume that choices in a loop are fair: skips the worst case, in which one always goes the same way.
    pub fair: bool,
}

impl Program {
    /// Checks every protocol of the main source; a report without findings means that all are valid.
    ///
    /// `aux` protocols are only called by others: they are checked in their callers, and by themselves only for roles
    /// that take no part.
    pub fn check(&self, options: CheckOptions) -> Report {
        let mut findings = Vec::new();
        let participation = Participation::of(self);
        let mut budget = CallBudget::default();
        for (index, protocol) in self.main().protocols.iter().enumerate() {
            let id = ProtocolId { module: 0, index };
            if protocol.aux {
                findings.extend(participation.check(self, id));
            } else if let Err(found) = self.checked(id, &participation, &mut budget, options) {
                findings.extend(found);
            }
        }
        self.report(findings)
    }

    /// One protocol, inlined and found valid.
    pub(crate) fn valid(&self, id: ProtocolId, options: CheckOptions) -> Result<Global, Report> {
        self.checked(id, &Participation::of(self), &mut CallBudget::default(), options)
            .map_err(|findings| self.report(findings))
    }

    fn checked(
        &self,
        id: ProtocolId,
        participation: &Participation,
        budget: &mut CallBudget,
        options: CheckOptions,
    ) -> Result<Global, Vec<Diagnostic>> {
        let unused = participation.check(self, id);
        if !unused.is_empty() {
            return Err(unused);
        }
        let global = inline::inline(self, id, budget).map_err(|finding| vec![finding])?;
        let findings = self.check_global(&global, options);
        if findings.is_empty() { Ok(global) } else { Err(findings) }
    }

    fn check_global(&self, global: &Global, options: CheckOptions) -> Vec<Diagnostic> {
        let stages: [fn(&Program, &Global) -> Vec<Diagnostic>; 4] =
            [enabling::check, consistency::check, connections::check, unchecked];
        for stage in stages {
            let findings = stage(self, global);
            if !findings.is_empty() {
                return findings;
            }
        }
        let presences: Vec<Presence<'_>> = global.role_ids().map(|role| Presence::of(global, role)).collect();
        let findings = sequence::check(self, global, &presences);
        if !findings.is_empty() {
            return findings;
        }
        let locals: Vec<Local> = presences.iter().map(project).collect();
        drop(presences);
        let findings = payloads::check(self, global, &locals);
        if !findings.is_empty() {
            return findings;
        }
        let findings = safety::check(self, global, &locals);
        if !findings.is_empty() || options.fair {
            return findings;
        }
        worst_case::check(self, global, &locals)
    }

    pub(crate) fn role_text(&self, global: &Global, role: Role) -> &str {
        self.names.text(global.roles[usize::from(role)].name)
    }

    /// `label(Type, …)`
    pub(crate) fn message_text(&self, global: &Global, message: crate::global::MessageId) -> String {
        let label = global.messages.label(message).map_or("", |label| self.names.text(label));
        format!("{label}({})", global.messages.payload(message).join(", "))
    }
}

/// Features for which there is no check: refused by name.
fn unchecked(_: &Program, global: &Global) -> Vec<Diagnostic> {
    let par = global.features.iter().filter(|(feature, _)| *feature == Feature::Par);
    par.map(|(_, span)| {
        Diagnostic::new(Code::Unsupported, *span, "not supported: `par`")
            .hint("say the parts one after another: roles that do not depend on each other do not wait")
    })
    .collect()
}
