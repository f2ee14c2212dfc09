//! The state machine: which rule an entry calls, on what, and what is kept of it besides.
//!
//! Cost of an entry: a command about one session costs what that session's size says, whatever else the state holds. A new
//! or lost agent costs its sessions and those that wait for an agent; a deletion of a protocol looks at each session once.

use rekindle_protocol::image::Image;

use crate::agents::{Agent, Awaited, Owed, check_agent};
use crate::command::{Command, Entry, Rejection, Reply};
use crate::effect::{Effect, Order};
use crate::ids::{AgentId, AgentInstance, EntryTime, Generation, ProtocolId, SessionId};
use crate::index::Index;
use crate::limits;
use crate::protocols;
use crate::rules::scene::{Moment, Process, Report, Scene};
use crate::rules::start::Launch;
use crate::rules::{
    acknowledgement, agent_loss, cancel, checkpoint, failure, finish, orders, placement, position, start,
};
use crate::session::{Phase, Session};
use crate::shared::Shared;
use crate::state::State;

/// The whole replicated state.
///
/// Built from nothing with [`StateMachine::default`], or from a snapshot with [`StateMachine::restore`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StateMachine {
    pub(crate) state: State,
    /// Derived from `state`, never stored.
    pub(crate) index: Index,
}

/// What applying an entry gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The answer to whoever proposed the command.
    pub reply: Reply,
    /// Work for the leader, in order. Followers drop it.
    pub effects: Vec<Effect>,
}

impl StateMachine {
    /// Applies the next entry of the log, which is the one at `index`.
    pub fn apply(&mut self, index: u64, entry: &Entry) -> Applied {
        self.state.time = self.state.time.max(entry.time);
        let moment = Moment { time: self.state.time, proposer: entry.proposer };
        self.state.clients.to_mut().expire(moment.time);
        if let Some(reply) = entry.request.and_then(|request| self.state.clients.answer(request)) {
            return Applied { reply, effects: Vec::new() };
        }
        let mut effects = Vec::new();
        let reply = match self.execute(moment, index, &entry.command, &mut effects) {
            Ok(reply) => reply,
            Err(rejection) => Reply::Rejected(rejection),
        };
        if let Some(request) = entry.request {
            self.state.clients.to_mut().remember(request, moment.time, reply.clone());
        }
        Applied { reply, effects }
    }

    fn execute(
        &mut self,
        moment: Moment,
        index: u64,
        command: &Command,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, Rejection> {
        match command {
            Command::RegisterProtocol { image } => self.register_protocol(image),
            Command::DeleteProtocol { protocol } => self.delete_protocol(protocol),
            Command::StartSession { session, protocol, spec, table, generation } => {
                let launch = Launch { session, protocol, spec, table, generation: *generation };
                self.start_session(moment, generation.unwrap_or(Generation(index)), &launch, effects)
            }
            Command::DeleteSession { session } => self.delete_session(session),
            Command::CancelSession { session } => {
                self.on(moment, session, |scene, session| cancel::cancel(scene, session, effects))
            }
            Command::RegisterAgent { agent, instance, address } => {
                let agent =
                    Agent { id: agent.clone(), instance: *instance, address: address.clone(), registered: moment.time };
                self.register_agent(moment, agent, effects)
            }
            Command::ExpireAgent { agent, instance } => self.expire_agent(moment, agent, *instance, effects),
            report => self.take_report(moment, report, effects),
        }
    }

    /// What an agent says of a role.
    fn take_report(
        &mut self,
        moment: Moment,
        command: &Command,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, Rejection> {
        let process = |&generation, &role, &incarnation| Process { generation, role, incarnation };
        match command {
            Command::ReportFailure { session, generation, role, incarnation, kind, cause, history, age_ms } => {
                let report = Report { process: process(generation, role, incarnation), history };
                let detected = EntryTime(moment.time.0.saturating_sub(*age_ms));
                let seen = failure::Seen { kind: *kind, cause, detected };
                self.on(moment, session, |scene, session| {
                    failure::report_failure(scene, session, report, &seen, effects)
                })
            }
            Command::ReportPosition { session, generation, role, incarnation, recovery, history } => {
                let report = Report { process: process(generation, role, incarnation), history };
                self.on(moment, session, |scene, session| {
                    position::report_position(scene, session, report, *recovery, effects)
                })
            }
            Command::AcknowledgeRestore { session, generation, role, incarnation, recovery, revision } => {
                let process = process(generation, role, incarnation);
                self.on(moment, session, |scene, session| {
                    acknowledgement::acknowledge(scene, session, process, *recovery, *revision, effects)
                })
            }
            Command::FinishRole { session, generation, role, incarnation, history } => {
                let report = Report { process: process(generation, role, incarnation), history };
                self.on(moment, session, |scene, session| finish::finish(scene, session, report, effects))
            }
            Command::StoreCheckpoint { session, generation, role, incarnation, after, steps, data } => {
                let process = process(generation, role, incarnation);
                let saved = checkpoint::Saved { after: *after, steps, data };
                self.on(moment, session, |scene, session| checkpoint::store_checkpoint(scene, session, process, &saved))
            }
            Command::RegisterProtocol { .. }
            | Command::DeleteProtocol { .. }
            | Command::StartSession { .. }
            | Command::DeleteSession { .. }
            | Command::CancelSession { .. }
            | Command::RegisterAgent { .. }
            | Command::ExpireAgent { .. } => unreachable!("handled by `execute`"),
        }
    }

    fn register_protocol(&mut self, image: &Image) -> Result<Reply, Rejection> {
        let id = protocols::check(image)?;
        if let Some(known) = self.state.protocols.get(&id) {
            return if **known == *image {
                Ok(Reply::Protocol(id))
            } else {
                Err(Rejection::Invalid(format!("another protocol is known as `{id}`")))
            };
        }
        if self.state.protocols.len() >= limits::PROTOCOLS {
            return Err(Rejection::limit("protocols", limits::PROTOCOLS));
        }
        self.state.protocols.insert(id.clone(), Shared::new(image.clone()));
        Ok(Reply::Protocol(id))
    }

    fn delete_protocol(&mut self, id: &ProtocolId) -> Result<Reply, Rejection> {
        if !self.state.protocols.contains_key(id) {
            return Err(Rejection::UnknownProtocol(id.clone()));
        }
        if let Some(user) = self.state.sessions.values().find(|session| session.protocol == *id) {
            return Err(Rejection::ProtocolInUse { protocol: id.clone(), session: user.id.clone() });
        }
        self.state.protocols.remove(id);
        Ok(Reply::Done)
    }

    fn start_session(
        &mut self,
        moment: Moment,
        generation: Generation,
        launch: &Launch<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, Rejection> {
        if let Some(existing) = self.state.sessions.get(launch.session) {
            return start::name_is_taken(existing, launch);
        }
        let image = self
            .state
            .protocols
            .get(launch.protocol)
            .ok_or_else(|| Rejection::UnknownProtocol(launch.protocol.clone()))?;
        start::check(launch, image)?;
        if self.state.sessions.len() - self.state.ended.len() >= limits::SESSIONS {
            return Err(Rejection::limit("live sessions", limits::SESSIONS));
        }
        // Version 0.1 had no such limit, and its log is to lead to the same state.
        let limited = launch.generation != Some(Generation::BEFORE);
        if limited
            && self.index.waiting.len() >= limits::WAITING_SESSIONS
            && placement::would_wait(&self.state.agents, launch.spec)
        {
            let what = "sessions that wait for a local supervisor";
            return Err(Rejection::limit(what, limits::WAITING_SESSIONS));
        }
        let session = start::new_session(moment, generation, launch, image);
        self.index.add(&session);
        self.state.sessions.insert(launch.session.clone(), Shared::new(session));
        self.on(moment, launch.session, |scene, session| {
            start::launch(scene, session, effects);
            Ok(Reply::Done)
        })
    }

    fn delete_session(&mut self, id: &SessionId) -> Result<Reply, Rejection> {
        let session = self.state.sessions.get(id).ok_or_else(|| Rejection::UnknownSession(id.clone()))?;
        if !session.has_ended() {
            return Err(Rejection::SessionLives(id.clone()));
        }
        self.state.ended.retain(|ended| ended != id);
        self.forget(id);
        Ok(Reply::Done)
    }

    /// Lets a rule work on one session, and keeps the index and the list of ended sessions right.
    fn on(
        &mut self,
        moment: Moment,
        id: &SessionId,
        rule: impl FnOnce(&Scene<'_>, &mut Session) -> Result<Reply, Rejection>,
    ) -> Result<Reply, Rejection> {
        let State { sessions, protocols, agents, .. } = &mut self.state;
        let unknown = || Rejection::UnknownSession(id.clone());
        let session = sessions.get_mut(id).ok_or_else(unknown)?.to_mut();
        let image = protocols.get(&session.protocol).ok_or_else(unknown)?;
        let had_ended = session.has_ended();
        self.index.remove(session);
        let result = rule(&Scene { moment, image, agents, index: &self.index }, session);
        self.index.add(session);
        debug_assert!(session.is_sound(image, |agent| agents.contains_key(agent)), "{session:?}");
        if session.has_ended() && !had_ended {
            self.state.ended.push_back(id.clone());
            if self.state.ended.len() > limits::ENDED_SESSIONS
                && let Some(oldest) = self.state.ended.pop_front()
            {
                self.forget(&oldest);
            }
        }
        result
    }

    /// Its agents were told to end it, or are told when they come back that it is not among what stands.
    fn forget(&mut self, id: &SessionId) {
        if let Some(session) = self.state.sessions.remove(id) {
            self.index.remove(&session);
        }
    }
}

/// Leases.
impl StateMachine {
    /// Whether an agent may begin a lease, as of the last applied entry. What is refused here need not be proposed.
    pub fn admits(&self, agent: &AgentId, instance: AgentInstance, address: &str) -> Result<(), Rejection> {
        check_agent(agent, address)?;
        match self.state.agents.get(agent) {
            Some(same) if same.instance == instance && same.address != address => {
                Err(Rejection::Invalid(format!("this run of agent `{agent}` is reached at {}", same.address)))
            }
            None if self.state.agents.len() >= limits::AGENTS => Err(Rejection::limit("agents", limits::AGENTS)),
            _ => Ok(()),
        }
    }

    /// Begins a lease. The same instance may ask again; another instance ends the lease of the one before.
    fn register_agent(&mut self, moment: Moment, agent: Agent, effects: &mut Vec<Effect>) -> Result<Reply, Rejection> {
        self.admits(&agent.id, agent.instance, &agent.address)?;
        let previous = self.state.agents.get(&agent.id).map(|previous| previous.instance);
        if previous == Some(agent.instance) {
            return Ok(Reply::Done);
        }
        let id = agent.id.clone();
        self.state.agents.insert(id.clone(), agent.clone());
        if let Some(instance) = previous {
            effects.push(Effect::Dismiss { agent: id.clone(), instance, superseded_by: Some(agent) });
            self.lose_roles(moment, &id, effects)?;
        }
        self.place_waiting(moment, effects)
    }

    /// Ends a lease.
    fn expire_agent(
        &mut self,
        moment: Moment,
        agent: &AgentId,
        instance: AgentInstance,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, Rejection> {
        if self.state.agents.get(agent).is_none_or(|known| known.instance != instance) {
            return Err(Rejection::UnknownAgent(agent.clone()));
        }
        self.state.agents.remove(agent);
        effects.push(Effect::Dismiss { agent: agent.clone(), instance, superseded_by: None });
        self.lose_roles(moment, agent, effects)
    }

    fn lose_roles(&mut self, moment: Moment, agent: &AgentId, effects: &mut Vec<Effect>) -> Result<Reply, Rejection> {
        let sessions: Vec<SessionId> = self.index.sessions_of(agent).cloned().collect();
        for session in sessions {
            self.on(moment, &session, |scene, session| {
                agent_loss::lose_agent(scene, session, agent, effects);
                Ok(Reply::Done)
            })?;
        }
        Ok(Reply::Done)
    }

    fn place_waiting(&mut self, moment: Moment, effects: &mut Vec<Effect>) -> Result<Reply, Rejection> {
        let sessions: Vec<SessionId> = self.index.waiting.iter().cloned().collect();
        for session in sessions {
            self.on(moment, &session, |scene, session| {
                placement::place_waiting(scene, session, effects);
                Ok(Reply::Done)
            })?;
        }
        Ok(Reply::Done)
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
        self.state.protocols.iter().map(|(id, image)| (id, &**image))
    }

    /// One registered protocol.
    pub fn protocol(&self, id: &ProtocolId) -> Option<&Image> {
        self.state.protocols.get(id).map(|image| &**image)
    }

    /// Every session that is remembered, by id, ended ones too.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.state.sessions.values().map(|session| &**session)
    }

    /// One session.
    pub fn session(&self, id: &SessionId) -> Option<&Session> {
        self.state.sessions.get(id).map(|session| &**session)
    }

    /// Every agent that holds a lease, by id.
    pub fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.state.agents.values()
    }

    /// One agent, if it holds a lease.
    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.state.agents.get(id)
    }

    /// Everything that an agent is to make true: exactly one order for each session that it takes part in, by session.
    ///
    /// An ended session is in the list, with the goal [`Goal::End`](crate::effect::Goal::End), as long as it is remembered
    /// and the agent keeps its lease. The list is complete: what an agent still has of any other session is over and may
    /// be forgotten.
    pub fn outstanding(&self, agent: &AgentId) -> Vec<Order> {
        let order = |id| {
            let session = self.state.sessions.get(id)?;
            let image = self.state.protocols.get(&session.protocol)?;
            orders::standing_order(session, image, &self.state.agents, agent)
        };
        self.index.sessions_of(agent).filter_map(order).collect()
    }

    /// What open recoveries wait for: who owes it, and since when.
    pub fn awaited(&self) -> Vec<Awaited> {
        let sessions = self.index.unsettled.iter().filter_map(|id| self.state.sessions.get(id));
        sessions.flat_map(|session| self.awaited_by(session)).collect()
    }

    fn awaited_by(&self, session: &Session) -> Vec<Awaited> {
        let (recovery, what, since, roles): (_, _, _, Vec<_>) = match &session.phase {
            Phase::Gathering(open) => {
                (open.opening.number, Owed::Positions, open.opening.opened, open.awaited().collect())
            }
            Phase::Restoring(open) => {
                let missing = session.numbered_roles().map(|(role, _)| role);
                let missing = missing.filter(|role| !open.has_acknowledged(*role, session.revision));
                (open.opening.number, Owed::Acknowledgements, open.decision.time, missing.collect())
            }
            Phase::Running | Phase::Ended { .. } => return Vec::new(),
        };
        let mut awaited: Vec<Awaited> = Vec::new();
        for role in roles {
            // Nobody owes anything for a role that waits for an agent.
            let agent = session.role(role).and_then(|role| role.agent.as_ref());
            let Some(agent) = agent.and_then(|agent| self.state.agents.get(agent)) else { continue };
            if let Some(known) = awaited.iter_mut().find(|known| known.agent == agent.id) {
                known.roles.push(role);
                continue;
            }
            awaited.push(Awaited {
                agent: agent.id.clone(),
                instance: agent.instance,
                session: session.id.clone(),
                generation: session.generation,
                recovery,
                revision: session.revision,
                roles: vec![role],
                what,
                since,
            });
        }
        awaited
    }
}
