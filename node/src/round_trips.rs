//! How far apart the nodes are, and whether their timings fit that.
//!
//! Measured with calls that do nothing, over connections of their own. Of several the fastest counts, and of two
//! measurements in turn: a machine that is busy, or back after a pause, is not far away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rekindle_statemachine::ids::NodeId;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::config::{NodeConfig, Timings};
use crate::connector::Connector;

/// Between two measurements of one node. Not a retry: what is not answered is measured at the next turn.
const PERIOD: Duration = Duration::from_secs(10);
/// Of one call; a node that takes longer is away, which others notice.
const PATIENCE: Duration = Duration::from_secs(5);
/// Calls of one measurement. The first opens the connection.
const CALLS: usize = 4;

/// Measures the way to each of the other nodes.
pub(crate) struct RoundTrips {
    peers: BTreeMap<NodeId, String>,
    timings: Timings,
    connector: Arc<dyn Connector>,
}

impl RoundTrips {
    pub(crate) fn of(config: &NodeConfig, connector: Arc<dyn Connector>) -> Self {
        let mut peers = config.peers.clone();
        peers.remove(&config.id);
        RoundTrips { peers, timings: config.timings, connector }
    }

    /// Runs for as long as the node does. Warns once for each node that is too far away.
    pub(crate) async fn run(self) {
        join_all(self.peers.iter().map(|(id, endpoint)| self.watch(*id, endpoint))).await;
    }

    async fn watch(&self, id: NodeId, endpoint: &str) {
        // One that cannot be parsed is reported by those who need it.
        let Ok(endpoint) = Endpoint::from_shared(format!("http://{endpoint}")) else { return };
        let endpoint = endpoint.connect_timeout(PATIENCE).tcp_nodelay(true);
        let channel = self.connector.connect(endpoint);
        let mut before = None;
        loop {
            let now = measure(&channel).await;
            if let (Some(before), Some(now)) = (before, now)
                && let Some(advice) = advice(now.min(before), &self.timings)
            {
                tracing::warn!(node = %id, "{advice}");
                return;
            }
            before = now;
            sleep(PERIOD).await;
        }
    }
}

/// The fastest of some calls; `None` if none was answered.
async fn measure(channel: &Channel) -> Option<Duration> {
    let mut fastest = None;
    for _ in 0..CALLS {
        let mut client = HealthClient::new(channel.clone());
        let start = Instant::now();
        // Any answer is one: what it says is not looked at.
        let answered =
            timeout(PATIENCE, client.check(HealthCheckRequest::default())).await.is_ok_and(|answer| answer.is_ok());
        if answered {
            let took = start.elapsed();
            fastest = Some(fastest.map_or(took, |fastest: Duration| fastest.min(took)));
        }
    }
    fastest
}

/// What to change, if the timings do not fit nodes that are so far apart.
fn advice(round_trip: Duration, timings: &Timings) -> Option<String> {
    if round_trip * 2 <= timings.election_min {
        return None;
    }
    // Round numbers above what fits.
    let ten = Duration::from_millis(10);
    let ms = |duration: Duration| duration.as_millis().div_ceil(ten.as_millis()) * ten.as_millis();
    Some(format!(
        "the way to this node and back takes {} ms, which is more than half of the shortest election timeout, {} ms: no leader may be \
         found, or none may stay one; start every node with --heartbeat {}ms --election-timeout {}ms --lease-ttl {}ms, or more \
         (docs/networks.md)",
        round_trip.as_millis(),
        timings.election_min.as_millis(),
        ms(round_trip),
        ms(round_trip * 4),
        ms(round_trip * 16).max(3000),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_a_round_trip_of_50_ms() {
        let timings = Timings::default();
        assert_eq!(advice(Duration::from_millis(50), &timings), None);
        assert_eq!(advice(Duration::from_millis(60), &timings), None);
    }

    #[test]
    fn what_does_not_fit_is_said_with_settings_that_do() {
        let advice = advice(Duration::from_millis(143), &Timings::default()).expect("too far");
        assert!(advice.contains("takes 143 ms"), "{advice}");
        assert!(advice.contains("--heartbeat 150ms --election-timeout 580ms --lease-ttl 3000ms"), "{advice}");
        let election_min = Duration::from_millis(580);
        let timings = Timings { heartbeat: Duration::from_millis(150), election_min, ..Timings::default() };
        assert_eq!(super::advice(Duration::from_millis(143), &timings), None, "what it says helps");
    }
}
