//! What nodes say of themselves must fit together.
//!
//! * Equal index, equal digest: on every node, at every time.
//! * A term has one leader; and it is one *run* of that node. A leader that was killed and leads again in the term in
//!   which it was killed has forgotten entries that it gave to others.
//!   (Term and leadership are not read in one moment: who says only once that it leads a term is not believed.)
//! * Term and applied index of one run of a node never go back.

use std::collections::BTreeMap;

use super::Judgement;

/// What one node said of itself at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Nanoseconds since the run began.
    pub at: u64,
    /// The node.
    pub node: u64,
    /// How often it had been started by then.
    pub run: u32,
    /// Its term.
    pub term: u64,
    /// Whether it says that it leads.
    pub leads: bool,
    /// Its applied index.
    pub applied: u64,
    /// The digest of the state at that index; empty if it was not asked for.
    pub digest: String,
}

/// Judges all observations.
pub fn check(observations: &[Observation]) -> Judgement {
    let mut findings = Vec::new();
    let mut digests: BTreeMap<u64, (&str, u64)> = BTreeMap::new();
    let mut leaders: BTreeMap<u64, (u64, u32)> = BTreeMap::new();
    let mut last: BTreeMap<(u64, u32), (u64, u64)> = BTreeMap::new();
    let mut diverged = false;
    let mut claims: BTreeMap<(u64, u32, u64), usize> = BTreeMap::new();
    for seen in observations.iter().filter(|seen| seen.leads) {
        *claims.entry((seen.node, seen.run, seen.term)).or_default() += 1;
    }
    for seen in observations {
        let Observation { node, run, term, .. } = *seen;
        if !seen.digest.is_empty() {
            let (digest, first) = *digests.entry(seen.applied).or_insert((seen.digest.as_str(), node));
            // Everything after the first difference differs too.
            if digest != seen.digest && !diverged {
                diverged = true;
                findings.push(format!(
                    "at index {} node {node} has the digest {}, node {first} has {digest}",
                    seen.applied, seen.digest
                ));
            }
        }
        if seen.leads && claims[&(node, run, term)] > 1 {
            let (leader, first) = *leaders.entry(term).or_insert((node, run));
            if leader != node {
                findings.push(format!("term {term} is led by node {leader} and by node {node}"));
            } else if first != run {
                findings.push(format!(
                    "node {node} leads term {term} again after it was started anew (start {first}, then start {run})"
                ));
            }
        }
        let (highest, applied) = last.entry((node, run)).or_insert((term, seen.applied));
        if term < *highest || seen.applied < *applied {
            findings.push(format!(
                "node {node} went back from term {highest}, index {applied} to term {term}, index {}",
                seen.applied
            ));
        }
        (*highest, *applied) = (term, seen.applied);
    }
    findings.sort();
    findings.dedup();
    Judgement::from_findings(findings, observations.len())
}
