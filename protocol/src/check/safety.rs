//! Checks 8 and 9 under fair choices: nothing goes wrong, and everybody gets on.
//!
//! Roles that never communicate, not even through others, are explored apart: what one component does cannot matter to
//! another, except that an end of all is an end of each.

use std::collections::{HashMap, HashSet};

use super::system::System;
use super::system::crashes::crashing;
use super::system::explore::{Explored, MAX_CONFIGURATIONS, Stop, Trap, explore};
use super::system::faults::Fault;
use super::wording::Wording;
use crate::code::Code;
use crate::diagnostics::{Diagnostic, Span};
use crate::global::{Global, MessageId, NodeKind, Role};
use crate::local::{ActKind, Local};
use crate::program::Program;

/// Reports stuck messages, deadlocks, orphan messages, unfinished roles, starving roles and messages never received.
///
/// Where crashes are part of the protocol, roles that are not reliable may crash at any point.
pub(super) fn check(program: &Program, global: &Global, locals: &[Local]) -> Vec<Diagnostic> {
    let locals = crashing(global, locals);
    let systems = components(global, &locals);
    let explored: Vec<Explored> = systems.iter().map(|system| explore(system, MAX_CONFIGURATIONS)).collect();
    let mut reporter = Reporter::new(program, global, true);
    for (system, explored) in systems.iter().zip(&explored) {
        for fault in &explored.faults {
            reporter.fault(system, fault);
        }
    }
    let all_end = explored.iter().all(|explored| !explored.ends.is_empty());
    for (index, (system, one)) in systems.iter().zip(&explored).enumerate() {
        if all_end {
            one.ends.iter().for_each(|end| reporter.end(system, end));
        }
        one.traps.iter().for_each(|trap| reporter.trap(system, trap));
        let others_go_on =
            explored.iter().enumerate().any(|(other, explored)| other != index && !explored.traps.is_empty());
        if others_go_on {
            // While the others go round for ever, whoever is stuck here is stuck for ever.
            for end in &one.ends {
                let nobody = vec![false; system.members().len()];
                let emptied = (0..system.channels().len()).map(|channel| system.slot(end, channel).is_none()).collect();
                reporter.trap(system, &Trap { sample: end.clone(), acts: nobody, emptied });
            }
        }
        if one.stopped == Some(Stop::Bound) {
            reporter.bounded();
        }
    }
    reporter.findings
}

/// The systems of roles that communicate with each other.
pub(super) fn components<'a>(global: &Global, locals: &'a [Local]) -> Vec<System<'a>> {
    let mut leader: Vec<usize> = (0..locals.len()).collect();
    for (role, local) in locals.iter().enumerate() {
        for step in local.states.iter().flat_map(|state| &state.moves) {
            let (one, other) = (find(&mut leader, role), find(&mut leader, usize::from(step.act.peer)));
            leader[one.max(other)] = one.min(other);
        }
    }
    let leaders: Vec<usize> = (0..locals.len()).map(|role| find(&mut leader, role)).collect();
    let mut systems = Vec::new();
    for first in 0..locals.len() {
        if leaders[first] == first {
            let members: Vec<Role> = global.role_ids().filter(|role| leaders[usize::from(*role)] == first).collect();
            let machines = members.iter().map(|role| &locals[usize::from(*role)]).collect();
            systems.push(System::new(global, members, machines));
        }
    }
    systems
}

fn find(leader: &mut [usize], role: usize) -> usize {
    let mut role = role;
    while leader[role] != role {
        leader[role] = leader[leader[role]];
        role = leader[role];
    }
    role
}

/// Turns what exploration found into findings, each thing once.
pub(super) struct Reporter<'a> {
    program: &'a Program,
    global: &'a Global,
    /// Choices count as fair.
    fair: bool,
    known: HashSet<(Code, Span, String)>,
    /// Where each message stands first; made when it is first asked for.
    sent: HashMap<(Role, Role, MessageId), Span>,
    pub(super) findings: Vec<Diagnostic>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(program: &'a Program, global: &'a Global, fair: bool) -> Self {
        Reporter { program, global, fair, known: HashSet::new(), sent: HashMap::new(), findings: Vec::new() }
    }

    fn push(&mut self, finding: Diagnostic) {
        if self.known.insert((finding.code, finding.span, finding.message.clone())) {
            self.findings.push(finding);
        }
    }

    fn role(&self, system: &System<'_>, member: usize) -> &'a str {
        self.program.role_text(self.global, system.members()[member])
    }

    fn wording(&self) -> Wording<'a> {
        Wording { program: self.program, global: self.global }
    }

    /// Where a member stands: its next interaction, or the role itself when it is done.
    fn place(&self, system: &System<'_>, member: usize, state: u32) -> Span {
        let numbers = &system.machine(member).states[state as usize].numbers;
        self.wording().place(system.members()[member], numbers)
    }

    /// What a member does next.
    fn next(&self, system: &System<'_>, member: usize, state: u32) -> String {
        self.wording().next(&system.machine(member).states[state as usize].moves)
    }

    fn fault(&mut self, system: &System<'_>, fault: &Fault) {
        match fault {
            Fault::Stuck { member, state, from, message } => self.stuck(system, *member, *state, *from, *message),
            Fault::Deadlock { waiting } => self.deadlock(system, waiting),
            Fault::Orphan { member, from, message } => self.orphan(system, *member, *from, *message),
        }
    }

    fn stuck(&mut self, system: &System<'_>, member: usize, state: u32, from: usize, message: MessageId) {
        let (role, sender) = (self.role(system, member), self.role(system, from));
        let text = self.program.message_text(self.global, message);
        let finding = Diagnostic::new(
            Code::StuckMessage,
            self.place(system, member, state),
            format!("`{role}` may get `{text}` from `{sender}` where it cannot take it"),
        );
        let finding = finding.label(format!("`{role}` {}", self.next(system, member, state)));
        // Where parts of a `par` go on at once no branch is to blame.
        let hint = if system.machine(member).states[state as usize].choices.is_empty() {
            format!("begin the branches with different messages to `{role}`")
        } else {
            "messages of one sender come in their order: let the parts have senders of their own, or come one after another"
                .to_owned()
        };
        self.push(finding.hint(hint));
    }

    fn deadlock(&mut self, system: &System<'_>, waiting: &[(usize, u32)]) {
        let Some(&(first, state)) = waiting.first() else { return };
        let roles: Vec<String> =
            waiting.iter().map(|(member, _)| format!("`{}`", self.role(system, *member))).collect();
        let each: Vec<String> = waiting
            .iter()
            .map(|(member, state)| format!("`{}` {}", self.role(system, *member), self.next(system, *member, *state)))
            .collect();
        let message = format!("{} wait for each other", roles.join(", "));
        let finding = Diagnostic::new(Code::Deadlock, self.place(system, first, state), message);
        let hint = "begin the branches with different messages, so that all take the same one";
        self.push(finding.label(each.join("; ")).hint(hint));
    }

    fn orphan(&mut self, system: &System<'_>, member: usize, from: usize, message: MessageId) {
        let (role, sender) = (self.role(system, member), self.role(system, from));
        let text = self.program.message_text(self.global, message);
        let span = self.sent(system.members()[from], system.members()[member], message);
        let finding = Diagnostic::new(
            Code::OrphanMessage,
            span,
            format!("`{text}` may be left over: `{role}` is done before it comes"),
        )
        .label(format!("`{sender}` may send this when `{role}` has taken another branch"));
        self.push(finding.hint(format!("begin the branches with different messages to `{role}`")));
    }

    /// The first place where a message is sent.
    fn sent(&mut self, sender: Role, receiver: Role, wanted: MessageId) -> Span {
        if self.sent.is_empty() {
            for node in self.global.interactions.iter().map(|node| self.global.node(*node)) {
                if let NodeKind::Message { from, to, message, .. } = node.kind {
                    self.sent.entry((from, to, message)).or_insert(node.span);
                }
            }
        }
        self.sent.get(&(sender, receiver, wanted)).copied().unwrap_or(self.global.span)
    }

    /// Roles that are not done where nothing can happen any more.
    fn end(&mut self, system: &System<'_>, end: &[u32]) {
        for member in (0..system.members().len()).filter(|member| !may_end(system, end, *member)) {
            let place = self.place(system, member, end[member]);
            if !system.state(end, member).moves.is_empty() {
                let next = self.next(system, member, end[member]);
                self.push(self.wording().unfinished(system.members()[member], place, &next));
                continue;
            }
            let role = self.role(system, member);
            let message = format!("`{role}` may stop before it has received everything");
            let finding = Diagnostic::new(Code::UnfinishedRole, place, message)
                .label(format!("`{role}` is done, and a message to it is left"))
                .hint(format!("tell `{role}` in every branch how it goes on"));
            self.push(finding);
        }
    }

    /// Roles that starve, and messages that are never received, while others go on for ever.
    pub(super) fn trap(&mut self, system: &System<'_>, trap: &Trap) {
        let config = &trap.sample;
        for member in (0..system.members().len()).filter(|member| !trap.acts[*member]) {
            if !hears_nothing(system, config, member) || may_end(system, config, member) {
                continue;
            }
            let place = self.place(system, member, config[member]);
            let next = self.next(system, member, config[member]);
            self.push(self.wording().starving(system.members()[member], place, &next, self.fair));
        }
        for (channel, &(from, to)) in system.channels().iter().enumerate() {
            let Some(message) = system.slot(config, channel).filter(|_| !trap.emptied[channel]) else { continue };
            let (sender, receiver) = (self.role(system, from), self.role(system, to));
            let text = self.program.message_text(self.global, message);
            let span = self.sent(system.members()[from], system.members()[to], message);
            let finding = Diagnostic::new(
                Code::EventualReception,
                span,
                format!("`{text}` may never be received by `{receiver}`"),
            )
            .label(format!("`{sender}` sends this, and `{receiver}` may never come to take it"));
            self.push(finding.hint(format!("let every loop that `{receiver}` is in come to an end")));
        }
    }

    pub(super) fn bounded(&mut self) {
        let finding = self.wording().not_proved("more configurations than are looked at");
        self.push(finding);
    }
}

/// Whether a member may stop where it stands: it is done, was never asked, or has nothing left but to hear that one more
/// has crashed, and then to do nothing.
fn may_end(system: &System<'_>, config: &[u32], member: usize) -> bool {
    let moves = &system.state(config, member).moves;
    let waits_to_be_asked =
        config[member] == system.machine(member).initial && moves.iter().all(|step| step.act.kind == ActKind::Accept);
    let done = |state: u32| system.machine(member).states[state as usize].moves.is_empty();
    let only_hears_of_crashes = config[member] != system.machine(member).initial
        && moves.iter().all(|step| match step.act.kind {
            ActKind::Crash => true,
            ActKind::Detect => done(step.to),
            _ => false,
        });
    hears_nothing(system, config, member) && (moves.is_empty() || waits_to_be_asked || only_hears_of_crashes)
}

/// Whether no message is under way to a member.
fn hears_nothing(system: &System<'_>, config: &[u32], member: usize) -> bool {
    system.incoming(member).iter().all(|channel| system.slot(config, *channel).is_none())
}
