//! What strangers, buggy peers and other releases may say to a node's port: it is refused with a reason, nothing is
//! stored, nobody else notices, and every node starts again.
//!
//! The consensus library's values are written out here as tuples: their encoding has no names.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream;
use rekindle_node::NodeConfig;
use rekindle_proto::payload::Format;
use rekindle_proto::secret::{ClusterSecret, Credential};
use rekindle_proto::v1::agents_client::AgentsClient;
use rekindle_proto::v1::raft_client::RaftClient;
use rekindle_proto::v1::{self, RaftMessage, SnapshotChunk};
use serde::Serialize;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::harness::{Cluster, ping, wait_until};

const MESSAGE: Format = Format::wire("message of a node", 1);
const HEADER: Format = Format::wire("snapshot's header", 2);

/// Term and node.
type LeaderId = (u64, u64);
/// Whose it is, and whether it leads.
type Vote = (LeaderId, bool);
type LogId = (LeaderId, u64);
type Members = (Vec<BTreeSet<u64>>, BTreeMap<u64, String>);

#[derive(Serialize)]
enum Payload {
    Blank,
    Normal(Vec<u8>),
    Membership(Members),
}

type Entries = Vec<(LogId, Payload)>;

fn message<T: Serialize>(value: &T) -> RaftMessage {
    RaftMessage { payload: MESSAGE.encode(value).into() }
}

fn vote(term: u64, node: u64, transfer: bool) -> RaftMessage {
    let last: Option<LogId> = Some(((term - 1, node), 1 << 40));
    message::<(Vote, Option<LogId>, bool)>(&(((term, node), false), last, transfer))
}

fn append(vote: Vote, previous: Option<LogId>, entries: Entries) -> RaftMessage {
    message(&(vote, previous, entries, None::<LogId>))
}

/// The node's port, as a peer reaches it.
async fn peer(cluster: &Cluster, id: u64) -> RaftClient<Channel> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", cluster.endpoint(id)));
    RaftClient::new(endpoint.expect("an endpoint").connect().await.expect("connected"))
}

fn to<T>(id: u64, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("rekindle-node", format!("test/{id}").parse().expect("a value"));
    request
}

async fn status(cluster: &Cluster, id: u64) -> v1::Status {
    wait_until("a status", async || {
        cluster.client_of(id).get_status(v1::GetStatusRequest { stale: true, digest: false }).await.ok()
    })
    .await
}

/// A cluster of three that has stored something.
async fn used() -> Cluster {
    let cluster = Cluster::start(3, |config| config);
    cluster.client().register_protocol(ping("Before")).await.expect("registered");
    for id in 1..=3 {
        has_protocols(&cluster, id, 1).await;
    }
    cluster
}

/// Waits until a node has applied so many registrations.
async fn has_protocols(cluster: &Cluster, id: u64, count: usize) {
    let client = cluster.client_of(id);
    wait_until("a node to have every protocol", async || {
        let protocols = client.list_protocols(true).await.ok()?;
        (protocols.len() == count).then_some(())
    })
    .await;
}

/// Goes on with a term that elections have led to; and again after all nodes were killed.
async fn goes_on(cluster: &mut Cluster) {
    cluster.client().register_protocol(ping("After")).await.expect("registered");
    for id in 1..=3 {
        assert!(status(cluster, id).await.term < 1_000, "the term of node {id} is a forged one");
        cluster.kill(id);
    }
    for id in 1..=3 {
        cluster.restart(id);
    }
    cluster.client().register_protocol(ping("Again")).await.expect("registered");
    for id in 1..=3 {
        has_protocols(cluster, id, 3).await;
    }
}

fn refused(error: &Status, reason: &str) {
    assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
    assert!(error.message().starts_with("refused: ") && error.message().contains(reason), "{error}");
}

#[tokio::test]
async fn no_vote_is_given_to_a_stranger_or_for_a_forged_term() {
    let mut cluster = used().await;
    let term = status(&cluster, cluster.leader().await).await.term;
    for id in 1..=3 {
        let mut peer = peer(&cluster, id).await;
        let other = id % 3 + 1;
        let far = "out of reach";
        let forged = [
            (vote(u64::MAX, 99, true), "node 99 is no member"),
            (vote(term + 1, 99, false), "node 99 is no member"),
            (vote(u64::MAX, other, true), far),
            (vote(u64::MAX, other, false), far),
            (vote(u64::MAX / 2, other, true), far),
            (vote(term + (1 << 40), other, false), far),
            (vote(term + 1, id, true), "this node itself"),
            (vote(term + 1, other, true), "no leader has announced"),
            (message::<(Vote, Option<LogId>, bool)>(&(((term + 1, other), true), None, false)), "a leader's vote"),
            (
                message::<(Vote, Option<LogId>, bool)>(&(
                    ((term + 1, other), false),
                    Some(((term + 2, other), 9)),
                    false,
                )),
                "later terms",
            ),
        ];
        for (forged, reason) in forged {
            refused(&peer.vote(to(id, forged.clone())).await.expect_err(reason), reason);
            refused(&peer.pre_vote(to(id, forged)).await.expect_err(reason), reason);
        }
        let garbage = RaftMessage { payload: vec![1, 0xff, 0xff, 0xff].into() };
        assert_eq!(peer.vote(to(id, garbage)).await.expect_err("garbage").code(), Code::InvalidArgument);
        // Handing over a leadership that the sender does not have.
        let transfer: (Vote, u64, Option<LogId>) = (((u64::MAX, 99), true), id, None);
        refused(&peer.transfer_leader(to(id, message(&transfer))).await.expect_err("a stranger"), "node 99");
        let transfer: (Vote, u64, Option<LogId>) = (((term + 1, other), true), id, None);
        refused(&peer.transfer_leader(to(id, message(&transfer))).await.expect_err("no leader"), "only the leader");
    }
    goes_on(&mut cluster).await;
}

#[tokio::test]
async fn nodes_and_agents_have_to_know_the_secret() {
    let (secret, other) = (ClusterSecret::generate(), ClusterSecret::generate());
    let own = secret.clone();
    let mut cluster = Cluster::start(3, move |config| NodeConfig { secret: Some(own.clone()), ..config });
    cluster.client().register_protocol(ping("Before")).await.expect("nodes that know it are a cluster");
    let (term, leader) = (status(&cluster, 1).await.term, cluster.leader().await);
    for credential in [Credential::new(None), Credential::new(Some(&other))] {
        for id in 1..=3 {
            let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", cluster.endpoint(id)));
            let channel = endpoint.expect("an endpoint").connect().await.expect("connected");
            let mut peer = RaftClient::with_interceptor(channel, credential.clone());
            let error = peer.vote(to(id, vote(term + 1, id % 3 + 1, false))).await.expect_err("no secret");
            assert_eq!(error.code(), Code::Unauthenticated, "{error}");
            assert!(error.message().contains("--secret-file"), "{error}");
        }
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", cluster.endpoint(leader)));
        let channel = endpoint.expect("an endpoint").connect().await.expect("connected");
        let mut agents = AgentsClient::with_interceptor(channel, credential);
        let hello =
            v1::Hello { agent: "west".into(), instance: 1, address: "127.0.0.1:7".into(), ..Default::default() };
        let hello = v1::AgentMessage { kind: Some(v1::agent_message::Kind::Hello(hello)) };
        let error = agents.attach(stream::iter([hello])).await.expect_err("no secret");
        assert_eq!(error.code(), Code::Unauthenticated, "{error}");
    }
    goes_on(&mut cluster).await;
}

#[tokio::test]
async fn nothing_is_logged_that_could_not_be_applied_or_does_not_fit() {
    let mut cluster = used().await;
    let (follower, leader) = (cluster.follower().await, cluster.leader().await);
    let before = status(&cluster, follower).await;
    let (term, end) = (before.term, before.last_log_index);
    let leads = ((term, leader), true);
    let last = (term, leader);
    let entry = |index: u64, payload| vec![((last, index), payload)];
    let unreadable = || Payload::Normal(b"zzzzzzzz".to_vec());
    let lonely = (vec![BTreeSet::new()], BTreeMap::new());
    let forged = [
        (append(((term, 99), true), None, vec![]), "node 99 is no member"),
        (append(((u64::MAX, leader), true), None, vec![]), "out of reach"),
        (append(((term, follower), true), None, vec![]), "this node itself"),
        (append(((term, leader), false), None, vec![]), "a leader's vote"),
        (append(leads, Some((last, end)), entry(end + 1, unreadable())), "cannot be read"),
        (append(leads, Some((last, end)), entry(end + 1, Payload::Normal(vec![9, 9, 9]))), "format version 9"),
        (append(leads, Some((last, end)), entry(end + 5, Payload::Blank)), "belongs"),
        (append(leads, Some((last, end)), entry(end + 1, Payload::Membership(lonely))), "without voters"),
        (append(leads, Some(((term + 1, leader), end)), vec![]), "later terms"),
        (append(leads, Some((last, u64::MAX - 1)), entry(u64::MAX, Payload::Blank)), "out of reach"),
        (
            append(
                leads,
                Some((last, end)),
                vec![(((term, leader), end + 1), Payload::Blank), (((0, 1), end + 2), Payload::Blank)],
            ),
            "earlier term",
        ),
        // Another entry where one is committed.
        (append(((term + 1, leader), true), None, vec![(((term + 1, leader), 0), Payload::Blank)]), "committed here"),
    ];
    for (forged, reason) in forged {
        let mut peer = peer(&cluster, follower).await;
        let answers = peer.append_entries(to(follower, stream::iter([forged]))).await.expect("a stream");
        let error = ending(answers.into_inner()).await.unwrap_or_else(|| panic!("not refused: {reason}"));
        refused(&error, reason);
    }
    goes_on(&mut cluster).await;
}

/// How a stream of answers ends, if with an error.
async fn ending(mut answers: tonic::Streaming<RaftMessage>) -> Option<Status> {
    loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

fn header(vote: Vote, last: LogId, members: &[u64], data: &[u8], announced: u64) -> bytes::Bytes {
    let nodes: BTreeMap<u64, String> = members.iter().map(|id| (*id, format!("127.0.0.1:{id}"))).collect();
    let configs: Vec<BTreeSet<u64>> = vec![members.iter().copied().collect()];
    let membership = (Some(last), (configs, nodes));
    let meta = (Some(last), membership, String::new());
    let checksum = *blake3::hash(data).as_bytes();
    HEADER.encode(&(vote, meta, announced, checksum)).into()
}

#[tokio::test]
async fn a_snapshot_is_judged_before_it_is_taken_in_and_checked_before_it_is_installed() {
    let mut cluster = used().await;
    let (follower, leader) = (cluster.follower().await, cluster.leader().await);
    let term = status(&cluster, follower).await.term;
    let (leads, last) = (((term, leader), true), ((term, leader), 1_000));
    let data = vec![b'z'; 4 << 20];
    let whole = data.len() as u64;
    let forged = [
        (header(((u64::MAX, 99), true), last, &[1, 2, 3], &data, whole), "node 99 is no member"),
        (header(((u64::MAX, leader), true), last, &[1, 2, 3], &data, whole), "out of reach"),
        (header(leads, ((term + 1, leader), 1_000), &[1, 2, 3], &data, whole), "later terms"),
        (header(leads, ((term, leader), 0), &[1, 2, 3], &data, whole), "committed here"),
        (header(leads, last, &[], &data, whole), "without voters"),
        (header(leads, last, &[1, 2, 3], &data, 1 << 40), "are allowed"),
        (header(leads, last, &[1, 2, 3], &data, whole - 1), "not those that were announced"),
        (header(leads, last, &[1, 2, 3], &data, whole + 1), "not those that were announced"),
        (header(leads, last, &[1, 2, 3], b"other", whole), "not those that were announced"),
        (header(leads, last, &[1, 2, 3], &data, whole), "cannot be read"),
    ];
    for (header, reason) in forged {
        let mut peer = peer(&cluster, follower).await;
        let mut chunks: Vec<SnapshotChunk> = data
            .chunks(1 << 20)
            .map(|part| SnapshotChunk { header: bytes::Bytes::new(), data: part.to_vec().into() })
            .collect();
        chunks[0].header = header;
        let error = peer.install_snapshot(to(follower, stream::iter(chunks))).await.expect_err(reason);
        refused(&error, reason);
    }
    let left: Vec<_> = std::fs::read_dir(cluster.nodes[&follower].folder.path())
        .expect("a folder")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(".tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    goes_on(&mut cluster).await;
}

#[tokio::test]
async fn one_snapshot_is_received_at_a_time() {
    let mut cluster = used().await;
    let (follower, leader) = (cluster.follower().await, cluster.leader().await);
    let term = status(&cluster, follower).await.term;
    let data = vec![b'z'; 1 << 20];
    let begin = || SnapshotChunk {
        header: header(((term, leader), true), ((term, leader), 1_000), &[1, 2, 3], &data, 2 << 20),
        data: data.clone().into(),
    };
    let start = async || {
        let (chunks, held) = tokio::sync::mpsc::channel(1);
        chunks.send(begin()).await.expect("room");
        let mut peer = peer(&cluster, follower).await;
        let held = tokio_stream::wrappers::ReceiverStream::new(held);
        (chunks, tokio::spawn(async move { peer.install_snapshot(to(follower, held)).await }))
    };
    let (mut chunks, mut waiting) = start().await;
    // Whether the first has its turn is seen by the second being refused for it.
    wait_until("the first to have its turn", async || {
        if waiting.is_finished() {
            // The second was before it.
            (chunks, waiting) = start().await;
        }
        let mut second = peer(&cluster, follower).await;
        let error = second.install_snapshot(to(follower, stream::iter([begin()]))).await.expect_err("not whole");
        (error.code() == Code::ResourceExhausted && !waiting.is_finished()).then_some(())
    })
    .await;
    drop(chunks);
    refused(&waiting.await.expect("no panic").expect_err("not whole"), "not those that were announced");
    goes_on(&mut cluster).await;
}
