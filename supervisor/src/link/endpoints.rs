//! Finds the leader: tries every endpoint in turn, quickly, until one of them grants the lease.

use std::collections::HashMap;
use std::time::Duration;

use rekindle_proto::backoff::Backoff;
use rekindle_proto::secret::Credential;
use rekindle_proto::status::{FOREIGN_REFUSAL, Verdict, verdict};
use rekindle_proto::v1;
use rekindle_proto::v1::agent_message::Kind;
use rekindle_proto::v1::agents_client::AgentsClient;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

const STREAM: usize = 64;
const CONNECT: Duration = Duration::from_millis(250);
const PING: Duration = Duration::from_secs(1);
const PING_ANSWER: Duration = Duration::from_secs(2);
/// Orders carry a compiled protocol, histories and checkpoints.
const LARGEST_ORDER: usize = 64 << 20;
/// How long one endpoint may take; grows while nobody answers, since the leader may just be slow.
const FIRST_PATIENCE: Duration = Duration::from_millis(300);
const LONGEST_PATIENCE: Duration = Duration::from_secs(3);
/// Pause after each round in which nobody granted the lease: an election takes a few hundred milliseconds.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// Pause after the cluster has refused this agent or taken its lease away.
const FIRST_PENANCE: Duration = Duration::from_millis(20);
const LONGEST_PENANCE: Duration = Duration::from_secs(5);

/// The nodes of the cluster.
#[derive(Debug)]
pub(crate) struct Endpoints {
    known: Vec<String>,
    credential: Credential,
    channels: HashMap<String, Channel>,
    /// Where to ask next, besides the known ones in turn.
    hint: Option<String>,
    turn: usize,
    current: Option<String>,
    /// After rounds in vain; like the next one, it starts over when a renewal shows that all is well.
    rounds: Backoff,
    /// After refusals.
    penance: Backoff,
    /// The refusal that people have been told of.
    told: Option<String>,
}

/// A stream to the leader.
pub(crate) struct Attached {
    pub(crate) say: mpsc::Sender<v1::AgentMessage>,
    pub(crate) hear: Streaming<v1::NodeMessage>,
    /// What it said first.
    pub(crate) first: v1::NodeMessage,
    /// When `hello` was sent.
    pub(crate) hello_at: Instant,
}

impl Endpoints {
    /// Each `host:port`, with or without `http://`.
    pub(crate) fn new(known: &[String], credential: Credential) -> Self {
        Endpoints {
            known: known.iter().map(|endpoint| bare(endpoint)).collect(),
            credential,
            channels: HashMap::new(),
            hint: None,
            turn: 0,
            current: None,
            rounds: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            penance: Backoff::new(FIRST_PENANCE, LONGEST_PENANCE),
            told: None,
        }
    }

    /// Attaches to the leader, however long it takes to find one.
    pub(crate) async fn attach(&mut self, hello: &v1::Hello) -> Attached {
        let mut patience = FIRST_PATIENCE;
        loop {
            let (mut silent, mut refused) = (false, false);
            // One more than there are, for a hint.
            for _ in 0..=self.known.len() {
                let endpoint = self.next();
                match tokio::time::timeout(patience, self.try_one(&endpoint, hello)).await {
                    Ok(Ok(attached)) => {
                        self.current = Some(endpoint);
                        return attached;
                    }
                    Ok(Err(status)) => {
                        tracing::trace!(endpoint, status = status.message(), "not attached");
                        refused = self.learn(&status);
                        if refused {
                            break;
                        }
                    }
                    Err(_) => {
                        silent = true;
                        self.channels.remove(&endpoint);
                    }
                }
            }
            if silent {
                patience = (patience * 2).min(LONGEST_PATIENCE);
            }
            if refused {
                self.back_off().await;
            } else {
                self.pause().await;
            }
        }
    }

    /// A node said no; it may have said who leads. Whether the cluster refuses this agent, which is told once.
    pub(crate) fn learn(&mut self, status: &Status) -> bool {
        match verdict(status) {
            Verdict::NotLeader { endpoint, .. } => {
                self.hint = endpoint.map(|endpoint| bare(&endpoint)).or(self.hint.take());
                false
            }
            Verdict::Refused { reason, message, .. } => {
                if self.told.as_ref() != Some(&message) {
                    tracing::warn!(reason = message, "the cluster refuses this local supervisor, which goes on trying");
                    self.told = Some(message);
                }
                // Somebody else answers at that endpoint; that is no word of the cluster.
                reason != FOREIGN_REFUSAL
            }
            Verdict::Overloaded { .. } | Verdict::Unknown { .. } => false,
        }
    }

    /// Waits before the next round: nobody granted the lease, or the stream to who did ended.
    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.rounds.next_wait()).await;
    }

    /// Waits, longer each time: the cluster refused this agent, or ended its lease.
    pub(crate) async fn back_off(&mut self) {
        tokio::time::sleep(self.penance.next_wait()).await;
    }

    /// The cluster goes on with this agent.
    pub(crate) fn all_is_well(&mut self) {
        self.rounds.reset();
        self.penance.reset();
        self.told = None;
    }

    /// The node that this agent was attached to hangs: it is asked last, over a new connection.
    pub(crate) fn avoid_current(&mut self) {
        if let Some(endpoint) = self.current.take() {
            self.channels.remove(&endpoint);
            if let Some(at) = self.known.iter().position(|known| *known == endpoint) {
                self.turn = at + 1;
            }
        }
    }

    /// The node that was attached to last, unless it is to be avoided; then the hint; then the others in turn.
    fn next(&mut self) -> String {
        if let Some(next) = self.current.take().or_else(|| self.hint.take()) {
            return next;
        }
        let next = self.known.get(self.turn % self.known.len().max(1)).cloned().unwrap_or_default();
        self.turn = self.turn.wrapping_add(1);
        next
    }

    async fn try_one(&mut self, endpoint: &str, hello: &v1::Hello) -> Result<Attached, Status> {
        let channel = self.channel(endpoint)?;
        let (say, said) = mpsc::channel(STREAM);
        let hello_at = Instant::now();
        let greeting = v1::AgentMessage { kind: Some(Kind::Hello(hello.clone())) };
        say.try_send(greeting).map_err(|error| Status::internal(error.to_string()))?;
        let mut client =
            AgentsClient::with_interceptor(channel, self.credential.clone()).max_decoding_message_size(LARGEST_ORDER);
        let mut hear = client.attach(ReceiverStream::new(said)).await?.into_inner();
        let first = hear.message().await?.ok_or_else(|| Status::unavailable("the stream ended at once"))?;
        Ok(Attached { say, hear, first, hello_at })
    }

    fn channel(&mut self, endpoint: &str) -> Result<Channel, Status> {
        if let Some(channel) = self.channels.get(endpoint) {
            return Ok(channel.clone());
        }
        let channel = Endpoint::from_shared(format!("http://{endpoint}"))
            .map_err(|error| Status::invalid_argument(error.to_string()))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PING_ANSWER)
            .keep_alive_while_idle(true)
            .connect_lazy();
        self.channels.insert(endpoint.to_owned(), channel.clone());
        Ok(channel)
    }
}

fn bare(endpoint: &str) -> String {
    endpoint.trim().trim_start_matches("http://").trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_leader_and_the_hint_come_before_the_turn() {
        let mut endpoints =
            Endpoints::new(&["http://a:1/".to_owned(), "b:2".to_owned(), "c:3".to_owned()], Credential::new(None));
        assert_eq!([endpoints.next(), endpoints.next()], ["a:1", "b:2"]);
        endpoints.hint = Some("d:4".to_owned());
        endpoints.current = Some("b:2".to_owned());
        assert_eq!([endpoints.next(), endpoints.next(), endpoints.next()], ["b:2", "d:4", "c:3"]);
        endpoints.current = Some("a:1".to_owned());
        endpoints.avoid_current();
        assert_eq!([endpoints.next(), endpoints.next(), endpoints.next()], ["b:2", "c:3", "a:1"]);
    }
}
