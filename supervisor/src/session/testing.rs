//! Protocols and orders for tests, here and in `tests/it`.

use std::collections::BTreeMap;

use rekindle_protocol::history::History;
use rekindle_protocol::image::{Action, Direction, Edge, Image, Machine, RoleId, State, StateId};
use rekindle_protocol::recovery::policy::{Mode, Retention};
use rekindle_statemachine::effect::{Floor, Goal, Order, Place, RestartOrder, Restore, RoleOrder};
use rekindle_statemachine::ids::{AgentId, Epoch, Generation, Incarnation, RecoveryNumber, SessionId};
use rekindle_statemachine::spec::{RestartBudget, RoleSpec, SessionSpec};

/// `(state name, [(event, next state)])`; an event is `peer!label` or `peer?label`.
type States<'a> = &'a [(&'a str, &'a [(&'a str, u32)])];

pub(crate) fn machine(roles: &[&str], states: States<'_>) -> Machine {
    let action = |event: &str| {
        let at = event.find(['!', '?']).expect("an event");
        let direction = if event.as_bytes()[at] == b'!' { Direction::Send } else { Direction::Receive };
        let peer = roles.iter().position(|role| *role == &event[..at]).expect("a role");
        Action {
            direction,
            peer: RoleId(u16::try_from(peer).expect("few")),
            label: event[at + 1..].to_owned(),
            payload: vec![],
        }
    };
    let edge = |(event, to): &(&str, u32)| Edge { action: action(event), to: StateId(*to) };
    let state = |(name, edges): &(&str, &[(&str, u32)])| State {
        name: (*name).to_owned(),
        edges: edges.iter().map(edge).collect(),
    };
    Machine { initial: StateId(0), states: states.iter().map(state).collect() }
}

pub(crate) fn image(name: &str, roles: &[&str], machines: &[States<'_>]) -> Image {
    Image {
        name: name.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        machines: machines.iter().map(|states| machine(roles, states)).collect(),
    }
}

/// `rec Next { choice at A { ping from A to B; pong from B to A; continue Next; } or { done from A to B; } }`
pub(crate) fn ping_pong() -> Image {
    image(
        "PingPong",
        &["A", "B"],
        &[
            &[("1|3", &[("B!ping", 1), ("B!done", 2)]), ("2", &[("B?pong", 0)]), ("end", &[])],
            &[("1|3", &[("A?ping", 1), ("A?done", 2)]), ("2", &[("A!pong", 0)]), ("end", &[])],
        ],
    )
}

/// Of the sessions of all plans.
pub(crate) const GENERATION: Generation = Generation(5);

pub(crate) fn session_id() -> SessionId {
    SessionId("s1".to_owned())
}

/// What the state machine knows of a session, enough to write orders.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) image: Image,
    pub(crate) spec: SessionSpec,
    pub(crate) revision: u64,
    pub(crate) recovery: u32,
    pub(crate) places: Vec<Place>,
    pub(crate) roles: Vec<RoleOrder>,
}

impl Plan {
    /// Every role on the agent of its name in `agents`, launched.
    pub(crate) fn launch(image: Image, mode: Mode, retention: Retention, agents: &[&str]) -> Self {
        let count = image.roles.len();
        let role = RoleSpec {
            mode,
            command: vec!["worker".to_owned()],
            environment: BTreeMap::new(),
            agent: None,
            stall_timeout_ms: None,
        };
        let spec = SessionSpec {
            retention,
            roles: vec![role; count],
            budget: RestartBudget { max_restarts: 10, window_ms: 1000 },
            folder: "/tmp".to_owned(),
        };
        let place = |agent: &&str| Place { agent: AgentId((*agent).to_owned()), address: format!("{agent}:1") };
        let places = agents.iter().map(place).collect();
        let roles = agents
            .iter()
            .map(|_| RoleOrder {
                incarnation: Incarnation(1),
                restart: Some(RestartOrder {
                    history: History::default(),
                    base: 0,
                    checkpoint: None,
                    sent: vec![0; count],
                    received: vec![0; count],
                }),
                floors: vec![],
            })
            .collect();
        Plan { image, spec, revision: 1, recovery: 0, places, roles }
    }

    /// The current `Restore`.
    pub(crate) fn order(&self) -> Order {
        let restore = Restore {
            recovery: RecoveryNumber(self.recovery),
            image: self.image.clone(),
            spec: self.spec.clone(),
            roles: self.roles.clone(),
        };
        self.goal(Goal::Restore(Box::new(restore)))
    }

    /// The next recovery: these roles restart with these events, from these bases.
    pub(crate) fn recover(&mut self, restarts: &[(RoleId, History, u64)]) -> Order {
        self.revision += 1;
        self.recovery += 1;
        for role in &mut self.roles {
            role.restart = None;
        }
        for (id, history, base) in restarts {
            let (sent, received) = self.counts(*id, history);
            let role = &mut self.roles[id.index()];
            role.incarnation.0 += 1;
            role.floors.push(Floor { incarnation: role.incarnation, sent: sent.clone() });
            role.restart =
                Some(RestartOrder { history: history.clone(), base: *base, checkpoint: None, sent, received });
        }
        self.order()
    }

    /// An order with the next revision.
    pub(crate) fn next(&mut self, goal: Goal) -> Order {
        self.revision += 1;
        self.goal(goal)
    }

    pub(crate) fn freeze(&mut self, roles: &[RoleId]) -> Order {
        self.next(Goal::Freeze { recovery: RecoveryNumber(self.recovery + 1), roles: roles.to_vec() })
    }

    fn goal(&self, goal: Goal) -> Order {
        Order {
            session: session_id(),
            generation: GENERATION,
            epoch: Epoch(u64::from(self.recovery) + 1),
            revision: self.revision,
            places: self.places.clone(),
            goal,
        }
    }

    fn counts(&self, id: RoleId, history: &History) -> (Vec<u64>, Vec<u64>) {
        let count = self.image.roles.len();
        let (mut sent, mut received) = (vec![0; count], vec![0; count]);
        for step in history.walk(&self.image.machines[id.index()]) {
            let (action, _) = step.expect("a path");
            match action.direction {
                Direction::Send => sent[action.peer.index()] += 1,
                Direction::Receive => received[action.peer.index()] += 1,
            }
        }
        (sent, received)
    }
}
