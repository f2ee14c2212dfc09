//! Roles R1 and R2: add up counts.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use rekindle_examples::{file, setting};
use rekindle_worker::{Error, Message, Worker};
use serde::{Deserialize, Serialize};

use crate::MAPPERS;
use crate::mapper::Counts;

/// What a reducer has counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Total {
    /// Different words.
    pub(crate) different: u64,
    /// Words, each as often as it occurs.
    pub(crate) words: u64,
    /// The file with all of them.
    pub(crate) file: String,
}

pub(crate) fn run(worker: &mut Worker) -> anyhow::Result<()> {
    let mut sums: Counts = worker.checkpoint()?.unwrap_or_default();
    loop {
        let first = worker.receive_from(MAPPERS[0])?;
        match first.label.as_str() {
            "counts" => {
                add(&mut sums, first)?;
                for mapper in &MAPPERS[1..] {
                    add(&mut sums, worker.receive_from(mapper)?)?;
                }
                worker.send("M", "reduced", &())?;
                save(worker, &sums)?;
            }
            "finish" => {
                for mapper in &MAPPERS[1..] {
                    worker.receive_from(mapper)?.expect::<()>("finish")?;
                }
                let file = write(worker.role(), &sums)?;
                let total = Total { different: sums.len() as u64, words: sums.values().sum(), file };
                worker.send("M", "total", &total)?;
                return Ok(());
            }
            other => bail!("a reducer does not know the message `{other}`"),
        }
    }
}

fn add(sums: &mut Counts, message: Message) -> anyhow::Result<()> {
    for (word, count) in message.expect::<Counts>("counts")? {
        *sums.entry(word).or_insert(0) += count;
    }
    Ok(())
}

/// Saves the sums. Too large ones are not saved: then a crash costs more, but nothing is lost.
fn save(worker: &mut Worker, sums: &Counts) -> anyhow::Result<()> {
    match worker.save_checkpoint(sums) {
        Err(Error::CheckpointTooLarge { .. }) => Ok(()),
        other => other.context("saving the sums"),
    }
}

/// Writes the counts, a word a line.
fn write(role: &str, sums: &Counts) -> anyhow::Result<String> {
    let folder = setting::text("WORDS_RESULTS").unwrap_or_default();
    let path = Path::new(&folder).join(format!("word-count-{role}.txt"));
    let mut text = String::new();
    for (word, count) in sums {
        writeln!(text, "{count:6} {word}")?;
    }
    file::write_atomically(&path, text.as_bytes()).with_context(|| format!("writing {}", path.display()))?;
    Ok(path.display().to_string())
}
