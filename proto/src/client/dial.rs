//! Connections to nodes, and the search for the one that leads.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::transport::{Channel, Endpoint};

use super::error::ClientError;
use super::retry;
use crate::v1;
use crate::v1::cluster_client::ClusterClient;

/// A dead node costs at most this in the first round; each round doubles it, for networks that are merely slow.
const FIRST_DIAL: Duration = Duration::from_millis(90);
const LONGEST_DIAL: Duration = Duration::from_secs(2);
/// How long after the first node that says it leads the others are heard: a deposed one may not know it yet.
const SECOND_OPINION: Duration = Duration::from_millis(20);
const KEEP_ALIVE: Duration = Duration::from_millis(500);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(1);
/// Of one message, either way.
pub(super) const MESSAGE_LIMIT: usize = 16 << 20;

/// A node that led when it was asked.
#[derive(Clone, Debug)]
pub struct Leader {
    /// `host:port`.
    pub endpoint: String,
    /// A connection to it.
    pub channel: Channel,
    /// Its id.
    pub node_id: u64,
    /// The term it leads.
    pub term: u64,
}

/// Why there is no [`Leader`]: what each endpoint said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoLeader(pub(super) String);

/// Checks an endpoint `host:port`; a leading `http://` is taken off.
pub(super) fn normalise(endpoint: &str) -> Result<String, ClientError> {
    let bare = endpoint.trim().trim_start_matches("http://").trim_end_matches('/');
    let bad = || ClientError::BadEndpoint { endpoint: endpoint.to_owned() };
    let (host, port) = bare.rsplit_once(':').ok_or_else(bad)?;
    if host.is_empty() || port.parse::<u16>().is_err() || dialled(bare, FIRST_DIAL).is_err() {
        return Err(bad());
    }
    Ok(bare.to_owned())
}

/// How every client of the project talks to a node: small timeouts, and pings that notice a silent peer.
fn dialled(endpoint: &str, patience: Duration) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(format!("http://{endpoint}"))?
        .connect_timeout(patience)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}

/// A connection that stands: an error means that nothing was sent.
pub(super) async fn connect(endpoint: &str, patience: Duration) -> Result<Channel, String> {
    let endpoint = dialled(endpoint, patience).map_err(|error| error.to_string())?;
    timeout(patience, endpoint.connect())
        .await
        .map_err(|_| "no connection in time".to_owned())?
        .map_err(|error| innermost(&error))
}

/// Transport errors say what happened only at the end of their chain of sources.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

pub(super) fn cluster(channel: Channel) -> ClusterClient<Channel> {
    ClusterClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT)
}

/// Asks all endpoints at once, again and again, until one of them, or one that they name, leads.
///
/// A node that is down costs nothing as long as another one answers.
pub async fn find_leader(endpoints: &[String], within: Duration) -> Result<Leader, ClientError> {
    let mut known = BTreeSet::new();
    for endpoint in endpoints {
        known.insert(normalise(endpoint)?);
    }
    if known.is_empty() {
        return Err(ClientError::NoEndpoint);
    }
    search(known, Instant::now() + within).await.map_err(|NoLeader(last)| ClientError::NoLeader {
        within_ms: u64::try_from(within.as_millis()).unwrap_or(u64::MAX),
        last,
    })
}

pub(super) async fn search(mut known: BTreeSet<String>, deadline: Instant) -> Result<Leader, NoLeader> {
    let mut backoff = retry::backoff();
    let mut patience = FIRST_DIAL;
    let mut last = String::new();
    loop {
        let round = timeout_at(deadline, ask_all(&known, patience)).await;
        let Ok(round) = round else {
            let asked: Vec<_> = known.iter().map(String::as_str).collect();
            let unanswered = format!("no answer in time from {}", asked.join(", "));
            return Err(NoLeader(if last.is_empty() { unanswered } else { last }));
        };
        if let Some(leader) = round.leader {
            return Ok(leader);
        }
        let news = round.named.difference(&known).count() > 0;
        known.extend(round.named);
        let wait = if news { Duration::ZERO } else { backoff.next_wait() };
        last = round.complaints.join("; ");
        if Instant::now() + wait >= deadline {
            return Err(NoLeader(last));
        }
        tokio::time::sleep(wait).await;
        patience = (patience * 2).min(LONGEST_DIAL);
    }
}

#[derive(Default)]
struct Round {
    leader: Option<Leader>,
    /// Endpoints of leaders that others named.
    named: BTreeSet<String>,
    complaints: Vec<String>,
}

async fn ask_all(endpoints: &BTreeSet<String>, patience: Duration) -> Round {
    let mut answers: FuturesUnordered<_> = endpoints.iter().map(|endpoint| ask(endpoint, patience)).collect();
    let mut round = Round::default();
    let mut closing = None;
    loop {
        let answer = match closing {
            Some(at) => timeout_at(at, answers.next()).await.unwrap_or(None),
            None => answers.next().await,
        };
        let Some(answer) = answer else { return round };
        match answer {
            Ok((leader, status)) if status.leader_id == status.node_id && status.node_id != 0 => {
                if round.leader.as_ref().is_none_or(|best| best.term < leader.term) {
                    round.leader = Some(leader);
                }
                closing.get_or_insert_with(|| Instant::now() + SECOND_OPINION);
            }
            Ok((asked, status)) => {
                let named = status.nodes.iter().find(|node| node.id == status.leader_id);
                round.named.extend(named.and_then(|node| normalise(&node.endpoint).ok()));
                round.complaints.push(format!("{}: does not lead", asked.endpoint));
            }
            Err(complaint) => round.complaints.push(complaint),
        }
    }
}

async fn ask(endpoint: &str, patience: Duration) -> Result<(Leader, v1::Status), String> {
    let complain = |error: String| format!("{endpoint}: {error}");
    let channel = connect(endpoint, patience).await.map_err(complain)?;
    let mut client = cluster(channel.clone());
    let status = timeout(patience, client.get_status(v1::GetStatusRequest { stale: true, ..Default::default() }))
        .await
        .map_err(|_| complain("no answer in time".to_owned()))?
        .map_err(|status| complain(status.message().to_owned()))?
        .into_inner();
    let leader = Leader { endpoint: endpoint.to_owned(), channel, node_id: status.node_id, term: status.term };
    Ok((leader, status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_host_and_port() {
        assert_eq!(normalise("http://127.0.0.1:7001/"), Ok("127.0.0.1:7001".to_owned()));
        assert_eq!(normalise(" node-1:80 "), Ok("node-1:80".to_owned()));
        for bad in ["", "node", "node:", ":80", "node:99999", "a b:80"] {
            assert_eq!(normalise(bad), Err(ClientError::BadEndpoint { endpoint: bad.to_owned() }), "{bad}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_said_with_the_endpoint() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address");
        // Whether there is time for one answer, for many, or for none is up to the machine.
        for within in [Duration::ZERO, Duration::from_millis(50)] {
            let error = find_leader(&[free.to_string()], within).await.expect_err("nobody listens");
            let ClientError::NoLeader { last, .. } = error else { panic!("{error}") };
            assert!(last.contains(&free.to_string()), "{last}");
        }
    }
}
