//! Hosts of a run: a network namespace each, on one bridge, with rules that drop what a fault says.

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::process::{done, output};

const BRIDGE: &str = "hub";

/// Packets of a hundred that [`Host::lose`] drops.
pub const LOSS: u32 = 30;

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Name of its namespace.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
}

/// The bridge, in the harness's own namespace: clients reach every host, whatever is cut.
pub fn bridge() -> Result<()> {
    let ip = |arguments: &str| done(Command::new("ip").args(arguments.split(' ')));
    ip("link set lo up")?;
    ip(&format!("link add {BRIDGE} type bridge"))?;
    ip(&format!("addr add 10.77.0.254/24 dev {BRIDGE}"))?;
    ip(&format!("link set {BRIDGE} up"))
}

impl Host {
    /// Makes a host with the last byte of its address.
    pub fn new(name: &str, number: u8) -> Result<Self> {
        let host = Host { name: name.to_owned(), address: Ipv4Addr::new(10, 77, 0, number) };
        let ip = |arguments: String| done(Command::new("ip").args(arguments.split(' ')));
        ip(format!("netns add {name}"))?;
        ip(format!("link add v-{name} type veth peer name eth0 netns {name}"))?;
        ip(format!("link set v-{name} master {BRIDGE} up"))?;
        for arguments in [
            "link set lo up".to_owned(),
            format!("addr add {}/24 dev eth0", host.address),
            "link set eth0 up".to_owned(),
        ] {
            done(host.command("ip").args(arguments.split(' ')))?;
        }
        host.rules(&format!(
            "table inet faults {{
                set cut {{
                    type ipv4_addr
                }}
                set lossy {{
                    type ipv4_addr
                }}
                counter dropped {{
                }}
                chain in {{
                    type filter hook input priority 0; policy accept;
                    ip saddr @cut counter name dropped drop
                    ip saddr @lossy numgen random mod 100 < {LOSS} counter name dropped drop
                }}
            }}\n"
        ))?;
        Ok(host)
    }

    /// A program on this host. The process that runs it is the program's own.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).arg("--").arg(program);
        command
    }

    /// Drops what comes from these.
    pub fn cut(&self, from: &[Ipv4Addr]) -> Result<()> {
        self.add("cut", from)
    }

    /// Drops a part of what comes from these.
    pub fn lose(&self, from: &[Ipv4Addr]) -> Result<()> {
        self.add("lossy", from)
    }

    /// Drops nothing any more.
    pub fn heal(&self) -> Result<()> {
        self.rules("flush set inet faults cut\nflush set inet faults lossy\n")
    }

    /// Packets that were dropped here so far.
    pub fn dropped(&self) -> Result<u64> {
        let text = output(self.command("nft").args(["-j", "list", "counter", "inet", "faults", "dropped"]))?;
        let listed: Value = serde_json::from_str(&text)?;
        let entries = listed["nftables"].as_array().context("nft lists nothing")?;
        entries.iter().find_map(|entry| entry["counter"]["packets"].as_u64()).context("nft lists no counter")
    }

    /// Tries to reach a port of another host, for a moment.
    pub fn reaches(&self, address: Ipv4Addr, port: u16) -> bool {
        let script = format!("exec 3<>/dev/tcp/{address}/{port}");
        done(self.command("timeout").args(["0.5", "bash", "-c", &script])).is_ok()
    }

    fn add(&self, set: &str, from: &[Ipv4Addr]) -> Result<()> {
        if from.is_empty() {
            return Ok(());
        }
        let list: Vec<_> = from.iter().map(ToString::to_string).collect();
        self.rules(&format!("add element inet faults {set} {{ {} }}\n", list.join(", ")))
    }

    fn rules(&self, text: &str) -> Result<()> {
        let mut nft = self.command("nft").args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        nft.stdin.take().context("nft has no input")?.write_all(text.as_bytes())?;
        let output = nft.wait_with_output()?;
        ensure!(output.status.success(), "nft on {}: {}", self.name, String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }
}
