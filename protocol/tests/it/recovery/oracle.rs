//! The recovery line by its definition: look at every cut.
//!
//! Written from `docs/recovery.md` alone, with counting where the definition counts. It shares no code with the crate
//! but the names of modes, retentions and kinds.

use std::collections::BTreeSet;

use rekindle_protocol::recovery::policy::{FailureKind, Mode, Retention};

use super::world::Done;

/// What a role brings.
#[derive(Clone, Debug)]
pub(crate) struct Player {
    pub(crate) done: Vec<Done>,
    pub(crate) mode: Mode,
    pub(crate) checkpoints: BTreeSet<usize>,
    pub(crate) failed: Option<FailureKind>,
    /// By peer: messages to it up to this index are gone from this role's store.
    pub(crate) lost_sent: Vec<usize>,
    /// By peer: messages from it up to this index are gone from this role's store.
    pub(crate) lost_received: Vec<usize>,
}

/// A run at the moment of a failure.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) retention: Retention,
    pub(crate) players: Vec<Player>,
}

impl Case {
    fn roles(&self) -> std::ops::Range<usize> {
        0..self.players.len()
    }

    pub(crate) fn current(&self, role: usize) -> usize {
        self.players[role].done.len()
    }

    /// S: how many of the first `k` events of `p` are sends to `q`.
    pub(crate) fn sends(&self, p: usize, q: usize, k: usize) -> usize {
        self.players[p].done[..k].iter().filter(|event| event.sends && event.peer == q).count()
    }

    /// R: how many of the first `k` events of `q` are receives from `p`.
    pub(crate) fn receives(&self, p: usize, q: usize, k: usize) -> usize {
        self.players[q].done[..k].iter().filter(|event| !event.sends && event.peer == p).count()
    }

    fn failed_with(&self, role: usize, kinds: &[FailureKind]) -> bool {
        self.players[role].failed.is_some_and(|kind| kinds.contains(&kind))
    }

    /// Whether message `i` of `p→q` is still where the retention keeps it.
    fn kept(&self, p: usize, q: usize, i: usize) -> bool {
        let (sender, receiver) = (&self.players[p], &self.players[q]);
        let memory = [FailureKind::Supervisor, FailureKind::Host];
        match self.retention {
            Retention::Volatile => false,
            Retention::Retained => i > receiver.lost_received[p] && !self.failed_with(q, &memory),
            Retention::Durable => {
                let at_receiver = i > receiver.lost_received[p] && !self.failed_with(q, &[FailureKind::Host]);
                let at_sender = i > sender.lost_sent[q] && !self.failed_with(p, &[FailureKind::Host]);
                at_receiver || at_sender
            }
        }
    }

    fn available(&self, cut: &[usize], p: usize, q: usize, i: usize) -> bool {
        match self.retention {
            Retention::Volatile => {
                let current = self.current(q);
                self.players[q].failed.is_none() && cut[q] == current && i > self.receives(p, q, current)
            }
            Retention::Retained | Retention::Durable => self.kept(p, q, i),
        }
    }

    pub(crate) fn is_point(&self, role: usize, k: usize) -> bool {
        let player = &self.players[role];
        if player.failed.is_none() && k == self.current(role) {
            return true;
        }
        let is_base = |b: usize| b == 0 || player.checkpoints.contains(&b);
        match player.mode {
            Mode::Restart => k == 0,
            Mode::Checkpoint => is_base(k),
            Mode::Stateless => k <= self.current(role),
            Mode::Replay => (0..=k).any(|b| is_base(b) && self.replays(role, b, k)),
        }
    }

    /// Whether every message that `role` received between the positions `b` and `k` can be fed to it again.
    pub(crate) fn replays(&self, role: usize, b: usize, k: usize) -> bool {
        (b..k).all(|position| {
            let event = &self.players[role].done[position];
            event.sends || self.kept(event.peer, role, self.receives(event.peer, role, position) + 1)
        })
    }

    pub(crate) fn in_transit(&self, cut: &[usize]) -> Vec<(usize, usize, usize)> {
        let mut found = Vec::new();
        for p in self.roles() {
            for q in self.roles() {
                let (received, sent) = (self.receives(p, q, cut[q]), self.sends(p, q, cut[p]));
                found.extend((received + 1..=sent).map(|i| (p, q, i)));
            }
        }
        found
    }

    pub(crate) fn is_valid(&self, cut: &[usize]) -> bool {
        let mut pairs = self.roles().flat_map(|p| self.roles().map(move |q| (p, q)));
        self.roles().all(|role| self.is_point(role, cut[role]))
            && pairs.all(|(p, q)| self.receives(p, q, cut[q]) <= self.sends(p, q, cut[p]))
            && self.in_transit(cut).into_iter().all(|(p, q, i)| self.available(cut, p, q, i))
    }

    /// Every valid cut.
    pub(crate) fn valid_cuts(&self) -> Vec<Vec<usize>> {
        // The points are looked at once for each role, not for each cut, or the search would never end.
        let points: Vec<Vec<usize>> =
            self.roles().map(|role| (0..=self.current(role)).filter(|&k| self.is_point(role, k)).collect()).collect();
        let mut cuts = vec![Vec::new()];
        for choices in points {
            cuts = cuts
                .into_iter()
                .flat_map(|cut: Vec<usize>| choices.iter().map(move |&k| cut.iter().copied().chain([k]).collect()))
                .collect();
        }
        cuts.retain(|cut| self.is_valid(cut));
        cuts
    }

    /// The one valid cut that is nowhere below another.
    pub(crate) fn greatest(&self) -> Vec<usize> {
        let cuts = self.valid_cuts();
        let top: Vec<usize> =
            self.roles().map(|role| cuts.iter().map(|cut| cut[role]).max().expect("the start is valid")).collect();
        assert!(cuts.contains(&top), "the valid cuts have no greatest: {cuts:?}");
        top
    }
}
