//! Roles W1 to W3: count the words of pieces of text.
//!
//! Stateless: a mapper that is started again knows from its position which round it is in, and from the events that
//! may come next what it has to do in it. So nothing may depend on an earlier message: `map` and `finish` carry nothing.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use rekindle_worker::Worker;

use crate::texts::{self, Piece};
use crate::{MAPPERS, REDUCERS};

/// How often each word occurs.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Events of a mapper in a round: `map` comes, counts go to each reducer.
const EVENTS_PER_ROUND: u64 = 1 + REDUCERS.len() as u64;

pub(crate) fn run(worker: &mut Worker, place: usize) -> anyhow::Result<()> {
    let pieces = texts::pieces()?;
    let mut round = usize::try_from(worker.base() / EVENTS_PER_ROUND)?;
    let mut task = Task::named_by(worker.next())?;
    loop {
        match task {
            Task::Wait => {
                let message = worker.receive_from("M")?;
                task = match message.label.as_str() {
                    "map" => Task::Map(0),
                    "finish" => Task::Finish(0),
                    other => bail!("a mapper does not know the message `{other}`"),
                };
            }
            Task::Map(first) => {
                // In the last round there may be a mapper without a piece.
                let piece = pieces.get(round * MAPPERS.len() + place);
                let shares = count(piece)?;
                for (reducer, share) in REDUCERS.iter().zip(&shares).skip(first) {
                    worker.send(reducer, "counts", share)?;
                }
                round += 1;
                task = Task::Wait;
            }
            Task::Finish(first) => {
                for reducer in &REDUCERS[first..] {
                    worker.send(reducer, "finish", &())?;
                }
                return Ok(());
            }
        }
    }
}

/// What a mapper has to do in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// Wait for the master.
    Wait,
    /// Count, and send counts to the reducers, beginning with this one.
    Map(usize),
    /// Send `finish` to the reducers, beginning with this one.
    Finish(usize),
}

impl Task {
    /// The task in the state in which these events may come next.
    fn named_by(next: &[String]) -> anyhow::Result<Self> {
        // None in the final state: nothing is left to send.
        let Some(event) = next.first() else { return Ok(Self::Finish(REDUCERS.len())) };
        let Some((peer, label)) = event.split_once('!') else { return Ok(Self::Wait) };
        let first = REDUCERS.iter().position(|reducer| *reducer == peer).context("a mapper sends to reducers only")?;
        match label {
            "counts" => Ok(Self::Map(first)),
            "finish" => Ok(Self::Finish(first)),
            other => bail!("a mapper does not send `{other}`"),
        }
    }
}

/// The counts of a piece, in shares for the reducers.
fn count(piece: Option<&Piece>) -> anyhow::Result<[Counts; REDUCERS.len()]> {
    let mut shares = [const { Counts::new() }; REDUCERS.len()];
    if let Some(piece) = piece {
        piece.each_word(|word| *shares[owner(&word)].entry(word).or_insert(0) += 1)?;
    }
    Ok(shares)
}

/// The reducer that a word belongs to.
fn owner(word: &str) -> usize {
    word.bytes().map(usize::from).sum::<usize>() % REDUCERS.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_names_the_task() {
        let task = |events: &[&str]| {
            let events: Vec<_> = events.iter().map(|event| (*event).to_owned()).collect();
            Task::named_by(&events)
        };
        assert_eq!(task(&["M?finish", "M?map"]).expect("known"), Task::Wait);
        assert_eq!(task(&["R1!counts"]).expect("known"), Task::Map(0));
        assert_eq!(task(&["R2!counts"]).expect("known"), Task::Map(1));
        assert_eq!(task(&["R1!finish"]).expect("known"), Task::Finish(0));
        assert_eq!(task(&["R2!finish"]).expect("known"), Task::Finish(1));
        assert_eq!(task(&[]).expect("known"), Task::Finish(2));
        assert!(task(&["M!counts"]).is_err());
        assert!(task(&["R1!total"]).is_err());
    }

    #[test]
    fn every_word_has_one_owner() {
        assert!(owner("a") != owner("b"));
        assert_eq!(owner("tide"), owner("tide"));
    }
}
