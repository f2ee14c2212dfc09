//! Random bytes, and messages that are nearly right, at every call of a node's port.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;

use bytes::{Buf, BufMut, Bytes};
use futures::stream;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use rekindle_proto::payload::Format;
use rekindle_proto::v1;
use tokio::time::{Duration, timeout};
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};

use crate::harness::{Cluster, ping, wait_until};

const MESSAGE: Format = Format::wire("message of a node", 1);
const ROUNDS: usize = 12;
/// How long an answer is waited for: a call that takes garbage for a question may wait for more of it.
const ANSWER: Duration = Duration::from_millis(300);
const CALLS: [&str; 17] = [
    "Identity/Introduce",
    "Identity/Found",
    "Raft/Vote",
    "Raft/PreVote",
    "Raft/AppendEntries",
    "Raft/InstallSnapshot",
    "Raft/TransferLeader",
    "Agents/Attach",
    "Cluster/Execute",
    "Cluster/RegisterProtocol",
    "Cluster/StartSession",
    "Cluster/CancelSession",
    "Cluster/ListProtocols",
    "Cluster/ListSessions",
    "Cluster/GetSession",
    "Cluster/GetStatus",
    "Cluster/WatchSession",
];

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// A message: noise, or one that begins as it should.
fn forged(random: &mut SmallRng) -> Bytes {
    let mut noise = vec![0; random.random_range(0..200)];
    random.fill_bytes(&mut noise);
    let candidate = ((random.random_range(0..4_u64), random.random_range(0..4_u64)), random.random_bool(0.5));
    let mut inner = MESSAGE.encode(&(candidate, Some(((0_u64, 1_u64), random.random_range(0..9_u64))), false));
    if random.random_bool(0.5) {
        inner.truncate(random.random_range(0..=inner.len()));
        inner.extend_from_slice(&noise);
    }
    match random.random_range(0..4) {
        0 => noise.into(),
        1 => prost::Message::encode_to_vec(&v1::RaftMessage { payload: inner.into() }).into(),
        2 => prost::Message::encode_to_vec(&v1::SnapshotChunk { header: inner.into(), data: noise.into() }).into(),
        _ => {
            let mut hello = prost::Message::encode_to_vec(&v1::AgentMessage {
                kind: Some(v1::agent_message::Kind::Command(v1::AgentCommand { request_id: noise, command: inner })),
            });
            hello.truncate(random.random_range(0..=hello.len()));
            hello.into()
        }
    }
}

async fn call(channel: &Channel, id: u64, call: &'static str, messages: Vec<Bytes>) {
    let mut grpc = Grpc::new(channel.clone());
    let mut request = tonic::Request::new(stream::iter(messages));
    request.metadata_mut().insert("rekindle-node", format!("test/{id}").parse().expect("a value"));
    let path: PathAndQuery = format!("/rekindle.v1.{call}").parse().expect("a path");
    let said = async {
        grpc.ready().await.ok()?;
        let mut answers = grpc.streaming(request, path, Raw).await.ok()?.into_inner();
        while let Ok(Some(_)) = answers.message().await {}
        Some(())
    };
    // Whatever it says, and whether or not it says anything.
    let _ = timeout(ANSWER, said).await;
}

#[allow(clippy::print_stdout, reason = "a test says its seed")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_at_every_call_changes_nothing() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let mut cluster = Cluster::start(3, |config| config);
    let client = cluster.client();
    client.register_protocol(ping("Before")).await.expect("registered");
    let mut channels = BTreeMap::new();
    for id in 1..=3 {
        let endpoint = Endpoint::from_shared(format!("http://{}", cluster.endpoint(id))).expect("an endpoint");
        channels.insert(id, endpoint.connect_lazy());
    }
    for _ in 0..ROUNDS {
        for name in CALLS {
            let id = random.random_range(1..=3);
            let messages = (0..random.random_range(1..4)).map(|_| forged(&mut random)).collect();
            call(&channels[&id], id, name, messages).await;
        }
        let mut noise = vec![0; 300];
        random.fill_bytes(&mut noise);
        if random.random_bool(0.5) {
            noise.splice(..24, *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        }
        let mut raw = TcpStream::connect(cluster.nodes[&random.random_range(1..=3)].address).expect("a connection");
        // The node may close it while it is being written.
        let _ = raw.write_all(&noise);
    }
    client.register_protocol(ping("After")).await.expect("the cluster goes on");
    for id in 1..=3 {
        let client = cluster.client_of(id);
        let status = client.get_status(v1::GetStatusRequest { stale: true, digest: false }).await.expect("a status");
        assert!(status.term < 1_000, "a forged term was believed");
        cluster.kill(id);
    }
    for id in 1..=3 {
        cluster.restart(id);
    }
    for id in 1..=3 {
        let client = cluster.client_of(id);
        wait_until("every node to have everything", async || {
            let protocols = client.list_protocols(true).await.ok()?;
            (protocols.len() == 2).then_some(())
        })
        .await;
    }
}
