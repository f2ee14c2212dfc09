//! Empty folders: of a cluster that begins, and of nodes that lost what they had acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_node::{FailureCause, NodeConfig, NodeId, Refusal};
use rekindle_proto::client::Client;
use rekindle_proto::v1;
use rekindle_proto::v1::identity_client::IdentityClient;
use rekindle_proto::v1::raft_client::RaftClient;
use tonic::transport::{Channel, Endpoint};

use crate::harness::{Cluster, ping, wait_until};

async fn channel(cluster: &Cluster, id: u64) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", cluster.endpoint(id))).expect("an endpoint");
    wait_until("the node to listen", async || endpoint.connect().await.ok()).await
}

async fn introduction(cluster: &Cluster, id: u64) -> v1::Introduction {
    let mut node = IdentityClient::new(channel(cluster, id).await);
    wait_until("an introduction", async || node.introduce(v1::IntroduceRequest {}).await.ok()).await.into_inner()
}

async fn names(client: &Client) -> BTreeSet<String> {
    client.list_protocols(false).await.expect("a list").into_iter().map(|protocol| protocol.name).collect()
}

/// It ends with a refusal that names a way out, each time, and stores nothing.
async fn is_refused(cluster: &mut Cluster, id: u64) {
    for _ in 0..2 {
        cluster.restart(id);
        let cause = cluster.failure(id);
        assert!(matches!(cause, FailureCause::Refused(Refusal::Forgotten { .. })), "{cause}");
        let said = introduction(cluster, id).await;
        assert!(said.identity.is_empty() && !said.history, "{said:?}");
        cluster.kill(id);
    }
}

/// Waits until every node that is named has applied what the leader has.
async fn caught_up(cluster: &Cluster, ids: &[u64]) {
    let end = cluster.client().get_status(v1::GetStatusRequest::default()).await.expect("a status").last_log_index;
    for id in ids {
        let client = cluster.client_of(*id);
        wait_until("the node to catch up", async || {
            let status = client.get_status(v1::GetStatusRequest { stale: true, ..Default::default() }).await.ok()?;
            (status.applied_index >= end).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_node_that_lost_its_disk_decides_nothing() {
    let mut cluster = Cluster::start(3, |config| config);
    let client = cluster.client();
    client.register_protocol(ping("First")).await.expect("registered");
    caught_up(&cluster, &[1, 2, 3]).await;
    let lead = cluster.leader().await;
    let (down, wiped) = (lead % 3 + 1, (lead + 1) % 3 + 1);
    cluster.kill(down);
    client.register_protocol(ping("Second")).await.expect("registered by two of three");
    cluster.kill(lead);
    cluster.kill(wiped);
    cluster.wipe(wiped);
    cluster.restart(down);
    is_refused(&mut cluster, wiped).await;
    assert!(introduction(&cluster, down).await.history);
    cluster.restart(lead);
    assert_eq!(names(&client).await, BTreeSet::from(["First".to_owned(), "Second".to_owned()]));
    is_refused(&mut cluster, wiped).await;
}

#[tokio::test]
async fn two_nodes_that_lost_their_disks_do_not_begin_anew() {
    let mut cluster = Cluster::start(3, |config| config);
    cluster.client().register_protocol(ping("Only")).await.expect("registered");
    for id in [1, 2] {
        cluster.kill(id);
        cluster.wipe(id);
    }
    is_refused(&mut cluster, 1).await;
    is_refused(&mut cluster, 2).await;
    // Without the third they know too little, and wait.
    cluster.kill(3);
    cluster.restart(1);
    cluster.restart(2);
    for id in [1, 2] {
        let said = introduction(&cluster, id).await;
        assert!(said.identity.is_empty() && !said.history, "{said:?}");
    }
    cluster.restart(3);
    for id in [1, 2] {
        assert!(matches!(cluster.failure(id), FailureCause::Refused(Refusal::Forgotten { .. })));
    }
}

#[tokio::test]
async fn a_leader_that_lost_its_disk_is_not_let_in() {
    let mut cluster = Cluster::start(3, |config| config);
    let client = cluster.client();
    client.register_protocol(ping("First")).await.expect("registered");
    let lead = cluster.leader().await;
    cluster.kill(lead);
    cluster.wipe(lead);
    is_refused(&mut cluster, lead).await;
    client.register_protocol(ping("Second")).await.expect("the others go on");
}

#[tokio::test]
async fn a_cluster_begins_when_all_its_nodes_are_there() {
    let mut cluster = Cluster::stopped(3, |config| config);
    cluster.restart(1);
    cluster.restart(2);
    for id in [1, 2] {
        let said = introduction(&cluster, id).await;
        assert!(said.identity.is_empty() && !said.history, "{said:?}");
    }
    // A disk that is lost before then had nothing that anybody was told of.
    cluster.kill(2);
    cluster.wipe(2);
    cluster.restart(2);
    cluster.kill(1);
    cluster.restart(1);
    cluster.restart(3);
    cluster.client().register_protocol(ping("First")).await.expect("registered");
    let mut identities = BTreeSet::new();
    for id in [1, 2, 3] {
        identities.insert(introduction(&cluster, id).await.identity);
    }
    assert_eq!(identities.len(), 1, "{identities:?}");
    assert!(identities.iter().all(|identity| identity.len() == 16), "{identities:?}");
}

#[tokio::test]
async fn an_empty_folder_answers_no_call_of_the_consensus() {
    let mut cluster = Cluster::stopped(3, |config| config);
    cluster.restart(2);
    let mut node = RaftClient::new(channel(&cluster, 2).await);
    let refused = node.vote(v1::RaftMessage::default()).await.expect_err("it has no part");
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(refused.message().contains("folder of this node is empty"), "{}", refused.message());
}

#[tokio::test]
async fn whoever_would_begin_another_cluster_is_refused() {
    let mut cluster = Cluster::stopped(3, |config| config);
    cluster.restart(2);
    let mut node = IdentityClient::new(channel(&cluster, 2).await);
    let request = v1::FoundRequest { cluster: "test".into(), identity: vec![7; 16], peers: Vec::new() };
    for wrong in [
        v1::FoundRequest { cluster: "other".into(), ..request.clone() },
        v1::FoundRequest { identity: vec![7; 3], ..request.clone() },
        request,
    ] {
        node.found(wrong).await.expect_err("not what it was started for");
        assert!(introduction(&cluster, 2).await.identity.is_empty());
    }
}

#[tokio::test]
async fn other_peers_are_refused_by_name() {
    let mut cluster = Cluster::start(3, |config| config);
    cluster.client().register_protocol(ping("Only")).await.expect("registered");
    caught_up(&cluster, &[1, 2, 3]).await;
    cluster.kill(3);
    let folder = cluster.nodes[&3].folder.path().to_owned();
    let start = async |peers: BTreeMap<NodeId, String>| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let config = NodeConfig::new(NodeId(3), "test", folder.clone(), peers);
        wait_until("the folder to be free", async || {
            match rekindle_node::start(config.clone(), listener.try_clone().expect("a handle")).await {
                Err(rekindle_node::StartError::Locked { .. }) => None,
                other => Some(other.expect_err("other peers").to_string()),
            }
        })
        .await
    };
    let mut peers: BTreeMap<NodeId, String> = [1, 2, 3].map(|id| (NodeId(id), cluster.endpoint(id))).into();
    peers.insert(NodeId(1), "elsewhere:1".into());
    peers.insert(NodeId(4), "new:4".into());
    peers.remove(&NodeId(2));
    let error = start(peers).await;
    let moved = format!("node 1 is at {}, not at elsewhere:1", cluster.endpoint(1));
    for part in [moved.as_str(), "node 2 is missing", "there is no node 4", "nothing was changed"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    cluster.restart(3);
    caught_up(&cluster, &[3]).await;
}
