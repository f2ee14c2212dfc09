//! Exit statuses: 0 done, 1 refused or invalid, 2 usage, 3 outcome unknown, 4 no leader reachable; a node has its own for
//! what whoever starts it again should know (`docs/cli.md`).

use std::fmt;
use std::process::ExitCode;

use rekindle_node::{FailureCause, NodeFailure, StartError};
use rekindle_proto::client::ClientError;

use crate::output::{Output, Tone};
use crate::protocols::Invalid;

/// A mistake on the command line that clap cannot see: exit status 2.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An error with exit status 2.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(message.into()))
}

/// A node may not take part with the folder or the peers that it was started with: to start it again changes nothing.
const NO_PART: u8 = 10;
/// A node lost its disk, or a part of it stopped: to start it again may help.
const NODE_STOPPED: u8 = 12;

/// Prints an error and gives its exit status.
pub(crate) fn report(error: &anyhow::Error, output: &Output) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    match error.downcast_ref::<Invalid>() {
        Some(invalid) => eprint(invalid.render(output.colour_on_stderr()).trim_end()),
        None => eprint(&format!("{} {error:#}", output.paint_error(Tone::Bad, "error:"))),
    }
    ExitCode::from(status(error))
}

fn status(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() {
        return 2;
    }
    if let Some(StartError::PeersChanged { .. }) = error.downcast_ref::<StartError>() {
        return NO_PART;
    }
    if let Some(failure) = error.downcast_ref::<NodeFailure>() {
        return match failure.cause {
            FailureCause::Refused(_) => NO_PART,
            FailureCause::Stopped(_) => NODE_STOPPED,
        };
    }
    match error.chain().find_map(|cause| cause.downcast_ref::<ClientError>()) {
        Some(ClientError::OutcomeUnknown { .. }) => 3,
        Some(ClientError::NoLeader { .. }) => 4,
        Some(_) | None => 1,
    }
}

/// The reader of our output went away (`rekindle … | head`): nothing is wrong.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// One line on standard error; a closed standard error is no reason to die.
pub(crate) fn eprint(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}
