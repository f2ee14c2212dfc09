//! Streams to other agents: one for each agent, shared by all sessions.
//!
//! A carrier keeps nothing: messages stay in their outboxes until they are answered, and what was under way when a
//! connection broke goes again on the next one. Each connection has a number of its own, the [`Route`].
//!
//! Invariant: a carrier never waits for a session while a session waits for it: sessions put messages in without
//! waiting, and carriers wait for sessions only to hand them answers.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use rekindle_proto::backoff::Backoff;
use rekindle_proto::secret::Credential;
use rekindle_proto::v1;
use rekindle_proto::v1::channels_client::ChannelsClient;
use rekindle_statemachine::ids::{Generation, SessionId};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Endpoint;
use tonic::{Status, Streaming};

use super::outbox::{LOCAL, Route};
use crate::session::input::Input;

const QUEUE: usize = 1024;
const STREAM: usize = 64;
const BATCH: usize = 64;
const CONNECT: Duration = Duration::from_secs(1);
const PING: Duration = Duration::from_secs(1);
const PING_ANSWER: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A session by its name and which one of that name it is.
pub(crate) type Named = (SessionId, Generation);

/// All carriers of this agent.
#[derive(Clone, Debug)]
pub(crate) struct Carriers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    carriers: Mutex<HashMap<String, Entry>>,
    credential: Credential,
    routes: AtomicU64,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Entry {
    queue: mpsc::Sender<(Route, v1::Envelope)>,
    route: Arc<AtomicU64>,
    sessions: HashMap<Named, mpsc::Sender<Input>>,
    stop: CancellationToken,
}

/// A session's hold on the carrier to one address.
#[derive(Debug)]
pub(crate) struct Way {
    address: String,
    session: Named,
    queue: mpsc::Sender<(Route, v1::Envelope)>,
    route: Arc<AtomicU64>,
    carriers: Carriers,
}

impl Carriers {
    pub(crate) fn new(credential: Credential, tasks: TaskTracker, stop: CancellationToken) -> Self {
        let shared = Shared { carriers: Mutex::default(), credential, routes: AtomicU64::new(LOCAL + 1), tasks, stop };
        Carriers { shared: Arc::new(shared) }
    }

    /// The way of a session to an agent. The session gets answers, and hears of each new connection.
    pub(crate) fn attach(&self, address: &str, session: &Named, inputs: mpsc::Sender<Input>) -> Way {
        let mut carriers = self.carriers();
        let entry = carriers.entry(address.to_owned()).or_insert_with(|| self.open(address));
        entry.sessions.insert(session.clone(), inputs);
        Way {
            address: address.to_owned(),
            session: session.clone(),
            queue: entry.queue.clone(),
            route: Arc::clone(&entry.route),
            carriers: self.clone(),
        }
    }

    fn open(&self, address: &str) -> Entry {
        let (queue, queued) = mpsc::channel(QUEUE);
        let route = Arc::new(AtomicU64::new(LOCAL));
        let stop = self.shared.stop.child_token();
        let carrier =
            Carrier { address: address.to_owned(), carriers: self.clone(), queued, route: Arc::clone(&route) };
        let stopped = stop.clone();
        self.shared.tasks.spawn(async move { stopped.run_until_cancelled(carrier.run()).await });
        Entry { queue, route, sessions: HashMap::new(), stop }
    }

    fn detach(&self, address: &str, session: &Named) {
        let mut carriers = self.carriers();
        let Some(entry) = carriers.get_mut(address) else { return };
        entry.sessions.remove(session);
        if entry.sessions.is_empty() {
            entry.stop.cancel();
            carriers.remove(address);
        }
    }

    fn sessions_at(&self, address: &str) -> Vec<mpsc::Sender<Input>> {
        self.carriers().get(address).map(|entry| entry.sessions.values().cloned().collect()).unwrap_or_default()
    }

    fn session_at(&self, address: &str, session: &Named) -> Option<mpsc::Sender<Input>> {
        self.carriers().get(address)?.sessions.get(session).cloned()
    }

    fn carriers(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.shared.carriers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    /// The current connection.
    pub(crate) fn route(&self) -> Option<Route> {
        Some(self.route.load(Ordering::Acquire)).filter(|&route| route != LOCAL)
    }

    /// Puts a message on its way over connection `route`; `false` if there is no room now.
    pub(crate) fn transmit(&self, route: Route, envelope: v1::Envelope) -> bool {
        self.queue.try_send((route, envelope)).is_ok()
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.carriers.detach(&self.address, &self.session);
    }
}

struct Carrier {
    address: String,
    carriers: Carriers,
    queued: mpsc::Receiver<(Route, v1::Envelope)>,
    route: Arc<AtomicU64>,
}

impl Carrier {
    async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            match self.connect().await {
                Ok((stream, answers)) => {
                    // A connection that breaks before anything was answered is no success.
                    if self.carry(stream, answers).await {
                        backoff.reset();
                    }
                    self.route.store(LOCAL, Ordering::Release);
                }
                Err(error) => tracing::debug!(address = self.address, %error, "no connection to another agent"),
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    async fn connect(&self) -> Result<(mpsc::Sender<v1::Envelope>, Streaming<v1::Acknowledgement>), String> {
        let channel = Endpoint::from_shared(format!("http://{}", self.address))
            .map_err(|error| error.to_string())?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PING_ANSWER)
            .keep_alive_while_idle(true)
            .connect()
            .await
            .map_err(|error| error.to_string())?;
        let (stream, sent) = mpsc::channel(STREAM);
        let mut client = ChannelsClient::with_interceptor(channel, self.carriers.shared.credential.clone());
        let answers = tokio::time::timeout(CONNECT, client.carry(ReceiverStream::new(sent)))
            .await
            .map_err(|_| "no answer in time".to_owned())?
            .map_err(|status| status.message().to_owned())?;
        Ok((stream, answers.into_inner()))
    }

    /// Carries until the connection breaks; whether anything was answered.
    async fn carry(&mut self, stream: mpsc::Sender<v1::Envelope>, answers: Streaming<v1::Acknowledgement>) -> bool {
        let route = self.carriers.shared.routes.fetch_add(1, Ordering::Relaxed);
        self.route.store(route, Ordering::Release);
        for session in self.carriers.sessions_at(&self.address) {
            // A session that has ended has nothing to carry.
            drop(session.send(Input::Connected { address: self.address.clone() }).await);
        }
        let mut answers = answers.ready_chunks(BATCH);
        let mut staged: Option<v1::Envelope> = None;
        let mut answered = false;
        loop {
            tokio::select! {
                place = reserve(&stream, staged.is_some()) => match (place, staged.take()) {
                    (Ok(place), Some(envelope)) => place.send(envelope),
                    _ => return answered,
                },
                queued = self.queued.recv(), if staged.is_none() => match queued {
                    Some((through, envelope)) if through == route => staged = Some(envelope),
                    Some(_) => {}
                    None => return answered,
                },
                batch = answers.next() => match batch {
                    Some(batch) => {
                        answered |= batch.iter().any(Result::is_ok);
                        if !self.hand_on(batch).await {
                            return answered;
                        }
                    }
                    None => return answered,
                },
            }
        }
    }

    /// Hands answers to their sessions; `false` if the stream broke.
    async fn hand_on(&self, batch: Vec<Result<v1::Acknowledgement, Status>>) -> bool {
        let mut of_session: BTreeMap<Named, Vec<v1::Acknowledgement>> = BTreeMap::new();
        let mut alive = true;
        for answer in batch {
            match answer {
                Ok(answer) => {
                    let session = (SessionId(answer.session.clone()), Generation(answer.generation));
                    of_session.entry(session).or_default().push(answer);
                }
                Err(_) => alive = false,
            }
        }
        for (session, acknowledgements) in of_session {
            if let Some(session) = self.carriers.session_at(&self.address, &session) {
                drop(session.send(Input::Answers { acknowledgements }).await);
            }
        }
        alive
    }
}

async fn reserve<T>(stream: &mpsc::Sender<T>, wanted: bool) -> Result<mpsc::Permit<'_, T>, mpsc::error::SendError<()>> {
    if wanted { stream.reserve().await } else { pending().await }
}
