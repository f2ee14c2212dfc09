//! Carrying a decision out: the launch, orders, acknowledgements, resume.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_protocol::image::{Machine, RoleId};
use rekindle_protocol::recovery::line::{Cause, Lost, RecoveryLine, RoleLine};

use crate::command::{Rejection, Reply};
use crate::events::SessionEventKind;
use crate::ids::{Epoch, Incarnation, RecoveryNumber};
use crate::recovery::{Recovery, Scope, Stage};
use crate::session::{Phase, StandingGoal};
use crate::turn::Turn;

impl Turn<'_> {
    /// Starts every role: recovery 0, to the start.
    pub(crate) fn launch(&mut self) {
        let (time, proposer) = (self.moment.time, self.moment.proposer);
        self.session.epoch = Epoch(1);
        for role in &mut self.session.roles {
            role.incarnation = Incarnation(1);
            role.restarting = true;
        }
        self.place();
        let start = self.start();
        self.push(Recovery {
            number: RecoveryNumber(0),
            epoch: self.session.epoch,
            scope: Scope::Minimal,
            stage: Stage::Restoring,
            failed: Vec::new(),
            frozen: Vec::new(),
            widened: Vec::new(),
            line: Some(start),
            acknowledged: BTreeSet::new(),
            detected: time,
            opened: time,
            decided: Some(time),
            resumed: None,
            opened_by: proposer,
            decided_by: Some(proposer),
            resumed_by: None,
            positions: BTreeMap::new(),
        });
        self.enter(Phase::Restoring);
        self.session.tell(time, SessionEventKind::Started);
        self.order_restore();
    }

    /// The cut of all zeros.
    fn start(&self) -> RecoveryLine {
        let peers = self.image.roles.len();
        let at_start = |machine: &Machine| RoleLine {
            position: Some(0),
            state: Some(machine.initial),
            restarted: true,
            base: 0,
            sent: vec![0; peers],
            received: vec![0; peers],
            lost: Lost::default(),
            cause: Cause::NothingUndone,
        };
        RecoveryLine { roles: self.image.machines.iter().map(at_start).collect(), in_transit: Vec::new() }
    }

    /// Orders every agent of the session to carry the decision out.
    pub(crate) fn order_restore(&mut self) {
        self.order_everyone(&StandingGoal::Restore);
    }

    /// A role is where the decision wants it. The last one resumes the session.
    pub(crate) fn acknowledge(
        &mut self,
        id: RoleId,
        incarnation: Incarnation,
        number: RecoveryNumber,
    ) -> Result<Reply, Rejection> {
        let (role, _) = self.require_current(id, incarnation)?;
        let placed = role.agent.is_some();
        let count = self.session.roles.len();
        let stale = Rejection::StaleRecovery { named: number };
        let recovery = self.session.recoveries.back_mut().filter(|last| last.number == number);
        let recovery = recovery.ok_or_else(|| stale.clone())?;
        match recovery.stage {
            Stage::Restoring if placed => {}
            // Repeated after it resumed the session.
            Stage::Resumed => return Ok(Reply::Done),
            _ => return Err(stale),
        }
        recovery.acknowledged.insert(id);
        if recovery.acknowledged.len() == count {
            self.resume();
        }
        Ok(Reply::Done)
    }

    fn resume(&mut self) {
        let (time, proposer) = (self.moment.time, self.moment.proposer);
        let Some(recovery) = self.session.recoveries.back_mut() else { return };
        recovery.stage = Stage::Resumed;
        recovery.resumed = Some(time);
        recovery.resumed_by = Some(proposer);
        let number = recovery.number;
        for role in &mut self.session.roles {
            role.restarting = false;
        }
        self.enter(Phase::Running);
        self.session.tell(time, SessionEventKind::Resumed { recovery: number });
        self.order_everyone(&StandingGoal::Run);
    }
}
