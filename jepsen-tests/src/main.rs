//! `rekindle-jepsen`: breaks a cluster of real processes on purpose and says whether it kept its promises.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use rekindle_jepsen::faults::{self, Fault};
use rekindle_jepsen::load::relay::{self, Part};
use rekindle_jepsen::netns::{Options, enter, run};
use rekindle_jepsen::schedule;

/// Exit status of a run that could not take place here; what automake and others take for "skipped".
const SKIPPED: u8 = 77;

/// Breaks a cluster of real processes on purpose, and says whether it kept its promises.
///
/// Exit status: 0 valid, 1 invalid, 3 unknown, 2 wrong usage, 77 skipped because it is not possible here.
#[derive(Parser)]
#[command(name = "rekindle-jepsen", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Nodes and local supervisors in network namespaces of this machine; needs root
    Netns(Netns),
    /// Print the schedule of a seed, as --schedule reads it
    Schedule(What),
    /// A worker of the sessions that run meanwhile
    #[command(hide = true)]
    Worker(Part),
}

#[derive(Args)]
struct What {
    /// Decides which faults happen when, and to whom
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long clients and faults run
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Which faults, separated by commas; `all`, `none`
    #[arg(long, default_value = "all")]
    faults: String,
    /// How many nodes
    #[arg(long, default_value_t = 5)]
    nodes: usize,
}

#[derive(Args)]
struct Netns {
    #[command(flatten)]
    what: What,
    /// A file with a schedule to repeat, instead of the seed's
    #[arg(long)]
    schedule: Option<PathBuf>,
    /// How many local supervisors
    #[arg(long, default_value_t = 2)]
    agents: usize,
    /// How many clients
    #[arg(long, default_value_t = 10)]
    clients: u32,
    /// How many sessions at a time
    #[arg(long, default_value_t = 4)]
    sessions: usize,
    /// The binary under test; without it the one beside this program
    #[arg(long)]
    rekindle: Option<PathBuf>,
    /// A further argument for every node, such as --node-arg=--election-timeout=400ms on a busy machine
    #[arg(long, allow_hyphen_values = true)]
    node_arg: Vec<String>,
    /// Folder for history, logs, verdict and timeline
    #[arg(long, default_value = "target/jepsen")]
    out: PathBuf,
    /// How long everything may take to come back after the last fault
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    patience: Duration,
}

fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Worker(part) => {
            relay::play_stdio(&part)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Schedule(what) => {
            let faults = known(&what)?;
            say(&schedule::text(&schedule::plan(what.seed, what.duration, &faults)));
            Ok(ExitCode::SUCCESS)
        }
        Command::Netns(netns) => {
            if let Some(obstacle) = enter::obstacle().filter(|_| !enter::is_inside()) {
                complain(&format!("skipped: {obstacle}"));
                return Ok(ExitCode::from(SKIPPED));
            }
            // Whatever is wrong with the arguments is said before anything is made.
            let options = options(netns)?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let code = if enter::is_inside() {
                runtime.block_on(run::run(&options)).map(|verdict| {
                    say(&verdict.text());
                    run::exit_code(&verdict)
                })
            } else {
                runtime.block_on(enter::go_inside(std::env::args_os().skip(1)))
            };
            // Reading standard input cannot be interrupted.
            runtime.shutdown_background();
            code
        }
    }
}

/// The faults of the list that make sense with so many nodes.
fn known(what: &What) -> Result<Vec<Fault>> {
    let faults = faults::parse(&what.faults).map_err(anyhow::Error::msg)?;
    if what.faults == "all" {
        let mut possible: Vec<Fault> = faults.into_iter().filter(|fault| fault.nodes() <= what.nodes).collect();
        possible.retain(|fault| {
            let lacks = enter::lacks(*fault);
            // Said once, by the process outside.
            if let Some(what) = lacks.filter(|_| !enter::is_inside()) {
                complain(&format!("left out: {fault}, for it needs {what}"));
            }
            lacks.is_none()
        });
        return Ok(possible);
    }
    for fault in &faults {
        ensure!(fault.nodes() <= what.nodes, "`{fault}` needs {} nodes: add --nodes {0}", fault.nodes());
    }
    Ok(faults)
}

fn options(netns: Netns) -> Result<Options> {
    let what = netns.what;
    ensure!(what.nodes >= 3 && what.nodes <= 9, "--nodes is 3 to 9: fewer cannot lose one");
    ensure!(netns.agents >= 1 && netns.agents <= 20, "--agents is 1 to 20");
    let faults = known(&what)?;
    let schedule = match &netns.schedule {
        None => None,
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            Some(schedule::read(&text).map_err(anyhow::Error::msg)?)
        }
    };
    let beside = std::env::current_exe()?.with_file_name("rekindle");
    let rekindle = netns.rekindle.unwrap_or(beside);
    let rekindle = rekindle
        .canonicalize()
        .with_context(|| format!("no binary at {}: build it with `cargo build --bins`", rekindle.display()))?;
    std::fs::create_dir_all(&netns.out).with_context(|| format!("cannot make {}", netns.out.display()))?;
    Ok(Options {
        seed: what.seed,
        duration: what.duration,
        faults,
        schedule,
        nodes: what.nodes,
        agents: netns.agents,
        clients: netns.clients,
        sessions: netns.sessions,
        rekindle,
        node_args: netns.node_arg,
        out: netns.out.canonicalize()?,
        patience: netns.patience,
    })
}

#[allow(clippy::print_stdout, reason = "what a run comes to is this program's data")]
fn say(text: &str) {
    print!("{text}");
}

#[allow(clippy::print_stderr, reason = "talk goes to standard error")]
fn complain(text: &str) {
    eprintln!("{text}");
}
