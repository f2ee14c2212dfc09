//! What a snapshot holds.

use std::collections::{BTreeMap, VecDeque};

use rekindle_protocol::image::Image;
use serde::{Deserialize, Serialize};

use crate::agents::Agent;
use crate::clients::Clients;
use crate::ids::{AgentId, EntryTime, ProtocolId, SessionId};
use crate::limits;
use crate::protocols;
use crate::session::Session;
use crate::shared::Shared;

/// The whole replicated state. A clone shares what is large: it costs as much as there are sessions and protocols.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The greatest entry time so far.
    pub(crate) time: EntryTime,
    pub(crate) protocols: BTreeMap<ProtocolId, Shared<Image>>,
    pub(crate) sessions: BTreeMap<SessionId, Shared<Session>>,
    /// Ended sessions, in the order of their ends.
    pub(crate) ended: VecDeque<SessionId>,
    pub(crate) agents: BTreeMap<AgentId, Agent>,
    pub(crate) clients: Shared<Clients>,
}

impl State {
    /// What does not hold together in a state that was read, if something does not.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (id, image) in &self.protocols {
            let found = protocols::check(image).map_err(|rejection| rejection.to_string())?;
            if found != *id {
                return Err(format!("protocol `{id}` is `{found}`"));
            }
        }
        if self.agents.iter().any(|(id, agent)| agent.id != *id) {
            return Err("an agent under another name".to_owned());
        }
        for (id, session) in &self.sessions {
            if session.id != *id || !self.is_sound(session) {
                return Err(format!("session `{id}` does not hold together"));
            }
        }
        let ended = self.sessions.values().filter(|session| session.has_ended()).count();
        let listed = self.ended.iter().filter_map(|id| self.sessions.get(id)).filter(|session| session.has_ended());
        if ended != self.ended.len() || ended != listed.count() || ended > limits::ENDED_SESSIONS {
            return Err("the list of ended sessions is wrong".to_owned());
        }
        if !self.clients.is_sound() {
            return Err("the client table does not hold together".to_owned());
        }
        Ok(())
    }

    /// Whether a session's invariants hold.
    pub(crate) fn is_sound(&self, session: &Session) -> bool {
        let image = self.protocols.get(&session.protocol);
        image.is_some_and(|image| session.is_sound(image, |agent| self.agents.contains_key(agent)))
    }
}
