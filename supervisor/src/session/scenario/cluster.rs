//! The replicated state machine, as far as a scenario needs it: one recovery after the other, along the recovery line.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_protocol::history::History;
use rekindle_protocol::image::RoleId;
use rekindle_protocol::recovery::line::{Lost, RoleRun, Run, recovery_line};
use rekindle_protocol::recovery::policy::FailureKind;
use rekindle_statemachine::command::{Command, Rejection, Reply};
use rekindle_statemachine::effect::{Goal, Order};
use rekindle_statemachine::ids::{Incarnation, RecoveryNumber};

use crate::session::testing::Plan;

pub(super) struct Cluster {
    pub(super) plan: Plan,
    pub(super) restarts: usize,
    pub(super) done: BTreeSet<RoleId>,
    pub(super) checkpoints: Vec<BTreeSet<u64>>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Which restarted roles have not acknowledged, with their lines; `untouched` ones that have not either.
    Restoring {
        restarted: BTreeMap<RoleId, History>,
        untouched: BTreeSet<RoleId>,
    },
    Running,
    Gathering {
        failed: BTreeSet<RoleId>,
        positions: BTreeMap<RoleId, History>,
    },
    Ended,
}

impl Cluster {
    pub(super) fn launch(plan: Plan) -> Self {
        let restarted = plan.image.role_ids().map(|role| (role, History::default())).collect();
        let checkpoints = vec![BTreeSet::new(); plan.image.roles.len()];
        Cluster {
            plan,
            restarts: 0,
            done: BTreeSet::new(),
            checkpoints,
            phase: Phase::Restoring { restarted, untouched: BTreeSet::new() },
        }
    }

    pub(super) fn ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    pub(super) fn describe(&self) -> String {
        format!("{:?}, done {:?}", self.phase, self.done)
    }

    /// Applies a report; gives the orders that follow, for every agent, and the answer.
    pub(super) fn apply(&mut self, command: Command) -> (Vec<Order>, Reply) {
        match command {
            Command::ReportFailure { role, incarnation, history, .. } if self.is_current(role, incarnation) => {
                (self.failure(role, history), Reply::Done)
            }
            Command::ReportPosition { role, incarnation, recovery, history, .. }
                if self.is_current(role, incarnation) =>
            {
                (self.position(role, recovery, history), Reply::Done)
            }
            Command::AcknowledgeRestore { role, incarnation, recovery, .. } if self.is_current(role, incarnation) => {
                (self.acknowledgement(role, recovery), Reply::Done)
            }
            Command::FinishRole { role, incarnation, .. } if self.is_current(role, incarnation) => {
                self.done.insert(role);
                if self.done.len() == self.plan.image.roles.len() && matches!(self.phase, Phase::Running) {
                    self.phase = Phase::Ended;
                    return (vec![self.plan.next(Goal::End)], Reply::Done);
                }
                (vec![], Reply::Done)
            }
            Command::StoreCheckpoint { role, incarnation, after, steps, .. }
                if self.is_current(role, incarnation) && matches!(self.phase, Phase::Running) =>
            {
                self.checkpoints[role.index()].insert(after + steps.len() as u64);
                (vec![], Reply::Done)
            }
            other => (vec![], Reply::Rejected(Rejection::Invalid(format!("too late: {other:?}")))),
        }
    }

    fn is_current(&self, role: RoleId, incarnation: Incarnation) -> bool {
        self.plan.roles[role.index()].incarnation == incarnation && !self.ended()
    }

    fn failure(&mut self, role: RoleId, history: History) -> Vec<Order> {
        self.done.remove(&role);
        let (mut failed, mut positions) = match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Gathering { failed, positions } => (failed, positions),
            // A role that restarts and has not acknowledged stands at its line.
            Phase::Restoring { restarted, .. } => (restarted.keys().copied().collect(), restarted),
            Phase::Running | Phase::Ended => (BTreeSet::new(), BTreeMap::new()),
        };
        failed.insert(role);
        positions.entry(role).or_insert(history);
        let others: Vec<RoleId> = self.plan.image.role_ids().filter(|other| !positions.contains_key(other)).collect();
        self.phase = Phase::Gathering { failed, positions };
        if others.is_empty() { self.decide() } else { vec![self.plan.freeze(&others)] }
    }

    fn position(&mut self, role: RoleId, recovery: RecoveryNumber, history: History) -> Vec<Order> {
        let asked = recovery.0 == self.plan.recovery + 1;
        let Phase::Gathering { positions, .. } = &mut self.phase else { return vec![] };
        if !asked {
            return vec![];
        }
        positions.entry(role).or_insert(history);
        if positions.len() == self.plan.image.roles.len() { self.decide() } else { vec![] }
    }

    fn decide(&mut self) -> Vec<Order> {
        let Phase::Gathering { failed, positions } = std::mem::replace(&mut self.phase, Phase::Ended) else {
            return vec![];
        };
        let spec = &self.plan.spec;
        let runs = positions.iter().map(|(role, history)| {
            let checkpoints = self.checkpoints[role.index()].range(..=history.position()).copied().collect();
            Some(RoleRun {
                history: history.clone(),
                mode: spec.roles[role.index()].mode,
                checkpoints,
                failed: failed.contains(role).then_some(FailureKind::Worker),
                lost: Lost::default(),
            })
        });
        let run = Run { image: &self.plan.image, retention: spec.retention, roles: runs.collect() };
        let line = recovery_line(&run).expect("positions are a run of the protocol");
        let mut restarted = BTreeMap::new();
        let mut untouched = BTreeSet::new();
        let mut orders = vec![];
        for (role, (decided, (_, mut history))) in self.plan.image.role_ids().zip(line.roles.iter().zip(positions)) {
            if !decided.restarted {
                untouched.insert(role);
                continue;
            }
            history.truncate(decided.position.expect("it was asked"));
            self.done.remove(&role);
            self.checkpoints[role.index()].retain(|position| *position <= history.position());
            orders.push((role, history.clone(), decided.base));
            restarted.insert(role, history);
        }
        self.restarts += restarted.len();
        self.phase = Phase::Restoring { restarted, untouched };
        vec![self.plan.recover(&orders)]
    }

    fn acknowledgement(&mut self, role: RoleId, recovery: RecoveryNumber) -> Vec<Order> {
        let Phase::Restoring { restarted, untouched } = &mut self.phase else { return vec![] };
        if recovery.0 != self.plan.recovery {
            return vec![];
        }
        restarted.remove(&role);
        untouched.remove(&role);
        if !restarted.is_empty() || !untouched.is_empty() {
            return vec![];
        }
        self.phase = Phase::Running;
        let go = self.plan.next(Goal::Run);
        if self.done.len() == self.plan.image.roles.len() {
            self.phase = Phase::Ended;
        }
        vec![go]
    }
}
