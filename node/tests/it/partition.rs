//! Networks of which only some links work.
//!
//! The bridge in network namespaces: `jepsen-tests/regressions/bridge.txt`.

use rekindle_proto::client::Client;

use crate::cuts::Cuts;
use crate::harness::{Cluster, PATIENCE, ping, wait_until};

/// A cluster whose links can be cut.
fn start(count: u64) -> (Cluster, Cuts) {
    let cuts = Cuts::default();
    let world = cuts.clone();
    let cluster = Cluster::start_in(count, |config| config, move |id, peers| world.seams(id, peers));
    (cluster, cuts)
}

/// A client of these nodes only.
fn client(cluster: &Cluster, ids: &[u64]) -> Client {
    let endpoints = ids.iter().map(|id| cluster.endpoint(*id));
    Client::connect(endpoints).expect("good endpoints").with_timeout(PATIENCE)
}

async fn term(cluster: &Cluster, id: u64) -> u64 {
    let statuses = cluster.client_of(id).statuses(false).await;
    statuses[0].1.as_ref().expect("a node that runs").term
}

/// The old leader reaches one follower, the bridge, which reaches two others; the fifth reaches nobody. The majority
/// around the bridge must come to have a leader, though the bridge hears the old one (openraft #2080).
#[tokio::test]
async fn a_connected_majority_elects_a_leader() {
    let (cluster, cuts) = start(5);
    cluster.client().register_protocol(ping("Before")).await.expect("registered");
    let old = cluster.leader().await;
    let others: Vec<u64> = (1..=5).filter(|id| *id != old).collect();
    let [bridge, left, right, _alone] = others[..] else { panic!("five nodes") };
    cuts.leave(&[(old, bridge), (bridge, left), (bridge, right), (left, right)]);
    let client = client(&cluster, &[bridge, left, right]);
    client.register_protocol(ping("Across")).await.expect("registered by the majority");
}

/// Two followers see the leader and not each other; or the leader and one follower see only the other follower. In
/// both, a majority hears the leader, so neither it nor the term may change (openraft #2112).
#[tokio::test]
async fn two_leaves_that_see_only_the_hub_change_nothing() {
    for leader_is_hub in [true, false] {
        let (cluster, cuts) = start(3);
        let client = cluster.client();
        client.register_protocol(ping("Before")).await.expect("registered");
        let leader = cluster.leader().await;
        let before = term(&cluster, leader).await;
        let others: Vec<u64> = (1..=3).filter(|id| *id != leader).collect();
        let (hub, leaf) = if leader_is_hub { (leader, others[0]) } else { (others[0], others[1]) };
        let far = if leader_is_hub { others[1] } else { leader };
        cuts.leave(&[(hub, leaf), (hub, far)]);
        // Long enough for the leaf to want to lead, again and again, if it hears nobody.
        let mut written = 0;
        wait_until("the leaf to have tried", async || {
            if written < 20 {
                client.register_protocol(ping(&format!("During{written}"))).await.expect("registered");
                written += 1;
                return None;
            }
            client.list_protocols(false).await.expect("a leader that a majority hears");
            (leader_is_hub || cuts.vain_tries(leaf, far) >= 5).then_some(())
        })
        .await;
        assert_eq!(cluster.leader().await, leader, "leader_is_hub={leader_is_hub}");
        assert_eq!(term(&cluster, leader).await, before, "leader_is_hub={leader_is_hub}");
    }
}
