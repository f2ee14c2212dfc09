//! The cluster of a run: hosts, disks, processes.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use rekindle_proto::client::Client;

use super::Options;
use super::disk::NodeDisk;
use super::net::{self, Host};
use super::process::Process;
use crate::faults::{Disk, Fault};

const NODE_PORT: u16 = 7100;
const AGENT_PORT: u16 = 7200;
/// Where Debian puts it.
pub const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// A node or a local supervisor with everything under it.
#[derive(Debug)]
pub struct Member {
    /// Where it runs.
    pub host: Host,
    /// Where it listens.
    pub port: u16,
    /// Its disk.
    pub disk: NodeDisk,
    /// Offset of its wall clock, if clocks can be changed in this run.
    pub clock: Option<PathBuf>,
    process: Mutex<Process>,
    arguments: Vec<String>,
    rekindle: PathBuf,
}

/// The cluster.
#[derive(Debug)]
pub struct Site {
    /// Node `i + 1` is at place `i`.
    pub nodes: Vec<Arc<Member>>,
    /// Local supervisors.
    pub agents: Vec<Arc<Member>>,
}

impl Member {
    /// Its process.
    pub fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `host:port`.
    pub fn endpoint(&self) -> String {
        format!("{}:{}", self.host.address, self.port)
    }

    /// Its command line.
    fn command(&self) -> Command {
        let mut command = self.host.command(&self.rekindle);
        command.args(&self.arguments).env("REKINDLE_JEPSEN_HOST", &self.host.name).env("NO_COLOR", "1");
        self.with_clock(command)
    }

    /// A command that sees this host's wall clock.
    pub fn with_clock(&self, mut command: Command) -> Command {
        if let Some(clock) = &self.clock {
            command
                .env("LD_PRELOAD", FAKETIME)
                .env("FAKETIME_TIMESTAMP_FILE", clock)
                .env("FAKETIME_CACHE_DURATION", "1")
                .env("DONT_FAKE_MONOTONIC", "1");
        }
        command
    }

    /// Starts it, if it does not run.
    pub fn start(&self) -> Result<()> {
        let mut process = self.process();
        if process.is_running()? {
            return Ok(());
        }
        process.start(&mut self.command())
    }

    /// Kills it and starts it again at once. Whether it ran until then.
    pub fn restart(&self) -> Result<bool> {
        let mut process = self.process();
        let ran = process.kill()?;
        process.start(&mut self.command())?;
        Ok(ran)
    }
}

/// Makes the secret without which nothing listens beyond loopback; gives its path.
fn secret(rekindle: &Path, folder: &Path) -> Result<String> {
    let file = folder.join("secret");
    let made =
        Command::new(rekindle).args(["cluster", "secret"]).arg(&file).output().context("no secret can be made")?;
    if !made.status.success() {
        bail!("no secret can be made: {}", String::from_utf8_lossy(&made.stderr).trim());
    }
    Ok(file.to_string_lossy().into_owned())
}

impl Site {
    /// Makes hosts and disks; nothing runs yet.
    pub fn new(options: &Options, mounts: &Path) -> Result<Self> {
        net::bridge()?;
        let planned: Vec<Fault> = match &options.schedule {
            Some(schedule) => schedule.iter().map(|planned| planned.fault).collect(),
            None => options.faults.clone(),
        };
        let kind = planned.iter().map(|fault| fault.disk()).max().unwrap_or(Disk::Any);
        let clocks = planned.contains(&Fault::ClockJump);
        let endpoint = |number: usize| format!("10.77.0.{number}:{NODE_PORT}");
        let peers: Vec<_> = (1..=options.nodes).map(|id| format!("{id}={}", endpoint(id))).collect();
        let endpoints: Vec<_> = (1..=options.nodes).map(endpoint).collect();
        let member = |name: String, number: usize, port: u16, disk: NodeDisk, arguments: Vec<String>| {
            let host = Host::new(&name, u8::try_from(number).context("too many hosts")?)?;
            let process = Mutex::new(Process::new(&name, options.out.join(format!("{name}.log"))));
            let rekindle = options.rekindle.clone();
            Ok::<_, anyhow::Error>(Member { host, port, disk, clock: None, process, arguments, rekindle })
        };
        let secret = secret(&options.rekindle, mounts)?;
        let mut nodes = Vec::new();
        for id in 1..=options.nodes {
            let name = format!("n{id}");
            let disk = NodeDisk::new(kind, mounts, &name)?;
            let data = disk.data().to_string_lossy().into_owned();
            let id_text = id.to_string();
            let peers = peers.join(",");
            let mut arguments =
                ["node", "start", "--id", &id_text, "--peers", &peers, "--data-dir", &data, "--secret-file", &secret]
                    .map(str::to_owned)
                    .to_vec();
            arguments.extend(options.node_args.iter().cloned());
            let mut node = member(name, id, NODE_PORT, disk, arguments)?;
            if clocks {
                let clock = mounts.join(format!("n{id}.clock"));
                std::fs::write(&clock, "+0")?;
                node.clock = Some(clock);
            }
            nodes.push(Arc::new(node));
        }
        let mut agents = Vec::new();
        for number in 1..=options.agents {
            let name = format!("a{number}");
            let disk = NodeDisk::new(Disk::Any, mounts, &name)?;
            let data = disk.data().to_string_lossy().into_owned();
            let listen = format!("10.77.0.{}:{AGENT_PORT}", 100 + number);
            let endpoints = endpoints.join(",");
            let arguments = [
                "agent",
                "start",
                "--name",
                &name,
                "--listen",
                &listen,
                "--data-dir",
                &data,
                "--endpoints",
                &endpoints,
                "--secret-file",
                &secret,
            ]
            .map(str::to_owned)
            .to_vec();
            agents.push(Arc::new(member(name, 100 + number, AGENT_PORT, disk, arguments)?));
        }
        Ok(Site { nodes, agents })
    }

    /// Starts what does not run.
    pub fn start(&self) -> Result<()> {
        self.members().try_for_each(|member| member.start())
    }

    /// Nodes first.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.nodes.iter().chain(&self.agents)
    }

    /// Addresses of all nodes.
    pub fn endpoints(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.endpoint()).collect()
    }

    /// Addresses of the nodes at these places.
    pub fn addresses(&self, places: &[usize]) -> Vec<Ipv4Addr> {
        places.iter().map(|place| self.nodes[*place].host.address).collect()
    }

    /// The place of the node that leads in the highest term, and the term.
    pub async fn leader(&self) -> Result<Option<(usize, u64)>> {
        let statuses = Client::connect(self.endpoints())?.statuses(false).await;
        let leading = statuses.into_iter().filter_map(|(_, status)| status.ok());
        let leading = leading.filter(|status| status.leader_id != 0 && status.leader_id == status.node_id);
        let found = leading.max_by_key(|status| status.term);
        Ok(found.and_then(|status| Some((usize::try_from(status.node_id).ok()?.checked_sub(1)?, status.term))))
    }

    /// Packets dropped on all hosts so far.
    pub fn dropped(&self) -> Result<u64> {
        self.members().map(|member| member.host.dropped()).sum()
    }

    /// Ends every cut.
    pub fn heal(&self) -> Result<()> {
        self.members().try_for_each(|member| member.host.heal())
    }
}
