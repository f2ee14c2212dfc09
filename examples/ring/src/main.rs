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

/// R1: begins each round with a segment of its own, and ends with the result.
fn lead(worker: &mut Worker, before: &str, after: &str) -> anyhow::Result<()> {
    let numbers = setting::number("RING_NUMBERS", 2_000_000)?;
    let rounds: usize = setting::number("RING_ROUNDS", 20)?;
    ensure!(rounds > 0, "RING_ROUNDS must not be 0");
    let mut tally = worker.checkpoint()?.unwrap_or_else(|| Tally::new(numbers, rounds * RING.len()));
    while !tally.is_complete() {
        tally.add_segment();
        worker.send(after, "token", &tally)?;
        tally = worker.receive_from(before)?.expect("token")?;
        worker.save_checkpoint(&tally)?;
    }
    report(worker, &tally)?;
    worker.send(after, "finish", &())?;
    worker.receive_from(before)?.expect::<()>("finish")?;
    Ok(())
}

/// R2 to R5: work on the token and pass it on.
fn follow(worker: &mut Worker, before: &str, after: &str) -> anyhow::Result<()> {
    let mut round: u64 = worker.checkpoint()?.unwrap_or(0);
    loop {
        let message = worker.receive_from(before)?;
        match message.label.as_str() {
            "token" => {
                let mut tally: Tally = message.decode()?;
                tally.add_segment();
                worker.send(after, "token", &tally)?;
                round += 1;
                worker.save_checkpoint(&round)?;
            }
            "finish" => {
                worker.log(&format!("worked on {round} segments"))?;
                worker.send(after, "finish", &())?;
                return Ok(());
            }
            other => bail!("the ring does not know the message `{other}`"),
        }
    }
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
