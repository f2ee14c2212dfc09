//! The checks on one inlined protocol, in their order; each stage reports all that it finds, and the first stage that
//! finds something is the last one.

mod avoidance;
mod connections;
mod consistency;
mod crashes;
mod enabling;
mod implementability;
mod par;
mod payloads;
mod safety;
mod sequence;
mod system;
mod unused;
mod wording;
mod worst_case;

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Serialize;

use crate::code::Code;
use crate::diagnostics::{Diagnostic, Report, Severity};
use crate::global::inline::{self, CallBudget};
use crate::global::{Feature, Global, Role};
use crate::local::Local;
use crate::local::determinise::determinise;
use crate::local::minimise::minimise;
use crate::local::project::{Presence, project};
use crate::program::{Dialect, Program, ProtocolId};
use implementability::{Answer, Implementability};
use unused::Participation;
use wording::Wording;

/// How many states all machines together have for it to be worth while to make them smaller first.
const LARGE: usize = 2_000;

/// What to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Assume that choices in a loop are fair: skips the worst case, in which one always goes the same way.
    pub fair: bool,
    /// Accept whatever can be implemented: asks the complete check also about protocols whose projections can be merged
    /// and that are unsafe as long as branches which begin alike are kept apart, and about those in which a role acts
    /// before it can know of a choice, or learns of it from different peers. Where crashes for good are handled, looks at
    /// the machines with branches that begin alike merged.
    pub complete: bool,
}

/// How a protocol was found valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Each role was projected, branches kept apart, and the machines explored together.
    Projection,
    /// The complete check: the subset construction of each role's machine is send and receive valid.
    Implementability,
}

/// A protocol that was found valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// Its simple name.
    pub protocol: String,
    /// How.
    pub method: Method,
}

/// What the checks say of a source.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What is to be said; without errors all is valid.
    pub report: Report,
    /// The protocols found valid, in the order of the text. `aux` protocols are not among them.
    pub accepted: Vec<Accepted>,
}

/// A protocol inlined and found valid, with the machine of each role.
pub(crate) struct Valid {
    pub(crate) global: Global,
    pub(crate) machines: Vec<Local>,
    method: Method,
}

impl Program {
    /// What is wrong with the protocols of the main source; a report without findings means that all are valid.
    ///
    /// `aux` protocols are only called by others: they are checked in their callers, and by themselves only for roles
    /// that take no part.
    pub fn check(&self, options: CheckOptions) -> Report {
        self.verdict(options).report.errors()
    }

    /// Checks like [`Program::check`], warns too, and says how each valid protocol was found to be so.
    pub fn verdict(&self, options: CheckOptions) -> Verdict {
        let mut findings = self.warnings().diagnostics;
        let mut accepted = Vec::new();
        let participation = Participation::of(self);
        let mut budget = CallBudget::default();
        for (index, protocol) in self.main().protocols.iter().enumerate() {
            let id = ProtocolId { module: 0, index };
            if protocol.aux {
                findings.extend(participation.check(self, id));
                continue;
            }
            match self.checked(id, &participation, &mut budget, options) {
                Ok(valid) => {
                    let protocol = self.names.text(protocol.name.name).to_owned();
                    accepted.push(Accepted { protocol, method: valid.method });
                    findings.extend(valid.global.warnings);
                }
                Err(found) => findings.extend(found),
            }
        }
        // What is called by several protocols is warned of once.
        let mut warned = HashSet::new();
        findings.retain(|finding| {
            finding.severity == Severity::Error || warned.insert((finding.span, finding.message.clone()))
        });
        Verdict { report: self.report(findings), accepted }
    }

    /// One protocol, inlined and found valid for being run: it need only be implementable, and choices count as fair.
    pub(crate) fn valid(&self, id: ProtocolId) -> Result<Valid, Report> {
        let options = CheckOptions { fair: true, complete: true };
        self.checked(id, &Participation::of(self), &mut CallBudget::default(), options)
            .map_err(|findings| self.report(findings).errors())
    }

    /// What is wrong with one protocol.
    pub(crate) fn findings(&self, id: ProtocolId, options: CheckOptions) -> Report {
        let checked = self.checked(id, &Participation::of(self), &mut CallBudget::default(), options);
        checked.err().map(|findings| self.report(findings).errors()).unwrap_or_default()
    }

    fn checked(
        &self,
        id: ProtocolId,
        participation: &Participation,
        budget: &mut CallBudget,
        options: CheckOptions,
    ) -> Result<Valid, Vec<Diagnostic>> {
        none(participation.check(self, id))?;
        let global = inline::inline(self, id, budget).map_err(|finding| vec![finding])?;
        match self.check_global(&global, options) {
            Ok((machines, method)) => Ok(Valid { global, machines, method }),
            Err(mut findings) => {
                if self.dialect() == Dialect::Lenient {
                    one_for_each_cause(&mut findings);
                }
                findings.extend(global.warnings);
                Err(findings)
            }
        }
    }

    fn check_global(&self, global: &Global, options: CheckOptions) -> Result<(Vec<Local>, Method), Vec<Diagnostic>> {
        let untold = none(enabling::check(self, global)).and_then(|()| none(consistency::check(self, global)));
        let rest = [connections::check, crashes::check, par::check];
        if let Err(findings) = untold {
            let others = rest.iter().any(|stage| !stage(self, global).is_empty());
            return if others { Err(findings) } else { self.implemented_outright(global, findings, options) };
        }
        for stage in rest {
            none(stage(self, global))?;
        }
        let locals = match self.projected(global) {
            Err(findings) if findings.iter().all(|finding| finding.code == Code::Unreachable) => {
                return self.implemented_outright(global, findings, options);
            }
            projected => projected?,
        };
        none(payloads::check(self, global, &locals))?;
        let findings = match self.behaviour(global, &locals, options) {
            Ok(()) => return Ok((locals, Method::Projection)),
            Err(findings) => findings,
        };
        if options.complete && global.uses(Feature::Crash) && !global.uses(Feature::Par) {
            return self.merged(global, locals, findings, options);
        }
        self.implemented(global, findings, options)
    }

    /// The complete check is not defined for crashes. There, what is asked for is that the machines that would run go well
    /// together: those in which branches that begin alike are one.
    fn merged(
        &self,
        global: &Global,
        locals: Vec<Local>,
        findings: Vec<Diagnostic>,
        options: CheckOptions,
    ) -> Result<(Vec<Local>, Method), Vec<Diagnostic>> {
        let Ok(merged) = locals.into_iter().map(determinise).collect::<Result<Vec<Local>, _>>() else {
            return Err(findings);
        };
        match self.behaviour(global, &merged, options) {
            Ok(()) => Ok((merged, Method::Projection)),
            Err(_) => Err(findings),
        }
    }

    /// The projection to each role, branches that begin alike kept apart.
    fn projected(&self, global: &Global) -> Result<Vec<Local>, Vec<Diagnostic>> {
        let mut sequences = sequence::Sequences::default();
        let mut locals = Vec::with_capacity(global.roles.len());
        let mut too_large = Vec::new();
        for role in global.role_ids() {
            let presence = Presence::of(global, role);
            sequences.look(self, global, &presence);
            match project(&presence) {
                Ok(local) => locals.push(local),
                Err(_) => too_large.push(self.too_many_states(global, role)),
            }
        }
        none(sequences.findings(self, global))?;
        none(too_large)?;
        Ok(locals)
    }

    /// Safety and progress of the machines together.
    fn behaviour(&self, global: &Global, locals: &[Local], options: CheckOptions) -> Result<(), Vec<Diagnostic>> {
        none(safety::check(self, global, &alike(locals)))?;
        none(par::unproved(self, global))?;
        self.worst_case(global, locals, options)
    }

    fn worst_case(&self, global: &Global, locals: &[Local], options: CheckOptions) -> Result<(), Vec<Diagnostic>> {
        if options.fair { Ok(()) } else { none(worst_case::check(self, global, locals)) }
    }

    /// Asks the complete check about a protocol whose projections do not do; `findings` say why.
    ///
    /// Where the projections can be merged, branches that begin alike are kept apart all the same, as scribble-java does.
    fn implemented(
        &self,
        global: &Global,
        mut findings: Vec<Diagnostic>,
        options: CheckOptions,
    ) -> Result<(Vec<Local>, Method), Vec<Diagnostic>> {
        if !findings.iter().any(|finding| finding.code.is_of_safety()) {
            return Err(findings);
        }
        let Some(check) = Implementability::of(self, global) else { return Err(findings) };
        let undecided = findings.iter().all(|finding| finding.code == Code::NotProved);
        if !options.complete && !undecided && check.merges() {
            return Err(findings);
        }
        match check.answer() {
            Answer::Implementable(knowledge) => {
                let machines = implementability::machines(&knowledge);
                none(payloads::check(self, global, &machines))?;
                // Who is left waiting at the end is so in the projections too, and those have been looked at.
                let lacks = check.unfinished(&knowledge);
                if !undecided && lacks.iter().any(|finding| finding.code == Code::UnfinishedRole) {
                    return Err(findings);
                }
                none(lacks)?;
                self.worst_case(global, &machines, options)?;
                Ok((machines, Method::Implementability))
            }
            Answer::Not => Err(findings),
            Answer::Undecided(role) => {
                findings.push(self.undecided(global, role));
                Err(findings)
            }
        }
    }

    /// Asks the complete check, if that is wanted, about a protocol that need not be projected for it; `findings` say what
    /// stands in the way of projection.
    fn implemented_outright(
        &self,
        global: &Global,
        mut findings: Vec<Diagnostic>,
        options: CheckOptions,
    ) -> Result<(Vec<Local>, Method), Vec<Diagnostic>> {
        if !options.complete {
            return Err(findings);
        }
        let Some(check) = Implementability::of(self, global).filter(Implementability::reaches_everything) else {
            return Err(findings);
        };
        match check.answer() {
            Answer::Implementable(knowledge) => {
                let machines = implementability::machines(&knowledge);
                none(payloads::check(self, global, &machines))?;
                none(check.unfinished(&knowledge))?;
                self.worst_case(global, &machines, options)?;
                Ok((machines, Method::Implementability))
            }
            Answer::Not => Err(findings),
            Answer::Undecided(role) => {
                findings.push(self.undecided(global, role));
                Err(findings)
            }
        }
    }

    /// The complete check met its bound.
    fn undecided(&self, global: &Global, role: Role) -> Diagnostic {
        let bound = implementability::MAX_STEPS;
        let role = self.role_text(global, role);
        Wording { program: self, global }.not_proved(&format!("more than {bound} steps to see what `{role}` may know"))
    }

    pub(crate) fn too_many_states(&self, global: &Global, role: Role) -> Diagnostic {
        let role = global.roles[usize::from(role)];
        let text = self.names.text(role.name);
        Diagnostic::new(Code::TooLarge, role.span, format!("the machine of `{text}` is too large"))
            .hint("use different labels for messages that begin different branches, and fewer parts in a `par`")
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

/// Machines with what behaves alike made one state, where they are large: calls with permuted roles repeat themselves. In
/// small ones each state keeps its own place in the text.
fn alike(locals: &[Local]) -> Cow<'_, [Local]> {
    let states: usize = locals.iter().map(|local| local.states.len()).sum();
    if states < LARGE { Cow::Borrowed(locals) } else { Cow::Owned(locals.iter().map(minimise).collect()) }
}

/// Where messages go astray, somebody may wait for them for ever: that is no cause of its own.
fn one_for_each_cause(findings: &mut Vec<Diagnostic>) {
    let astray = |finding: &Diagnostic| matches!(finding.code, Code::StuckMessage | Code::OrphanMessage);
    if findings.iter().any(astray) {
        findings.retain(|finding| finding.code != Code::UnfinishedRole);
    }
}

/// Goes on if nothing was found.
fn none(findings: Vec<Diagnostic>) -> Result<(), Vec<Diagnostic>> {
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}
