use super::*;

const IDENTITY: ClusterIdentity = ClusterIdentity::of_byte(7);
const OTHER: ClusterIdentity = ClusterIdentity::of_byte(8);

fn peers(ids: &[u64]) -> BTreeMap<NodeId, String> {
    ids.iter().map(|id| (NodeId(*id), format!("host-{id}:71"))).collect()
}

/// Node 2 of three.
fn config() -> NodeConfig {
    NodeConfig::new(NodeId(2), "test", "/data/2", peers(&[1, 2, 3]))
}

fn empty(node: u64) -> Introduction {
    Introduction {
        cluster: "test".into(),
        node: NodeId(node),
        identity: None,
        history: false,
        peers: peers(&[1, 2, 3]),
        takes_work: true,
    }
}

fn founded(node: u64, identity: ClusterIdentity) -> Introduction {
    Introduction { identity: Some(identity), ..empty(node) }
}

fn with_log(node: u64, identity: Option<ClusterIdentity>) -> Introduction {
    Introduction { identity, history: true, ..empty(node) }
}

/// What node 2 makes of what 1 and 3 say.
fn judged(own: Part, one: Option<Introduction>, three: Option<Introduction>) -> Finding {
    judge(&config(), own, &BTreeMap::from([(NodeId(1), one), (NodeId(3), three)]))
}

fn waits_for(finding: &Finding) -> String {
    match finding {
        Finding::Wait(obstacles) => {
            let obstacles: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
            obstacles.join("; ")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cluster_is_new_only_if_every_peer_says_so() {
    assert_eq!(judged(Part::None, Some(empty(1)), Some(empty(3))), Finding::New(None));
    let silent = judged(Part::None, Some(empty(1)), None);
    assert_eq!(waits_for(&silent), "node 3 at host-3:71 does not answer");
    let alone = judged(Part::None, None, None);
    assert_eq!(waits_for(&alone), "node 1 at host-1:71 does not answer; node 3 at host-3:71 does not answer");
}

#[test]
fn an_empty_folder_is_refused_as_soon_as_one_peer_has_a_log_with_it() {
    for three in [None, Some(empty(3)), Some(with_log(3, Some(IDENTITY)))] {
        for identity in [None, Some(IDENTITY)] {
            let finding = judged(Part::None, Some(with_log(1, identity)), three.clone());
            let Finding::Refused(refusal @ Refusal::Forgotten { .. }) = finding else { panic!("{finding:?}") };
            let text = refusal.to_string();
            assert!(text.contains("node 1 at host-1:71"), "{text}");
            assert!(text.contains("cluster replace"), "{text}");
        }
    }
}

#[test]
fn a_node_that_the_log_does_not_name_is_refused_otherwise() {
    let log = Introduction { peers: peers(&[1, 3, 4]), ..with_log(1, None) };
    let finding = judged(Part::None, Some(log), None);
    assert!(matches!(finding, Finding::Refused(Refusal::NoMember { .. })), "{finding:?}");
}

#[test]
fn a_beginning_that_broke_off_goes_on_under_its_identity() {
    let known = Finding::New(Some(IDENTITY));
    assert_eq!(judged(Part::None, Some(empty(1)), Some(founded(3, IDENTITY))), known);
    assert_eq!(judged(Part::Of(IDENTITY), Some(founded(1, IDENTITY)), Some(empty(3))), known);
    assert_eq!(judged(Part::Of(IDENTITY), Some(empty(1)), Some(with_log(3, Some(IDENTITY)))), Finding::Begun);
}

#[test]
fn what_was_begun_elsewhere_is_not_mixed() {
    let mixed = judged(Part::Of(IDENTITY), Some(founded(1, OTHER)), Some(empty(3)));
    assert!(waits_for(&mixed).contains("different clusters"), "{mixed:?}");
    let foreign = judged(Part::Of(IDENTITY), Some(with_log(1, Some(OTHER))), None);
    assert!(matches!(foreign, Finding::Refused(Refusal::OtherCluster { .. })), "{foreign:?}");
    // A log without an identity is older than every identity.
    let older = judged(Part::Of(IDENTITY), Some(with_log(1, None)), None);
    assert!(matches!(older, Finding::Refused(Refusal::OtherCluster { .. })), "{older:?}");
}

#[test]
fn strangers_and_other_peers_are_named() {
    let stranger = Introduction { cluster: "prod".into(), history: true, ..empty(1) };
    let finding = judged(Part::None, Some(stranger), Some(empty(3)));
    assert_eq!(waits_for(&finding), "node 1 of cluster `prod` answers at host-1:71, where node 1 should be");
    let mixed_up = judged(Part::None, Some(with_log(3, None)), Some(empty(3)));
    assert_eq!(waits_for(&mixed_up), "node 3 of cluster `test` answers at host-1:71, where node 1 should be");
    let other = Introduction { peers: peers(&[1, 3]), ..empty(3) };
    let finding = judged(Part::None, Some(empty(1)), Some(other));
    assert_eq!(waits_for(&finding), "node 3 was started with other --peers: 1=host-1:71,3=host-3:71");
}
