//! The stream of a local supervisor.
//!
//! Invariants
//! * only the leader has such streams, and ends them when it leads no more;
//! * a lease is granted only while no other node can lead;
//! * an agent that attaches gets every order that stands, then every new one, in order.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, FuturesUnordered};
use futures::{FutureExt, StreamExt};
use rekindle_proto::convert::request;
use rekindle_proto::status::RequestError;
use rekindle_proto::v1::agent_message::Kind as FromAgent;
use rekindle_proto::v1::agents_server;
use rekindle_proto::v1::node_message::Kind as FromNode;
use rekindle_proto::{payload, v1};
use rekindle_statemachine::agents::Agent;
use rekindle_statemachine::command::{Command, Rejection, Reply};
use rekindle_statemachine::ids::{AgentId, AgentInstance, Generation};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use crate::hub::{Hub, Message, Outlet, dismissal};
use crate::leases::Leases;
use crate::raft::consensus::{Consensus, Leadership};
use crate::replica::Replica;

/// How long a stream may be silent before it says who it is.
const HELLO: Duration = Duration::from_secs(2);
/// The instance that a process names which never held a lease.
const NEVER: AgentInstance = AgentInstance(0);
/// Bytes of an agent's token.
const TOKEN_LIMIT: usize = 64;
/// Commands of one agent under way; more wait in the stream.
const UNDER_WAY: usize = 256;

/// Serves local supervisors.
#[derive(Clone)]
pub(crate) struct AgentsService {
    pub(crate) consensus: Consensus,
    pub(crate) replica: Arc<Replica>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// One attached agent.
struct Attached {
    service: AgentsService,
    agent: AgentId,
    instance: AgentInstance,
    term: u64,
    outlet: Outlet,
}

type Answer = Pin<Box<dyn Future<Output = (Vec<u8>, Result<Reply, RequestError>)> + Send>>;

#[tonic::async_trait]
impl agents_server::Agents for AgentsService {
    type AttachStream = BoxStream<'static, Message>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let term = self.consensus.leading()?;
        let mut inbound = request.into_inner();
        let hello = hello(&mut inbound).await?;
        let (agent, instance) = (AgentId(hello.agent), AgentInstance(hello.instance));
        self.consensus.read_barrier().await?;
        if let Some(newer) = self.successor(&agent, [instance, AgentInstance(hello.held_instance)]) {
            let kind = Some(FromNode::Dismissed(dismissal(Some(&newer))));
            return Ok(Response::new(futures::stream::iter([Ok(v1::NodeMessage { kind })]).boxed()));
        }
        self.may_hold(&agent, instance, &hello.token)?;
        self.register(&agent, instance, hello.address).await?;
        self.leases.attach((agent.clone(), instance), hello.token, Instant::now());
        let (outlet, messages) = self.open(&agent, instance)?;
        let attached = Attached { service: self.clone(), agent, instance, term, outlet };
        self.tasks.spawn(attached.serve(inbound));
        Ok(Response::new(ReceiverStream::new(messages).boxed()))
    }
}

async fn hello(inbound: &mut Streaming<v1::AgentMessage>) -> Result<v1::Hello, Status> {
    let first =
        timeout(HELLO, inbound.message()).await.map_err(|_| RequestError::invalid("no hello came in time"))??;
    match first.and_then(|message| message.kind) {
        Some(FromAgent::Hello(hello)) if hello.token.len() > TOKEN_LIMIT => {
            Err(RequestError::invalid(format!("a token has at most {TOKEN_LIMIT} bytes")).into())
        }
        Some(FromAgent::Hello(hello)) => Ok(hello),
        _ => Err(RequestError::invalid("the first message of an agent is `hello`").into()),
    }
}

impl AgentsService {
    /// The process that took over from one that held the lease as `held`, if any did.
    fn successor(&self, agent: &AgentId, [instance, held]: [AgentInstance; 2]) -> Option<Agent> {
        let state = self.replica.state();
        let holder = state.agent(agent).filter(|_| held != NEVER)?;
        (holder.instance != instance && holder.instance != held).then(|| holder.clone())
    }

    /// Whether a lease that runs, if there is one, is this process's to take: its own, or that of another process with
    /// the same data folder. Anybody else waits for its end.
    fn may_hold(&self, agent: &AgentId, instance: AgentInstance, token: &[u8]) -> Result<(), RequestError> {
        let holder = self.replica.state().agent(agent).map(|holder| (agent.clone(), holder.instance));
        let Some(holder) = holder else { return Ok(()) };
        // Of a holder that has not attached to this leader yet, its instance is what it is known by.
        let own = self.leases.has_shown(&holder, token).unwrap_or(holder.1 == instance);
        if own {
            return Ok(());
        }
        tracing::info!(%agent, "a process is refused a name whose lease another one holds");
        Err(RequestError::Invalid {
            reason: "NAME_IN_USE",
            message: format!(
                "another local supervisor named `{agent}` holds a lease: this one waits for its end\n\
                 hint: each needs a name of its own; one that takes the place of another starts with its --data-dir"
            ),
        })
    }

    /// Makes sure that this run of the agent holds a lease, which begins now at the latest. What the state refuses
    /// does not get into the log.
    async fn register(&self, agent: &AgentId, instance: AgentInstance, address: String) -> Result<(), RequestError> {
        self.replica.state().admits(agent, instance, &address)?;
        if !self.holds_lease(agent, instance) {
            let register = Command::RegisterAgent { agent: agent.clone(), instance, address };
            if let Reply::Rejected(rejection) = self.consensus.propose(None, register).await? {
                return Err(rejection.into());
            }
        }
        if !self.consensus.is_confirmed().await {
            return Err(RequestError::NotLeader { leader: None });
        }
        self.leases.renew((agent.clone(), instance), Instant::now());
        Ok(())
    }

    fn holds_lease(&self, agent: &AgentId, instance: AgentInstance) -> bool {
        self.replica.state().agent(agent).is_some_and(|known| known.instance == instance)
    }

    /// Grants the lease and queues all that stands. No entry is applied meanwhile, so nothing is missed or turned round.
    fn open(
        &self,
        agent: &AgentId,
        instance: AgentInstance,
    ) -> Result<(Outlet, mpsc::Receiver<Message>), RequestError> {
        let state = self.replica.state();
        if state.agent(agent).is_none_or(|known| known.instance != instance) {
            return Err(Rejection::UnknownAgent(agent.clone()).into());
        }
        let orders = state.outstanding(agent);
        let (outlet, messages) = Outlet::new(instance, orders.len() + 1);
        outlet.push(FromNode::Granted(v1::Granted {
            number: 0,
            ttl_ms: millis(self.leases.ttl()),
            node_id: self.consensus.id().0,
            outstanding: u32::try_from(orders.len()).unwrap_or(u32::MAX),
        }));
        for order in &orders {
            outlet.order(order);
        }
        self.hub.attach(agent, &outlet);
        Ok((outlet, messages))
    }
}

impl Attached {
    /// Until the agent goes, its lease is over, this node leads no more, or stops.
    async fn serve(self, mut inbound: Streaming<v1::AgentMessage>) {
        let mut answers: FuturesUnordered<Answer> = FuturesUnordered::new();
        let mut leadership = self.service.consensus.leadership();
        let term = self.term;
        let deposed = async move {
            // An error means that the node is stopping.
            let _ = leadership.wait_for(|now| *now != Leadership::Leading { term }).await;
        };
        let mut deposed = std::pin::pin!(deposed);
        loop {
            let goes_on = tokio::select! {
                biased;
                () = self.outlet.over().cancelled() => false,
                () = self.service.stop.cancelled() => self.refuse(RequestError::NotLeader { leader: None }),
                () = &mut deposed => self.refuse(self.service.consensus.not_leading()),
                Some((id, answer)) = answers.next(), if !answers.is_empty() => self.reply(id, answer),
                message = inbound.message(), if answers.len() < UNDER_WAY => match message {
                    Ok(Some(message)) => self.take(message, &mut answers).await,
                    Ok(None) | Err(_) => false,
                },
            };
            if !goes_on {
                break;
            }
        }
        self.service.hub.detach(&self.agent, &self.outlet);
    }

    async fn take(&self, message: v1::AgentMessage, answers: &mut FuturesUnordered<Answer>) -> bool {
        match message.kind {
            Some(FromAgent::Renew(renew)) => self.renew(renew.number).await,
            Some(FromAgent::Command(command)) => match self.submit(command).await {
                Ok(answer) => {
                    answers.push(answer);
                    true
                }
                Err(error) => self.refuse(error),
            },
            Some(FromAgent::Hello(_)) => self.refuse(RequestError::invalid("`hello` comes once")),
            None => self.refuse(RequestError::invalid("a message of an agent has no kind that this release knows")),
        }
    }

    /// Grants the lease again; silent if this node may not lead any more, or if the lease is over.
    async fn renew(&self, number: u64) -> bool {
        let service = &self.service;
        if service.consensus.is_confirmed().await && service.holds_lease(&self.agent, self.instance) {
            service.leases.renew((self.agent.clone(), self.instance), Instant::now());
            self.outlet.push(FromNode::Granted(v1::Granted {
                number,
                ttl_ms: millis(service.leases.ttl()),
                node_id: service.consensus.id().0,
                outstanding: 0,
            }));
        }
        true
    }

    /// Hands a report over, in the order of the stream.
    async fn submit(&self, command: v1::AgentCommand) -> Result<Answer, RequestError> {
        let id = request::request_id(&command.request_id)?;
        let report =
            payload::decode_command(&command.command).map_err(|error| RequestError::invalid(error.to_string()))?;
        match generation(&report) {
            None => return Err(RequestError::invalid("an agent may only report about its roles")),
            // Only logs of earlier releases leave open which session of a name is meant.
            Some(Generation::UNNAMED) => return Err(RequestError::invalid("a report names no generation")),
            Some(_) => {}
        }
        let mut answers = self.service.consensus.submit(vec![(Some(id), report)]).await?;
        let answer = async move {
            let stopped = || RequestError::OutcomeUnknown { message: "this node is stopping".to_owned() };
            (command.request_id, answers.next().await.unwrap_or_else(|| Err(stopped())))
        };
        Ok(answer.boxed())
    }

    /// An answer that is no reply ends the stream: the agent asks the next leader, with the same request id.
    fn reply(&self, request_id: Vec<u8>, answer: Result<Reply, RequestError>) -> bool {
        match answer {
            Ok(reply) => {
                let reply = payload::encode_reply(&reply);
                self.outlet.push(FromNode::Reply(v1::AgentReply { request_id, reply }));
                true
            }
            Err(error) => self.refuse(error),
        }
    }

    /// Ends the stream with the reason; the agent goes on elsewhere.
    fn refuse(&self, error: RequestError) -> bool {
        tracing::info!(agent = %self.agent, %error, "the stream of an agent ends");
        self.outlet.refuse(error);
        false
    }
}

/// Which session of its name a report is about; `None` for what an agent may not say.
fn generation(command: &Command) -> Option<Generation> {
    match command {
        Command::ReportFailure { generation, .. }
        | Command::ReportPosition { generation, .. }
        | Command::AcknowledgeRestore { generation, .. }
        | Command::FinishRole { generation, .. }
        | Command::StoreCheckpoint { generation, .. } => Some(*generation),
        Command::RegisterProtocol { .. }
        | Command::DeleteProtocol { .. }
        | Command::StartSession { .. }
        | Command::DeleteSession { .. }
        | Command::CancelSession { .. }
        | Command::RegisterAgent { .. }
        | Command::ExpireAgent { .. } => None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
