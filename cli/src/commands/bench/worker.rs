//! The worker that `bench recovery` crashes: plays ball, needs nothing but the name of its state.
//!
//! It writes down when it starts, when it does its first event, and when it is about to crash, each as a word and
//! microseconds since the Unix epoch on a line of its own.

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Start {
    next: Vec<String>,
    incarnation: u64,
}

/// Plays until its input ends, or until it crashes.
pub(super) fn run(crash_every: u64, times: &Path) -> Result<ExitCode> {
    let mut times = File::options().create(true).append(true).open(times)?;
    mark(&mut times, "start")?;
    let mut input = io::stdin().lock().lines();
    let mut output = io::stdout().lock();
    let start: Start = serde_json::from_str(&input.next().context("no start line")??)?;
    let [next] = start.next.as_slice() else { return Ok(ExitCode::FAILURE) };
    let (peer, label) = next.split_once(['!', '?']).context("an event is peer!label or peer?label")?;
    let (mut sending, other) = (next.contains('!'), if label == "ping" { "pong" } else { "ping" });
    let (sent, peer) = (if sending { label } else { other }.to_owned(), peer.to_owned());
    let mut events = 0;
    loop {
        if sending {
            writeln!(output, "{}", json!({"type": "send", "to": peer, "label": sent}))?;
        } else {
            writeln!(output, "{}", json!({"type": "receive"}))?;
            output.flush()?;
            let Some(line) = input.next() else { return Ok(ExitCode::FAILURE) };
            line?;
        }
        output.flush()?;
        sending = !sending;
        events += 1;
        if events == 1 {
            mark(&mut times, "event")?;
        }
        if crash_every > 0 && events == crash_every + start.incarnation % 2 {
            mark(&mut times, "crash")?;
            return Ok(ExitCode::FAILURE);
        }
    }
}

fn mark(times: &mut File, what: &str) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    times.write_all(format!("{what} {now}\n").as_bytes())
}
