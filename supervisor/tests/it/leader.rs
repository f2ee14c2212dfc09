//! A leader under the control of a test: grants leases, records what agents say, sends the orders that it is given.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::Stream;
use rekindle_proto::payload::{decode_command, encode_order, encode_reply};
use rekindle_proto::status::RequestError;
use rekindle_proto::v1;
use rekindle_proto::v1::agent_message::Kind as Said;
use rekindle_proto::v1::agents_server::{Agents, AgentsServer};
use rekindle_proto::v1::node_message::Kind as Say;
use rekindle_statemachine::command::{Command, Rejection, Reply};
use rekindle_statemachine::effect::Order;
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Leader {
    pub(crate) address: String,
    state: Arc<State>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    node_id: u64,
    ttl_ms: u64,
    grants: AtomicBool,
    refuses: AtomicBool,
    replies: AtomicBool,
    rejects: AtomicBool,
    dead: CancellationToken,
    news: Notify,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    hellos: Vec<v1::Hello>,
    commands: Vec<(Vec<u8>, Command)>,
    /// What an agent that attaches is told to make true.
    standing: Vec<Order>,
    streams: HashMap<String, mpsc::Sender<Result<v1::NodeMessage, Status>>>,
}

impl Leader {
    pub(crate) async fn start(node_id: u64, ttl: Duration) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State {
            node_id,
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap(),
            grants: AtomicBool::new(true),
            replies: AtomicBool::new(true),
            ..State::default()
        });
        let service = AgentsServer::new(Service(Arc::clone(&state)));
        let server = tonic::transport::Server::builder().add_service(service);
        let serving = server.serve_with_incoming(TcpIncoming::from(listener));
        let server = tokio::spawn(async move { drop(serving.await) });
        Leader { address, state, server }
    }

    /// Whether hellos and renewals are answered.
    pub(crate) fn grant(&self, grants: bool) {
        self.state.grants.store(grants, Ordering::SeqCst);
    }

    /// Whether hellos are refused for good.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Whether commands are answered.
    pub(crate) fn reply(&self, replies: bool) {
        self.state.replies.store(replies, Ordering::SeqCst);
    }

    /// Whether commands are answered with a refusal.
    pub(crate) fn reject(&self, rejects: bool) {
        self.state.rejects.store(rejects, Ordering::SeqCst);
    }

    /// It is no more: every stream breaks, and no new one is taken.
    pub(crate) fn die(&self) {
        self.state.dead.cancel();
        self.state.heard.lock().unwrap().streams.clear();
    }

    /// Sends an order as soon as the agent is attached.
    pub(crate) async fn order(&self, agent: &str, order: &Order) {
        let kind = Some(Say::Order(v1::AgentOrder { order: encode_order(order) }));
        self.say(agent, v1::NodeMessage { kind }).await;
    }

    /// The orders that agents get when they attach: all that stand.
    pub(crate) fn stand(&self, orders: Vec<Order>) {
        self.state.heard.lock().unwrap().standing = orders;
    }

    pub(crate) async fn dismiss(&self, agent: &str) {
        let kind = Some(Say::Dismissed(v1::Dismissed { reason: "the test says so".to_owned(), superseded_by: None }));
        self.say(agent, v1::NodeMessage { kind }).await;
    }

    pub(crate) async fn supersede(&self, agent: &str, address: &str) {
        let superseded_by = Some(v1::Successor { instance: 1, address: address.to_owned() });
        let kind = Some(Say::Dismissed(v1::Dismissed { reason: String::new(), superseded_by }));
        self.say(agent, v1::NodeMessage { kind }).await;
    }

    /// How often an agent said hello.
    pub(crate) fn hellos(&self, agent: &str) -> usize {
        self.state.heard.lock().unwrap().hellos.iter().filter(|hello| hello.agent == agent).count()
    }

    async fn say(&self, agent: &str, message: v1::NodeMessage) {
        let stream = self.wait(|heard| heard.streams.get(agent).cloned()).await;
        stream.send(Ok(message)).await.unwrap();
    }

    /// The `number`th hello of an agent, from 0.
    pub(crate) async fn hello(&self, agent: &str, number: usize) -> v1::Hello {
        self.wait(|heard| heard.hellos.iter().filter(|hello| hello.agent == agent).nth(number).cloned()).await
    }

    /// Takes the first command that `wanted` accepts, with its request id.
    pub(crate) async fn command<T>(&self, wanted: impl Fn(&Command) -> Option<T>) -> (Vec<u8>, T) {
        self.wait(|heard| {
            let (at, found) =
                heard.commands.iter().enumerate().find_map(|(at, (_, command))| Some((at, wanted(command)?)))?;
            Some((heard.commands.remove(at).0, found))
        })
        .await
    }

    /// Commands that nobody has taken.
    pub(crate) fn untaken(&self) -> Vec<Command> {
        self.state.heard.lock().unwrap().commands.iter().map(|(_, command)| command.clone()).collect()
    }

    async fn wait<T>(&self, mut look: impl FnMut(&mut Heard) -> Option<T>) -> T {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let news = self.state.news.notified();
                if let Some(found) = look(&mut self.state.heard.lock().unwrap()) {
                    return found;
                }
                news.await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("it does not happen; heard {:#?}", self.untaken()))
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Service(Arc<State>);

#[tonic::async_trait]
impl Agents for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<v1::NodeMessage, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        if self.0.dead.is_cancelled() {
            return Err(Status::unavailable("nobody is here"));
        }
        let (say, said) = mpsc::channel(256);
        let state = Arc::clone(&self.0);
        let mut messages = request.into_inner();
        tokio::spawn(async move {
            while let Some(Ok(Some(message))) = state.dead.run_until_cancelled(messages.message()).await {
                if state.refuses.load(Ordering::SeqCst) {
                    drop(say.send(Err(RequestError::invalid("the test says no").into())).await);
                }
                for answer in state.hear(message, &say) {
                    drop(say.send(Ok(v1::NodeMessage { kind: Some(answer) })).await);
                }
                state.news.notify_waiters();
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(said))))
    }
}

impl State {
    fn hear(&self, message: v1::AgentMessage, say: &mpsc::Sender<Result<v1::NodeMessage, Status>>) -> Vec<Say> {
        let mut heard = self.heard.lock().unwrap();
        let outstanding = u32::try_from(heard.standing.len()).unwrap();
        let granted =
            |number| Say::Granted(v1::Granted { number, ttl_ms: self.ttl_ms, node_id: self.node_id, outstanding });
        match message.kind.unwrap() {
            Said::Hello(hello) => {
                heard.streams.insert(hello.agent.clone(), say.clone());
                heard.hellos.push(hello);
                if self.refuses.load(Ordering::SeqCst) {
                    return vec![];
                }
                let orders =
                    heard.standing.iter().map(|order| Say::Order(v1::AgentOrder { order: encode_order(order) }));
                let answers = std::iter::once(granted(0)).chain(orders);
                if self.grants.load(Ordering::SeqCst) { answers.collect() } else { vec![] }
            }
            Said::Renew(renew) => {
                if self.grants.load(Ordering::SeqCst) {
                    vec![granted(renew.number)]
                } else {
                    vec![]
                }
            }
            Said::Command(command) => {
                heard.commands.push((command.request_id.clone(), decode_command(&command.command).unwrap()));
                let no = || Reply::Rejected(Rejection::Invalid("the test says so".to_owned()));
                let rejects = self.rejects.load(Ordering::SeqCst);
                let reply = encode_reply(&if rejects { no() } else { Reply::Done });
                let answers = self.replies.load(Ordering::SeqCst);
                let answer = Say::Reply(v1::AgentReply { request_id: command.request_id, reply });
                if answers { vec![answer] } else { vec![] }
            }
        }
    }
}
