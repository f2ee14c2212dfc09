//! Exit statuses: 0 done, 1 refused or invalid, 2 usage, 3 outcome unknown, 4 no leader reachable; a node has its own for
//! what whoever starts it again should know (`docs/cli.md`).

use std::fmt;
use std::process::ExitCode;

use rekindle_node::StartError;
use rekindle_proto::client::ClientError;
use rekindle_proto::printable;

use crate::output::{Output, Tone};
use crate::protocols::Invalid;
use crate::talk::say;

/// Characters of an error that are shown.
const LONGEST: usize = 20_000;

/// A mistake on the command line that clap cannot see: exit status 2.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Whoever watched a session went away before it ended: exit status 3.
#[derive(Debug)]
struct Unwatched {
    session: String,
}

impl fmt::Display for Unwatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = &self.session;
        write!(
            f,
            "the reader of standard output went away before session `{session}` ended: how it ends is not known here\n\
             hint: the session goes on; `rekindle session show {session}` says how it stands"
        )
    }
}

impl std::error::Error for Unwatched {}

/// The error for a watched session whose watcher is gone.
pub(crate) fn unwatched(session: &str) -> anyhow::Error {
    anyhow::Error::new(Unwatched { session: session.to_owned() })
}

/// An error with exit status 2.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(message.into()))
}

/// Prints an error and gives its exit status.
pub(crate) fn report(error: &anyhow::Error, output: &Output) -> ExitCode {
    if let Some(invalid) = error.downcast_ref::<Invalid>() {
        say(invalid.render(output.colour_on_stderr()).trim_end());
    } else {
        // It may repeat what others named.
        let text = printable::lines(&format!("{error:#}"), LONGEST);
        say(&format!("{} {text}", output.paint_error(Tone::Bad, "error:")));
    }
    ExitCode::from(status(error))
}

fn status(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() {
        return 2;
    }
    if let Some(ending) = error.downcast_ref::<StartError>().and_then(StartError::ending) {
        return ending.exit_status();
    }
    if error.is::<Unwatched>() {
        return 3;
    }
    match error.chain().find_map(|cause| cause.downcast_ref::<ClientError>()) {
        Some(ClientError::OutcomeUnknown { .. }) => 3,
        Some(ClientError::NoLeader { .. }) => 4,
        Some(_) | None => 1,
    }
}

/// Prints what clap answers instead of a command: help, the version, wrong usage; gives the exit status.
pub(crate) fn clap(answer: &clap::Error) -> ExitCode {
    let printed = answer.print();
    match (u8::try_from(answer.exit_code()), printed) {
        // Who asked for help and has gone does not want the rest of it.
        (Ok(0), Err(error)) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        (Ok(code), _) => ExitCode::from(code),
        (Err(_), _) => ExitCode::FAILURE,
    }
}
