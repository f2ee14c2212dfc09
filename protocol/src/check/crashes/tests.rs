//! What is called valid runs well though roles crash for good: over channels without bound, whoever lives comes to its end,
//! and nothing that it was sent is unexpected or left over.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::VecDeque;
use std::fmt::Write as _;

use crate::check::CheckOptions;
use crate::global::inline::{CallBudget, inline};
use crate::global::{Feature, MessageId};
use crate::local::determinise::determinise;
use crate::local::project::{Presence, project};
use crate::local::{ActKind, Local, Move};
use crate::program::ProtocolId;

const ROLES: [&str; 3] = ["A", "B", "C"];
const PROTOCOLS: u64 = 6_000;
const RUNS: u64 = 12;
const STEPS: usize = 150;

/// Numbers that look random (splitmix64).
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % (bound as u64)).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Writes random protocols that handle crashes, as they should more often than not.
struct Writer {
    rng: Rng,
    reliable: [bool; 3],
    text: String,
    label: u32,
}

impl Writer {
    fn role(&mut self, but: &[usize]) -> Option<usize> {
        let free: Vec<usize> = (0..ROLES.len()).filter(|role| !but.contains(role)).collect();
        (!free.is_empty()).then(|| free[self.rng.below(free.len())])
    }

    fn message(&mut self, from: usize, to: usize) {
        self.label += 1;
        let label = if self.rng.chance(90) { self.label } else { 0 };
        let _ = write!(self.text, "m{label}() from {} to {}; ", ROLES[from], ROLES[to]);
    }

    /// What comes next, to the end. Who is `dead` has crashed; within a loop it may go round.
    fn rest(&mut self, size: usize, dead: &[usize], looped: bool) {
        if size == 0 {
            if looped && self.rng.chance(60) {
                self.text.push_str("continue X; ");
            }
            return;
        }
        let Some(from) = self.role(dead) else { return };
        // Mostly somebody who lives; sometimes one of the dead, who hears nothing.
        let known = if self.rng.chance(80) { dead } else { &[] };
        let but: Vec<usize> = known.iter().copied().chain([from]).collect();
        let Some(to) = self.role(&but) else { return };
        if self.reliable[from] && self.rng.chance(70) {
            self.message(from, to);
            return self.rest(size - 1, dead, looped);
        }
        let _ = write!(self.text, "choice at {} {{ ", ROLES[from]);
        let first = self.label;
        self.message(from, to);
        self.rest(size - 1, dead, looped);
        if self.rng.chance(40) {
            self.text.push_str("} or { ");
            // Now and then the branches begin alike, and differ in what comes next.
            if self.rng.chance(40) {
                let label = self.label;
                self.label = first;
                self.message(from, to);
                self.label = label;
            } else {
                self.message(from, to);
            }
            self.rest(size - 1, dead, looped);
        }
        if !self.reliable[from] && !self.rng.chance(5) {
            let _ = write!(self.text, "}} or {{ crash from {} to {}; ", ROLES[from], ROLES[to]);
            let mut dead: Vec<usize> = dead.to_vec();
            dead.push(from);
            for &one in &dead.clone() {
                if let Some(also) = self.role(&dead).filter(|_| self.rng.chance(25)) {
                    let _ = write!(self.text, "crash from {} to {}; ", ROLES[one], ROLES[also]);
                }
            }
            self.rest(size - 1, &dead, looped);
        }
        self.text.push_str("} ");
    }

    fn protocol(seed: u64) -> String {
        let mut rng = Rng(seed);
        let reliable = [rng.chance(40), rng.chance(40), rng.chance(60)];
        let mut writer = Writer { rng, reliable, text: String::new(), label: 0 };
        let looped = writer.rng.chance(30);
        let size = 1 + writer.rng.below(3);
        writer.rest(size, &[], looped);
        let body = if looped { format!("rec X {{ {}}}", writer.text) } else { writer.text };
        let used = |role: &usize| {
            let name = ROLES[*role];
            ["from", "to", "at"]
                .iter()
                .any(|word| body.contains(&format!("{word} {name} ")) || body.contains(&format!("{word} {name};")))
        };
        let roles: Vec<String> = (0..ROLES.len())
            .filter(used)
            .map(|role| format!("{}role {}", if reliable[role] { "reliable " } else { "" }, ROLES[role]))
            .collect();
        format!("global protocol P({}) {{ {body}}}", roles.join(", "))
    }
}

/// The machines of some roles, running.
struct Run<'a> {
    machines: &'a [Local],
    reliable: &'a [bool],
    states: Vec<usize>,
    dead: Vec<bool>,
    /// From role to role, at `from * roles + to`.
    channels: Vec<VecDeque<MessageId>>,
}

impl Run<'_> {
    fn moves(&self, role: usize) -> &[Move] {
        &self.machines[role].states[self.states[role]].moves
    }

    fn can(&self, role: usize, step: &Move) -> bool {
        let peer = usize::from(step.act.peer);
        let from_peer = &self.channels[peer * self.states.len() + role];
        match step.act.kind {
            ActKind::Send => true,
            ActKind::Receive => from_peer.front() == Some(&step.act.message),
            ActKind::Detect => self.dead[peer] && from_peer.is_empty(),
            _ => false,
        }
    }

    fn take(&mut self, role: usize, step: Move) {
        let (roles, peer) = (self.states.len(), usize::from(step.act.peer));
        match step.act.kind {
            ActKind::Send if self.dead[peer] => {}
            ActKind::Send => self.channels[role * roles + peer].push_back(step.act.message),
            ActKind::Receive => {
                self.channels[peer * roles + role].pop_front();
            }
            _ => {}
        }
        self.states[role] = step.to as usize;
    }

    fn crash(&mut self, role: usize) {
        self.dead[role] = true;
        let roles = self.states.len();
        (0..roles).for_each(|from| self.channels[from * roles + role].clear());
    }

    /// Whether a role that lives has nothing left but to hear that others have crashed.
    fn is_done(&self, role: usize) -> bool {
        let roles = self.states.len();
        let nothing_left = (0..roles).all(|from| self.channels[from * roles + role].is_empty());
        nothing_left && self.moves(role).iter().all(|step| step.act.kind == ActKind::Detect)
    }

    /// In a random order, crashes among it.
    fn go(&mut self, rng: &mut Rng) -> Result<(), String> {
        let crashes = rng.below(40);
        for _ in 0..STEPS {
            let roles = 0..self.states.len();
            let possible: Vec<(usize, Move)> = roles
                .clone()
                .filter(|role| !self.dead[*role])
                .flat_map(|role| self.moves(role).iter().map(move |step| (role, *step)))
                .filter(|(role, step)| self.can(*role, step))
                .collect();
            let crashing = roles
                .clone()
                .filter(|role| !self.dead[*role] && !self.reliable[*role] && !self.moves(*role).is_empty());
            let crashing: Vec<usize> = crashing.collect();
            if !crashing.is_empty() && rng.chance(crashes) {
                self.crash(crashing[rng.below(crashing.len())]);
                continue;
            }
            let Some(&(role, step)) = (!possible.is_empty()).then(|| &possible[rng.below(possible.len())]) else {
                let waiting: Vec<usize> = roles.filter(|role| !self.dead[*role] && !self.is_done(*role)).collect();
                return if waiting.is_empty() {
                    Ok(())
                } else {
                    Err(format!("{waiting:?} wait, dead: {:?}", self.dead))
                };
            };
            self.take(role, step);
        }
        Ok(())
    }
}

/// Whether a protocol is called valid; if so it runs well, and if only `--complete` says so, with merged branches.
fn look_at(seed: u64) -> (bool, bool) {
    let text = Writer::protocol(seed);
    let program =
        crate::load("p.scr", &[], &mut |_| Some(text.clone())).unwrap_or_else(|report| panic!("{text}\n{report}"));
    let valid = |complete| !program.check(CheckOptions { fair: true, complete }).has_errors();
    let projected = valid(false);
    if !projected && !valid(true) {
        return (false, false);
    }
    let id = ProtocolId { module: 0, index: 0 };
    let global = inline(&program, id, &mut CallBudget::default()).unwrap();
    let machine = |role| project(&Presence::of(&global, role)).unwrap();
    let merged = |local| if projected { local } else { determinise(local).unwrap() };
    let machines: Vec<Local> = global.role_ids().map(|role| merged(machine(role))).collect();
    let reliable: Vec<bool> = global.reliable.iter().map(|reliable| *reliable || !global.handles_crashes()).collect();
    for time in 0..RUNS {
        let mut rng = Rng(seed.wrapping_mul(1_000_003) + time);
        let roles = machines.len();
        let mut run = Run {
            machines: &machines,
            reliable: &reliable,
            states: machines.iter().map(|machine| machine.initial as usize).collect(),
            dead: vec![false; roles],
            channels: vec![VecDeque::new(); roles * roles],
        };
        run.go(&mut rng).unwrap_or_else(|wrong| panic!("seed {seed}, run {time}: {wrong}\n{text}"));
    }
    let crashes = global.uses(Feature::Crash);
    (crashes && projected, crashes && !projected)
}

#[test]
fn what_is_valid_runs_well_though_roles_crash() {
    let looked_at: Vec<(bool, bool)> = (0..PROTOCOLS).map(look_at).collect();
    let projected = looked_at.iter().filter(|(projected, _)| *projected).count();
    let merged = looked_at.iter().filter(|(_, merged)| *merged).count();
    // A test of what is accepted is none where nothing is.
    assert!(projected > 200 && merged > 0, "{projected} as they are, {merged} merged");
}
