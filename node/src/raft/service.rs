//! What the other nodes ask of this one.

use std::fmt::Display;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use openraft::raft::{AppendEntriesRequest, SnapshotResponse, TransferLeaderRequest, VoteRequest};
use rekindle_proto::secret::Guard;
use rekindle_proto::v1::raft_server::{self, RaftServer};
use rekindle_proto::v1::{RaftMessage, SnapshotChunk};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Request, Response, Status, Streaming};

use super::admission::Admission;
use super::reach::Reaches;
use super::reception::Reception;
use super::types::{Raft, Snapshot, TypeConfig};
use super::{ADDRESSEE, MESSAGE, MESSAGE_LIMIT};
use crate::storage::room::Space;

/// Longer messages than this are decoded beside the tasks that serve the consensus.
const LONG: usize = 64 << 10;
/// Refusals of one call are logged once within this time.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// The service between nodes.
pub(crate) struct RaftService {
    raft: Raft,
    space: watch::Receiver<Space>,
    reaches: Reaches,
    admission: Arc<Admission>,
    reception: Reception,
    complaints: Arc<Complaints>,
    /// Ends the streams when the node stops.
    stop: CancellationToken,
}

/// Lets only calls of this cluster for this node pass: endpoints may be mixed up, and to answer for another node would
/// be fatal.
#[derive(Clone)]
pub(crate) struct Addressee {
    pub(super) own: MetadataValue<Ascii>,
    pub(super) guard: Guard,
}

impl Interceptor for Addressee {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.guard.check(&request)?;
        let named = request.metadata().get(ADDRESSEE);
        if named == Some(&self.own) {
            return Ok(request);
        }
        let named = named.and_then(|named| named.to_str().ok()).unwrap_or("nobody");
        let own = self.own.to_str().unwrap_or_default();
        Err(Status::failed_precondition(format!(
            "this is {own}, the call is for {named}: check the peers of both nodes"
        )))
    }
}

impl RaftService {
    pub(super) fn server(
        raft: Raft,
        admission: Admission,
        reception: Reception,
        space: watch::Receiver<Space>,
        reaches: Reaches,
        addressee: Addressee,
        stop: CancellationToken,
    ) -> InterceptedService<RaftServer<Self>, Addressee> {
        let (admission, complaints) = (Arc::new(admission), Arc::default());
        let server = RaftServer::new(RaftService { raft, space, reaches, admission, reception, complaints, stop })
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        InterceptedService::new(server, addressee)
    }
}

#[tonic::async_trait]
impl raft_server::Raft for RaftService {
    type AppendEntriesStream = BoxStream<'static, Result<RaftMessage, Status>>;

    async fn vote(&self, request: Request<RaftMessage>) -> Result<Response<RaftMessage>, Status> {
        let question = self.complaints.hear("vote", self.question(request.get_ref()).await)?;
        self.reaches.heard_from(question.vote.leader_id.node_id);
        answer(self.raft.vote(question).await)
    }

    async fn pre_vote(&self, request: Request<RaftMessage>) -> Result<Response<RaftMessage>, Status> {
        let question = self.complaints.hear("vote", self.question(request.get_ref()).await)?;
        self.reaches.heard_from(question.vote.leader_id.node_id);
        answer(self.raft.pre_vote(question).await)
    }

    async fn append_entries(
        &self,
        request: Request<Streaming<RaftMessage>>,
    ) -> Result<Response<Self::AppendEntriesStream>, Status> {
        let refusal = Arc::new(OnceLock::new());
        let input = Appends {
            stream: request.into_inner(),
            admission: Arc::clone(&self.admission),
            complaints: Arc::clone(&self.complaints),
            refusal: Arc::clone(&refusal),
        };
        let answers = self.raft.stream_append(while_there_is_room(input.requests(), self.space.clone()));
        let answers = answers.map(|answer| match answer {
            Ok(answer) => Ok(message(&answer)),
            Err(fatal) => Err(stopping(&fatal)),
        });
        let last = stream::once(async move { refusal.get().cloned() });
        let answers = answers.chain(last.filter_map(async |refusal| refusal.map(Err)));
        Ok(Response::new(answers.take_until(self.stop.clone().cancelled_owned()).boxed()))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<SnapshotChunk>>,
    ) -> Result<Response<RaftMessage>, Status> {
        if *self.space.borrow() != Space::Enough {
            return Err(Status::unavailable("there is no room for a snapshot on the disk of this node"));
        }
        self.complaints.hear("snapshot", self.install(request.into_inner()).await)
    }

    async fn transfer_leader(&self, request: Request<RaftMessage>) -> Result<Response<RaftMessage>, Status> {
        let question = self.complaints.hear("transfer of the leadership", self.transfer(request.get_ref()))?;
        answer(self.raft.handle_transfer_leader(question).await)
    }
}

impl RaftService {
    async fn question(&self, message: &RaftMessage) -> Result<VoteRequest<TypeConfig>, Status> {
        let question = read(message)?;
        self.admission.vote(&question)?;
        self.admission.transferred(&question).await?;
        Ok(question)
    }

    fn transfer(&self, message: &RaftMessage) -> Result<TransferLeaderRequest<TypeConfig>, Status> {
        let request = read(message)?;
        self.admission.transfer(&request)?;
        Ok(request)
    }

    async fn install(&self, mut chunks: Streaming<SnapshotChunk>) -> Result<Response<RaftMessage>, Status> {
        let (header, first) = self.reception.header(&mut chunks).await?;
        self.admission.snapshot(&header.vote, &header.meta)?;
        if let Some(newer) = self.admission.newer_vote(&header.vote) {
            return Ok(Response::new(message(&SnapshotResponse::<TypeConfig>::new(newer))));
        }
        let arrived = self.reception.receive(&header, first, chunks).await?;
        let snapshot = Snapshot { meta: header.meta, snapshot: arrived.data.clone() };
        answer(self.raft.install_full_snapshot(header.vote, snapshot).await)
    }
}

/// A stream of appends.
struct Appends {
    stream: Streaming<RaftMessage>,
    admission: Arc<Admission>,
    complaints: Arc<Complaints>,
    /// Why it ended before the leader ended it.
    refusal: Arc<OnceLock<Status>>,
}

impl Appends {
    /// Requests up to the first that is refused or does not arrive: the stream ends there, and the leader opens another.
    fn requests(self) -> impl Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + 'static {
        stream::unfold(self, |mut appends| async {
            let message = appends.stream.message().await.ok()??;
            let judged = judge(Arc::clone(&appends.admission), message).await;
            match appends.complaints.hear("append", judged) {
                Ok(request) => Some((request, appends)),
                Err(refusal) => {
                    // The stream ends with its first refusal, so there is no other.
                    let _ = appends.refusal.set(refusal);
                    None
                }
            }
        })
    }
}

async fn judge(admission: Arc<Admission>, message: RaftMessage) -> Result<AppendEntriesRequest<TypeConfig>, Status> {
    let long = message.payload.len() > LONG;
    let judge = move || {
        let request = read(&message)?;
        admission.append(&request)?;
        Ok(request)
    };
    if !long {
        return judge();
    }
    tokio::task::spawn_blocking(judge).await.map_err(|error| Status::internal(error.to_string()))?
}

/// Says what was refused, but not more often than anybody reads.
#[derive(Default)]
struct Complaints(Mutex<Option<(Instant, &'static str)>>);

impl Complaints {
    fn hear<T>(&self, call: &'static str, judged: Result<T, Status>) -> Result<T, Status> {
        if let Err(status) = &judged
            && matches!(status.code(), Code::FailedPrecondition | Code::InvalidArgument)
            && self.is_due(call)
        {
            tracing::warn!(reason = status.message(), "a {call} of another node is refused");
        }
        judged
    }

    fn is_due(&self, call: &'static str) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|(at, what)| what != call || at.elapsed() >= COMPLAIN_EVERY);
        if due {
            *last = Some((Instant::now(), call));
        }
        due
    }
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
