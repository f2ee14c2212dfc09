//! Nodes that are killed under load and started again at once, round after round: the replicas stay the same, and what
//! was acknowledged stays.
//!
//! `REKINDLE_SEED` repeats the choices of a run (who is killed, when, in which order they start); the machine's own
//! timing does not repeat. `REKINDLE_ROUNDS` sets the number of rounds of the long test.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rekindle_proto::client::{Client, find_leader};
use rekindle_proto::v1;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{PATIENCE, Running, free_port, rekindle};

const NODES: usize = 3;
const WRITERS: usize = 4;
/// Sessions of one round, so that all rounds fit into the tables of the cluster.
const SESSIONS: usize = 60;

#[test]
fn five_rounds_of_kills_under_load() {
    rounds(5);
}

#[test]
#[ignore = "ten minutes; run with --ignored, and REKINDLE_SEED to repeat a run"]
fn a_hundred_rounds_of_kills_under_load() {
    rounds(std::env::var("REKINDLE_ROUNDS").map_or(100, |rounds| rounds.parse().expect("a number of rounds")));
}

#[test]
fn a_majority_that_is_back_serves_again() {
    absences(&[Duration::from_secs(2)]);
}

/// Prints how long it takes; what it should take is a matter of the machine and no test's.
#[test]
#[ignore = "five minutes of measuring; run with --ignored --nocapture"]
fn how_soon_a_majority_that_is_back_serves_again() {
    absences(&[2, 5, 10, 20].map(Duration::from_secs).repeat(5));
}

/// Kills two of three nodes under load, for so long each time, and waits until the cluster answers again.
fn absences(absences: &[Duration]) {
    let mut dice = dice();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut site = Site::start();
    let protocol = runtime.block_on(site.client().register_protocol(ping())).expect("registered");
    let mut took = Vec::new();
    for (round, absence) in (1..).zip(absences) {
        took.push(runtime.block_on(site.absence(round, *absence, &protocol, &mut dice)));
        println!("away for {absence:?}: an answer after {:?}", took[took.len() - 1]);
    }
    took.sort();
    println!("median {:?}, longest {:?}", took[took.len() / 2], took[took.len() - 1]);
}

fn dice() -> StdRng {
    let seed = std::env::var("REKINDLE_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a seed"));
    println!("REKINDLE_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

fn rounds(count: u32) {
    let mut dice = dice();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut site = Site::start();
    let protocol = runtime.block_on(site.client().register_protocol(ping())).expect("registered");
    for round in 1..=count {
        runtime.block_on(site.round(round, &protocol, &mut dice));
    }
}

/// Three nodes as processes.
struct Site {
    folder: TempDir,
    ports: [u16; NODES],
    nodes: [Option<Running>; NODES],
}

impl Site {
    fn start() -> Self {
        let mut ports = BTreeSet::new();
        while ports.len() < NODES {
            ports.insert(free_port());
        }
        let ports: Vec<u16> = ports.into_iter().collect();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut site =
            Site { folder, ports: ports.try_into().expect("a port for each node"), nodes: [const { None }; NODES] };
        for node in 0..NODES {
            site.run(node);
        }
        site
    }

    fn run(&mut self, node: usize) {
        let endpoints = self.endpoints();
        let peers: Vec<String> = (1..).zip(&endpoints).map(|(id, endpoint)| format!("{id}={endpoint}")).collect();
        let log = self.log(node);
        let mut command = rekindle(["node", "start", "--id", &(node + 1).to_string(), "--peers", &peers.join(",")]);
        command.arg("--data-dir").arg(self.folder.path().join(format!("node-{node}")));
        command.stdout(Stdio::null()).stderr(log);
        self.nodes[node] = Some(Running::start(&mut command));
    }

    fn log(&self, node: usize) -> File {
        let path = self.folder.path().join(format!("node-{node}.log"));
        File::options().create(true).append(true).open(path).expect("a log")
    }

    fn endpoints(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect()
    }

    fn client(&self) -> Client {
        Client::connect(self.endpoints()).expect("good endpoints").with_timeout(PATIENCE)
    }

    /// Kills the leader, or all, while writers write; then looks at what is left.
    async fn round(&mut self, round: u32, protocol: &str, dice: &mut StdRng) {
        let leader = find_leader(&self.endpoints(), PATIENCE).await.expect("a leader").node_id;
        let leader = usize::try_from(leader).expect("a node") - 1;
        let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
        let mut writers: JoinSet<()> = (0..WRITERS)
            .map(|writer| write(self.client(), round, writer, protocol.to_owned(), Arc::clone(&acknowledged)))
            .collect();
        // Some commands are there, and others are under way.
        let some = dice.random_range(1..SESSIONS / 3);
        until("writers to have written", || async { acknowledged.lock().expect("no panic").len() >= some }).await;
        let mut victims: Vec<usize> = if dice.random() { vec![leader] } else { (0..NODES).collect() };
        victims.shuffle(dice);
        println!("round {round}: leader {leader}, killed and started again {victims:?}");
        // All at once, as far as a test can: nobody has the time to lead in between.
        for victim in &victims {
            let node = self.nodes[*victim].as_mut().expect("a node that runs");
            node.0.kill().expect("a process to kill");
        }
        for victim in &victims {
            self.nodes[*victim] = None;
        }
        for victim in victims {
            self.run(victim);
        }
        while let Some(writer) = writers.join_next().await {
            writer.expect("no panic");
        }
        self.replicas_are_the_same(round).await;
        let acknowledged = acknowledged.lock().expect("no panic").clone();
        self.all_are_there(round, &acknowledged).await;
    }

    /// Takes the majority away for a while; how long the cluster then takes to answer.
    async fn absence(&mut self, round: u32, absence: Duration, protocol: &str, dice: &mut StdRng) -> Duration {
        let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
        let mut writers: JoinSet<()> = (0..WRITERS)
            .map(|writer| write(self.client(), round, writer, protocol.to_owned(), Arc::clone(&acknowledged)))
            .collect();
        until("writers to have written", || async { !acknowledged.lock().expect("no panic").is_empty() }).await;
        let mut away: Vec<usize> = (0..NODES).collect();
        away.shuffle(dice);
        away.truncate(NODES / 2 + 1);
        for node in &away {
            self.nodes[*node] = None;
        }
        tokio::time::sleep(absence).await;
        let back = tokio::time::Instant::now();
        for node in away {
            self.run(node);
        }
        let status = v1::GetStatusRequest { stale: false, digest: false };
        self.client().get_status(status).await.expect("an answer of a leader that a majority has confirmed");
        let took = back.elapsed();
        while let Some(writer) = writers.join_next().await {
            writer.expect("no panic");
        }
        self.replicas_are_the_same(round).await;
        let acknowledged = acknowledged.lock().expect("no panic").clone();
        self.all_are_there(round, &acknowledged).await;
        took
    }

    /// Waits until all nodes have applied the same, and compares whenever any two have applied as much.
    async fn replicas_are_the_same(&self, round: u32) {
        let client = self.client();
        until("the nodes to have applied the same", || async {
            let statuses = client.statuses(true).await.into_iter().filter_map(|(_, status)| status.ok());
            let statuses: Vec<v1::Status> = statuses.filter(|status| !status.digest.is_empty()).collect();
            for (one, other) in statuses.iter().zip(statuses.iter().skip(1)) {
                let same = one.applied_index != other.applied_index || one.digest == other.digest;
                assert!(same, "round {round}: digests differ at {}\n{}", one.applied_index, self.logs());
            }
            statuses.len() == NODES && statuses.iter().all(|one| one.applied_index == statuses[0].applied_index)
        })
        .await;
    }

    /// What was acknowledged is there; it is cancelled, so that the next round has room.
    async fn all_are_there(&self, round: u32, acknowledged: &BTreeSet<String>) {
        let client = self.client();
        let present = client.list_sessions(false).await.expect("a list");
        let present: BTreeSet<String> = present.into_iter().map(|session| session.session).collect();
        let lost: Vec<&String> = acknowledged.difference(&present).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged and gone: {lost:?}\n{}", self.logs());
        for session in present.iter().filter(|session| session.starts_with(&format!("r{round}-"))) {
            let request = v1::CancelSessionRequest { session: session.clone(), ..Default::default() };
            client.cancel_session(request).await.expect("cancelled");
        }
    }

    fn logs(&self) -> String {
        let log = |node: usize| {
            let path = self.folder.path().join(format!("node-{node}.log"));
            format!("--- node {node}\n{}", std::fs::read_to_string(path).unwrap_or_default())
        };
        (0..NODES).map(log).collect()
    }
}

/// Starts sessions, one after the other, whatever happens to the nodes.
async fn write(
    client: Client,
    round: u32,
    writer: usize,
    protocol: String,
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
) {
    for number in 0..SESSIONS / WRITERS {
        let session = format!("r{round}-w{writer}-{number}");
        client.start_session(start(&session, &protocol)).await.expect("started, if not at once");
        acknowledged.lock().expect("no panic").insert(session);
    }
}

async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn ping() -> v1::RegisterProtocolRequest {
    let text = "module Ping;\nglobal protocol Ping(role A, role B) {\n  ping() from A to B;\n}\n".to_owned();
    let sources = vec![v1::Source { path: "Ping.scr".to_owned(), text }];
    v1::RegisterProtocolRequest { sources, main: "Ping.scr".to_owned(), ..Default::default() }
}

/// A session that waits for agents, of which there are none.
fn start(session: &str, protocol: &str) -> v1::StartSessionRequest {
    let role = |role: &str| v1::RoleSpec { role: role.into(), command: vec!["true".into()], ..Default::default() };
    let spec = v1::SessionSpec {
        roles: vec![role("A"), role("B")],
        max_restarts: 3,
        window_ms: 60_000,
        folder: Path::new("/").display().to_string(),
        ..Default::default()
    };
    v1::StartSessionRequest {
        session: session.to_owned(),
        protocol_id: protocol.to_owned(),
        spec: Some(spec),
        ..Default::default()
    }
}
