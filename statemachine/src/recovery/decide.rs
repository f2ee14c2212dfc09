//! The decision: the recovery line over all positions, and what follows from it for each role.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Direction, Machine, RoleId};
use rekindle_protocol::recovery::line::{RecoveryLine, RoleLine, RoleRun, Run, recovery_line};
use rekindle_protocol::recovery::policy::{FailureKind, Mode};

use crate::effect::Floor;
use crate::events::SessionEventKind;
use crate::ids::Incarnation;
use crate::limits;
use crate::recovery::{Recovery, Stage};
use crate::session::{Phase, Role};
use crate::turn::Turn;

impl Turn<'_> {
    /// Computes the line of the open recovery, in which every position is known, and orders it to be carried out.
    pub(super) fn decide(&mut self) {
        let Some(recovery) = self.session.recoveries.back_mut() else { return };
        let positions = std::mem::take(&mut recovery.positions);
        let run = self.run(&positions);
        let line = match recovery_line(&run) {
            Ok(line) => line,
            Err(error) => return self.fail(format!("the reported positions have no recovery line: {error}")),
        };
        if let Err(reason) = self.follow(&line, positions) {
            return self.fail(reason);
        }
        self.place();
        let (time, proposer) = (self.moment.time, self.moment.proposer);
        let Some(recovery) = self.session.recoveries.back_mut() else { return };
        recovery.line = Some(line);
        recovery.stage = Stage::Restoring;
        recovery.decided = Some(time);
        recovery.decided_by = Some(proposer);
        let number = recovery.number;
        self.enter(Phase::Restoring);
        self.session.tell(time, SessionEventKind::Decided { recovery: number });
        self.order_restore();
    }

    fn run(&self, positions: &BTreeMap<RoleId, History>) -> Run<'_> {
        let recovery = self.session.recoveries.back();
        let role_run = |id: RoleId| {
            let (role, spec) = (self.session.role(id)?, self.session.spec.roles.get(id.index())?);
            Some(role_run(recovery?, id, role, spec.mode, positions.get(&id)?))
        };
        Run {
            image: self.image,
            retention: self.session.spec.retention,
            roles: self.image.role_ids().map(role_run).collect(),
        }
    }

    /// Takes over what the line says of each role that was asked.
    fn follow(&mut self, line: &RecoveryLine, mut positions: BTreeMap<RoleId, History>) -> Result<(), String> {
        for (id, role_line) in self.image.role_ids().zip(&line.roles) {
            let (Some(mut history), Some(position)) = (positions.remove(&id), role_line.position) else { continue };
            let role = &mut self.session.roles[id.index()];
            role.lost = role_line.lost.clone();
            if !role_line.restarted {
                continue;
            }
            let Some(machine) = self.image.machine(id) else { continue };
            history.truncate(position);
            let proven = proven(&history, machine, id, role.proven.min(position), line);
            role.restart(history, proven, &role_line.sent);
            if role.floors.len() > limits::FLOORS {
                let name = self.image.role_name(id);
                return Err(format!("role `{name}` was restarted more often than {} floors tell", limits::FLOORS));
            }
        }
        Ok(())
    }
}

/// What a role brings to the computation. A widened role goes back to its start as if it had failed there.
fn role_run(recovery: &Recovery, id: RoleId, role: &Role, mode: Mode, history: &History) -> RoleRun {
    let failed = recovery.failed.iter().find(|failed| failed.role == id).map(|failed| failed.kind);
    let widened = recovery.widened.contains(&id);
    let checkpoints = role.checkpoints.keys().copied().filter(|&position| position <= history.position());
    RoleRun {
        history: history.clone(),
        mode: if widened { Mode::Restart } else { mode },
        checkpoints: if widened { BTreeSet::new() } else { checkpoints.collect() },
        failed: if widened { failed.or(Some(FailureKind::Worker)) } else { failed },
        lost: role.lost.clone(),
    }
}

/// How many events of a role, which resumes after `history`, no failure can take away: those before the first send that
/// its receiver has not taken at the line, and the `before` that were proven already. A message in transit may still be
/// on its way from the role's supervisor, and is lost with it.
fn proven(history: &History, machine: &Machine, role: RoleId, before: u64, line: &RecoveryLine) -> u64 {
    let mut sent: BTreeMap<RoleId, u64> = BTreeMap::new();
    let mut events = (0..).zip(history.walk(machine).map_while(Result::ok));
    let unproven = events.find(|(position, (action, _))| {
        if action.direction == Direction::Receive {
            return false;
        }
        let index = sent.entry(action.peer).or_default();
        *index += 1;
        *position >= before && *index > taken(line, action.peer, role)
    });
    unproven.map_or(history.position(), |(position, _)| position)
}

/// How many messages of `from` the line has received by `to`; none if `to` was not asked.
fn taken(line: &RecoveryLine, to: RoleId, from: RoleId) -> u64 {
    let received = |line: &RoleLine| line.received.get(from.index()).copied();
    line.roles.get(to.index()).and_then(received).unwrap_or(0)
}

impl Role {
    /// Begins the next incarnation, which has done `history`.
    fn restart(&mut self, history: History, proven: u64, sent: &[u64]) {
        self.incarnation = Incarnation(self.incarnation.0 + 1);
        self.done = false;
        self.restarting = true;
        self.checkpoints.retain(|&position, _| position <= history.position());
        self.proven = proven;
        self.record(history);
        let floor = Floor { incarnation: self.incarnation, sent: sent.to_vec() };
        // What an earlier floor undoes, a later one that is nowhere higher undoes too.
        self.floors.retain(|earlier| earlier.sent.iter().zip(sent).any(|(earlier, later)| earlier < later));
        self.floors.push(floor);
    }
}
