//! Three nodes, two local supervisors, a session: one node and one worker die, at moments drawn by chance.
//!
//! `REKINDLE_DOUBLE_FAULTS` sets how many runs (40 for the whole test; fewer by default), `REKINDLE_SEED` repeats a draw.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Lines, Running, example, finish, free_port, last_json, processes_with, rekindle, wait_for};

const ROLES: [&str; 6] = ["M", "F1", "F2", "P1", "P2", "I"];
const DEFAULT_RUNS: usize = 16;
/// One run in eight must lose the leader in the middle of a recovery: 5 of 40.
const RUNS_PER_LOST_LEADER: usize = 8;

/// The installation of the README, on ports of its own.
struct Cluster {
    folder: TempDir,
    endpoints: Vec<String>,
    nodes: Vec<Running>,
    agents: Vec<Running>,
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let endpoints: Vec<_> = (0..3).map(|_| format!("127.0.0.1:{}", free_port())).collect();
        let mut cluster = Cluster { folder, endpoints, nodes: Vec::new(), agents: Vec::new() };
        cluster.nodes = (1..=3).map(|id| cluster.node(id)).collect();
        cluster.agents = ["east", "west"].map(|name| cluster.agent(name)).into();
        cluster
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self, name: &str) -> Stdio {
        let file = fs::File::options().create(true).append(true).open(self.path(name)).expect("writable");
        Stdio::from(file)
    }

    fn node(&self, id: usize) -> Running {
        let peers: Vec<_> = (1..).zip(&self.endpoints).map(|(id, endpoint)| format!("{id}={endpoint}")).collect();
        let mut command = rekindle(["node", "start", "--id", &id.to_string(), "--peers", &peers.join(",")]);
        command.arg("--data-dir").arg(self.path(&format!("node-{id}")));
        Running::start(command.stderr(self.log(&format!("node-{id}.log"))))
    }

    fn agent(&self, name: &str) -> Running {
        let listen = format!("127.0.0.1:{}", free_port());
        let mut command = self.client(["agent", "start", "--name", name, "--listen", &listen, "--data-dir"]);
        command.arg(self.path(name)).env("INDEX", self.path("index.json")).env("TMPDIR", self.folder.path());
        // Long enough that the second fault finds the session running.
        command.env("DELAY_MS", "10");
        Running::start(command.stderr(self.log(&format!("{name}.log"))))
    }

    fn client<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> std::process::Command {
        let mut command = rekindle(arguments);
        command.env("REKINDLE_ENDPOINTS", self.endpoints.join(","));
        command
    }

    /// Status by the leader, once there is one.
    fn status(&self) -> Option<Value> {
        let output = finish(&mut self.client(["cluster", "status", "-o", "json", "--timeout", "5s"]));
        output.status.success().then(|| last_json(&output))
    }

    fn leader(&self) -> usize {
        let mut leader = 0;
        wait_for("a leader", || {
            leader = self.status().and_then(|status| status["leader_id"].as_u64()).unwrap_or(0);
            leader > 0
        });
        usize::try_from(leader).expect("small")
    }

    /// Waits until every node has the whole log and every supervisor its lease: the next fault hits a whole cluster.
    fn settle(&self) {
        wait_for("the cluster to be whole", || {
            let Some(status) = self.status() else { return false };
            let last = status["last_log_index"].as_u64().unwrap_or(u64::MAX);
            let nodes = status["nodes"].as_array().map_or(&[][..], Vec::as_slice);
            let agents = status["agents"].as_array().map_or(&[][..], Vec::as_slice);
            let live = agents.iter().filter(|agent| agent["live"] == true).count();
            live == 2 && nodes.iter().filter(|node| node["matched_index"].as_u64() >= Some(last)).count() == 3
        });
    }
}

/// What is done to one run.
#[derive(Debug)]
struct Plan {
    /// From the session's running to the first kill.
    first: Duration,
    /// From the first kill to the second.
    gap: Duration,
    worker_first: bool,
    role: &'static str,
    /// The leader, or the follower that comes so many nodes after it.
    node: usize,
}

impl Plan {
    fn draw(random: &mut StdRng, number: usize, crawl: Duration) -> Self {
        let gap =
            if number.is_multiple_of(2) { random.random_range(0..=30_000) } else { random.random_range(0..=300_000) };
        Plan {
            first: crawl.mul_f64(random.random_range(0.0..0.8)),
            gap: Duration::from_micros(gap),
            worker_first: random.random_bool(0.75),
            role: ROLES[random.random_range(0..ROLES.len())],
            node: if random.random_bool(0.85) { 0 } else { random.random_range(1..=2) },
        }
    }
}

/// The worker of a role of a session; `None` if it is between two lives, or done.
fn worker(session: &str, role: &str) -> Option<Pid> {
    let role = format!("REKINDLE_ROLE={role}");
    processes_with("REKINDLE_SESSION", session).into_iter().find(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == role.as_bytes())
    })
}

/// Starts a session and follows it, as a user would in a terminal.
fn crawl(cluster: &Cluster, session: &str) -> (Running, Lines) {
    let file = example("crawler/crawler.toml");
    let mut command = cluster.client(["session", "start", "--watch", "-o", "json", "--session", session]);
    let mut child = Running::start(command.arg(file).stdout(Stdio::piped()));
    let lines = Lines::of(&mut child);
    while !lines.next().expect("an event before the end").contains("\"running\"") {}
    (child, lines)
}

fn summary(lines: &Lines) -> Value {
    let mut last = String::new();
    while let Some(line) = lines.next() {
        last = line;
    }
    serde_json::from_str(&last).unwrap_or_else(|error| panic!("{error}: {last}"))
}

fn pause(duration: Duration) {
    let until = std::time::Instant::now() + duration;
    while let Some(left) = until.checked_duration_since(std::time::Instant::now()) {
        std::thread::park_timeout(left);
    }
}

impl Cluster {
    /// Carries out a plan; gives the node that was killed.
    fn harm(&mut self, plan: &Plan, session: &str, leader: usize) -> usize {
        let node = (leader - 1 + plan.node) % 3;
        pause(plan.first);
        let worker = worker(session, plan.role);
        let kill_worker = || {
            if let Some(pid) = worker {
                // Fails only if it has just ended by itself.
                let _ = kill(pid, Signal::SIGKILL);
            }
        };
        if plan.worker_first {
            kill_worker();
            pause(plan.gap);
            self.nodes[node].kill();
        } else {
            self.nodes[node].kill();
            pause(plan.gap);
            kill_worker();
        }
        node
    }
}

/// Whether some recovery was opened under one leader and resumed under another.
fn lost_its_leader(summary: &Value) -> bool {
    let recoveries = summary["recoveries"].as_array().map_or(&[][..], Vec::as_slice);
    recoveries.iter().any(|recovery| recovery["opened_by"] != recovery["resumed_by"])
}

fn read(index: &Path) -> Vec<u8> {
    fs::read(index).expect("the crawl leaves an index")
}

#[test]
fn every_run_survives_a_worker_and_a_node() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = setting("REKINDLE_SEED").unwrap_or_else(rand::random);
    let runs = setting("REKINDLE_DOUBLE_FAULTS").map_or(DEFAULT_RUNS, |runs| usize::try_from(runs).expect("small"));
    let wanted = (runs / RUNS_PER_LOST_LEADER).max(1);
    println!("seed {seed}, {runs} runs, at least {wanted} of which must lose the leader in a recovery");

    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start();
    let index = cluster.path("index.json");
    cluster.settle();
    let (_child, lines) = crawl(&cluster, "calm");
    let calm = summary(&lines);
    assert_eq!(calm["outcome"], "completed", "{calm}");
    let expected = read(&index);
    let duration = Duration::from_millis(calm["duration_ms"].as_u64().expect("a duration"));

    let (mut lost, mut number) = (0, 0);
    // How often a kill falls into a recovery depends on the machine, so go on until it did often enough.
    while number < runs || (lost < wanted && number < 4 * runs) {
        cluster.settle();
        fs::remove_file(&index).expect("the index of the run before");
        let plan = Plan::draw(&mut random, number, duration);
        let leader = cluster.leader();
        let session = format!("run-{number}");
        let (_child, lines) = crawl(&cluster, &session);
        let killed = cluster.harm(&plan, &session, leader);
        let summary = summary(&lines);
        println!("run {number}: {plan:?}: {summary}");
        assert_eq!(summary["outcome"], "completed", "seed {seed}, run {number}: {plan:?}: {summary}");
        assert!(read(&index) == expected, "seed {seed}, run {number}: {plan:?}: another index");
        lost += usize::from(lost_its_leader(&summary));
        cluster.nodes[killed] = cluster.node(killed + 1);
        number += 1;
    }
    println!("{number} runs completed, {lost} of them lost the leader in the middle of a recovery");
    assert!(lost >= wanted, "seed {seed}: only {lost} of {number} runs lost the leader in a recovery");
}
