//! The order witness: the log itself says in which order operations took effect.
//!
//! Where answers carry the index of their log entry no search is needed: the operations are replayed in that order on
//! the model, which must give the same answers; and an operation that was answered before another was asked must stand
//! before it. This finds what linearizability per key cannot: an order that is wrong between keys.
//!
//! A request that was repeated under its id is answered by its first entry, so several answers may share an index only
//! if they are the same operation of the same client. Operations without an index are not judged here.

use std::collections::HashMap;

use super::{Judgement, Model};
use crate::history::{Operation, Outcome};

/// Judges a history by the indices that its answers carry.
pub fn check<M: Model, K: Eq + std::hash::Hash>(
    model: &M,
    operations: &[Operation<M::Call, M::Answer>],
    key: impl Fn(&M::Call) -> K,
) -> Judgement {
    let mut indexed: Vec<_> = operations
        .iter()
        .filter_map(|operation| match (&operation.outcome, operation.index) {
            (Outcome::Known(answer), Some(index)) => Some((index, operation, answer)),
            _ => None,
        })
        .collect();
    if indexed.is_empty() && !operations.is_empty() {
        return Judgement::Undecided("no answer carries the index of its log entry".to_owned());
    }
    // What has an unknown outcome may have changed any key it names: such keys are not replayed.
    let doubtful: std::collections::HashSet<K> = operations
        .iter()
        .filter(|operation| matches!(operation.outcome, Outcome::Unknown))
        .map(|operation| key(&operation.call))
        .collect();
    indexed.sort_by_key(|(index, ..)| *index);
    let mut findings = Vec::new();
    let mut states: HashMap<K, M::State> = HashMap::new();
    // Latest invocation among operations with a lower index: whoever stands later must not have been answered before it.
    let mut latest_call: Option<(u64, u64)> = None;
    let mut previous = None;
    for &(index, operation, answer) in &indexed {
        if previous == Some(index) {
            findings.push(format!("entry {index} answers two operations, one of them {:?}", operation.call));
        }
        previous = Some(index);
        if let Some((called, at)) = latest_call.filter(|(called, _)| *called > operation.returned) {
            findings.push(format!(
                "{:?} was answered at {} µs with entry {index}, after entry {at} that was asked for only at {} µs",
                operation.call,
                operation.returned / 1000,
                called / 1000,
            ));
        }
        if latest_call.is_none_or(|(called, _)| called < operation.invoked) {
            latest_call = Some((operation.invoked, index));
        }
        let key = key(&operation.call);
        if doubtful.contains(&key) {
            continue;
        }
        let state = states.entry(key).or_insert_with(|| model.initial());
        match model.step(state, &operation.call, Some(answer)) {
            Some(next) => *state = next,
            None => findings.push(format!(
                "entry {index}: {:?} was answered {answer:?}, but the entries before it led to {state:?}",
                operation.call
            )),
        }
    }
    Judgement::from_findings(findings, indexed.len())
}
