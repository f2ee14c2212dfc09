//! The state, and how an entry changes it.

use std::collections::{BTreeMap, VecDeque};

use rekindle_protocol::image::Image;
use serde::{Deserialize, Serialize};

use crate::agents::Agent;
use crate::clients::Clients;
use crate::command::{Command, Entry, Rejection, Reply};
use crate::effect::Effect;
use crate::ids::{AgentId, EntryTime, NodeId, ProtocolId, SessionId};
use crate::index::Index;
use crate::limits;
use crate::protocols;
use crate::recovery::Report;
use crate::session::Session;
use crate::sessions::{self, Launch};
use crate::turn::Turn;

/// The whole replicated state.
///
/// Built from nothing with [`StateMachine::default`], or from a snapshot with [`StateMachine::restore`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StateMachine {
    pub(crate) state: State,
    /// Derived from `state`, never stored.
    pub(crate) index: Index,
}

/// What a snapshot holds.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The greatest entry time so far.
    pub(crate) time: EntryTime,
    pub(crate) protocols: BTreeMap<ProtocolId, Image>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// Ended sessions, in the order of their ends.
    pub(crate) ended: VecDeque<SessionId>,
    pub(crate) agents: BTreeMap<AgentId, Agent>,
    pub(crate) clients: Clients,
}

/// What applying an entry gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The answer to whoever proposed the command.
    pub reply: Reply,
    /// Work for the leader, in order. Followers drop it.
    pub effects: Vec<Effect>,
}

/// The entry that is being applied, without its command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) time: EntryTime,
    pub(crate) proposer: NodeId,
}

impl StateMachine {
    /// Applies the next entry of the log.
    pub fn apply(&mut self, entry: &Entry) -> Applied {
        self.state.time = self.state.time.max(entry.time);
        let moment = Moment { time: self.state.time, proposer: entry.proposer };
        self.state.clients.expire(moment.time);
        if let Some(reply) = entry.request.and_then(|request| self.state.clients.answer(request)) {
            return Applied { reply, effects: Vec::new() };
        }
        let mut effects = Vec::new();
        let reply = match self.execute(moment, &entry.command, &mut effects) {
            Ok(reply) => reply,
            Err(rejection) => Reply::Rejected(rejection),
        };
        if let Some(request) = entry.request {
            self.state.clients.remember(request, moment.time, reply.clone());
        }
        Applied { reply, effects }
    }

    fn execute(&mut self, moment: Moment, command: &Command, effects: &mut Vec<Effect>) -> Result<Reply, Rejection> {
        match command {
            Command::RegisterProtocol { image } => self.register_protocol(image),
            Command::StartSession { session, protocol, spec, table } => {
                self.start_session(moment, &Launch { session, protocol, spec, table }, effects)
            }
            Command::CancelSession { session } => self.turn(moment, session, effects, |turn| {
                turn.cancel()?;
                Ok(Reply::Done)
            })?,
            Command::RegisterAgent { agent, instance, address } => {
                let agent =
                    Agent { id: agent.clone(), instance: *instance, address: address.clone(), registered: moment.time };
                self.register_agent(moment, agent, effects)
            }
            Command::ExpireAgent { agent, instance } => self.expire_agent(moment, agent, *instance, effects),
            Command::ReportFailure { session, role, incarnation, kind, cause, history, age_ms } => {
                let report = Report { role: *role, incarnation: *incarnation, history };
                let detected = EntryTime(moment.time.0.saturating_sub(*age_ms));
                self.turn(moment, session, effects, |turn| turn.report_failure(report, *kind, cause, detected))?
            }
            Command::ReportPosition { session, role, incarnation, recovery, history } => {
                let report = Report { role: *role, incarnation: *incarnation, history };
                self.turn(moment, session, effects, |turn| turn.report_position(report, *recovery))?
            }
            Command::AcknowledgeRestore { session, role, incarnation, recovery } => {
                self.turn(moment, session, effects, |turn| turn.acknowledge(*role, *incarnation, *recovery))?
            }
            Command::FinishRole { session, role, incarnation, history } => {
                let report = Report { role: *role, incarnation: *incarnation, history };
                self.turn(moment, session, effects, |turn| turn.finish(report))?
            }
            Command::StoreCheckpoint { session, role, incarnation, after, steps, data } => {
                self.turn(moment, session, effects, |turn| {
                    turn.store_checkpoint(*role, *incarnation, (*after, steps), data)
                })?
            }
        }
    }

    fn register_protocol(&mut self, image: &Image) -> Result<Reply, Rejection> {
        let id = protocols::check(image)?;
        if let Some(known) = self.state.protocols.get(&id) {
            return if known == image {
                Ok(Reply::Protocol(id))
            } else {
                Err(Rejection::Invalid(format!("another protocol is known as `{id}`")))
            };
        }
        if self.state.protocols.len() >= limits::PROTOCOLS {
            return Err(limits::reached("protocols", limits::PROTOCOLS));
        }
        self.state.protocols.insert(id.clone(), image.clone());
        Ok(Reply::Protocol(id))
    }

    fn start_session(
        &mut self,
        moment: Moment,
        launch: &Launch<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, Rejection> {
        if let Some(existing) = self.state.sessions.get(launch.session) {
            let same = existing.protocol == *launch.protocol && existing.spec == *launch.spec;
            return if same { Ok(Reply::Done) } else { Err(Rejection::SessionExists(launch.session.clone())) };
        }
        let image = self
            .state
            .protocols
            .get(launch.protocol)
            .ok_or_else(|| Rejection::UnknownProtocol(launch.protocol.clone()))?;
        sessions::check(launch, image)?;
        if self.state.sessions.len() - self.state.ended.len() >= limits::SESSIONS {
            return Err(limits::reached("live sessions", limits::SESSIONS));
        }
        let id = launch.session.clone();
        self.state.sessions.insert(id.clone(), sessions::new_session(moment, launch, image));
        self.turn(moment, &id, effects, |turn| {
            turn.launch();
            Reply::Done
        })
    }

    /// Lets `act` work on one session, and keeps the index and the list of ended sessions right.
    pub(crate) fn turn<T>(
        &mut self,
        moment: Moment,
        id: &SessionId,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut Turn<'_>) -> T,
    ) -> Result<T, Rejection> {
        let state = &mut self.state;
        let unknown = || Rejection::UnknownSession(id.clone());
        let session = state.sessions.get_mut(id).ok_or_else(unknown)?;
        let image = state.protocols.get(&session.protocol).ok_or_else(unknown)?;
        let had_ended = session.has_ended();
        self.index.remove(session);
        let mut turn = Turn { moment, image, agents: &state.agents, index: &self.index, session, effects };
        let result = act(&mut turn);
        self.index.add(session);
        if session.has_ended() && !had_ended {
            state.ended.push_back(id.clone());
            self.forget_oldest_ended();
        }
        Ok(result)
    }

    fn forget_oldest_ended(&mut self) {
        if self.state.ended.len() <= limits::ENDED_SESSIONS {
            return;
        }
        let oldest = self.state.ended.pop_front().and_then(|id| self.state.sessions.remove(&id));
        if let Some(oldest) = oldest {
            self.index.remove(&oldest);
        }
    }
}

/// Queries. They read the state as of the last applied entry.
impl StateMachine {
    /// The greatest entry time so far.
    pub fn time(&self) -> EntryTime {
        self.state.time
    }

    /// Every registered protocol, by id.
    pub fn protocols(&self) -> impl Iterator<Item = (&ProtocolId, &Image)> {
        self.state.protocols.iter()
    }

    /// One registered protocol.
    pub fn protocol(&self, id: &ProtocolId) -> Option<&Image> {
        self.state.protocols.get(id)
    }

    /// Every session that is remembered, by id, ended ones too.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.state.sessions.values()
    }

    /// One session.
    pub fn session(&self, id: &SessionId) -> Option<&Session> {
        self.state.sessions.get(id)
    }

    /// Every agent that holds a lease, by id.
    pub fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.state.agents.values()
    }

    /// One agent, if it holds a lease.
    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.state.agents.get(id)
    }
}
