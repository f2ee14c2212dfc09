//! A client of the cluster: finds the leader, follows redirections, asks again with the same request id.
//!
//! Invariants
//! * a call ends within its deadline, with an answer or with one of the reasons of [`ClientError`];
//! * `NoLeader` means that nothing was changed; as soon as one attempt may have been carried out, it is `OutcomeUnknown`;
//! * a call that changes something keeps its request id through all attempts.

mod dial;
mod error;
mod retry;
mod watch;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, future::join_all};
use rekindle_statemachine::ids::RequestId;
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

pub use self::dial::{Leader, find_leader};
pub use self::error::ClientError;
use crate::backoff::Backoff;
use crate::status::{DISK_FULL, Verdict, verdict};
use crate::v1;
use crate::v1::cluster_client::ClusterClient;

/// How long a call may take if nothing else is said.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// After this long without an answer another node is asked: a leader that hangs must not take the whole deadline.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long one node is given to say how it is: who asks for all of them waits for the slowest.
const SELF_REPORT: Duration = Duration::from_secs(1);
/// How long one node is given to accept a connection.
const DIAL: Duration = Duration::from_millis(500);

/// Speaks to a cluster. Cheap to clone; clones share what they know about the leader.
#[derive(Clone, Debug)]
pub struct Client {
    seeds: Arc<BTreeSet<String>>,
    leader: Arc<Mutex<Option<Node>>>,
    timeout: Duration,
}

/// A node with a connection to it.
#[derive(Clone, Debug)]
struct Node {
    endpoint: String,
    channel: Channel,
}

/// What an attempt that failed leaves open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Nothing was changed by any attempt, or the call changes nothing.
    None,
    /// One attempt may have been carried out.
    MayHaveHappened,
}

/// A fresh request id.
pub fn new_request_id() -> RequestId {
    RequestId(rand::random())
}

impl Client {
    /// A client for the cluster that these nodes (`host:port`) belong to. Connects when it is first used.
    pub fn connect<S: AsRef<str>>(endpoints: impl IntoIterator<Item = S>) -> Result<Self, ClientError> {
        let seeds = endpoints
            .into_iter()
            .map(|endpoint| dial::normalise(endpoint.as_ref()))
            .collect::<Result<BTreeSet<_>, _>>()?;
        if seeds.is_empty() {
            return Err(ClientError::NoEndpoint);
        }
        Ok(Client { seeds: Arc::new(seeds), leader: Arc::default(), timeout: DEFAULT_TIMEOUT })
    }

    /// The same client with another deadline for each call.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The endpoints it was given.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.seeds.iter().map(String::as_str)
    }

    /// Registers a protocol; returns its id. An empty request id is filled in.
    pub async fn register_protocol(&self, mut request: v1::RegisterProtocolRequest) -> Result<String, ClientError> {
        let id = fill(&mut request.request_id);
        let reply = self.change(id, request, |mut node, request| async move { node.register_protocol(request).await });
        Ok(reply.await?.protocol_id)
    }

    /// Starts a session. An empty request id is filled in.
    pub async fn start_session(
        &self,
        mut request: v1::StartSessionRequest,
    ) -> Result<v1::StartSessionReply, ClientError> {
        let id = fill(&mut request.request_id);
        let reply = self.change(id, request, |mut node, request| async move { node.start_session(request).await });
        reply.await
    }

    /// Cancels a session. An empty request id is filled in.
    pub async fn cancel_session(&self, mut request: v1::CancelSessionRequest) -> Result<(), ClientError> {
        let id = fill(&mut request.request_id);
        let reply = self.change(id, request, |mut node, request| async move { node.cancel_session(request).await });
        reply.await.map(|v1::CancelSessionReply {}| ())
    }

    /// Forgets a session that has ended. An empty request id is filled in.
    pub async fn delete_session(&self, mut request: v1::DeleteSessionRequest) -> Result<(), ClientError> {
        let id = fill(&mut request.request_id);
        let reply = self.change(id, request, |mut node, request| async move { node.delete_session(request).await });
        reply.await.map(|v1::DeleteSessionReply {}| ())
    }

    /// Forgets a protocol that no session uses. An empty request id is filled in.
    pub async fn delete_protocol(&self, mut request: v1::DeleteProtocolRequest) -> Result<(), ClientError> {
        let id = fill(&mut request.request_id);
        let reply = self.change(id, request, |mut node, request| async move { node.delete_protocol(request).await });
        reply.await.map(|v1::DeleteProtocolReply {}| ())
    }

    /// All protocols.
    pub async fn list_protocols(&self, stale: bool) -> Result<Vec<v1::Protocol>, ClientError> {
        let request = v1::ListProtocolsRequest { stale };
        let reply = self.read(stale, request, |mut node, request| async move { node.list_protocols(request).await });
        Ok(reply.await?.protocols)
    }

    /// All sessions.
    pub async fn list_sessions(&self, stale: bool) -> Result<Vec<v1::SessionSummary>, ClientError> {
        let request = v1::ListSessionsRequest { stale };
        let reply = self.read(stale, request, |mut node, request| async move { node.list_sessions(request).await });
        Ok(reply.await?.sessions)
    }

    /// One session with its roles and recoveries.
    pub async fn get_session(&self, session: &str, stale: bool) -> Result<v1::Session, ClientError> {
        let request = v1::GetSessionRequest { session: session.to_owned(), stale };
        self.read(stale, request, |mut node, request| async move { node.get_session(request).await }).await
    }

    /// The cluster, as its leader sees it.
    pub async fn get_status(&self, request: v1::GetStatusRequest) -> Result<v1::Status, ClientError> {
        let stale = request.stale;
        self.read(stale, request, |mut node, request| async move { node.get_status(request).await }).await
    }

    /// What each of the given endpoints says about itself, dead ones included.
    pub async fn statuses(&self, digest: bool) -> Vec<(String, Result<v1::Status, String>)> {
        let ask = async |endpoint: &String| {
            let channel = dial::connect(endpoint, DIAL).await?;
            let request = v1::GetStatusRequest { stale: true, digest };
            let answer = timeout(SELF_REPORT, dial::cluster(channel).get_status(request)).await;
            let answer = answer.map_err(|_| "no answer in time".to_owned())?;
            answer.map(Response::into_inner).map_err(|status| status.message().to_owned())
        };
        join_all(self.seeds.iter().map(async |endpoint| (endpoint.clone(), ask(endpoint).await))).await
    }

    /// Events of a session from number `from` on, until it has ended.
    ///
    /// Survives the death of any node: the watch goes on at another one with the next number, so each event comes
    /// exactly once. Ends with an error if no node can be reached for as long as the client's timeout.
    pub fn watch_session(
        &self,
        session: &str,
        from: u64,
    ) -> impl Stream<Item = Result<v1::SessionEvent, ClientError>> + Send + use<> {
        watch::events(self.clone(), session.to_owned(), from)
    }

    /// Many changes over one stream to the leader, each answered on its own.
    ///
    /// Nothing is retried here: a refusal `NOT_LEADER`, or the end of the stream, leaves the rest to the caller, who
    /// asks again with the same request ids.
    pub async fn execute(
        &self,
        requests: impl Stream<Item = v1::CommandRequest> + Send + 'static,
    ) -> Result<Streaming<v1::CommandReply>, ClientError> {
        let node = self.leading(Instant::now() + self.timeout).await.map_err(|last| self.no_leader(last))?;
        match dial::cluster(node.channel.clone()).execute(requests).await {
            Ok(replies) => Ok(replies.into_inner()),
            Err(status) => {
                self.forget(&node);
                Err(self.no_leader(status.message().to_owned()))
            }
        }
    }

    async fn change<Q, R, F, A>(&self, id: RequestId, request: Q, attempt: F) -> Result<R, ClientError>
    where
        Q: Clone,
        F: Fn(ClusterClient<Channel>, Request<Q>) -> A,
        A: Future<Output = Result<Response<R>, Status>>,
    {
        self.call(Some(id), false, request, attempt).await
    }

    async fn read<Q, R, F, A>(&self, stale: bool, request: Q, attempt: F) -> Result<R, ClientError>
    where
        Q: Clone,
        F: Fn(ClusterClient<Channel>, Request<Q>) -> A,
        A: Future<Output = Result<Response<R>, Status>>,
    {
        self.call(None, stale, request, attempt).await
    }

    async fn call<Q, R, F, A>(&self, id: Option<RequestId>, any: bool, request: Q, attempt: F) -> Result<R, ClientError>
    where
        Q: Clone,
        F: Fn(ClusterClient<Channel>, Request<Q>) -> A,
        A: Future<Output = Result<Response<R>, Status>>,
    {
        let deadline = Instant::now() + self.timeout;
        let mut backoff = retry::backoff();
        let mut doubt = Doubt::None;
        loop {
            let node = if any { self.anyone(deadline).await } else { self.leading(deadline).await };
            let node = node.map_err(|last| self.gave_up(id, doubt, last))?;
            let span = ATTEMPT.min(deadline.saturating_duration_since(Instant::now()));
            let mut wire = Request::new(request.clone());
            wire.set_timeout(span);
            let answer = timeout(span, attempt(dial::cluster(node.channel.clone()), wire)).await;
            let status = match answer {
                Ok(Ok(reply)) => return Ok(reply.into_inner()),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer in time"),
            };
            let wait = self.learn(&node, &status, &mut doubt, &mut backoff).await?;
            if Instant::now() + wait >= deadline {
                if doubt == Doubt::None && status.code() == tonic::Code::ResourceExhausted {
                    let reason = DISK_FULL.to_owned();
                    return Err(ClientError::Refused {
                        code: status.code(),
                        reason,
                        message: status.message().to_owned(),
                    });
                }
                return Err(self.gave_up(id, doubt, format!("{}: {}", node.endpoint, status.message())));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// What a failed attempt means: final, or how long to wait before the next.
    async fn learn(
        &self,
        node: &Node,
        status: &Status,
        doubt: &mut Doubt,
        backoff: &mut Backoff,
    ) -> Result<Duration, ClientError> {
        match verdict(status) {
            Verdict::Refused { code, reason, message } => Err(ClientError::Refused { code, reason, message }),
            Verdict::Overloaded { retry_after } => Ok(backoff.next_at_least(retry_after)),
            Verdict::Unknown { retry_after } => {
                *doubt = Doubt::MayHaveHappened;
                self.forget(node);
                Ok(backoff.next_at_least(retry_after))
            }
            Verdict::NotLeader { endpoint, retry_after } => {
                self.forget(node);
                if self.follow(node, endpoint).await {
                    Ok(Duration::ZERO)
                } else {
                    Ok(backoff.next_at_least(retry_after))
                }
            }
        }
    }

    /// Connects to the leader that `from` named, if that is news.
    async fn follow(&self, from: &Node, endpoint: Option<String>) -> bool {
        let Some(endpoint) = endpoint.filter(|endpoint| *endpoint != from.endpoint) else { return false };
        let Ok(channel) = dial::connect(&endpoint, DIAL).await else { return false };
        self.remember(Node { endpoint, channel });
        true
    }

    /// The node that leads, as far as is known; searches if nothing is known.
    async fn leading(&self, deadline: Instant) -> Result<Node, String> {
        if let Some(node) = self.known() {
            return Ok(node);
        }
        let found = dial::search(BTreeSet::clone(&self.seeds), deadline).await.map_err(|dial::NoLeader(last)| last)?;
        let node = Node { endpoint: found.endpoint, channel: found.channel };
        self.remember(node.clone());
        Ok(node)
    }

    /// Any node that answers.
    async fn anyone(&self, deadline: Instant) -> Result<Node, String> {
        if let Some(node) = self.known() {
            return Ok(node);
        }
        let mut backoff = retry::backoff();
        loop {
            let mut complaints = Vec::new();
            for endpoint in self.seeds.iter() {
                match dial::connect(endpoint, DIAL).await {
                    Ok(channel) => return Ok(Node { endpoint: endpoint.clone(), channel }),
                    Err(error) => complaints.push(format!("{endpoint}: {error}")),
                }
            }
            let wait = backoff.next_wait();
            if Instant::now() + wait >= deadline {
                return Err(complaints.join("; "));
            }
            tokio::time::sleep(wait).await;
        }
    }

    fn known(&self) -> Option<Node> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, node: Node) {
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
    }

    /// Unless another call has learned better in the meantime.
    fn forget(&self, node: &Node) {
        let mut leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        if leader.as_ref().is_some_and(|known| known.endpoint == node.endpoint) {
            *leader = None;
        }
    }

    fn gave_up(&self, id: Option<RequestId>, doubt: Doubt, last: String) -> ClientError {
        match (id, doubt) {
            (Some(request), Doubt::MayHaveHappened) => ClientError::OutcomeUnknown { request, last },
            _ => self.no_leader(last),
        }
    }

    fn no_leader(&self, last: String) -> ClientError {
        ClientError::NoLeader { within_ms: u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX), last }
    }
}

/// Fills in a request id that is not there; one of another length is left for the server to refuse.
fn fill(id: &mut Vec<u8>) -> RequestId {
    if id.is_empty() {
        *id = new_request_id().0.to_vec();
    }
    RequestId(id.as_slice().try_into().unwrap_or([0; 16]))
}
