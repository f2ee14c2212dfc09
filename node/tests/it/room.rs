//! Disks that are nearly full, and have room again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rekindle_node::{FreeSpace, NodeConfig, Volume};
use rekindle_proto::client::ClientError;
use rekindle_proto::status::DISK_FULL;
use rekindle_proto::v1;

use crate::harness::{Cluster, PATIENCE, ping, wait_until};
use crate::seams;

/// More than any disk has.
const MORE_THAN_THERE_IS: Option<u64> = Some(1 << 62);

/// A disk of the test's choice.
struct Free(AtomicU64);

impl FreeSpace for Free {
    fn look(&self) -> io::Result<Volume> {
        Ok(Volume { total: 1 << 30, free: self.0.load(Ordering::Relaxed) })
    }
}

fn is_full(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { reason, .. } if reason == DISK_FULL)
}

#[tokio::test]
async fn a_node_without_room_refuses_changes_and_takes_them_again() {
    let room = Arc::new(Free(AtomicU64::new(1 << 30)));
    let (node, client) = seams::start_in(Arc::clone(&room) as Arc<dyn FreeSpace>).await;
    client.register_protocol(ping("First")).await.expect("there is room");
    room.0.store(1, Ordering::Relaxed);
    // A call asks again until its time is over; on a slow machine that may be before the first answer.
    let impatient = client.clone().with_timeout(std::time::Duration::from_millis(500));
    let refused =
        wait_until("a refusal", async || impatient.register_protocol(ping("Second")).await.err().filter(is_full)).await;
    assert!(refused.to_string().contains("disk of this node is nearly full: 1 bytes are free"), "{refused}");
    let names = client.list_protocols(false).await.expect("reads are served");
    assert!(!names.is_empty());
    room.0.store(1 << 30, Ordering::Relaxed);
    client.with_timeout(PATIENCE).register_protocol(ping("Third")).await.expect("there is room again");
    node.shutdown().await;
}

#[tokio::test]
async fn a_leader_without_room_lets_another_node_lead() {
    let full = Arc::new(AtomicBool::new(true));
    let is_full = Arc::clone(&full);
    let mut cluster = Cluster::start(3, move |config| {
        let keep_free = if config.id.0 == 1 && is_full.load(Ordering::Relaxed) { MORE_THAN_THERE_IS } else { Some(0) };
        NodeConfig { keep_free, ..config }
    });
    let client = cluster.client();
    client.register_protocol(ping("First")).await.expect("the others have room");
    wait_until("another node to lead", async || (cluster.leader().await != 1).then_some(())).await;
    cluster.kill(1);
    full.store(false, Ordering::Relaxed);
    cluster.restart(1);
    let end = client.get_status(v1::GetStatusRequest::default()).await.expect("a status").last_log_index;
    let first = cluster.client_of(1);
    wait_until("the node to catch up", async || {
        let status = first.get_status(v1::GetStatusRequest { stale: true, ..Default::default() }).await.ok()?;
        (status.applied_index >= end).then_some(())
    })
    .await;
}
