//! A node that was away for longer than the log reaches back.

use rekindle_proto::v1;

use crate::disks::Disks;
use crate::harness::{Cluster, compact_soon, ping, wait_until};

#[tokio::test]
async fn a_node_that_lags_gets_the_snapshot() {
    let disks = Disks::default();
    let mounts = disks.clone();
    let mut cluster = Cluster::start_in(3, compact_soon, move |id, _| mounts.mount(id));
    let client = cluster.client();
    client.register_protocol(ping("Before")).await.expect("registered");
    let away = cluster.follower().await;
    cluster.kill(away);
    let count = 60;
    for number in 0..count {
        client.register_protocol(ping(&format!("P{number}"))).await.expect("registered");
    }
    let leader = cluster.leader().await;
    wait_until("the leader to have a snapshot in place of the log", async || {
        let log = disks.logs().remove(&leader)?;
        log.keys().next().is_none_or(|first| *first > count / 2).then_some(())
    })
    .await;
    cluster.restart(away);
    let returned = cluster.client_of(away);
    let stale = v1::GetStatusRequest { stale: true, digest: false };
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
