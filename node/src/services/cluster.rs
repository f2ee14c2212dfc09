//! What clients ask of the cluster.

use std::sync::Arc;
use std::time::Instant;

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use prost::Message as _;
use rekindle_proto::convert::{request, view};
use rekindle_proto::payload::Format;
use rekindle_proto::status::RequestError;
use rekindle_proto::v1;
use rekindle_proto::v1::command_reply::Outcome;
use rekindle_proto::v1::command_request::Command as Asked;
use rekindle_statemachine::command::{Command, Rejection, Reply};
use rekindle_statemachine::ids::{ProtocolId, RequestId, SessionId};
use rekindle_statemachine::protocols;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{status, watch};
use crate::raft::consensus::Consensus;
use crate::replica::Replica;
use crate::workshop::{Key, Room, Workshop};

/// What a recovery table is computed from; compared within this process only.
const TABLE_INPUT: Format = Format::wire("input of a recovery table", 1);
/// Commands of one stream that go to the log in one go.
const BATCH: usize = 512;
/// Batches of one stream under way.
const BATCHES: usize = 8;

/// Serves clients.
#[derive(Clone)]
pub(crate) struct ClusterService {
    pub(crate) cluster: String,
    pub(crate) started: Instant,
    pub(crate) consensus: Consensus,
    pub(crate) replica: Arc<Replica>,
    /// Compile protocols.
    pub(crate) compilers: Workshop<Result<Arc<Command>, RequestError>>,
    /// Compute recovery tables.
    pub(crate) tables: Workshop<Arc<request::RecoveryTable>>,
    pub(crate) room: Room,
    pub(crate) stop: CancellationToken,
}

/// A command under its request id, or why there is none.
type Prepared = Result<(RequestId, Command), RequestError>;

#[tonic::async_trait]
impl v1::cluster_server::Cluster for ClusterService {
    type ExecuteStream = BoxStream<'static, Result<v1::CommandReply, Status>>;
    type WatchSessionStream = BoxStream<'static, Result<v1::SessionEvent, Status>>;

    async fn execute(
        &self,
        request: Request<Streaming<v1::CommandRequest>>,
    ) -> Result<Response<Self::ExecuteStream>, Status> {
        self.consensus.leading()?;
        let service = self.clone();
        // A client that goes away ends the stream like one that is done.
        let requests = request.into_inner().take_while(|message| std::future::ready(message.is_ok()));
        let replies = requests
            .filter_map(|message| std::future::ready(message.ok()))
            .ready_chunks(BATCH)
            .map(move |batch| {
                let service = service.clone();
                async move { service.execute_batch(batch).await }
            })
            .buffer_unordered(BATCHES)
            .flat_map(|replies| stream::iter(replies.into_iter().map(Ok)));
        Ok(Response::new(replies.take_until(self.stop.clone().cancelled_owned()).boxed()))
    }

    async fn register_protocol(
        &self,
        request: Request<v1::RegisterProtocolRequest>,
    ) -> Result<Response<v1::RegisterProtocolReply>, Status> {
        self.consensus.leading()?;
        let prepared = self.register_protocol(request.into_inner()).await;
        let reply = self.change(prepared).await?;
        Ok(Response::new(registered(reply)?))
    }

    async fn start_session(
        &self,
        request: Request<v1::StartSessionRequest>,
    ) -> Result<Response<v1::StartSessionReply>, Status> {
        self.consensus.leading()?;
        let prepared = self.start_session(request.get_ref()).await;
        let reply = self.change(prepared).await?;
        Ok(Response::new(started(&reply)))
    }

    async fn cancel_session(
        &self,
        request: Request<v1::CancelSessionRequest>,
    ) -> Result<Response<v1::CancelSessionReply>, Status> {
        self.change(cancel_session(request.get_ref())).await?;
        Ok(Response::new(v1::CancelSessionReply {}))
    }

    async fn delete_session(
        &self,
        request: Request<v1::DeleteSessionRequest>,
    ) -> Result<Response<v1::DeleteSessionReply>, Status> {
        self.change(delete_session(request.get_ref())).await?;
        Ok(Response::new(v1::DeleteSessionReply {}))
    }

    async fn delete_protocol(
        &self,
        request: Request<v1::DeleteProtocolRequest>,
    ) -> Result<Response<v1::DeleteProtocolReply>, Status> {
        self.change(delete_protocol(request.get_ref())).await?;
        Ok(Response::new(v1::DeleteProtocolReply {}))
    }

    async fn list_protocols(
        &self,
        request: Request<v1::ListProtocolsRequest>,
    ) -> Result<Response<v1::ListProtocolsReply>, Status> {
        self.before_reading(request.get_ref().stale).await?;
        let protocols = self.replica.state().protocols().map(|(id, image)| view::protocol(id, image)).collect();
        Ok(Response::new(v1::ListProtocolsReply { protocols }))
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsReply>, Status> {
        self.before_reading(request.get_ref().stale).await?;
        let sessions = self.replica.state().sessions().map(view::summary).collect();
        Ok(Response::new(v1::ListSessionsReply { sessions }))
    }

    async fn get_session(&self, request: Request<v1::GetSessionRequest>) -> Result<Response<v1::Session>, Status> {
        let request = request.into_inner();
        self.before_reading(request.stale).await?;
        let id = SessionId(request.session);
        let state = self.replica.state();
        let session = state.session(&id).ok_or_else(|| RequestError::from(Rejection::UnknownSession(id)))?;
        let unknown = || RequestError::from(Rejection::UnknownProtocol(session.protocol.clone()));
        let image = state.protocol(&session.protocol).ok_or_else(unknown)?;
        Ok(Response::new(view::session(session, image)))
    }

    async fn get_status(&self, request: Request<v1::GetStatusRequest>) -> Result<Response<v1::Status>, Status> {
        let request = request.into_inner();
        self.before_reading(request.stale).await?;
        let service = self.clone();
        let look = move || status::status(&service, request.digest);
        // A digest is of the whole state.
        let status = if request.digest { self.room.work(look).await.ok_or_else(stopping)? } else { look() };
        Ok(Response::new(status))
    }

    async fn watch_session(
        &self,
        request: Request<v1::WatchSessionRequest>,
    ) -> Result<Response<Self::WatchSessionStream>, Status> {
        let request = request.into_inner();
        let session = SessionId(request.session);
        // Only the leader can tell that there is no such session; others may just not have heard of it.
        if self.replica.state().session(&session).is_none() {
            self.consensus.read_barrier().await?;
        }
        let events = watch::events(Arc::clone(&self.replica), session, request.from, self.stop.clone());
        Ok(Response::new(events.boxed()))
    }
}

impl ClusterService {
    async fn before_reading(&self, stale: bool) -> Result<(), RequestError> {
        if stale { Ok(()) } else { self.consensus.read_barrier().await }
    }

    async fn change(&self, prepared: Prepared) -> Result<Reply, RequestError> {
        let (id, command) = prepared?;
        match self.consensus.propose(Some(id), command).await? {
            Reply::Rejected(rejection) => Err(rejection.into()),
            reply => Ok(reply),
        }
    }

    async fn register_protocol(&self, mut request: v1::RegisterProtocolRequest) -> Prepared {
        let id = request::request_id(&request.request_id)?;
        request.request_id.clear();
        let key = key(&request.encode_to_vec());
        let compiled = self.compilers.result(key, move || compile(&request).map(Arc::new));
        let command = compiled.await.ok_or_else(stopping)??;
        Ok((id, Command::clone(&command)))
    }

    async fn start_session(&self, request: &v1::StartSessionRequest) -> Prepared {
        let id = request::request_id(&request.request_id)?;
        let protocol = ProtocolId(request.protocol_id.clone());
        let known = |service: &Self| service.replica.state().protocol(&protocol).cloned();
        let image = if let Some(image) = known(self) {
            image
        } else {
            // A new leader may not have applied its registration yet.
            self.consensus.read_barrier().await?;
            known(self).ok_or_else(|| Rejection::UnknownProtocol(protocol.clone()))?
        };
        let spec = request::spec(request, &image)?;
        let policy = request::policy(&spec);
        let key = key(&TABLE_INPUT.encode(&(&protocol, policy.retention, &policy.modes)));
        let table = self.tables.result(key, move || Arc::new(request::table(&image, &policy)));
        let table = table.await.ok_or_else(stopping)?;
        Ok((id, request::start_session(request, spec, request::RecoveryTable::clone(&table))))
    }

    async fn execute_batch(&self, batch: Vec<v1::CommandRequest>) -> Vec<v1::CommandReply> {
        let mut replies = Vec::with_capacity(batch.len());
        let mut commands = Vec::with_capacity(batch.len());
        let mut asked = Vec::with_capacity(batch.len());
        for request in batch {
            let CommandRequest { id, kind, prepared } = self.prepare(request).await;
            match prepared {
                Ok((request, command)) => {
                    commands.push((Some(request), command));
                    asked.push((id, kind));
                }
                Err(error) => replies.push(refusal(id, &error)),
            }
        }
        match self.consensus.submit(commands).await {
            Ok(answers) => {
                let answers: Vec<_> = answers.collect().await;
                replies.extend(asked.into_iter().zip(answers).map(|((id, kind), answer)| reply(id, kind, answer)));
            }
            Err(error) => replies.extend(asked.into_iter().map(|(id, _)| refusal(id, &error))),
        }
        replies
    }

    /// The request's own id field counts; the one inside the command may be empty.
    async fn prepare(&self, request: v1::CommandRequest) -> CommandRequest {
        let id = request.request_id;
        let (kind, prepared) = match request.command {
            Some(Asked::RegisterProtocol(inner)) => {
                let inner = v1::RegisterProtocolRequest { request_id: id.clone(), ..inner };
                (Kind::Register, self.register_protocol(inner).await)
            }
            Some(Asked::StartSession(inner)) => {
                let inner = v1::StartSessionRequest { request_id: id.clone(), ..inner };
                (Kind::Start, self.start_session(&inner).await)
            }
            Some(Asked::CancelSession(inner)) => {
                let inner = v1::CancelSessionRequest { request_id: id.clone(), ..inner };
                (Kind::Cancel, cancel_session(&inner))
            }
            Some(Asked::DeleteSession(inner)) => {
                let inner = v1::DeleteSessionRequest { request_id: id.clone(), ..inner };
                (Kind::DeleteSession, delete_session(&inner))
            }
            Some(Asked::DeleteProtocol(inner)) => {
                let inner = v1::DeleteProtocolRequest { request_id: id.clone(), ..inner };
                (Kind::DeleteProtocol, delete_protocol(&inner))
            }
            None => (Kind::Cancel, Err(RequestError::invalid("the request has no command that this release knows"))),
        };
        CommandRequest { id, kind, prepared }
    }
}

/// One request of a stream.
struct CommandRequest {
    id: Vec<u8>,
    kind: Kind,
    prepared: Prepared,
}

#[derive(Clone, Copy)]
enum Kind {
    Register,
    Start,
    Cancel,
    DeleteSession,
    DeleteProtocol,
}

/// What the state would refuse does not get into the log.
fn compile(request: &v1::RegisterProtocolRequest) -> Result<Command, RequestError> {
    let command = request::register_protocol(request)?;
    if let Command::RegisterProtocol { image } = &command {
        protocols::check(image)?;
    }
    Ok(command)
}

fn key(input: &[u8]) -> Key {
    *blake3::hash(input).as_bytes()
}

fn stopping() -> RequestError {
    RequestError::Overloaded { what: "it is stopping".to_owned() }
}

fn cancel_session(request: &v1::CancelSessionRequest) -> Prepared {
    Ok((request::request_id(&request.request_id)?, request::cancel_session(request)))
}

fn delete_session(request: &v1::DeleteSessionRequest) -> Prepared {
    Ok((request::request_id(&request.request_id)?, request::delete_session(request)))
}

fn delete_protocol(request: &v1::DeleteProtocolRequest) -> Prepared {
    Ok((request::request_id(&request.request_id)?, request::delete_protocol(request)))
}

fn started(reply: &Reply) -> v1::StartSessionReply {
    v1::StartSessionReply { already_running: *reply == Reply::AlreadyRunning }
}

fn registered(reply: Reply) -> Result<v1::RegisterProtocolReply, RequestError> {
    match reply {
        Reply::Protocol(id) => Ok(v1::RegisterProtocolReply { protocol_id: id.0 }),
        // Only a request id that was used for something else is answered like this.
        Reply::Done | Reply::AlreadyRunning => {
            Err(RequestError::invalid("the request id was used for another request"))
        }
        Reply::Rejected(rejection) => Err(rejection.into()),
    }
}

fn reply(request_id: Vec<u8>, kind: Kind, answer: Result<Reply, RequestError>) -> v1::CommandReply {
    let outcome = answer.and_then(|reply| match (kind, reply) {
        (_, Reply::Rejected(rejection)) => Err(rejection.into()),
        (Kind::Register, reply) => registered(reply).map(Outcome::RegisterProtocol),
        (Kind::Start, reply) => Ok(Outcome::StartSession(started(&reply))),
        (Kind::Cancel, _) => Ok(Outcome::CancelSession(v1::CancelSessionReply {})),
        (Kind::DeleteSession, _) => Ok(Outcome::DeleteSession(v1::DeleteSessionReply {})),
        (Kind::DeleteProtocol, _) => Ok(Outcome::DeleteProtocol(v1::DeleteProtocolReply {})),
    });
    match outcome {
        Ok(outcome) => v1::CommandReply { request_id, outcome: Some(outcome) },
        Err(error) => refusal(request_id, &error),
    }
}

fn refusal(request_id: Vec<u8>, error: &RequestError) -> v1::CommandReply {
    v1::CommandReply { request_id, outcome: Some(Outcome::Refusal(error.to_refusal())) }
}
