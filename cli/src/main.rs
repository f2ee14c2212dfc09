//! The `rekindle` binary: reads the command line, calls the right verb, turns its outcome into an exit status.

mod args;
mod commands;
mod deployment;
mod descriptors;
mod exit;
mod local;
mod output;
mod protocols;
mod queue;
mod start;
mod talk;
mod trust;
mod watch;
mod workers;

use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command, Format, Global};
use crate::output::Output;

fn main() -> ExitCode {
    talk::end_on_panic();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return exit::clap(&answer),
    };
    let output = Output::new(&cli.global);
    let outcome = start_log(&cli.global).and_then(|()| dispatch(cli, &output));
    let code = match outcome {
        Ok(code) => code,
        Err(error) => exit::report(&error, &output),
    };
    talk::finish();
    code
}

fn start_log(global: &Global) -> anyhow::Result<()> {
    let filter = format!("{},{}", rekindle_node::LIBRARY_LOG, global.log);
    let filter = EnvFilter::try_new(filter).map_err(|error| exit::usage(format!("--log `{}`: {error}", global.log)))?;
    talk::start().context("cannot start the thread that writes to standard error")?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| talk::LogWriter)
        .with_ansi(output::colour_on_stderr(global.color))
        .init();
    Ok(())
}

fn dispatch(cli: Cli, output: &Output) -> anyhow::Result<ExitCode> {
    let Cli { global, command } = cli;
    refuse_other_formats(global.output, &command)?;
    match command {
        Command::Run(run) => commands::run::run(run, &global, output),
        Command::Node(node) => commands::node::run(node),
        Command::Agent(agent) => commands::agent::run(agent, &global),
        Command::Cluster(cluster) => commands::cluster::run(&cluster, &global, output),
        Command::Health { agent } => commands::health::run(agent.as_deref(), &global, output),
        Command::Protocol(protocol) => commands::protocol::run(protocol, &global, output),
        Command::Session(session) => commands::session::run(session, &global, output),
        Command::Recovery(recovery) => commands::recovery::run(recovery, &global, output),
        Command::Bench(bench) => commands::bench::run(bench, &global, output),
        Command::Completions { shell } => {
            // Into memory first: it panics where it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "rekindle", &mut script);
            output.line(String::from_utf8_lossy(&script).trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Not every command has something to draw.
fn refuse_other_formats(wanted: Format, command: &Command) -> anyhow::Result<()> {
    let formats = command.formats();
    if formats.contains(&wanted) {
        return Ok(());
    }
    let names: Vec<String> = formats.iter().map(|format| format!("`{}`", format.name())).collect();
    let (wanted, names) = (wanted.name(), names.join(", "));
    Err(exit::usage(format!(
        "-o {wanted}: this command does not print `{wanted}`\nhint: its formats are {names}; `protocol graph` has all"
    )))
}
