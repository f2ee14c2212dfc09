//! Checkpoints: a worker's saved state at a position.
//!
//! Invariants
//! * a checkpoint's position is among the known events of its role, and they are proven up to it;
//! * a decision voids every checkpoint past the line;
//! * a role that is restarting stores none, so the order that restarts it stays the same.

use rekindle_protocol::history::History;
use rekindle_protocol::image::RoleId;
use rekindle_protocol::recovery::policy::Mode;

use crate::command::{Rejection, Reply};
use crate::ids::Incarnation;
use crate::limits;
use crate::session::Session;
use crate::turn::Turn;

impl Turn<'_> {
    /// Keeps the state of a worker at the position that `steps` reach from `after`.
    pub(crate) fn store_checkpoint(
        &mut self,
        id: RoleId,
        incarnation: Incarnation,
        (after, steps): (u64, &[u16]),
        data: &[u8],
    ) -> Result<Reply, Rejection> {
        let (role, _) = self.require_current(id, incarnation)?;
        let name = self.image.role_name(id);
        let mode = self.session.spec.roles[id.index()].mode;
        if !matches!(mode, Mode::Checkpoint | Mode::Replay) {
            return Err(Rejection::Invalid(format!("role `{name}` saves no checkpoints in its recovery mode")));
        }
        if role.restarting || self.session.open_recovery().is_some_and(|recovery| recovery.has_failed(id)) {
            return Err(Rejection::Invalid(format!("role `{name}` is being restarted")));
        }
        if data.len() > limits::CHECKPOINT_BYTES {
            return Err(limits::reached("bytes of a checkpoint", limits::CHECKPOINT_BYTES));
        }
        let total = self.index.checkpoint_bytes + self.session.checkpoint_bytes() + data.len() as u64;
        if total > limits::CHECKPOINT_TOTAL_BYTES {
            let what = "bytes of all checkpoints".to_owned();
            return Err(Rejection::Limit { what, limit: limits::CHECKPOINT_TOTAL_BYTES });
        }
        let reached = continued(&role.recorded, after, steps).ok_or_else(|| {
            let known = role.recorded.position();
            Rejection::Invalid(format!("role `{name}` goes on after event {after}, but the log knows {known}"))
        })?;
        if reached.steps.len() > limits::HISTORY {
            return Err(limits::reached("events of a role", limits::HISTORY));
        }
        let recorded = self.reconcile(id, &reached)?;
        let role = &mut self.session.roles[id.index()];
        role.record(recorded);
        role.proven = role.proven.max(reached.position());
        role.checkpoints.insert(reached.position(), data.to_vec());
        while role.checkpoints.len() > limits::CHECKPOINTS {
            role.checkpoints.pop_first();
        }
        Ok(Reply::Done)
    }
}

impl Session {
    /// Bytes of its stored checkpoints.
    pub(crate) fn checkpoint_bytes(&self) -> u64 {
        let sizes = self.roles.iter().flat_map(|role| role.checkpoints.values());
        sizes.map(|data| data.len() as u64).sum()
    }
}

/// The first `after` events of a history, and `steps` from there; `None` if it is shorter than `after`.
fn continued(history: &History, after: u64, steps: &[u16]) -> Option<History> {
    let known = history.steps.get(..usize::try_from(after).ok()?)?;
    Some(History { steps: [known, steps].concat() })
}

#[cfg(test)]
mod tests {
    use rekindle_protocol::image::{Image, Machine, State, StateId};
    use rekindle_protocol::recovery::policy::Retention;
    use rekindle_protocol::recovery::table::{Policy, recovery_table};

    use super::*;
    use crate::StateMachine;
    use crate::command::{Command, Entry};
    use crate::ids::{AgentId, AgentInstance, EntryTime, NodeId, RecoveryNumber, SessionId};
    use crate::protocols::protocol_id;
    use crate::spec::{RestartBudget, RoleSpec, SessionSpec};

    fn apply(machine: &mut StateMachine, command: Command) -> Reply {
        machine.apply(&Entry { time: EntryTime(1), proposer: NodeId(1), request: None, command }).reply
    }

    /// One role that does nothing, in mode `checkpoint`, running.
    fn running() -> StateMachine {
        let end = Machine { initial: StateId(0), states: vec![State { name: "end".to_owned(), edges: Vec::new() }] };
        let image = Image { name: "P".to_owned(), roles: vec!["A".to_owned()], machines: vec![end] };
        let protocol = protocol_id(&image);
        let table = recovery_table(&image, &Policy { retention: Retention::Retained, modes: vec![Mode::Checkpoint] });
        let role = RoleSpec {
            mode: Mode::Checkpoint,
            command: vec!["worker".to_owned()],
            environment: std::collections::BTreeMap::new(),
            agent: None,
            stall_timeout_ms: None,
        };
        let budget = RestartBudget { max_restarts: 0, window_ms: 0 };
        let spec = SessionSpec { retention: Retention::Retained, roles: vec![role], budget, folder: String::new() };
        let (session, agent) = (SessionId("s".to_owned()), AgentId("a".to_owned()));
        let mut machine = StateMachine::default();
        apply(&mut machine, Command::RegisterProtocol { image });
        let address = "host:1".to_owned();
        apply(&mut machine, Command::RegisterAgent { agent, instance: AgentInstance(1), address });
        apply(&mut machine, Command::StartSession { session: session.clone(), protocol, spec, table });
        let (role, incarnation, recovery) = (RoleId(0), Incarnation(1), RecoveryNumber(0));
        apply(&mut machine, Command::AcknowledgeRestore { session, role, incarnation, recovery });
        machine
    }

    fn save(machine: &mut StateMachine, bytes: usize) -> Reply {
        let (session, role, incarnation) = (SessionId("s".to_owned()), RoleId(0), Incarnation(1));
        let data = vec![0; bytes];
        apply(machine, Command::StoreCheckpoint { session, role, incarnation, after: 0, steps: Vec::new(), data })
    }

    #[test]
    fn the_bytes_of_all_checkpoints_are_limited() {
        let mut machine = running();
        assert_eq!(save(&mut machine, 10), Reply::Done);
        assert_eq!(machine.index.checkpoint_bytes, 10);
        // As if other sessions held almost all that is allowed.
        machine.index.checkpoint_bytes += limits::CHECKPOINT_TOTAL_BYTES - 30;
        assert!(matches!(save(&mut machine, 21), Reply::Rejected(Rejection::Limit { .. })));
        assert_eq!(save(&mut machine, 20), Reply::Done);
    }
}
