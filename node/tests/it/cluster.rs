//! Writes, reads and watches on three nodes, with and without their leader.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt, stream};
use rekindle_proto::client::{Client, ClientError, new_request_id};
use rekindle_proto::v1;
use rekindle_proto::v1::command_reply::Outcome;
use rekindle_proto::v1::command_request::Command;
use rekindle_proto::v1::session_event::Kind;

use crate::harness::{Cluster, ping, session, wait_until};

pub(crate) async fn names(client: &Client) -> BTreeSet<String> {
    let protocols = client.list_protocols(false).await.expect("a list");
    protocols.into_iter().map(|protocol| protocol.name).collect()
}

#[tokio::test]
async fn writes_survive_the_leader() {
    let mut cluster = Cluster::start(3, |config| config);
    let client = cluster.client();
    let first = client.register_protocol(ping("First")).await.expect("registered");
    assert!(first.starts_with("First@"), "{first}");
    let old = cluster.leader().await;
    cluster.kill(old);
    client.register_protocol(ping("Second")).await.expect("registered at the next leader");
    let both = BTreeSet::from(["First".to_owned(), "Second".to_owned()]);
    assert_eq!(names(&client).await, both, "a linearizable read sees both");
    cluster.restart(old);
    let returned = cluster.client_of(old);
    wait_until("the old leader to catch up", async || {
        let protocols = returned.list_protocols(true).await.ok()?;
        (protocols.len() == 2).then_some(())
    })
    .await;
    assert_eq!(same_digest(&cluster).await.len(), 3);
}

/// Waits until every node has applied the same and returns what they say then.
pub(crate) async fn same_digest(cluster: &Cluster) -> Vec<v1::Status> {
    let client = cluster.client();
    wait_until("the same digest everywhere", async || {
        let statuses: Vec<v1::Status> =
            client.statuses(true).await.into_iter().filter_map(|(_, status)| status.ok()).collect();
        let first = statuses.first()?;
        let same = |status: &v1::Status| {
            let as_far = status.applied_index == first.applied_index && !status.digest.is_empty();
            assert!(!as_far || status.digest == first.digest, "digests differ at {}", first.applied_index);
            as_far
        };
        (statuses.len() == 3 && statuses.iter().all(same)).then_some(statuses.clone())
    })
    .await
}

#[tokio::test]
async fn a_cluster_that_was_killed_whole_goes_on() {
    let mut cluster = Cluster::start(3, |config| config);
    cluster.client().register_protocol(ping("Kept")).await.expect("registered");
    for id in 1..=3 {
        cluster.kill(id);
    }
    for id in 1..=3 {
        cluster.restart(id);
    }
    assert_eq!(names(&cluster.client()).await, BTreeSet::from(["Kept".to_owned()]));
}

#[tokio::test]
async fn a_follower_redirects() {
    let cluster = Cluster::start(3, |config| config);
    let follower = cluster.follower().await;
    // This client is told of the follower alone, so every write finds the leader through it.
    let client = cluster.client_of(follower);
    client.register_protocol(ping("Redirected")).await.expect("registered");
    assert_eq!(names(&client).await, BTreeSet::from(["Redirected".to_owned()]));
}

#[tokio::test]
async fn a_repeated_request_is_answered_once() {
    let mut cluster = Cluster::start(3, |config| config);
    let client = cluster.client();
    let protocol = client.register_protocol(ping("Repeated")).await.expect("registered");
    let mut start = session("once", &protocol);
    start.request_id = new_request_id().0.to_vec();
    client.start_session(start.clone()).await.expect("started");
    client.start_session(start.clone()).await.expect("the first answer again");
    // Another leader knows the answer too.
    let leader = cluster.leader().await;
    cluster.kill(leader);
    client.start_session(start.clone()).await.expect("the first answer again");
    start.request_id = new_request_id().0.to_vec();
    start.spec = start.spec.map(|spec| v1::SessionSpec { max_restarts: 9, ..spec });
    let error = client.start_session(start).await.expect_err("another request for the same name");
    assert!(matches!(&error, ClientError::Refused { reason, .. } if reason == "SESSION_EXISTS"), "{error}");
}

/// A name belongs to its session for as long as that is remembered.
#[tokio::test]
async fn a_name_is_free_again_when_its_session_is_deleted() {
    let cluster = Cluster::start(1, |config| config);
    let client = cluster.client();
    let protocol = client.register_protocol(ping("Named")).await.expect("registered");
    let start = || client.start_session(session("nightly", &protocol));
    let reason = |error: ClientError| match error {
        ClientError::Refused { reason, message, .. } => (reason, message),
        other => panic!("{other}"),
    };
    assert!(!start().await.expect("started").already_running);
    assert!(start().await.expect("there is nothing to start").already_running);
    let delete = || client.delete_session(v1::DeleteSessionRequest { session: "nightly".into(), ..Default::default() });
    assert_eq!(reason(delete().await.expect_err("it lives")).0, "SESSION_LIVES");
    let cancel = v1::CancelSessionRequest { session: "nightly".into(), ..Default::default() };
    client.cancel_session(cancel).await.expect("cancelled");
    let (code, message) = reason(start().await.expect_err("the name is taken"));
    assert_eq!(code, "NAME_TAKEN");
    assert!(message.starts_with("session `nightly` was cancelled"), "{message}");

    let forget = || v1::DeleteProtocolRequest { protocol_id: protocol.clone(), ..Default::default() };
    let (code, message) = reason(client.delete_protocol(forget()).await.expect_err("it is used"));
    assert_eq!(code, "PROTOCOL_IN_USE");
    assert!(message.contains("`nightly`"), "{message}");
    delete().await.expect("deleted");
    assert_eq!(reason(delete().await.expect_err("it is gone")).0, "UNKNOWN_SESSION");
    assert!(!start().await.expect("started anew").already_running);
    let cancel = v1::CancelSessionRequest { session: "nightly".into(), ..Default::default() };
    client.cancel_session(cancel).await.expect("cancelled");
    delete().await.expect("deleted");
    client.delete_protocol(forget()).await.expect("deleted");
    assert_eq!(names(&client).await, BTreeSet::new());
}

#[tokio::test]
async fn refusals_are_final_and_say_why() {
    let cluster = Cluster::start(3, |config| config);
    let client = cluster.client();
    let error = client.get_session("nobody", false).await.expect_err("no such session");
    assert_eq!(error.to_string(), "no session `nobody`");
    let mut broken = ping("Broken");
    broken.sources[0].text = broken.sources[0].text.replace("from B to A", "from B to Nobody");
    let error = client.register_protocol(broken).await.expect_err("does not compile");
    let ClientError::Refused { code: tonic::Code::InvalidArgument, reason, message } = error else { panic!("{error}") };
    assert_eq!(reason, "PROTOCOL");
    assert!(message.contains("Broken.scr:4"), "{message}");
    let error = client.start_session(session("s", "Nothing@0")).await.expect_err("no such protocol");
    assert!(matches!(&error, ClientError::Refused { code: tonic::Code::NotFound, .. }), "{error}");
}

#[tokio::test]
async fn without_a_majority_nothing_is_changed_and_it_is_said_so() {
    let mut cluster = Cluster::start(3, |config| config);
    cluster.client().register_protocol(ping("Before")).await.expect("registered");
    let last = cluster.follower().await;
    let follower = cluster.client_of(last);
    wait_until("the follower to apply it", async || {
        let protocols = follower.list_protocols(true).await.ok()?;
        (protocols.len() == 1).then_some(())
    })
    .await;
    for id in (1..=3).filter(|id| *id != last) {
        cluster.kill(id);
    }
    let client = cluster.client().with_timeout(Duration::from_millis(600));
    let error = client.register_protocol(ping("After")).await.expect_err("no majority");
    assert!(matches!(error, ClientError::NoLeader { .. }), "{error}");
    let stale = cluster.client_of(last).list_protocols(true).await.expect("a stale read needs nobody");
    assert_eq!(stale.len(), 1);
}

#[tokio::test]
async fn a_watch_survives_the_leader() {
    let mut cluster = Cluster::start(3, |config| config);
    let client = cluster.client();
    let protocol = client.register_protocol(ping("Watched")).await.expect("registered");
    client.start_session(session("watched", &protocol)).await.expect("started");
    let mut events = Box::pin(client.watch_session("watched", 0));
    let first = events.next().await.expect("an event").expect("no error");
    assert!(matches!(first.kind, Some(Kind::Started(_))), "{first:?}");
    let leader = cluster.leader().await;
    cluster.kill(leader);
    client
        .cancel_session(v1::CancelSessionRequest { session: "watched".into(), ..Default::default() })
        .await
        .expect("cancelled");
    let rest: Vec<v1::SessionEvent> = events.map(|event| event.expect("no error")).collect().await;
    let numbers: Vec<u64> = std::iter::once(&first).chain(&rest).map(|event| event.number).collect();
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected, "none lost, none repeated");
    let last = rest.last().and_then(|event| event.kind.clone());
    assert!(
        matches!(last, Some(Kind::Ended(v1::SessionEnded { ref outcome, .. })) if outcome == "cancelled"),
        "{last:?}"
    );
}

#[tokio::test]
async fn a_watch_of_nothing_ends_with_a_refusal() {
    let cluster = Cluster::start(3, |config| config);
    let events: Vec<_> = cluster.client().watch_session("nothing", 0).collect().await;
    let [Err(ClientError::Refused { reason, .. })] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(reason, "UNKNOWN_SESSION");
}

#[tokio::test]
async fn a_stream_answers_each_command_on_its_own() {
    let cluster = Cluster::start(3, |config| config);
    let client = cluster.client();
    let protocol = client.register_protocol(ping("Streamed")).await.expect("registered");
    let start = |number: u8| v1::CommandRequest {
        request_id: vec![number; 16],
        command: Some(Command::StartSession(session(&format!("s{number}"), &protocol))),
    };
    let wrong = v1::CommandRequest {
        request_id: vec![99; 16],
        command: Some(Command::StartSession(session("wrong", "Nothing@0"))),
    };
    let requests: Vec<v1::CommandRequest> = (0..50).map(start).chain([wrong]).collect();
    let replies = client.execute(stream::iter(requests)).await.expect("a stream");
    let replies: Vec<v1::CommandReply> = replies.map(|reply| reply.expect("no error")).collect().await;
    assert_eq!(replies.len(), 51);
    for reply in replies {
        match reply.outcome {
            Some(Outcome::StartSession(_)) => assert_ne!(reply.request_id, vec![99; 16]),
            Some(Outcome::Refusal(refusal)) => {
                assert_eq!(reply.request_id, vec![99; 16]);
                assert_eq!(refusal.reason, "UNKNOWN_PROTOCOL");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(client.list_sessions(false).await.expect("a list").len(), 50);
}

#[tokio::test]
async fn health_tells_whether_a_leader_is_known() {
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

    let cluster = Cluster::start(3, |config| config);
    cluster.leader().await;
    let channel =
        tonic::transport::Endpoint::from_shared(format!("http://{}", cluster.endpoint(1))).expect("an endpoint");
    let mut health = HealthClient::new(channel.connect().await.expect("connected"));
    wait_until("the node to serve", async || {
        let answer = health.check(HealthCheckRequest::default()).await.ok()?.into_inner();
        (answer.status() == ServingStatus::Serving).then_some(())
    })
    .await;
}
