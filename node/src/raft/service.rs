//! What the other nodes ask of this one.

use std::fmt::Display;

use bytes::BytesMut;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, future};
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use rekindle_proto::v1::raft_server::{self, RaftServer};
use rekindle_proto::v1::{RaftMessage, SnapshotChunk};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status, Streaming};

use super::reach::Reaches;
use super::types::{Raft, Snapshot, SnapshotMeta, TypeConfig, Vote};
use super::{ADDRESSEE, MESSAGE, MESSAGE_LIMIT, SNAPSHOT_HEADER};
use crate::storage::room::Space;

/// A greater snapshot than the state machine's limits allow.
const SNAPSHOT_LIMIT: usize = 4 << 30;

/// The service between nodes.
pub(crate) struct RaftService {
    raft: Raft,
    space: watch::Receiver<Space>,
    reaches: Reaches,
    /// Ends the streams when the node stops.
    stop: CancellationToken,
}

/// Lets only calls for this node pass: endpoints may be mixed up, and to answer for another node would be fatal.
#[derive(Clone)]
pub(crate) struct Addressee(MetadataValue<Ascii>);

impl Interceptor for Addressee {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let named = request.metadata().get(ADDRESSEE);
        if named == Some(&self.0) {
            return Ok(request);
        }
        let named = named.and_then(|named| named.to_str().ok()).unwrap_or("nobody");
        let own = self.0.to_str().unwrap_or_default();
        Err(Status::failed_precondition(format!(
            "this is {own}, the call is for {named}: check the peers of both nodes"
        )))
    }
}

impl RaftService {
    pub(super) fn server(
        raft: Raft,
        space: watch::Receiver<Space>,
        own: MetadataValue<Ascii>,
        reaches: Reaches,
        stop: CancellationToken,
    ) -> InterceptedService<RaftServer<Self>, Addressee> {
        let server = RaftServer::new(RaftService { raft, space, reaches, stop })
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        InterceptedService::new(server, Addressee(own))
    }
}

#[tonic::async_trait]
impl raft_server::Raft for RaftService {
    type AppendEntriesStream = BoxStream<'static, Result<RaftMessage, Status>>;

    async fn vote(&self, request: Request<RaftMessage>) -> Result<Response<RaftMessage>, Status> {
        let question: VoteRequest<TypeConfig> = read(request.get_ref())?;
        self.reaches.heard_from(question.vote.leader_id.node_id);
        answer(self.raft.vote(question).await)
    }

    async fn pre_vote(&self, request: Request<RaftMessage>) -> Result<Response<RaftMessage>, Status> {
        let question: VoteRequest<TypeConfig> = read(request.get_ref())?;
        self.reaches.heard_from(question.vote.leader_id.node_id);
        answer(self.raft.pre_vote(question).await)
    }

    async fn append_entries(
        &self,
        request: Request<Streaming<RaftMessage>>,
    ) -> Result<Response<Self::AppendEntriesStream>, Status> {
        let answers = self.raft.stream_append(while_there_is_room(requests(request.into_inner()), self.space.clone()));
        let answers = answers.map(|answer| match answer {
            Ok(answer) => Ok(message(&answer)),
            Err(fatal) => Err(stopping(&fatal)),
        });
        Ok(Response::new(answers.take_until(self.stop.clone().cancelled_owned()).boxed()))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<SnapshotChunk>>,
    ) -> Result<Response<RaftMessage>, Status> {
        if *self.space.borrow() != Space::Enough {
            return Err(Status::unavailable("there is no room for a snapshot on the disk of this node"));
        }
        let (vote, snapshot) = receive(request.into_inner()).await?;
        answer(self.raft.install_full_snapshot(vote, snapshot).await)
    }

    async fn transfer_leader(&self, request: Request<RaftMessage>) -> Result<Response<RaftMessage>, Status> {
        let question: TransferLeaderRequest<TypeConfig> = read(request.get_ref())?;
        answer(self.raft.handle_transfer_leader(question).await)
    }
}

/// Requests up to the first that is damaged or does not arrive: the stream ends there, and the leader opens another.
fn requests(stream: Streaming<RaftMessage>) -> impl Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + 'static {
    stream.scan((), |(), message| future::ready(message.ok().and_then(|message| read(&message).ok())))
}

async fn receive(mut chunks: Streaming<SnapshotChunk>) -> Result<(Vote, Snapshot), Status> {
    let first = chunks.message().await?.ok_or_else(|| Status::invalid_argument("a snapshot without a first chunk"))?;
    let (vote, meta): (Vote, SnapshotMeta) =
        SNAPSHOT_HEADER.decode(&first.header).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let mut data = BytesMut::from(first.data);
    while let Some(chunk) = chunks.message().await? {
        if data.len() + chunk.data.len() > SNAPSHOT_LIMIT {
            return Err(Status::resource_exhausted(format!("a snapshot of more than {SNAPSHOT_LIMIT} bytes")));
        }
        data.extend_from_slice(&chunk.data);
    }
    Ok((vote, Snapshot { meta, snapshot: data.freeze() }))
}

/// Entries wait while there is no room for them: the leader, which hears no answer, tries again after a while. Heartbeats
/// have no entries, and pass.
fn while_there_is_room(
    requests: impl Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + 'static,
    space: watch::Receiver<Space>,
) -> impl Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + 'static {
    requests.then(move |request| {
        let mut space = space.clone();
        async move {
            if !request.entries.is_empty() {
                // Fails when the node stops, which ends the stream as well.
                let _ = space.wait_for(|space| !matches!(space, Space::Critical { .. })).await;
            }
            request
        }
    })
}

fn read<T: DeserializeOwned>(message: &RaftMessage) -> Result<T, Status> {
    MESSAGE.decode(&message.payload).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn message<T: Serialize>(value: &T) -> RaftMessage {
    RaftMessage { payload: MESSAGE.encode(value).into() }
}

/// The consensus answers every call until it stops.
fn answer<T: Serialize, E: Display>(result: Result<T, E>) -> Result<Response<RaftMessage>, Status> {
    match result {
        Ok(value) => Ok(Response::new(message(&value))),
        Err(fatal) => Err(stopping(&fatal)),
    }
}

fn stopping(fatal: &impl Display) -> Status {
    Status::unavailable(format!("this node is stopping: {fatal}"))
}
