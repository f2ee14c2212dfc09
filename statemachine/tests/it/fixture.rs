//! A state machine under test, checked after every entry.

use std::collections::BTreeMap;

use rekindle_protocol::recovery::line::RecoveryLine;
use rekindle_statemachine::codec::{decode_entry, encode_entry};
use rekindle_statemachine::command::{Command, Entry, Reply};
use rekindle_statemachine::effect::{Effect, Goal, Order, Place};
use rekindle_statemachine::ids::{AgentId, EntryTime, Generation, NodeId, RequestId, SessionId};
use rekindle_statemachine::recovery::FailedRole;
use rekindle_statemachine::session::{Phase, Session};
use rekindle_statemachine::{Applied, StateMachine};

/// Applies entries and checks what must hold after each.
#[derive(Default)]
pub(crate) struct Fixture {
    pub(crate) machine: StateMachine,
    pub(crate) time: u64,
    pub(crate) node: u64,
    pub(crate) log: Vec<Entry>,
    /// The last order sent to each agent, by session.
    sent: BTreeMap<(AgentId, SessionId), Order>,
    /// Every decision made.
    decided: BTreeMap<(SessionId, Generation, u32), (RecoveryLine, Vec<FailedRole>)>,
}

impl Fixture {
    pub(crate) fn apply(&mut self, command: Command) -> Applied {
        self.apply_request(command, None)
    }

    pub(crate) fn apply_request(&mut self, command: Command, request: Option<RequestId>) -> Applied {
        let entry = Entry { time: EntryTime(self.time), proposer: NodeId(self.node), request, command };
        assert_eq!(decode_entry(&encode_entry(&entry)).as_ref(), Ok(&entry));
        let before = self.machine.snapshot();
        let applied = self.machine.apply(self.next_index(), &entry);
        self.log.push(entry);
        if matches!(applied.reply, Reply::Rejected(_)) {
            assert!(applied.effects.is_empty(), "a refused command has no effects");
            self.check_unchanged(&before);
        }
        self.check_snapshot();
        self.check_outstanding(&applied.effects);
        self.check_decisions();
        applied
    }

    /// The first entries of a log are no client's.
    fn next_index(&self) -> u64 {
        self.log.len() as u64 + 2
    }

    pub(crate) fn session(&self, id: &str) -> &Session {
        self.machine.session(&SessionId(id.to_owned())).expect("a session of that name")
    }

    /// A refused command changes no session, agent or protocol.
    fn check_unchanged(&self, before: &[u8]) {
        let before = StateMachine::restore(before).expect("a snapshot restores");
        assert!(before.sessions().eq(self.machine.sessions()));
        assert!(before.agents().eq(self.machine.agents()));
        assert!(before.protocols().eq(self.machine.protocols()));
    }

    /// A snapshot holds everything, what is derived included.
    fn check_snapshot(&self) {
        let bytes = self.machine.snapshot();
        let restored = StateMachine::restore(&bytes).expect("a snapshot restores");
        assert_eq!(restored, self.machine);
        assert_eq!(restored.snapshot(), bytes);
        assert_eq!(restored.digest(), self.machine.digest());
    }

    /// A new leader would send exactly the last order again, to every agent and for every session.
    fn check_outstanding(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Send { agent, order } => {
                    let key = (agent.clone(), order.session.clone());
                    if let Some(earlier) = self.sent.insert(key, order.clone()) {
                        let (before, after) = (&earlier, &order);
                        assert!(before.generation <= after.generation, "generations grow");
                        let same = before.generation == after.generation;
                        assert!(!same || before.revision < after.revision, "revisions grow");
                        assert!(!same || before.epoch <= after.epoch, "epochs do not shrink");
                    }
                }
                Effect::Dismiss { agent, .. } => self.sent.retain(|(known, _), _| known != agent),
            }
        }
        let remembered = |session: &SessionId| self.machine.session(session).is_some();
        self.sent.retain(|(_, session), _| remembered(session));
        for agent in self.machine.agents() {
            // Where the roles are is said as it is now, which may be better than it was when the order was sent.
            let without = |order: &Order| Order { places: Vec::new(), ..order.clone() };
            let sent = self.sent.iter().filter(|((known, _), _)| *known == agent.id).map(|(_, order)| without(order));
            let outstanding = self.machine.outstanding(&agent.id);
            assert_eq!(outstanding.iter().map(without).collect::<Vec<_>>(), sent.collect::<Vec<_>>());
            for order in &outstanding {
                self.check_places(order);
            }
        }
        for session in self.machine.sessions().filter(|session| !session.has_ended()) {
            for agent in session.roles.iter().filter_map(|role| role.agent.as_ref()) {
                let order =
                    self.sent.get(&(agent.clone(), session.id.clone())).expect("an order for whoever has a role");
                let fits = match order.goal {
                    Goal::Freeze { .. } => matches!(session.phase, Phase::Gathering(_)),
                    Goal::Restore(_) => matches!(session.phase, Phase::Restoring(_)),
                    Goal::Run => matches!(session.phase, Phase::Running | Phase::Gathering(_)),
                    Goal::End => false,
                };
                assert!(fits, "{:?} under {:?}", session.phase, order.goal);
            }
        }
    }

    /// The last order alone is enough to act on: whatever it wants, it says where everybody is.
    fn check_places(&self, order: &Order) {
        let session = self.machine.session(&order.session).expect("the session of an order");
        let place = |agent: &Option<AgentId>| {
            let agent = self.machine.agent(agent.as_ref()?)?;
            Some(Place { agent: agent.id.clone(), address: agent.address.clone() })
        };
        let places: Vec<Place> = session.roles.iter().map(|role| place(&role.agent).unwrap_or_default()).collect();
        assert_eq!(order.places, if session.has_ended() { Vec::new() } else { places });
    }

    /// A decision never changes.
    fn check_decisions(&mut self) {
        for session in self.machine.sessions() {
            for recovery in session.recoveries() {
                let Some(decision) = recovery.decision else { continue };
                let key = (session.id.clone(), session.generation, recovery.opening.number.0);
                let decision = (decision.line.clone(), recovery.opening.failed.clone());
                assert_eq!(*self.decided.entry(key).or_insert_with(|| decision.clone()), decision);
            }
        }
    }
}
