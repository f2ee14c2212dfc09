//! What is called valid runs well: over channels without bound, nothing is stuck, left over or unexpected.

use std::collections::VecDeque;
use std::fmt::Write as _;

use rekindle_protocol::CheckOptions;
use rekindle_protocol::check::Method;
use rekindle_protocol::image::{Direction, Image, StateId};

use super::load;
use crate::recovery::random::Rng;

const ROLES: [&str; 4] = ["A", "B", "C", "D"];
const PROTOCOLS: u64 = 4_000;
const RUNS: usize = 8;
const STEPS: usize = 200;

/// Writes a random protocol, sensible more often than not.
struct Writer<'a> {
    rng: &'a mut Rng,
    text: String,
    loops: usize,
    /// Labels begin with it; parts of a `par` have others.
    part: String,
}

impl Writer<'_> {
    fn role(&mut self) -> &'static str {
        ROLES[self.rng.below(ROLES.len())]
    }

    /// Another role than `role`.
    fn other(&mut self, role: &str) -> &'static str {
        loop {
            let other = self.role();
            if other != role {
                return other;
            }
        }
    }

    fn message(&mut self, from: &str, to: &str, label: usize) {
        let part = &self.part;
        let _ = write!(self.text, "{part}{label}() from {from} to {to}; ");
    }

    /// `open` holds the loops that may be continued here.
    fn block(&mut self, size: usize, open: &[usize]) {
        for _ in 0..=self.rng.below(3) {
            match self.rng.below(10) {
                0 | 1 if size > 0 => self.choice(size - 1, open),
                2 if size > 0 => self.rec(size - 1, open),
                3 if size > 0 => {
                    let size = if self.rng.chance(30) { size - 1 } else { 0 };
                    let around = self.part.clone();
                    self.text.push_str("par { ");
                    self.part = format!("{around}l");
                    self.block(size, &[]);
                    self.text.push_str("} and { ");
                    self.part = format!("{around}r");
                    self.block(size, &[]);
                    self.text.push_str("} ");
                    self.part = around;
                }
                _ => {
                    let from = self.role();
                    let to = self.other(from);
                    let label = self.rng.below(3);
                    self.message(from, to, label);
                }
            }
        }
    }

    /// Most often everybody is told, each branch with a label of its own.
    fn choice(&mut self, size: usize, open: &[usize]) {
        let at = self.role();
        let receivers: Vec<&str> = ROLES.into_iter().filter(|role| *role != at && self.rng.chance(85)).collect();
        let _ = write!(self.text, "choice at {at} {{ ");
        for branch in 0..2 {
            if branch > 0 {
                self.text.push_str("} or { ");
            }
            for receiver in &receivers {
                let label = if self.rng.chance(80) { branch } else { 0 };
                self.message(at, receiver, label);
            }
            self.block(size, &[]);
            if !open.is_empty() && self.rng.chance(40) {
                let _ = write!(self.text, "continue X{}; ", open[self.rng.below(open.len())]);
            }
        }
        self.text.push_str("} ");
    }

    fn rec(&mut self, size: usize, open: &[usize]) {
        self.loops += 1;
        let open: Vec<usize> = open.iter().copied().chain([self.loops]).collect();
        let _ = write!(self.text, "rec X{} {{ ", self.loops);
        self.block(size, &[]);
        self.choice(size, &open);
        self.text.push_str("} ");
    }
}

fn protocol(rng: &mut Rng) -> String {
    let mut writer = Writer { rng, text: String::new(), loops: 0, part: "m".to_owned() };
    writer.block(2, &[]);
    let body = writer.text;
    let used: Vec<String> = ROLES
        .into_iter()
        .filter(|role| {
            body.contains(&format!("from {role} "))
                || body.contains(&format!("to {role};"))
                || body.contains(&format!("at {role} "))
        })
        .map(|role| format!("role {role}"))
        .collect();
    format!("global protocol P({}) {{ {body}}}", used.join(", "))
}

/// Runs the machines in a random order; `Err` says what went wrong. In a hurry, nobody receives who can send, so channels
/// fill.
fn run(image: &Image, rng: &mut Rng, hurry: bool) -> Result<(), String> {
    let roles = image.roles.len();
    let mut states: Vec<StateId> = image.machines.iter().map(|machine| machine.initial).collect();
    let mut channels: Vec<VecDeque<&str>> = vec![VecDeque::new(); roles * roles];
    for _ in 0..STEPS {
        let mut possible = Vec::new();
        for (me, state) in states.iter().enumerate() {
            for edge in &image.machines[me].states[state.index()].edges {
                let peer = edge.action.peer.index();
                let head = channels[peer * roles + me].front();
                if edge.action.direction == Direction::Send || head == Some(&edge.action.label.as_str()) {
                    possible.push((me, edge));
                }
            }
        }
        if possible.is_empty() {
            let waits =
                image.machines.iter().zip(&states).any(|(machine, state)| !machine.states[state.index()].is_final());
            return match (waits, channels.iter().any(|channel| !channel.is_empty())) {
                (false, false) => Ok(()),
                (waits, left) => Err(format!("roles wait: {waits}, messages left: {left}")),
            };
        }
        let sends: Vec<_> =
            possible.iter().filter(|(_, edge)| edge.action.direction == Direction::Send).copied().collect();
        let possible = if hurry && !sends.is_empty() { sends } else { possible };
        let (me, edge) = possible[rng.below(possible.len())];
        let peer = edge.action.peer.index();
        if edge.action.direction == Direction::Send {
            channels[me * roles + peer].push_back(&edge.action.label);
        } else {
            channels[peer * roles + me].pop_front();
        }
        states[me] = edge.to;
    }
    Ok(())
}

#[test]
fn what_is_valid_runs_well() {
    let mut accepted = [0, 0];
    let mut with_par = 0;
    for seed in 0..PROTOCOLS {
        let mut rng = Rng::new(seed);
        let text = protocol(&mut rng);
        let program = load(&text).unwrap_or_else(|report| panic!("seed {seed}: {text}\n{report}"));
        let verdict = program.verdict(CheckOptions { fair: true, complete: true });
        let [found] = verdict.accepted.as_slice() else { continue };
        accepted[usize::from(found.method == Method::Implementability)] += 1;
        with_par += usize::from(text.contains("par {"));
        let image = program.compile(None).unwrap_or_else(|report| panic!("seed {seed}: {text}\n{report}"));
        for time in 0..RUNS {
            run(&image, &mut rng, time % 2 == 0).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}\n{text}"));
        }
    }
    // A test of what is accepted is none where nothing is.
    assert!(accepted[0] > 400 && accepted[1] > 5 && with_par > 50, "{accepted:?}, {with_par} with par");
}
