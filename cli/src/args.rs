//! The command line: every verb and flag. `docs/cli.md` is generated from it; a test compares the two.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rekindle_proto::convert::request::session_id;
use rekindle_protocol::recovery::policy::{Mode, Retention};

/// Restarts just what must be restarted when one of several cooperating processes crashes.
#[derive(Parser, Debug)]
#[command(name = "rekindle", version, term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Args, Debug, Clone)]
pub(crate) struct Global {
    /// Addresses of cluster nodes, host:port, separated by commas; any of them will do
    #[arg(
        long,
        global = true,
        env = "REKINDLE_ENDPOINTS",
        value_delimiter = ',',
        default_value = "127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103"
    )]
    pub(crate) endpoints: Vec<String>,
    /// Format of what is printed; `svg` by `protocol graph` only, `dot` by `protocol project` too
    #[arg(short, long, global = true, env = "REKINDLE_OUTPUT", value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
    /// How long to try to reach the cluster and get an answer
    #[arg(long, global = true, env = "REKINDLE_TIMEOUT", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    /// Colour in text output; `auto` looks at the terminal and at `NO_COLOR`
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto)]
    pub(crate) color: Colour,
    /// Log filter, for example `info` or `rekindle_node=debug`; the log goes to standard error. The consensus' library says
    /// errors only, unless its name, `openraft`, is in the filter
    #[arg(long, global = true, env = "REKINDLE_LOG", default_value = "warn")]
    pub(crate) log: String,
}

/// Output format.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// A picture.
    Svg,
    /// For Graphviz.
    Dot,
}

impl Format {
    /// As it is written after `-o`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Svg => "svg",
            Format::Dot => "dot",
        }
    }
}

/// When to use colour.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a deployment on this machine: a cluster of three nodes, a local supervisor, the workers
    Run(Run),
    /// Nodes of the cluster
    #[command(subcommand)]
    Node(Node),
    /// Local supervisors, one per host
    #[command(subcommand)]
    Agent(Agent),
    /// The cluster as a whole
    #[command(subcommand)]
    Cluster(Cluster),
    /// Say whether every node of --endpoints serves, or whether a local supervisor holds its lease: for health checks
    Health {
        /// Name of a local supervisor to ask the cluster about, instead of the nodes
        #[arg(long)]
        agent: Option<String>,
    },
    /// Protocols: what they say, and what a failure would cost
    #[command(subcommand)]
    Protocol(Protocol),
    /// Sessions: running instances of a protocol
    #[command(subcommand)]
    Session(Session),
    /// Recoveries of a session
    #[command(subcommand)]
    Recovery(Recovery),
    /// Measurements on this machine
    #[command(subcommand)]
    Bench(Bench),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// In which formats the command can print.
    pub(crate) fn formats(&self) -> &'static [Format] {
        match self {
            Command::Protocol(Protocol::Graph(_)) => &[Format::Text, Format::Json, Format::Svg, Format::Dot],
            Command::Protocol(Protocol::Project(_)) => &[Format::Text, Format::Json, Format::Dot],
            _ => &[Format::Text, Format::Json],
        }
    }
}

/// `run`
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// The deployment file
    pub(crate) file: PathBuf,
    /// Kill the worker of ROLE (SIGKILL) when it has done N events; may be given several times
    #[arg(long, value_name = "ROLE@N", value_parser = crash)]
    pub(crate) crash: Vec<Crash>,
    /// Kill the leader of the cluster (SIGKILL) in the moment of the first crash
    #[arg(long, requires = "crash")]
    pub(crate) kill_leader: bool,
    /// Keep the data of nodes and supervisor in this folder; without it they go to a temporary one
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Id of the session; random without it
    #[arg(long, value_parser = session)]
    pub(crate) session: Option<String>,
}

fn session(text: &str) -> Result<String, String> {
    session_id(text).map(|id| id.0).map_err(|error| error.to_string())
}

/// A fault to inject: `ROLE@N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crash {
    /// Name of the role.
    pub(crate) role: String,
    /// After how many events.
    pub(crate) events: u64,
}

fn crash(text: &str) -> Result<Crash, String> {
    let malformed = || format!("`{text}` is not ROLE@N, such as F1@20");
    let (role, events) = text.rsplit_once('@').ok_or_else(malformed)?;
    let events = events.parse().map_err(|_| malformed())?;
    if role.is_empty() || events == 0 {
        return Err(malformed());
    }
    Ok(Crash { role: role.to_owned(), events })
}

/// `node`
#[derive(Subcommand, Debug)]
pub(crate) enum Node {
    /// Run a node. A node that was killed restarts by the same command
    Start(NodeStart),
}

/// `node start`
#[derive(Args, Debug)]
pub(crate) struct NodeStart {
    /// Number of this node
    #[arg(long)]
    pub(crate) id: u64,
    /// Address to listen on; without it the one that --peers gives this node
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// Folder of this node's log and snapshots
    #[arg(long)]
    pub(crate) data_dir: PathBuf,
    /// All nodes of the cluster, this one too, as ID=HOST:PORT separated by commas; the same on every node
    #[arg(long, value_delimiter = ',', value_parser = peer, required = true)]
    pub(crate) peers: Vec<(u64, String)>,
    /// Name of the cluster; nodes of other clusters are refused
    #[arg(long, default_value = "rekindle")]
    pub(crate) cluster: String,
    /// Take no new work with less than this free on the disk, for example 1GiB; without it, a sixteenth of the disk, at most 128MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) keep_free: Option<u64>,
    /// How long a local supervisor may be silent before its roles count as failed
    #[arg(long, default_value = "3s", value_parser = humantime::parse_duration)]
    pub(crate) lease_ttl: Duration,
    /// Time between heartbeats of the leader
    #[arg(long, default_value = "40ms", value_parser = humantime::parse_duration)]
    pub(crate) heartbeat: Duration,
    /// Shortest time without a heartbeat after which a node stands for election; the longest is 1.5 times that
    #[arg(long, default_value = "120ms", value_parser = humantime::parse_duration)]
    pub(crate) election_timeout: Duration,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// Take the listening socket from standard input, and die with the parent process, which has this id
    #[arg(long, hide = true, value_name = "PID")]
    pub(crate) embedded_in: Option<i32>,
}

/// Bytes, with or without a binary unit.
fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u32); 5] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("", 0)];
    let wrong = || format!("`{text}` is no size: write for example 512MiB or 2GiB");
    let (number, shift) =
        UNITS.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift))).ok_or_else(wrong)?;
    let number: u64 = number.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

fn peer(text: &str) -> Result<(u64, String), String> {
    let malformed = || format!("`{text}` is not ID=HOST:PORT, such as 1=127.0.0.1:7101");
    let (id, endpoint) = text.split_once('=').ok_or_else(malformed)?;
    let (host, port) = endpoint.rsplit_once(':').ok_or_else(malformed)?;
    if host.is_empty() || port.parse::<u16>().is_err() {
        return Err(malformed());
    }
    Ok((id.parse().map_err(|_| malformed())?, endpoint.to_owned()))
}

/// `agent`
#[derive(Subcommand, Debug)]
pub(crate) enum Agent {
    /// Run the local supervisor of this host
    Start(AgentStart),
}

/// `agent start`
#[derive(Args, Debug)]
pub(crate) struct AgentStart {
    /// Name of this supervisor, unique in the cluster
    #[arg(long)]
    pub(crate) name: String,
    /// Address on which other supervisors reach this one
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// host:port to tell other supervisors, if it is not the one listened on
    #[arg(long)]
    pub(crate) advertise: Option<String>,
    /// Folder for what must outlive this process; without it workers left behind by a crash of it cannot be found
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: Trust,
}

/// Whom nodes and local supervisors believe.
#[derive(Args, Debug)]
pub(crate) struct Trust {
    /// File with the secret of the cluster, the same for all its nodes and local supervisors; see `cluster secret`
    #[arg(long, env = "REKINDLE_SECRET_FILE", value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Listen where other machines can reach it without a secret: whoever does can command the cluster
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// `cluster`
#[derive(Subcommand, Debug)]
pub(crate) enum Cluster {
    /// Show nodes, leader, log, and local supervisors
    Status {
        /// Ask just one node, also one that does not know a leader
        #[arg(long)]
        stale: bool,
    },
    /// Make a secret for a new cluster, by which its nodes and local supervisors know each other
    Secret {
        /// The file to write it to, readable by its owner only; it must not exist
        file: PathBuf,
    },
}

/// `protocol`
#[derive(Subcommand, Debug)]
pub(crate) enum Protocol {
    /// Check protocol files and say all that is wrong with them
    Check(ProtocolCheck),
    /// Draw a protocol, valid or not: a sequence chart (-o svg), a digraph (-o dot), a listing (-o text), a tree (-o json)
    Graph(ProtocolFile),
    /// Print the machine of a role, with -o dot for Graphviz
    Project(ProtocolProject),
    /// Print the recovery table: what a crash can cost, for each role and state
    Table(ProtocolTable),
    /// Print the recovery line of a run, from a JSON description of it
    Plan {
        /// The run
        file: PathBuf,
    },
    /// Explain an error code: the rule, a bad example, a good one, and why it matters
    Explain {
        /// For example S012
        code: String,
    },
    /// Make a protocol known to the cluster
    Register(ProtocolFile),
    /// List the protocols that the cluster knows
    List {
        /// Take the answer of any node as it is
        #[arg(long)]
        stale: bool,
    },
    /// Make the cluster forget a protocol that no session uses
    Delete {
        /// Id of the protocol, as `protocol list` prints it
        protocol_id: String,
    },
}

/// A protocol file and how to read it.
#[derive(Args, Debug)]
pub(crate) struct ProtocolFile {
    /// The Scribble module
    pub(crate) file: PathBuf,
    /// Which global protocol of the module
    #[arg(long)]
    pub(crate) protocol: Option<String>,
    /// Folder in which imported modules are looked up; may be given several times
    #[arg(short = 'I', long = "include")]
    pub(crate) include: Vec<PathBuf>,
}

/// What `--deny` makes an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Deny {
    /// Every warning
    Warnings,
}

/// `protocol check`
#[derive(Args, Debug)]
pub(crate) struct ProtocolCheck {
    /// Scribble modules
    #[arg(required_unless_present = "corpus")]
    pub(crate) files: Vec<PathBuf>,
    /// Folder in which imported modules are looked up; may be given several times
    #[arg(short = 'I', long = "include")]
    pub(crate) include: Vec<PathBuf>,
    /// Take choices to be fair: skip the check against one that always goes the same way
    #[arg(long)]
    pub(crate) fair: bool,
    /// Ask the complete check about whatever is unsafe as long as branches that begin alike are kept apart, and where roles
    /// act before they can know of a choice or learn of it from different peers
    #[arg(long, conflicts_with = "corpus")]
    pub(crate) complete: bool,
    /// Take modules as scribble-java does: they are called like their files, and payload types are declared. With --corpus
    /// always
    #[arg(long)]
    pub(crate) strict: bool,
    /// What is an error though it is not one by itself
    #[arg(long, value_name = "WHAT")]
    pub(crate) deny: Option<Deny>,
    /// Check every case of a corpus against its known verdict
    #[arg(long, value_name = "MANIFEST", conflicts_with = "files")]
    pub(crate) corpus: Option<PathBuf>,
    /// Fail only on disagreements that this list does not have
    #[arg(long, value_name = "LIST", requires = "corpus")]
    pub(crate) baseline: Option<PathBuf>,
}

/// `protocol project`
#[derive(Args, Debug)]
pub(crate) struct ProtocolProject {
    #[command(flatten)]
    pub(crate) source: ProtocolFile,
    /// Which role; without it all of them, in JSON as one object with a key for each
    #[arg(long)]
    pub(crate) role: Option<String>,
}

/// `protocol table`
#[derive(Args, Debug)]
pub(crate) struct ProtocolTable {
    /// A Scribble module, or a deployment file (.toml)
    pub(crate) file: PathBuf,
    /// Which global protocol of the module
    #[arg(long)]
    pub(crate) protocol: Option<String>,
    /// Folder in which imported modules are looked up; may be given several times
    #[arg(short = 'I', long = "include")]
    pub(crate) include: Vec<PathBuf>,
    /// Recovery mode of all roles
    #[arg(long, value_parser = mode)]
    pub(crate) mode: Option<Mode>,
    /// Recovery mode of one role, ROLE=MODE; may be given several times
    #[arg(long, value_parser = role_mode, value_name = "ROLE=MODE")]
    pub(crate) role: Vec<(String, Mode)>,
    /// What local supervisors keep of messages
    #[arg(long, value_parser = retention)]
    pub(crate) retention: Option<Retention>,
}

fn from_name<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    let value = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
    T::deserialize(value).map_err(|error| error.to_string())
}

fn mode(text: &str) -> Result<Mode, String> {
    from_name(text)
}

fn retention(text: &str) -> Result<Retention, String> {
    from_name(text)
}

fn role_mode(text: &str) -> Result<(String, Mode), String> {
    let (role, name) = text.split_once('=').ok_or_else(|| format!("`{text}` is not ROLE=MODE, such as B=replay"))?;
    Ok((role.to_owned(), mode(name)?))
}

/// `session`
#[derive(Subcommand, Debug)]
pub(crate) enum Session {
    /// Start a session on the cluster
    Start {
        /// The deployment file
        file: PathBuf,
        /// Id of the session; random without it
        #[arg(long, value_parser = session)]
        session: Option<String>,
        /// Stay, show what happens, and exit as the session ends
        #[arg(long)]
        watch: bool,
    },
    /// List sessions
    List {
        /// Take the answer of any node as it is
        #[arg(long)]
        stale: bool,
    },
    /// Show one session: its roles, and its recoveries in short
    Show {
        /// Id of the session
        session: String,
        /// Take the answer of any node as it is
        #[arg(long)]
        stale: bool,
    },
    /// Show what happens in a session from its start, until it ends
    Watch {
        /// Id of the session
        session: String,
    },
    /// End a session and stop its workers
    Cancel {
        /// Id of the session
        session: String,
    },
    /// Forget a session that has ended, so that its name can be used again
    Delete {
        /// Id of the session
        session: String,
    },
}

/// `recovery`
#[derive(Subcommand, Debug)]
pub(crate) enum Recovery {
    /// List the recoveries of a session
    List {
        /// Id of the session
        session: String,
    },
    /// Show one recovery: who failed, who went back to where, the times
    Show {
        /// Id of the session
        session: String,
        /// Number of the recovery
        number: u32,
    },
    /// Say for each role why it was restarted or left alone
    Explain {
        /// Id of the session
        session: String,
        /// Number of the recovery
        number: u32,
    },
}

/// `bench`
#[derive(Subcommand, Debug)]
pub(crate) enum Bench {
    /// Crash one worker again and again, and measure from the crash to the resumed session
    Recovery {
        /// How many crashes to measure
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        crashes: u32,
    },
    /// The worker of `bench recovery`
    #[command(hide = true)]
    Worker {
        /// Exit with an error after so many events of this process; 0 for never
        #[arg(long)]
        crash_every: u64,
        /// File to which the times of crash, start and first event are appended
        #[arg(long)]
        times: PathBuf,
    },
}

#[cfg(test)]
mod tests;
