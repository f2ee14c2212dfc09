//! The `rekindle` binary: reads the command line, calls the right verb, turns its outcome into an exit status.

mod args;
mod commands;
mod deployment;
mod exit;
mod local;
mod output;
mod protocols;
mod start;
mod watch;
mod workers;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command, Format, Global};
use crate::output::Output;

fn main() -> ExitCode {
    // `panic = "abort"` in the profile would compile every dependency twice, for binaries and for tests.
    rekindle_node::abort_on_panic();
    let cli = Cli::parse();
    let output = Output::new(&cli.global);
    let outcome = start_log(&cli.global).and_then(|()| dispatch(cli, &output));
    match outcome {
        Ok(code) => code,
        Err(error) => exit::report(&error, &output),
    }
}

fn start_log(global: &Global) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(&global.log).map_err(|error| exit::usage(format!("--log `{}`: {error}", global.log)))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
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
        Command::Protocol(protocol) => commands::protocol::run(protocol, &global, output),
        Command::Session(session) => commands::session::run(session, &global, output),
        Command::Recovery(recovery) => commands::recovery::run(recovery, &global, output),
        Command::Bench(bench) => commands::bench::run(bench, &global, output),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "rekindle", &mut std::io::stdout());
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
