//! The way to the other nodes.
//!
//! Invariants
//! * every call has a deadline, a stream one for each answer it waits for: openraft sets none for streams;
//! * heartbeats and snapshots have connections of their own, so that neither waits behind the log;
//! * a call names the node that it is meant for, which refuses it if it is another one;
//! * a node that does not answer is called in turn, see [`reach`](super::reach).

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, Either, select};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{
    Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption, RPCTypes,
    RaftNetworkFactory,
};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend};
use rekindle_proto::secret::Credential;
use rekindle_proto::v1::raft_client::RaftClient;
use rekindle_proto::v1::{RaftMessage, SnapshotChunk};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};

use super::admission::Answer;
use super::log_store::LogStore;
use super::reach::{Call, Reach, Reaches, backoff};
use super::reception::Header;
use super::types::{Snapshot, TypeConfig, Vote};
use super::{ADDRESSEE, MESSAGE, MESSAGE_LIMIT, SNAPSHOT_HEADER, addressee};
use crate::config::{NodeConfig, Timings};
use crate::connections::NODE_HEADERS;
use crate::connector::Connector;

/// The others are not waited for longer than this: a connection takes a round trip, and packets to a machine that is
/// away go unanswered.
const CONNECT: Duration = Duration::from_millis(500);
const KEEP_ALIVE: Duration = Duration::from_millis(500);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(1);
const CHUNK: usize = 1 << 20;

type Error = RPCError<TypeConfig>;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Purpose {
    Log,
    Heartbeat,
    Snapshot,
}

/// Makes connections and keeps them.
pub(crate) struct Network {
    id: u64,
    cluster: String,
    credential: Credential,
    timings: Timings,
    connector: Arc<dyn Connector>,
    reaches: Reaches,
    log: LogStore,
    channels: HashMap<(u64, String, Purpose), Channel>,
}

/// One node, for one purpose.
pub(crate) struct Peer {
    id: u64,
    target: u64,
    purpose: Purpose,
    timings: Timings,
    reach: Arc<Reach>,
    /// What answers are judged by.
    log: LogStore,
    /// An endpoint that cannot be parsed is unreachable, with this reason.
    client: Result<RaftClient<InterceptedService<Channel, Addressed>>, String>,
}

/// Writes the addressee and the cluster's secret on every call.
#[derive(Clone)]
pub(crate) struct Addressed {
    to: MetadataValue<Ascii>,
    credential: Credential,
}

impl Interceptor for Addressed {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(ADDRESSEE, self.to.clone());
        self.credential.call(request)
    }
}

impl Network {
    pub(super) fn new(config: &NodeConfig, connector: Arc<dyn Connector>, log: LogStore, reaches: Reaches) -> Self {
        Network {
            id: config.id.0,
            cluster: config.cluster.clone(),
            credential: Credential::new(config.secret.as_ref()),
            timings: config.timings,
            connector,
            log,
            reaches,
            channels: HashMap::new(),
        }
    }

    fn peer(&mut self, target: u64, node: &BasicNode, purpose: Purpose) -> Peer {
        let client = self.channel(target, &node.addr, purpose).and_then(|channel| {
            let to = addressee(&self.cluster, target).map_err(|error| error.to_string())?;
            let client = RaftClient::with_interceptor(channel, Addressed { to, credential: self.credential.clone() });
            Ok(client.max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT))
        });
        Peer {
            id: self.id,
            target,
            purpose,
            timings: self.timings,
            log: self.log.clone(),
            reach: self.reaches.of(target),
            client,
        }
    }

    fn channel(&mut self, target: u64, endpoint: &str, purpose: Purpose) -> Result<Channel, String> {
        let key = (target, endpoint.to_owned(), purpose);
        if let Some(channel) = self.channels.get(&key) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{endpoint}"))
            .map_err(|error| format!("`{endpoint}` is no endpoint: {error}"))?
            .connect_timeout(CONNECT)
            .http2_max_header_list_size(NODE_HEADERS)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let channel = self.connector.connect(endpoint);
        self.channels.insert(key, channel.clone());
        Ok(channel)
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        self.peer(target, node, Purpose::Log)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        self.peer(target, node, Purpose::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        self.peer(target, node, Purpose::Snapshot)
    }
}

impl Peer {
    fn client(&self) -> Result<RaftClient<InterceptedService<Channel, Addressed>>, Error> {
        self.client.clone().map_err(|reason| RPCError::Unreachable(Unreachable::from_string(reason)))
    }

    /// Whether the node is to be called for a stream. A heartbeat that must wait is late, and another one comes soon.
    async fn turn(&self) -> Option<Call<'_>> {
        let silence = self.timings.replication_timeout;
        match self.purpose {
            Purpose::Heartbeat => self.reach.call(silence),
            Purpose::Log | Purpose::Snapshot => self.reach.call_in_turn(silence).await,
        }
    }

    fn away(&self) -> Error {
        let reason =
            format!("node {} did not answer a moment ago, and it is not yet time for another try", self.target);
        RPCError::Unreachable(Unreachable::from_string(reason))
    }

    /// What came of a call, for who called and for those who want to call.
    fn outcome<T>(
        &self,
        turn: Call<'_>,
        what: RPCTypes,
        patience: Duration,
        answer: Result<Result<T, Status>, Elapsed>,
    ) -> Result<T, Error> {
        match answer {
            Ok(Ok(answer)) => {
                turn.answered();
                Ok(answer)
            }
            Ok(Err(status)) => {
                let error = failed(&status);
                if matches!(error, RPCError::Unreachable(_)) {
                    turn.failed(status.message());
                } else {
                    turn.answered();
                }
                Err(error)
            }
            Err(_) => {
                turn.failed(&format!("no answer within {} ms", patience.as_millis()));
                Err(self.late(what, patience))
            }
        }
    }

    /// A call with one answer; all of them belong to elections.
    async fn unary<Q, R, F>(
        &self,
        what: RPCTypes,
        question: &Q,
        option: &RPCOption,
        call: impl FnOnce(RaftClient<InterceptedService<Channel, Addressed>>, RaftMessage) -> F,
    ) -> Result<R, Error>
    where
        Q: Serialize,
        R: DeserializeOwned + Answer,
        F: Future<Output = Result<Response<RaftMessage>, Status>>,
    {
        let client = self.client()?;
        let turn = self.reach.election_call();
        let answer = timeout(option.hard_ttl(), call(client, message(question))).await;
        self.read(self.outcome(turn, what, option.hard_ttl(), answer)?.get_ref())
    }

    /// An answer that may be believed.
    fn read<T: DeserializeOwned + Answer>(&self, message: &RaftMessage) -> Result<T, Error> {
        let answer: T =
            MESSAGE.decode(&message.payload).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        if let Some(vote) = answer.vote()
            && let Err(refusal) = self.log.standing().reaches(vote)
        {
            tracing::warn!(node = self.target, %refusal, "the answer of a node is not believed");
            return Err(RPCError::Unreachable(Unreachable::new(&refusal)));
        }
        Ok(answer)
    }

    fn late(&self, action: RPCTypes, timeout: Duration) -> Error {
        RPCError::Timeout(Timeout { action, id: self.id, target: self.target, timeout })
    }

    async fn open_stream<S>(&self, input: S, option: &RPCOption) -> Result<Answers<'_>, Error>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let requests = input.map(move |request| {
            counter.fetch_add(1, Ordering::Relaxed);
            message(&request)
        });
        let mut client = self.client()?;
        let patience = option.hard_ttl().max(self.timings.election_min);
        let turn = self.turn().await.ok_or_else(|| self.away())?;
        let answers = timeout(patience, client.append_entries(requests)).await;
        let answers = self.outcome(turn, RPCTypes::AppendEntries, patience, answers)?;
        Ok(Answers { peer: self, sent, received: 0, stream: answers.into_inner() })
    }
}

/// Answers of one replication stream.
struct Answers<'a> {
    peer: &'a Peer,
    sent: Arc<AtomicU64>,
    received: u64,
    stream: Streaming<RaftMessage>,
}

impl Answers<'_> {
    /// The next answer; late only while a request waits for one.
    async fn next(&mut self) -> Option<Result<StreamAppendResult<TypeConfig>, Error>> {
        let patience = self.peer.timings.replication_timeout;
        loop {
            match timeout(patience, self.stream.message()).await {
                Ok(Ok(Some(answer))) => {
                    self.received += 1;
                    return Some(self.peer.read(&answer));
                }
                Ok(Ok(None)) => return None,
                Ok(Err(status)) => return Some(Err(failed(&status))),
                Err(_) if self.sent.load(Ordering::Relaxed) <= self.received => {}
                Err(_) => return Some(Err(self.peer.late(RPCTypes::AppendEntries, patience))),
            }
        }
    }
}

impl NetStreamAppend<TypeConfig> for Peer {
    fn stream_append<S>(
        &mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'_, Result<BoxStream<'_, Result<StreamAppendResult<TypeConfig>, Error>>, Error>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            let answers = self.open_stream(input, &option).await?;
            // Nothing comes after an error.
            let stream = stream::unfold(Some(answers), |answers| async {
                let mut answers = answers?;
                let answer = answers.next().await?;
                let next = answer.is_ok().then_some(answers);
                Some((answer, next))
            });
            Ok(stream.boxed())
        })
    }
}

impl NetVote<TypeConfig> for Peer {
    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Error> {
        let call = |mut client: RaftClient<_>, message| async move { client.vote(message).await };
        self.unary(RPCTypes::Vote, &request, &option, call).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Error> {
        let call = |mut client: RaftClient<_>, message| async move { client.pre_vote(message).await };
        self.unary(RPCTypes::Vote, &request, &option, call).await
    }
}

impl NetTransferLeader<TypeConfig> for Peer {
    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, Error> {
        let call = |mut client: RaftClient<_>, message| async move { client.transfer_leader(message).await };
        self.unary(RPCTypes::TransferLeader, &request, &option, call).await
    }
}

impl NetSnapshot<TypeConfig> for Peer {
    type SnapshotData = Bytes;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let Snapshot { meta, snapshot: data } = snapshot;
        let hashed = data.clone();
        let header = tokio::task::spawn_blocking(move || Header::of(vote, meta, &hashed)).await;
        let header = header.map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        let header = Bytes::from(SNAPSHOT_HEADER.encode(&header));
        let first = SnapshotChunk { header, data: data.slice(..data.len().min(CHUNK)) };
        let rest = (CHUNK..data.len()).step_by(CHUNK).map(move |start| SnapshotChunk {
            header: Bytes::new(),
            data: data.slice(start..data.len().min(start + CHUNK)),
        });
        let mut client = self.client()?;
        let turn = self.reach.call_in_turn(self.timings.replication_timeout).await.ok_or_else(|| self.away())?;
        let sending = async { client.install_snapshot(stream::iter(std::iter::once(first).chain(rest))).await };
        let sending = timeout(option.hard_ttl(), sending);
        let answer = match select(pin!(sending), pin!(cancel)).await {
            Either::Left((answer, _)) => answer,
            Either::Right((closed, _)) => return Err(closed.into()),
        };
        Ok(self.read(self.outcome(turn, RPCTypes::InstallSnapshot, option.hard_ttl(), answer)?.get_ref())?)
    }
}

impl NetBackoff<TypeConfig> for Peer {
    fn backoff(&self) -> Option<Backoff> {
        // For streams that were opened and then failed.
        Some(Backoff::new(backoff().waits()))
    }
}

fn message<T: Serialize>(value: &T) -> RaftMessage {
    RaftMessage { payload: MESSAGE.encode(value).into() }
}

/// A node that is not there, or that is another one, is not asked again at once.
fn failed(status: &Status) -> Error {
    match status.code() {
        Code::Unavailable | Code::FailedPrecondition | Code::Unauthenticated | Code::Unimplemented => {
            RPCError::Unreachable(Unreachable::new(status))
        }
        _ => RPCError::Network(NetworkError::new(status)),
    }
}
