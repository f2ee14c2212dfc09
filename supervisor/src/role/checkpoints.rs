//! Checkpoints of one role on their way into the cluster.
//!
//! Invariants
//! * one is asked to be stored at a time, in the order of their positions: each adds to the events that the cluster
//!   knows through the one before;
//! * none is asked to be stored before every send that precedes it is held by its receiver's supervisor.

use std::collections::VecDeque;

/// See the head of the file.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    known: u64,
    pending: VecDeque<Checkpoint>,
    asked: bool,
}

/// A worker's state at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) position: u64,
    /// Per peer: messages sent before it.
    pub(crate) sent: Vec<u64>,
    /// JSON text.
    pub(crate) data: Vec<u8>,
}

impl Checkpoints {
    /// For a role of which the cluster knows so many events.
    pub(crate) fn new(known: u64) -> Self {
        Checkpoints { known, pending: VecDeque::new(), asked: false }
    }

    /// How many events of the role the cluster knows through its checkpoints or its restart.
    pub(crate) fn known(&self) -> u64 {
        self.known
    }

    /// How many are not stored yet.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The worker saves its state.
    pub(crate) fn push(&mut self, checkpoint: Checkpoint) {
        self.pending.push_back(checkpoint);
    }

    /// The one to ask for now, if `held` says that the sends before it are held.
    pub(crate) fn ask(&mut self, held: impl Fn(&[u64]) -> bool) -> Option<&Checkpoint> {
        let next = self.pending.front().filter(|next| !self.asked && held(&next.sent))?;
        self.asked = true;
        Some(next)
    }

    /// The answer came; gives the position if it was stored.
    pub(crate) fn answered(&mut self, stored: bool) -> Option<u64> {
        if !std::mem::take(&mut self.asked) {
            return None;
        }
        let position = self.pending.pop_front().filter(|_| stored)?.position;
        self.known = position;
        Some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(position: u64, sent: u64) -> Checkpoint {
        Checkpoint { position, sent: vec![sent], data: b"null".to_vec() }
    }

    #[test]
    fn one_at_a_time_and_only_when_its_sends_are_held() {
        let mut checkpoints = Checkpoints::new(2);
        checkpoints.push(checkpoint(4, 1));
        checkpoints.push(checkpoint(6, 2));
        assert_eq!(checkpoints.ask(|sent| sent[0] < 1), None);
        assert_eq!(checkpoints.ask(|sent| sent[0] <= 2).map(|next| next.position), Some(4));
        assert_eq!(checkpoints.ask(|sent| sent[0] <= 2), None, "the first is not answered yet");
        assert_eq!(checkpoints.answered(true), Some(4));
        assert_eq!(checkpoints.known(), 4);
        assert_eq!(checkpoints.ask(|sent| sent[0] <= 2).map(|next| next.position), Some(6));
        assert_eq!(checkpoints.answered(false), None);
        assert_eq!((checkpoints.known(), checkpoints.pending()), (4, 0));
        assert_eq!(checkpoints.answered(true), None, "an answer to nothing");
    }
}
