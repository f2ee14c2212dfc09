//! Local supervisors on their stream.

use std::time::Duration;

use futures::StreamExt;
use rekindle_node::NodeConfig;
use rekindle_proto::client::find_leader;
use rekindle_proto::v1::agent_message::Kind as Say;
use rekindle_proto::v1::agents_client::AgentsClient;
use rekindle_proto::v1::node_message::Kind as Heard;
use rekindle_proto::v1::session_event::Kind as Event;
use rekindle_proto::{payload, v1};
use rekindle_protocol::history::History;
use rekindle_protocol::image::RoleId;
use rekindle_statemachine::command::{Command, Reply};
use rekindle_statemachine::effect::{Goal, Order};
use rekindle_statemachine::ids::{Generation, Incarnation, SessionId};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::harness::{Cluster, PATIENCE, ping, session, wait_until};

/// The agent's end of a stream.
struct Agent {
    say: mpsc::Sender<v1::AgentMessage>,
    hear: Streaming<v1::NodeMessage>,
}

impl Agent {
    /// Attaches to whoever leads; returns with the lease.
    async fn attach(cluster: &Cluster, instance: u64) -> (Self, v1::Granted) {
        wait_until("an agent to be attached", async || {
            let leader = find_leader(&cluster.endpoints(), PATIENCE).await.expect("a leader");
            let mut agent = Self::attach_to(leader.channel, instance).await.ok()?;
            match agent.hear().await {
                Ok(Some(Heard::Granted(granted))) => Some((agent, granted)),
                _ => None,
            }
        })
        .await
    }

    async fn attach_to(channel: tonic::transport::Channel, instance: u64) -> Result<Self, Status> {
        Self::greet(channel, west(instance)).await
    }

    async fn greet(channel: tonic::transport::Channel, hello: v1::Hello) -> Result<Self, Status> {
        let (say, words) = mpsc::channel(16);
        say.send(v1::AgentMessage { kind: Some(Say::Hello(hello)) }).await.expect("room");
        let hear = AgentsClient::new(channel).attach(ReceiverStream::new(words)).await?.into_inner();
        Ok(Agent { say, hear })
    }

    async fn say(&self, kind: Say) {
        self.say.send(v1::AgentMessage { kind: Some(kind) }).await.expect("the stream stands");
    }

    async fn report(&self, id: u8, command: &Command) {
        let command = payload::encode_command(command);
        self.say(Say::Command(v1::AgentCommand { request_id: vec![id; 16], command })).await;
    }

    async fn hear(&mut self) -> Result<Option<Heard>, Status> {
        let next = tokio::time::timeout(PATIENCE, self.hear.message()).await.expect("a message in time");
        Ok(next?.map(|message| message.kind.expect("a kind")))
    }

    /// It is told who took over, and its stream ends.
    async fn is_superseded_by(&mut self, instance: u64) {
        let successor = v1::Successor { instance, address: west(instance).address };
        match self.hear().await {
            Ok(Some(Heard::Dismissed(dismissed))) => assert_eq!(dismissed.superseded_by, Some(successor)),
            other => panic!("{other:?}"),
        }
        assert_eq!(self.hear().await.expect("no error"), None);
    }

    async fn granted(&mut self) -> v1::Granted {
        match self.hear().await {
            Ok(Some(Heard::Granted(granted))) => granted,
            other => panic!("{other:?}"),
        }
    }

    async fn order(&mut self) -> Order {
        match self.hear().await {
            Ok(Some(Heard::Order(order))) => payload::decode_order(&order.order).expect("an order"),
            other => panic!("{other:?}"),
        }
    }

    async fn reply(&mut self) -> (Vec<u8>, Reply) {
        match self.hear().await {
            Ok(Some(Heard::Reply(reply))) => (reply.request_id, payload::decode_reply(&reply.reply).expect("a reply")),
            other => panic!("{other:?}"),
        }
    }
}

fn west(instance: u64) -> v1::Hello {
    let token = b"the folder of west".to_vec();
    v1::Hello { agent: "west".into(), instance, address: format!("127.0.0.1:{instance}"), held_instance: 0, token }
}

/// Where the log of the leader ends.
async fn log_end(cluster: &Cluster) -> u64 {
    let leader = cluster.leader().await;
    let status = cluster.client_of(leader).get_status(v1::GetStatusRequest::default()).await.expect("a status");
    status.last_log_index
}

async fn start_session(cluster: &Cluster) {
    let client = cluster.client();
    let protocol = client.register_protocol(ping("Ping")).await.expect("registered");
    client.start_session(session("s", &protocol)).await.expect("started");
}

/// Acknowledges a launch of both roles.
async fn acknowledge(agent: &mut Agent, order: &Order) {
    let Goal::Restore(restore) = &order.goal else { panic!("{order:?}") };
    assert_eq!(restore.roles.len(), 2);
    for (role, ordered) in (0u16..).zip(&restore.roles) {
        let command = Command::AcknowledgeRestore {
            session: order.session.clone(),
            generation: order.generation,
            role: RoleId(role),
            incarnation: ordered.incarnation,
            recovery: restore.recovery,
            revision: Some(order.revision),
        };
        agent.report(u8::try_from(role).expect("small"), &command).await;
    }
}

fn short_leases(config: NodeConfig) -> NodeConfig {
    NodeConfig { lease_ttl: Duration::from_millis(300), ..config }
}

#[tokio::test]
async fn an_agent_is_given_orders_and_reports() {
    let cluster = Cluster::start(3, |config| config);
    let (mut agent, granted) = Agent::attach(&cluster, 1).await;
    assert_eq!((granted.number, granted.ttl_ms, granted.outstanding), (0, 3000, 0));
    start_session(&cluster).await;
    let launch = agent.order().await;
    assert_eq!(launch.session, SessionId("s".into()));
    acknowledge(&mut agent, &launch).await;
    // Two replies and one order: it runs.
    let (mut replies, mut running) = (Vec::new(), None);
    while replies.len() < 2 || running.is_none() {
        match agent.hear().await.expect("no error") {
            Some(Heard::Reply(reply)) => replies.push(reply.request_id),
            Some(Heard::Order(order)) => running = Some(payload::decode_order(&order.order).expect("an order")),
            other => panic!("{other:?}"),
        }
    }
    replies.sort();
    assert_eq!(replies, [vec![0; 16], vec![1; 16]]);
    assert_eq!(running.expect("an order").goal, Goal::Run);
    agent.say(Say::Renew(v1::Renew { number: 7 })).await;
    assert_eq!(agent.granted().await.number, 7);
}

#[tokio::test]
async fn the_next_leader_gives_every_order_again() {
    let mut cluster = Cluster::start(3, |config| config);
    let (mut agent, _) = Agent::attach(&cluster, 1).await;
    start_session(&cluster).await;
    let launch = agent.order().await;
    let leader = cluster.leader().await;
    cluster.kill(leader);
    while let Ok(Some(_)) = agent.hear().await {}
    let (mut agent, granted) = Agent::attach(&cluster, 1).await;
    assert_eq!(granted.outstanding, 1);
    assert_eq!(agent.order().await, launch, "the same order");
}

#[tokio::test]
async fn an_agent_that_is_silent_loses_its_lease() {
    let cluster = Cluster::start(3, short_leases);
    let (mut agent, _) = Agent::attach(&cluster, 1).await;
    start_session(&cluster).await;
    agent.order().await;
    loop {
        match agent.hear().await.expect("no error") {
            Some(Heard::Dismissed(_)) => break,
            Some(Heard::Order(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(agent.hear().await.expect("no error"), None, "and the stream ends");
    let status = cluster.client().get_status(v1::GetStatusRequest::default()).await.expect("a status");
    assert!(status.agents.is_empty(), "{status:?}");
    let mut events = Box::pin(cluster.client().watch_session("s", 0));
    loop {
        match events.next().await.expect("an event").expect("no error").kind {
            Some(Event::RoleFailed(failed)) => {
                assert_eq!(failed.failed.expect("who").cause, "its local supervisor is gone");
                break;
            }
            Some(_) => {}
            None => panic!("an event without a kind"),
        }
    }
}

#[tokio::test]
async fn a_newer_run_of_an_agent_ends_the_older() {
    let cluster = Cluster::start(3, |config| config);
    let (mut older, _) = Agent::attach(&cluster, 1).await;
    let (_newer, _) = Agent::attach(&cluster, 2).await;
    older.is_superseded_by(2).await;
}

#[tokio::test]
async fn a_lease_is_not_taken_over_without_its_folder() {
    let cluster = Cluster::start(1, |config| config);
    let (mut holder, _) = Agent::attach(&cluster, 1).await;
    let end = log_end(&cluster).await;
    let leader = find_leader(&cluster.endpoints(), PATIENCE).await.expect("a leader");
    // As another process, and as the holder itself.
    for (instance, token) in [(2, Vec::new()), (2, b"another folder".to_vec()), (1, b"another folder".to_vec())] {
        let hello = v1::Hello { token, ..west(instance) };
        let refused = Agent::greet(leader.channel.clone(), hello).await.err().expect("a refusal");
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert!(refused.message().contains("another local supervisor named `west` holds a lease"), "{refused}");
    }
    assert_eq!(log_end(&cluster).await, end, "nothing is stored");
    holder.say(Say::Renew(v1::Renew { number: 1 })).await;
    assert_eq!(holder.granted().await.number, 1, "the holder has noticed nothing");
    // The name is free when the lease has ended.
    drop(holder);
    wait_until("the lease to end", async || {
        let hello = v1::Hello { token: b"another folder".to_vec(), ..west(2) };
        let mut next = Agent::greet(leader.channel.clone(), hello).await.ok()?;
        Some(next.granted().await)
    })
    .await;
}

#[tokio::test]
async fn a_process_that_missed_its_end_does_not_take_the_name_back() {
    let cluster = Cluster::start(1, |config| config);
    drop(Agent::attach(&cluster, 1).await);
    let (_newer, _) = Agent::attach(&cluster, 2).await;
    let end = log_end(&cluster).await;
    let leader = find_leader(&cluster.endpoints(), PATIENCE).await.expect("a leader");
    // Under the instance that it had, and as a new one.
    for instance in [1, 3] {
        let hello = v1::Hello { held_instance: 1, ..west(instance) };
        let mut older = Agent::greet(leader.channel.clone(), hello).await.expect("a stream");
        older.is_superseded_by(2).await;
    }
    assert_eq!(log_end(&cluster).await, end);
    // Its own predecessor is no obstacle.
    let hello = v1::Hello { held_instance: 2, ..west(4) };
    let mut again = Agent::greet(leader.channel, hello).await.expect("a stream");
    assert_eq!(again.granted().await.number, 0);
}

#[tokio::test]
async fn an_agent_that_is_refused_leaves_nothing_in_the_log() {
    let cluster = Cluster::start(1, |config| config);
    let leader = find_leader(&cluster.endpoints(), PATIENCE).await.expect("a leader");
    let end = log_end(&cluster).await;
    let (nameless, nowhere) =
        (v1::Hello { agent: "a b".into(), ..west(1) }, v1::Hello { address: "zzz".into(), ..west(1) });
    for hello in [nameless, nowhere] {
        let refused = Agent::greet(leader.channel.clone(), hello).await.err().expect("a refusal");
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    }
    assert_eq!(log_end(&cluster).await, end);
}

#[tokio::test]
async fn the_log_stands_still_while_agents_only_keep_their_leases() {
    let cluster = Cluster::start(1, |config| config);
    let (mut west, _) = Agent::attach(&cluster, 1).await;
    let leader = find_leader(&cluster.endpoints(), PATIENCE).await.expect("a leader");
    let east = v1::Hello { agent: "east".into(), instance: 1, address: "127.0.0.1:8".into(), ..v1::Hello::default() };
    let mut east = Agent::greet(leader.channel, east).await.expect("a stream");
    east.granted().await;
    let end = log_end(&cluster).await;
    for number in 1..=50 {
        for agent in [&mut west, &mut east] {
            agent.say(Say::Renew(v1::Renew { number })).await;
            assert_eq!(agent.granted().await.number, number);
        }
    }
    assert_eq!(log_end(&cluster).await, end);
}

#[tokio::test]
async fn agents_may_only_report() {
    let cluster = Cluster::start(3, |config| config);
    let (mut agent, _) = Agent::attach(&cluster, 1).await;
    agent.report(1, &Command::CancelSession { session: SessionId("s".into()) }).await;
    let error = agent.hear().await.expect_err("not an agent's business");
    assert_eq!(error.code(), tonic::Code::InvalidArgument);
    assert_eq!(error.message(), "an agent may only report about its roles");
}

/// It holds its lease and takes its orders, and yet nothing comes of them: the role goes to whoever can.
#[tokio::test]
async fn an_agent_that_never_acknowledges_loses_its_lease() {
    let impatient = |config| NodeConfig { restore_timeout: Duration::from_millis(300), ..config };
    let cluster = Cluster::start(1, impatient);
    let (mut agent, _) = Agent::attach(&cluster, 1).await;
    start_session(&cluster).await;
    agent.order().await;
    for number in 1.. {
        // The stream may be over, and what ended it not heard yet.
        drop(agent.say.send(v1::AgentMessage { kind: Some(Say::Renew(v1::Renew { number })) }).await);
        match agent.hear().await.expect("no error") {
            Some(Heard::Granted(_)) => tokio::task::yield_now().await,
            Some(Heard::Dismissed(_)) => break,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_report_without_a_generation_is_refused() {
    let cluster = Cluster::start(1, |config| config);
    let (mut agent, _) = Agent::attach(&cluster, 1).await;
    start_session(&cluster).await;
    let launch = agent.order().await;
    let finish = Command::FinishRole {
        session: launch.session,
        generation: Generation::UNNAMED,
        role: RoleId(0),
        incarnation: Incarnation(1),
        history: History::default(),
    };
    agent.report(1, &finish).await;
    assert_eq!(agent.hear().await.expect_err("refused").message(), "a report names no generation");
}

#[tokio::test]
async fn an_answer_that_was_lost_is_given_again() {
    let cluster = Cluster::start(3, |config| config);
    let (mut agent, _) = Agent::attach(&cluster, 1).await;
    start_session(&cluster).await;
    let launch = agent.order().await;
    let Goal::Restore(restore) = &launch.goal else { panic!("{launch:?}") };
    let finish = Command::FinishRole {
        session: launch.session.clone(),
        generation: launch.generation,
        role: RoleId(0),
        incarnation: restore.roles[0].incarnation,
        history: History::default(),
    };
    agent.report(5, &finish).await;
    let first = agent.reply().await;
    agent.report(5, &finish).await;
    assert_eq!(agent.reply().await, first);
}

#[tokio::test]
async fn a_follower_sends_agents_to_the_leader() {
    let cluster = Cluster::start(3, |config| config);
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", cluster.endpoint(follower)));
    let channel = endpoint.expect("an endpoint").connect().await.expect("connected");
    let refused = wait_until("the follower to know the leader", async || {
        let status = Agent::attach_to(channel.clone(), 1).await.err().expect("it does not lead");
        match rekindle_proto::status::verdict(&status) {
            rekindle_proto::status::Verdict::NotLeader { endpoint: Some(endpoint), .. } => Some(endpoint),
            _ => None,
        }
    })
    .await;
    assert_eq!(refused, cluster.endpoint(leader));
}

#[tokio::test]
async fn a_cluster_of_one_grants_leases() {
    let cluster = Cluster::start(1, |config| config);
    let (mut agent, _) = Agent::attach(&cluster, 1).await;
    agent.say(Say::Renew(v1::Renew { number: 1 })).await;
    assert_eq!(agent.granted().await.number, 1);
}
