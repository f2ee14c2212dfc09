//! The link to the cluster: one stream to the leader, whoever that is.
//!
//! Invariants
//! * a report is sent again, under the same request id, on every new stream until it is answered;
//! * the orders that follow the answer to `hello` are all that stand: a session without one is over for this agent;
//! * no worker runs without a lease: before it ends unrenewed, every worker is killed and every session forgotten, and
//!   the agent goes on as a new instance, which owns nothing;
//! * an agent whose name another process took over ends.

mod endpoints;
mod lease;
mod pending;

use std::collections::HashSet;

use rekindle_proto::payload::{decode_order, decode_reply};
use rekindle_proto::secret::{ClusterSecret, Credential};
use rekindle_proto::v1;
use rekindle_proto::v1::agent_message::Kind as Say;
use rekindle_proto::v1::node_message::Kind as Hear;
use rekindle_statemachine::command::{Rejection, Reply};
use rekindle_statemachine::effect::Order;
use rekindle_statemachine::ids::{AgentId, AgentInstance, NodeId, SessionId};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::agent::AgentError;
use crate::local_event::{EventHook, LocalEvent};
use crate::session::input::Control;
use crate::session::{Report, Wanted};
use crate::sessions::Sessions;
use endpoints::{Attached, Endpoints};
use lease::Lease;
use pending::Pending;

/// Reports that wait for their answers; past that, sessions keep theirs.
const MOST_PENDING: usize = 4096;

/// See the head of the file.
pub(crate) struct Link {
    agent: AgentId,
    instance: AgentInstance,
    /// The instance that was last granted a lease.
    held: Option<AgentInstance>,
    address: String,
    token: ClusterSecret,
    endpoints: Endpoints,
    sessions: Sessions,
    reports: mpsc::Receiver<Report>,
    leader: watch::Sender<Option<NodeId>>,
    hook: EventHook,
    lease: Lease,
    pending: Pending,
    roll_call: Option<RollCall>,
}

/// Orders that a new stream begins with.
struct RollCall {
    missing: u32,
    standing: HashSet<SessionId>,
}

/// What a link needs.
pub(crate) struct LinkSetup {
    pub(crate) agent: AgentId,
    pub(crate) address: String,
    pub(crate) endpoints: Vec<String>,
    pub(crate) credential: Credential,
    pub(crate) token: ClusterSecret,
    pub(crate) sessions: Sessions,
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) leader: watch::Sender<Option<NodeId>>,
    pub(crate) hook: EventHook,
}

/// Why a stream is over.
enum Over {
    /// It broke, or its leader does not answer: attach again.
    Stream,
    /// The cluster refuses what this agent says: attach again, later.
    Refused,
    /// The lease will be over before it can be renewed.
    Lapsed(&'static str),
    /// The cluster ended the lease.
    Dismissed(String),
    /// Another process of this name has the lease, at this address.
    Superseded(String),
}

impl Link {
    pub(crate) fn new(setup: LinkSetup) -> Self {
        Link {
            agent: setup.agent,
            instance: new_instance(),
            held: None,
            address: setup.address,
            token: setup.token,
            endpoints: Endpoints::new(&setup.endpoints, setup.credential),
            sessions: setup.sessions,
            reports: setup.reports,
            leader: setup.leader,
            hook: setup.hook,
            lease: Lease::default(),
            pending: Pending::default(),
            roll_call: None,
        }
    }

    /// Holds the link until it is dropped, or until the agent is not to go on.
    pub(crate) async fn run(mut self) -> AgentError {
        loop {
            let hello = v1::Hello {
                agent: self.agent.0.clone(),
                instance: self.instance.0,
                address: self.address.clone(),
                held_instance: self.held.map_or(0, |held| held.0),
                token: self.token.digits().to_vec(),
            };
            let lapse = self.lease.lapses_at();
            let over = tokio::select! {
                attached = self.endpoints.attach(&hello) => self.serve(attached).await,
                () = at(lapse) => Over::Lapsed("no leader renewed the lease in time"),
            };
            match over {
                Over::Stream => self.endpoints.pause().await,
                Over::Refused => self.back_off().await,
                Over::Lapsed(why) => self.start_anew(why).await,
                Over::Dismissed(why) => {
                    self.start_anew(&why).await;
                    self.endpoints.back_off().await;
                }
                Over::Superseded(address) => return AgentError::Superseded { agent: self.agent, address },
            }
        }
    }

    /// Pauses while there is a lease.
    async fn back_off(&mut self) {
        let lapse = self.lease.lapses_at();
        tokio::select! {
            () = self.endpoints.back_off() => {}
            () = at(lapse) => {}
        }
    }

    /// What the agent ran belongs to others now.
    async fn start_anew(&mut self, why: &str) {
        tracing::warn!(agent = %self.agent, why, "the lease is over: every worker is killed");
        self.sessions.clear().await;
        while self.reports.try_recv().is_ok() {}
        self.pending = Pending::default();
        self.lease = Lease::default();
        self.instance = new_instance();
        (self.hook)(&LocalEvent::LeaseLost { why: why.to_owned() });
    }

    async fn serve(&mut self, attached: Attached) -> Over {
        let Attached { say, mut hear, first, hello_at } = attached;
        self.lease.attached(hello_at);
        self.pending.start_over();
        self.roll_call = None;
        if let Some(over) = self.hear(first).await {
            return over;
        }
        loop {
            let now = Instant::now();
            let renew = self.lease.renew_at().is_some_and(|at| at <= now);
            let talk = renew || (self.lease.is_granted() && self.pending.has_unsent());
            tokio::select! {
                biased;
                () = at(self.lease.lapses_at()) => return Over::Lapsed("it could not be renewed in time"),
                message = hear.message() => match message {
                    Ok(Some(message)) => if let Some(over) = self.hear(message).await {
                        return over;
                    },
                    Ok(None) => return Over::Stream,
                    Err(status) => {
                        return if self.endpoints.learn(&status) { Over::Refused } else { Over::Stream };
                    }
                },
                place = say.reserve(), if talk => match place {
                    Ok(place) => self.say(place, renew),
                    Err(_) => return Over::Stream,
                },
                Some(report) = self.reports.recv(), if self.pending.len() < MOST_PENDING => self.pending.push(report),
                () = at(self.lease.renew_at()), if !renew => {}
                () = at(self.lease.overdue_at()) => {
                    tracing::debug!(agent = %self.agent, "the leader does not answer");
                    self.endpoints.avoid_current();
                    return Over::Stream;
                }
            }
        }
    }

    fn say(&mut self, place: mpsc::Permit<'_, v1::AgentMessage>, renew: bool) {
        let now = Instant::now();
        let kind = if renew {
            Some(Say::Renew(v1::Renew { number: self.lease.renew(now) }))
        } else {
            self.pending.send_next(now).map(Say::Command)
        };
        if kind.is_some() {
            place.send(v1::AgentMessage { kind });
        }
    }

    async fn hear(&mut self, message: v1::NodeMessage) -> Option<Over> {
        match message.kind {
            Some(Hear::Granted(granted)) => {
                self.lease.granted(granted.number, granted.ttl_ms, Instant::now());
                self.led_by(NodeId(granted.node_id));
                self.held = Some(self.instance);
                if granted.number > 0 {
                    self.endpoints.all_is_well();
                } else {
                    self.roll_call = Some(RollCall { missing: granted.outstanding, standing: HashSet::new() });
                    self.call_roll().await;
                }
            }
            Some(Hear::Order(order)) => match decode_order(&order.order) {
                Ok(order) => self.order(order).await,
                Err(error) => tracing::error!(%error, "an order cannot be read"),
            },
            Some(Hear::Reply(reply)) => self.answered(&reply).await,
            Some(Hear::Dismissed(dismissed)) => {
                return Some(match dismissed.superseded_by {
                    Some(newer) => Over::Superseded(newer.address),
                    None => Over::Dismissed(dismissed.reason),
                });
            }
            None => tracing::debug!("a message of an unknown kind is ignored"),
        }
        None
    }

    async fn order(&mut self, order: Order) {
        if let Some(roll_call) = &mut self.roll_call {
            roll_call.missing = roll_call.missing.saturating_sub(1);
            roll_call.standing.insert(order.session.clone());
        }
        self.sessions.order(order).await;
        self.call_roll().await;
    }

    /// Once every standing order has come: what has none is over.
    async fn call_roll(&mut self) {
        if let Some(roll_call) = self.roll_call.take_if(|roll_call| roll_call.missing == 0) {
            self.sessions.keep(&roll_call.standing).await;
        }
    }

    async fn answered(&mut self, reply: &v1::AgentReply) {
        let Some(report) = self.pending.answered(&reply.request_id) else { return };
        let answer = match decode_reply(&reply.reply) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(%error, "an answer cannot be read");
                return;
            }
        };
        let session = (report.session.clone(), report.generation);
        let (role, incarnation) = (report.role, report.incarnation);
        let refusal = match &answer {
            Reply::Rejected(rejection) => Some(rejection.clone()),
            _ => None,
        };
        if let Some(rejection) = &refusal {
            self.tell_refusal(&report, rejection);
        }
        match (report.answer, refusal) {
            (Wanted::Always, _) => {
                self.sessions.tell(&session, Control::Answer { role, incarnation, reply: answer }).await;
            }
            (Wanted::IfRefused, Some(rejection)) if !rejection.is_stale() => {
                self.sessions.tell(&session, Control::Refused { role, incarnation, rejection }).await;
            }
            (Wanted::IfRefused | Wanted::Never, _) => {}
        }
    }

    /// That the world went on while a report was under way is nothing to tell; any other refusal is.
    fn tell_refusal(&self, report: &Report, rejection: &Rejection) {
        let (session, role) = (&report.session, report.role.0);
        if rejection.is_stale() {
            tracing::debug!(%session, role, %rejection, "a report came too late");
            return;
        }
        tracing::warn!(%session, role, %rejection, "a report is refused");
        (self.hook)(&LocalEvent::ReportRefused { session: session.clone(), reason: rejection.to_string() });
    }

    fn led_by(&self, node: NodeId) {
        let news = self.leader.send_if_modified(|leader| leader.replace(node) != Some(node));
        if news {
            (self.hook)(&LocalEvent::LeaderChanged { node });
        }
    }
}

/// Never 0, which stands for none.
fn new_instance() -> AgentInstance {
    AgentInstance(rand::random_range(1..=u64::MAX))
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
