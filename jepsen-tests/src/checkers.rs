//! Judges of what was seen from outside.
//!
//! A checker takes evidence and gives a [`Judgement`]; it knows nothing of processes, networks or files.

pub mod linearizable;
pub mod liveness;
pub mod names;
pub mod order;
pub mod overlap;
pub mod replicas;
pub mod sessions;

/// What a checker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing is wrong, and this much was looked at.
    Holds {
        /// How many observations the judgement rests on.
        examined: usize,
    },
    /// Something is wrong.
    Violated(
        /// Each violation as a sentence.
        Vec<String>,
    ),
    /// The evidence does not decide it.
    Undecided(
        /// Why.
        String,
    ),
}

impl Judgement {
    /// Violated if there is any finding.
    pub fn from_findings(findings: Vec<String>, examined: usize) -> Self {
        if findings.is_empty() { Judgement::Holds { examined } } else { Judgement::Violated(findings) }
    }
}

/// An object that clients act on, as a sequence of calls would change it.
pub trait Model {
    /// The object.
    type State: Clone + Eq + std::hash::Hash + std::fmt::Debug;
    /// What can be asked.
    type Call: std::fmt::Debug;
    /// What can be answered.
    type Answer: std::fmt::Debug;

    /// Before any call.
    fn initial(&self) -> Self::State;

    /// The state after a call that got this answer; `None` if the answer is impossible in that state.
    ///
    /// Without an answer the outcome is unknown: the state as it is if the call took effect here.
    fn step(&self, state: &Self::State, call: &Self::Call, answer: Option<&Self::Answer>) -> Option<Self::State>;
}
