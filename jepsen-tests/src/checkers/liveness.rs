//! Liveness: after the last fault is over everything that was begun must end, and clients must be served again.

use super::Judgement;

/// What was seen after the faults.
#[derive(Clone, Debug)]
pub struct Aftermath {
    /// Sessions that should have completed, each with how it was seen last.
    pub sessions: Vec<(String, String)>,
    /// Milliseconds from the end of the last fault to the first change that was acknowledged; `None` if none was.
    pub first_change_ms: Option<u64>,
    /// How long was waited for the sessions, in milliseconds.
    pub waited_ms: u64,
}

/// Judges the time after the faults.
pub fn check(aftermath: &Aftermath) -> Judgement {
    let mut findings = Vec::new();
    if aftermath.first_change_ms.is_none() {
        findings.push(format!("no change was acknowledged within {} ms of the end of the faults", aftermath.waited_ms));
    }
    for (session, phase) in aftermath.sessions.iter().filter(|(_, phase)| phase != "completed") {
        findings.push(format!(
            "session `{session}` is `{phase}` {} ms after the end of the faults, it should be `completed`",
            aftermath.waited_ms
        ));
    }
    Judgement::from_findings(findings, aftermath.sessions.len() + 1)
}

/// A fault that leaves a majority which can reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which.
    pub fault: String,
    /// When it began, in nanoseconds of the run.
    pub from: u64,
    /// When it was over.
    pub to: u64,
}

/// Judges the time during faults: with a majority there is progress. `successes` are in order, `limit` in nanoseconds.
pub fn progress(successes: &[u64], spans: &[Span], limit: u64) -> Judgement {
    let stalled = |span: &Span| {
        let inside = successes.iter().copied().filter(|at| (span.from..span.to).contains(at));
        let mut last = span.from;
        let mut longest = 0;
        for at in inside.chain([span.to]) {
            longest = longest.max(at - last);
            last = at;
        }
        longest
    };
    let findings = spans.iter().filter_map(|span| {
        let longest = stalled(span);
        (longest > limit).then(|| {
            format!(
                "during {} at {} ms no change was acknowledged for {} ms, though a majority was connected",
                span.fault,
                span.from / 1_000_000,
                longest / 1_000_000
            )
        })
    });
    Judgement::from_findings(findings.collect(), successes.len())
}

/// A time without any success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When the last success before it was, in nanoseconds of the run.
    pub from: u64,
    /// How long it lasted, in nanoseconds.
    pub length: u64,
}

/// The longest time without progress that touches the span from `from` to `to`, given when successes were.
pub fn longest_gap(successes: &[u64], from: u64, to: u64) -> Gap {
    let before = successes.iter().rev().find(|at| **at <= from).copied().unwrap_or(0);
    let mut longest = Gap { from: before, length: 0 };
    let mut last = before;
    for at in successes.iter().copied().filter(|at| *at > before) {
        if last >= to {
            return longest;
        }
        if at - last > longest.length {
            longest = Gap { from: last, length: at - last };
        }
        last = at;
    }
    if last < to && to - last > longest.length {
        longest = Gap { from: last, length: to - last };
    }
    longest
}
