//! Sessions that crash again and again, carried out with real stores: what a store does not hold, nobody gets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rekindle_protocol::image::Image;
use rekindle_protocol::recovery::line::{Lost, RecoveryLine, Run, recovery_line};
use rekindle_protocol::recovery::policy::{FailureKind, Mode, Retention};

use super::line::{for_seeds, run_of};
use super::oracle::{Case, Player};
use super::random::{Rng, Shape, protocol};
use super::world::{Done, World};

const KINDS: [FailureKind; 3] = [FailureKind::Worker, FailureKind::Supervisor, FailureKind::Host];

/// Messages of one channel by index.
type Shelf = BTreeMap<usize, String>;

/// Every shelf of one kind of store, by sender and receiver.
type Store = BTreeMap<(usize, usize), Shelf>;

struct Session<'a> {
    world: World<'a>,
    retention: Retention,
    modes: Vec<Mode>,
    checkpoints: Vec<BTreeSet<usize>>,
    lost: Vec<Lost>,
    at_receiver: Store,
    at_sender: Store,
}

impl<'a> Session<'a> {
    fn new(rng: &mut Rng, image: &'a Image) -> Self {
        let roles = image.roles.len();
        Session {
            world: World::new(image),
            retention: *rng.pick(&[Retention::Volatile, Retention::Retained, Retention::Durable]),
            modes: (0..roles)
                .map(|_| *rng.pick(&[Mode::Restart, Mode::Checkpoint, Mode::Stateless, Mode::Replay]))
                .collect(),
            checkpoints: vec![BTreeSet::new(); roles],
            lost: vec![Lost::default(); roles],
            at_receiver: Store::new(),
            at_sender: Store::new(),
        }
    }

    /// Runs on for up to `steps` events, now and then with a checkpoint.
    fn go_on(&mut self, rng: &mut Rng, steps: usize) {
        for _ in 0..steps {
            let before: Vec<usize> = self.world.done.iter().map(Vec::len).collect();
            self.world.run(rng, 1, |_| true);
            for (role, before) in before.into_iter().enumerate() {
                let position = self.world.done[role].len();
                if position > before {
                    self.keep(role);
                    if rng.chance(25) {
                        self.checkpoints[role].insert(position);
                    }
                }
            }
        }
    }

    /// A message is put into the stores when it is sent.
    fn keep(&mut self, role: usize) {
        let done = &self.world.done[role];
        let Some(event) = done.last().filter(|event| event.sends) else { return };
        let index = done.iter().filter(|other| other.sends && other.peer == event.peer).count();
        for store in [&mut self.at_receiver, &mut self.at_sender] {
            store.entry((role, event.peer)).or_default().insert(index, event.label.clone());
        }
    }

    /// What the failures take from the stores.
    fn wipe(&mut self, failed: &BTreeMap<usize, FailureKind>) {
        let gone = |role: usize| {
            let least = if self.retention == Retention::Durable { FailureKind::Host } else { FailureKind::Supervisor };
            failed.get(&role).is_some_and(|kind| *kind >= least)
        };
        self.at_receiver.retain(|(_, to), _| !gone(*to));
        self.at_sender.retain(|(from, _), _| !gone(*from));
    }

    fn case(&self, failed: &BTreeMap<usize, FailureKind>) -> Case {
        let wide = |counts: &[u64]| -> Vec<usize> {
            let none = vec![0; self.modes.len()];
            if counts.is_empty() {
                none
            } else {
                counts.iter().map(|&count| count.try_into().expect("small")).collect()
            }
        };
        let player = |role: usize| Player {
            done: self.world.done[role].clone(),
            mode: self.modes[role],
            checkpoints: self.checkpoints[role].clone(),
            failed: failed.get(&role).copied(),
            lost_sent: wide(&self.lost[role].sent),
            lost_received: wide(&self.lost[role].received),
        };
        Case { retention: self.retention, players: (0..self.modes.len()).map(player).collect() }
    }

    /// Carries out one recovery; returns who was restarted.
    fn recover(&mut self, failed: &BTreeMap<usize, FailureKind>) -> BTreeSet<usize> {
        self.wipe(failed);
        let case = self.case(failed);
        let run: Run<'_> = run_of(self.world.image, &case);
        let line = recovery_line(&run).expect("a run of the protocol");
        let cut: Vec<usize> =
            line.roles.iter().map(|role| role.position.expect("asked").try_into().expect("small")).collect();
        let delivered = self.deliver_again(&case, &cut, &line);
        // What is delivered again is kept again by its receiver's supervisor.
        for (from, to, index) in case.in_transit(&cut) {
            let label = delivered[&(from, to)][index - 1 - case.receives(from, to, cut[to])].clone();
            self.at_receiver.entry((from, to)).or_default().insert(index, label);
        }
        self.replay(&case, &cut, &line);
        for (role, &position) in cut.iter().enumerate() {
            self.world.rewind(role, position);
            self.checkpoints[role].retain(|&checkpoint| checkpoint <= position);
        }
        for store in [&mut self.at_receiver, &mut self.at_sender] {
            for ((from, to), shelf) in store {
                let floor = case.sends(*from, *to, cut[*from]);
                shelf.retain(|&index, _| index <= floor);
            }
        }
        self.world.channels = delivered;
        self.lost = line.roles.iter().map(|role| role.lost.clone()).collect();
        assert_reachable(&self.world);
        (0..cut.len()).filter(|&role| line.roles[role].restarted).collect()
    }

    /// The channels after recovery, filled from the stores alone.
    fn deliver_again(
        &self,
        case: &Case,
        cut: &[usize],
        line: &RecoveryLine,
    ) -> BTreeMap<(usize, usize), VecDeque<String>> {
        let mut channels: BTreeMap<(usize, usize), VecDeque<String>> = BTreeMap::new();
        for (from, to, index) in case.in_transit(cut) {
            let found = match self.retention {
                // Only the mailbox has it, and only that of a worker that lives on.
                Retention::Volatile => {
                    assert!(!line.roles[to].restarted, "a mailbox is lost with its worker");
                    let first = case.receives(from, to, case.current(to)) + 1;
                    self.world.channels[&(from, to)].get(index - first).cloned()
                }
                _ => self.stored(from, to, index),
            };
            let label = found.expect("every message in transit at the line can be delivered");
            channels.entry((from, to)).or_default().push_back(label);
        }
        channels
    }

    fn stored(&self, from: usize, to: usize, index: usize) -> Option<String> {
        let on = |store: &Store| store.get(&(from, to))?.get(&index).cloned();
        let at_sender = (self.retention == Retention::Durable).then(|| on(&self.at_sender)).flatten();
        on(&self.at_receiver).or(at_sender)
    }

    /// Roles in mode `replay` are fed from the stores what they received since their base.
    fn replay(&self, case: &Case, cut: &[usize], line: &RecoveryLine) {
        for role in (0..cut.len()).filter(|&role| self.modes[role] == Mode::Replay && line.roles[role].restarted) {
            let base: usize = line.roles[role].base.try_into().expect("small");
            assert!(base == 0 || self.checkpoints[role].contains(&base), "a base is the start or a checkpoint");
            for position in base..cut[role] {
                let event = &self.world.done[role][position];
                if !event.sends {
                    let index = case.receives(event.peer, role, position) + 1;
                    let fed = self.stored(event.peer, role, index);
                    assert_eq!(fed.as_ref(), Some(&event.label), "what is replayed is kept");
                }
            }
        }
    }
}

/// The configuration is reached from the start by failure-free steps: transparency.
fn assert_reachable(world: &World<'_>) {
    let mut again = World::new(world.image);
    let behind = |again: &World<'_>, role: usize| -> Option<Done> {
        let next = world.done[role].get(again.done[role].len())?;
        let waiting = again.channels.get(&(next.peer, role)).and_then(VecDeque::front);
        (next.sends || waiting == Some(&next.label)).then(|| next.clone())
    };
    while let Some((role, next)) = (0..world.done.len()).find_map(|role| Some((role, behind(&again, role)?))) {
        again.step(role, usize::from(next.edge));
    }
    let full = |channels: &BTreeMap<(usize, usize), VecDeque<String>>| {
        channels.clone().into_iter().filter(|(_, held)| !held.is_empty()).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(again.done, world.done, "the histories can happen together");
    assert_eq!(full(&again.channels), full(&world.channels), "exactly the messages in transit are in the channels");
    assert_eq!(again.states, world.states);
}

/// One or two failures at once; a lost supervisor may leave less proved than was done.
fn fail(rng: &mut Rng, session: &mut Session<'_>, unfinished: &BTreeSet<usize>) -> BTreeMap<usize, FailureKind> {
    let roles = session.modes.len();
    let mut failed: BTreeMap<usize, FailureKind> = unfinished.iter().map(|&role| (role, FailureKind::Worker)).collect();
    for _ in 0..=rng.below(2) {
        let role = rng.below(roles);
        let kind = *rng.pick(&KINDS);
        failed.insert(role, kind);
        if kind != FailureKind::Worker && rng.chance(30) {
            let done = session.world.done[role].len();
            let proven = done - rng.below(done.min(3) + 1);
            session.world.rewind(role, proven);
            session.checkpoints[role].retain(|&checkpoint| checkpoint <= proven);
        }
    }
    failed
}

#[test]
fn a_session_ends_well_whatever_crashes_next() {
    for_seeds(10_000, |seed| {
        let mut rng = Rng::new(seed);
        let shape = Shape::random(&mut rng);
        let image = protocol(&mut rng, shape);
        let mut session = Session::new(&mut rng, &image);
        for _ in 0..rng.below(8) {
            let steps = rng.below(30);
            session.go_on(&mut rng, steps);
            let failed = fail(&mut rng, &mut session, &BTreeSet::new());
            let mut restarted = session.recover(&failed);
            // Crashes while the recovery is carried out: who has not acknowledged yet counts as failed once more.
            while rng.chance(35) {
                restarted.retain(|_| rng.chance(60));
                let failed = fail(&mut rng, &mut session, &restarted);
                restarted = session.recover(&failed);
            }
        }
        session.go_on(&mut rng, 400);
        if session.world.enabled().is_empty() {
            let finished =
                |role: usize| image.machines[role].states[session.world.states[role].index()].edges.is_empty();
            assert!((0..image.roles.len()).all(finished), "every role ends in a final state");
            assert!(session.world.channels.values().all(VecDeque::is_empty), "no message is left over");
        }
    });
}

#[test]
fn nobody_restarts_whom_some_valid_cut_leaves_alone() {
    for_seeds(3_000, |seed| {
        let mut rng = Rng::new(seed);
        let shape = Shape { roles: 2 + rng.below(3), size: 2 + rng.below(6), loops: rng.chance(50) };
        let image = protocol(&mut rng, shape);
        let mut session = Session::new(&mut rng, &image);
        session.go_on(&mut rng, 10);
        let failed = fail(&mut rng, &mut session, &BTreeSet::new());
        let case = session.case(&failed);
        let line = recovery_line(&run_of(&image, &case)).expect("a run of the protocol");
        let cuts = case.valid_cuts();
        for (role, at) in line.roles.iter().enumerate() {
            let spared = cuts.iter().any(|cut| cut[role] == case.current(role));
            assert_eq!(at.restarted, failed.contains_key(&role) || !spared);
        }
    });
}
