//! No two processes of a role at once.
//!
//! The evidence is what processes wrote down: that they started, what they did, and whether at their start another
//! process held the role's lock. A process lived at least until its last line, so an overlap that is found is real.

use std::collections::BTreeMap;

use super::Judgement;
use crate::outside::{Line, What};

/// (incarnation, process id) → (time of its first line, time of its last).
type Lives = BTreeMap<(u64, u32), (u64, u64)>;

/// Judges what all workers wrote.
pub fn check(lines: &[Line]) -> Judgement {
    let mut findings = Vec::new();
    let mut by_role: BTreeMap<(&str, &str), Lives> = BTreeMap::new();
    for line in lines {
        let role = (line.session.as_str(), line.role.as_str());
        let life = by_role.entry(role).or_default().entry((line.incarnation, line.pid)).or_insert((line.at, line.at));
        *life = (life.0.min(line.at), life.1.max(line.at));
        if let What::Start { alone: false, .. } = line.what {
            findings.push(format!(
                "session `{}`: incarnation {} of role `{}` (process {} on {}) started while another process held the role",
                line.session, line.incarnation, line.role, line.pid, line.host
            ));
        }
    }
    for ((session, role), lives) in &by_role {
        // Each against the one that had lived longest so far, in order of their starts.
        let mut ordered: Vec<_> =
            lives.iter().map(|((incarnation, pid), (from, to))| (from, to, incarnation, pid)).collect();
        ordered.sort();
        let mut longest = ordered[0];
        for &life in &ordered[1..] {
            if life.0 < longest.1 {
                findings.push(format!(
                    "session `{session}`: incarnation {} of role `{role}` (process {}) acted {} µs after incarnation {} (process {}) had started",
                    longest.2, longest.3, (longest.1 - life.0) / 1000, life.2, life.3
                ));
            }
            if life.1 > longest.1 {
                longest = life;
            }
        }
    }
    Judgement::from_findings(findings, by_role.values().map(BTreeMap::len).sum())
}
