//! The ring's worker: plays whichever role of `ring.scr` it is started as.

mod primes;
mod tally;

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use rekindle_examples::{file, setting};
use rekindle_worker::Worker;

use crate::tally::Tally;

/// The roles, as the token goes.
const RING: [&str; 5] = ["R1", "R2", "R3", "R4", "R5"];

fn main() -> anyhow::Result<()> {
    let mut worker = Worker::from_stdio()?;
    let role = worker.role();
    let place = RING.iter().position(|name| *name == role).with_context(|| format!("the ring has no role {role}"))?;
    let before = RING[(place + RING.len() - 1) % RING.len()];
    let after = RING[(place + 1) % RING.len()];
    if place == 0 { lead(&mut worker, before, after) } else { follow(&mut worker, before, after) }
}

/// R1: makes the token, and takes it from the ring when all is done.
fn lead(worker: &mut Worker, before: &str, after: &str) -> anyhow::Result<()> {
    let mut segments: u64 = worker.checkpoint()?.unwrap_or(0);
    if segments == 0 {
        let numbers = setting::number("RING_NUMBERS", 20_000_000)?;
        let rounds: usize = setting::number("RING_ROUNDS", 20)?;
        ensure!(rounds > 0, "RING_ROUNDS must not be 0");
        work(worker, after, Tally::new(numbers, rounds * RING.len()), &mut segments)?;
    }
    loop {
        let tally: Tally = worker.receive_from(before)?.expect("token")?;
        if tally.is_complete() {
            report(worker, &tally)?;
            worker.send(after, "finish", &())?;
            worker.receive_from(before)?.expect::<()>("finish")?;
            return Ok(());
        }
        work(worker, after, tally, &mut segments)?;
    }
}

/// R2 to R5: work on each token until there is none.
fn follow(worker: &mut Worker, before: &str, after: &str) -> anyhow::Result<()> {
    let mut segments: u64 = worker.checkpoint()?.unwrap_or(0);
    loop {
        let message = worker.receive_from(before)?;
        match message.label.as_str() {
            "token" => work(worker, after, message.decode()?, &mut segments)?,
            "finish" => {
                worker.log(&format!("worked on {segments} segments"))?;
                worker.send(after, "finish", &())?;
                return Ok(());
            }
            other => bail!("the ring does not know the message `{other}`"),
        }
    }
}

/// Works on the token and passes it on. Afterwards the worker knows nothing but how often it did so: its checkpoint.
fn work(worker: &mut Worker, after: &str, mut tally: Tally, segments: &mut u64) -> anyhow::Result<()> {
    tally.add_segment();
    worker.send(after, "token", &tally)?;
    *segments += 1;
    worker.save_checkpoint(segments)?;
    Ok(())
}

/// Checks the result and writes it.
fn report(worker: &mut Worker, tally: &Tally) -> anyhow::Result<()> {
    let counted = primes::count(tally.numbers);
    ensure!(tally.primes == counted, "the ring found {} primes, but there are {counted}", tally.primes);
    let file = setting::text("RING_RESULT").unwrap_or_else(|| "ring-result.json".to_owned());
    let mut text = serde_json::to_string_pretty(tally)?;
    text.push('\n');
    file::write_atomically(Path::new(&file), text.as_bytes()).with_context(|| format!("writing {file}"))?;
    worker.log(&format!("{} primes below {}: {file}", tally.primes, tally.numbers))?;
    Ok(())
}
