//! What version 0.1 wrote into logs and snapshots, to be read and never written.
//!
//! Whoever replays such a log comes to the same state as whoever begins with a snapshot of it, to the byte: so what is read
//! here keeps the meaning that it had. Reports did not name a generation, nor acknowledgements an order, and a session stated its open recovery in two places.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Image, RoleId};
use rekindle_protocol::recovery::line::RecoveryLine;
use rekindle_protocol::recovery::policy::FailureKind;
use rekindle_protocol::recovery::table::RecoveryTable;
use serde::Deserialize;

use crate::agents::Agent;
use crate::clients::Clients;
use crate::command::{self, FailureCause, Outcome};
use crate::events::SessionEvent;
use crate::ids::{
    AgentId, AgentInstance, EntryTime, Epoch, Generation, Incarnation, NodeId, ProtocolId, RecoveryNumber, RequestId,
    SessionId,
};
use crate::recovery::{self, Acknowledged, Decision, Ending, FailedRole, Gathering, Opening, Restoring, Scope};
use crate::session::{self, Role};
use crate::shared::Shared;
use crate::spec::SessionSpec;
use crate::state;

/// The version byte of entries and of snapshots.
pub(super) const VERSION: u8 = 1;

/// An entry of the log.
#[derive(Deserialize)]
pub(super) struct Entry {
    time: EntryTime,
    proposer: NodeId,
    request: Option<RequestId>,
    command: Command,
}

#[derive(Deserialize)]
enum Command {
    RegisterProtocol {
        image: Image,
    },
    StartSession {
        session: SessionId,
        protocol: ProtocolId,
        spec: SessionSpec,
        table: RecoveryTable,
    },
    CancelSession {
        session: SessionId,
    },
    RegisterAgent {
        agent: AgentId,
        instance: AgentInstance,
        address: String,
    },
    ExpireAgent {
        agent: AgentId,
        instance: AgentInstance,
    },
    ReportFailure {
        session: SessionId,
        role: RoleId,
        incarnation: Incarnation,
        kind: FailureKind,
        cause: FailureCause,
        history: History,
        age_ms: u64,
    },
    ReportPosition {
        session: SessionId,
        role: RoleId,
        incarnation: Incarnation,
        recovery: RecoveryNumber,
        history: History,
    },
    AcknowledgeRestore {
        session: SessionId,
        role: RoleId,
        incarnation: Incarnation,
        recovery: RecoveryNumber,
    },
    FinishRole {
        session: SessionId,
        role: RoleId,
        incarnation: Incarnation,
        history: History,
    },
    StoreCheckpoint {
        session: SessionId,
        role: RoleId,
        incarnation: Incarnation,
        after: u64,
        steps: Vec<u16>,
        data: Vec<u8>,
    },
}

impl From<Entry> for command::Entry {
    fn from(old: Entry) -> Self {
        let Entry { time, proposer, request, command } = old;
        command::Entry { time, proposer, request, command: command.into() }
    }
}

impl From<Command> for command::Command {
    fn from(old: Command) -> Self {
        use command::Command as New;
        let generation = Generation::UNNAMED;
        match old {
            Command::RegisterProtocol { image } => New::RegisterProtocol { image },
            Command::StartSession { session, protocol, spec, table } => {
                New::StartSession { session, protocol, spec, table, generation: Some(Generation::BEFORE) }
            }
            Command::CancelSession { session } => New::CancelSession { session },
            Command::RegisterAgent { agent, instance, address } => New::RegisterAgent { agent, instance, address },
            Command::ExpireAgent { agent, instance } => New::ExpireAgent { agent, instance },
            Command::ReportFailure { session, role, incarnation, kind, cause, history, age_ms } => {
                New::ReportFailure { session, generation, role, incarnation, kind, cause, history, age_ms }
            }
            Command::ReportPosition { session, role, incarnation, recovery, history } => {
                New::ReportPosition { session, generation, role, incarnation, recovery, history }
            }
            Command::AcknowledgeRestore { session, role, incarnation, recovery } => {
                New::AcknowledgeRestore { session, generation, role, incarnation, recovery, revision: None }
            }
            Command::FinishRole { session, role, incarnation, history } => {
                New::FinishRole { session, generation, role, incarnation, history }
            }
            Command::StoreCheckpoint { session, role, incarnation, after, steps, data } => {
                New::StoreCheckpoint { session, generation, role, incarnation, after, steps, data }
            }
        }
    }
}

/// A snapshot.
#[derive(Deserialize)]
pub(super) struct State {
    time: EntryTime,
    protocols: BTreeMap<ProtocolId, Image>,
    sessions: BTreeMap<SessionId, Session>,
    ended: VecDeque<SessionId>,
    agents: BTreeMap<AgentId, Agent>,
    clients: Clients,
}

#[derive(Deserialize)]
struct Session {
    id: SessionId,
    protocol: ProtocolId,
    spec: SessionSpec,
    started: EntryTime,
    phase: Phase,
    epoch: Epoch,
    revision: u64,
    roles: Vec<Role>,
    recoveries: VecDeque<Recovery>,
    events: VecDeque<SessionEvent>,
    failures: Vec<EntryTime>,
    table: Option<RecoveryTable>,
    orders: BTreeMap<AgentId, Standing>,
}

#[derive(Deserialize)]
enum Phase {
    Gathering,
    Restoring,
    Running,
    Ended { outcome: Outcome, reason: Option<String>, time: EntryTime },
}

#[derive(Deserialize)]
struct Recovery {
    number: RecoveryNumber,
    epoch: Epoch,
    scope: Scope,
    stage: Stage,
    failed: Vec<FailedRole>,
    frozen: Vec<RoleId>,
    widened: Vec<RoleId>,
    line: Option<RecoveryLine>,
    acknowledged: BTreeSet<RoleId>,
    detected: EntryTime,
    opened: EntryTime,
    decided: Option<EntryTime>,
    resumed: Option<EntryTime>,
    opened_by: NodeId,
    decided_by: Option<NodeId>,
    resumed_by: Option<NodeId>,
    positions: BTreeMap<RoleId, History>,
}

#[derive(Clone, Copy, Deserialize)]
enum Stage {
    Gathering,
    Restoring,
    Resumed,
    Superseded,
    Abandoned,
}

#[derive(Deserialize)]
struct Standing {
    revision: u64,
    epoch: Epoch,
    goal: Goal,
}

#[derive(Deserialize)]
enum Goal {
    Freeze(Vec<RoleId>),
    Restore,
    Run,
    End,
}

impl TryFrom<State> for state::State {
    type Error = String;

    fn try_from(old: State) -> Result<Self, String> {
        let State { time, protocols, sessions, ended, agents, clients } = old;
        let session = |(id, old): (SessionId, Session)| {
            let session = session::Session::try_from(old).map_err(|what| format!("session `{id}`: {what}"))?;
            Ok((id, Shared::new(session)))
        };
        let sessions = sessions.into_iter().map(session).collect::<Result<_, String>>()?;
        let protocols = protocols.into_iter().map(|(id, image)| (id, Shared::new(image))).collect();
        Ok(state::State { time, protocols, sessions, ended, agents, clients: Shared::new(clients) })
    }
}

impl TryFrom<Session> for session::Session {
    type Error = String;

    fn try_from(old: Session) -> Result<Self, String> {
        let mut past = old.recoveries;
        let mut open = || past.pop_back().ok_or_else(|| "its open recovery is missing".to_owned());
        let phase = match old.phase {
            Phase::Gathering => session::Phase::Gathering(Box::new(open()?.gathering())),
            Phase::Restoring => session::Phase::Restoring(Box::new(open()?.restoring()?)),
            Phase::Running => session::Phase::Running,
            Phase::Ended { outcome, reason, time } => session::Phase::Ended { outcome, reason, time },
        };
        let standing = |Standing { revision, epoch, goal }| {
            let asked = match goal {
                Goal::Freeze(roles) => Some(roles),
                Goal::Restore | Goal::Run | Goal::End => None,
            };
            session::Standing { revision, epoch, asked }
        };
        Ok(session::Session {
            id: old.id,
            generation: Generation::BEFORE,
            protocol: old.protocol,
            spec: old.spec,
            started: old.started,
            phase,
            epoch: old.epoch,
            revision: old.revision,
            roles: old.roles,
            events: old.events,
            failures: old.failures,
            past: past.into_iter().map(recovery::Recovery::try_from).collect::<Result<_, _>>()?,
            table: old.table,
            orders: old.orders.into_iter().map(|(agent, order)| (agent, standing(order))).collect(),
        })
    }
}

impl Recovery {
    fn split(self) -> (Opening, Option<Decision>) {
        let decided = self.line.zip(self.decided).zip(self.decided_by);
        let opening = Opening {
            number: self.number,
            epoch: self.epoch,
            scope: self.scope,
            failed: self.failed,
            frozen: self.frozen,
            widened: self.widened,
            detected: self.detected,
            opened: self.opened,
            opened_by: self.opened_by,
        };
        (opening, decided.map(|((line, time), by)| Decision { line, time, by }))
    }

    fn gathering(mut self) -> Gathering {
        let positions = std::mem::take(&mut self.positions);
        Gathering { opening: self.split().0, positions }
    }

    fn restoring(mut self) -> Result<Restoring, String> {
        let acknowledged = std::mem::take(&mut self.acknowledged).into_iter();
        let acknowledged = acknowledged.map(|role| (role, Acknowledged::Unnamed)).collect();
        let (opening, decision) = self.split();
        let decision = decision.ok_or("its decision is missing")?;
        Ok(Restoring { opening, decision, acknowledged })
    }
}

impl TryFrom<Recovery> for recovery::Recovery {
    type Error = String;

    fn try_from(old: Recovery) -> Result<Self, String> {
        let (stage, resumed) = (old.stage, old.resumed.zip(old.resumed_by));
        let (opening, decision) = old.split();
        let ending = match stage {
            Stage::Resumed => {
                let (decision, (time, by)) = decision.zip(resumed).ok_or("a recovery of it is incomplete")?;
                Ending::Resumed { decision, time, by }
            }
            Stage::Superseded => Ending::Superseded { decision },
            Stage::Abandoned => Ending::Abandoned { decision },
            Stage::Gathering | Stage::Restoring => return Err("a recovery of the past is open".to_owned()),
        };
        Ok(recovery::Recovery { opening, ending })
    }
}
