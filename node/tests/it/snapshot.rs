//! A node that was away for longer than the log reaches back.

use rekindle_proto::v1;

use crate::harness::{Cluster, compact_soon, ping, wait_until};

#[tokio::test]
async fn a_node_that_lags_gets_the_snapshot() {
    let mut cluster = Cluster::start(3, compact_soon);
    let client = cluster.client();
    client.register_protocol(ping("Before")).await.expect("registered");
    let away = cluster.follower().await;
    cluster.kill(away);
    let count = 60;
    for number in 0..count {
        client.register_protocol(ping(&format!("P{number}"))).await.expect("registered");
    }
    let leader = cluster.client_of(cluster.leader().await);
    let stale = v1::GetStatusRequest { stale: true, digest: false };
    wait_until("the leader to have a snapshot", async || {
        let status = leader.get_status(stale).await.ok()?;
        (status.snapshot_index > count / 2).then_some(())
    })
    .await;
    cluster.restart(away);
    let returned = cluster.client_of(away);
    let status = wait_until("the node to catch up", async || {
        let protocols = returned.list_protocols(true).await.ok()?;
        if protocols.len() as u64 <= count {
            return None;
        }
        returned.get_status(stale).await.ok()
    })
    .await;
    assert!(status.snapshot_index > 20, "it has the leader's snapshot: {status:?}");
    // And starts from it.
    cluster.kill(away);
    cluster.restart(away);
    let returned = cluster.client_of(away);
    let protocols = returned.list_protocols(true).await.expect("a list").len() as u64;
    assert!(protocols > 20, "the snapshot is back without the leader: {protocols}");
}
