//! A node whose own threads are taken: by clients, as far as it can tell.

use std::time::Duration;

use rekindle_node::{NodeConfig, Timings};
use rekindle_proto::v1;
use tokio::time::{Instant, sleep};

use crate::harness::{Cluster, ping};

/// Long enough for a busy machine; what is tested lasts longer still.
const TIMINGS: Timings = Timings {
    heartbeat: Duration::from_millis(200),
    election_min: Duration::from_secs(2),
    election_max: Duration::from_secs(3),
    replication_timeout: Duration::from_secs(10),
    snapshot_timeout: Duration::from_secs(30),
    disk_timeout: Duration::from_secs(60),
};

async fn term(cluster: &Cluster, id: u64) -> u64 {
    let status = v1::GetStatusRequest { stale: true, ..Default::default() };
    cluster.client_of(id).get_status(status).await.expect("a status").term
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_clients_take_all_of_its_threads_leads_on() {
    let cluster = Cluster::start(3, |config| NodeConfig { timings: TIMINGS, ..config });
    cluster.client().register_protocol(ping("Before")).await.expect("registered");
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let before = term(&cluster, follower).await;
    let busy = cluster.occupy(leader);
    // The others would have elected another one by then.
    let end = Instant::now() + TIMINGS.election_max * 2;
    while Instant::now() < end {
        assert_eq!(term(&cluster, follower).await, before, "the leader is not heard from");
        sleep(TIMINGS.heartbeat).await;
    }
    drop(busy);
    cluster.client_of(leader).register_protocol(ping("After")).await.expect("it leads still");
}
