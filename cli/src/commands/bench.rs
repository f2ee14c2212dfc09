//! `rekindle bench …`: measurements on this machine.

mod recovery;
mod worker;

use std::process::ExitCode;

use anyhow::Result;

use crate::args::{Bench, Global};
use crate::output::Output;

pub(crate) fn run(bench: Bench, global: &Global, output: &Output) -> Result<ExitCode> {
    match bench {
        Bench::Recovery { crashes } => recovery::run(crashes, global, output),
        Bench::Worker { crash_every, times } => worker::run(crash_every, &times),
    }
}
