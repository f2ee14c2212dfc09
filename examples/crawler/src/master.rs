//! Role M: hands out pages, round by round, until there is none left.

use anyhow::{Context, ensure};
use rekindle_examples::setting;
use rekindle_worker::{Error, Worker};

use crate::frontier::Frontier;
use crate::message::{Job, Links, Progress, Summary};
use crate::site::Site;

/// Rounds between two checkpoints: the most that a crash of the master makes everybody do again.
const ROUNDS_PER_CHECKPOINT: usize = 4;

pub(crate) fn run(worker: &mut Worker) -> anyhow::Result<()> {
    let mut frontier = match worker.checkpoint()? {
        Some(saved) => saved,
        None => Frontier::new(Site::from_env()?.front_page(), setting::number("MAX_PAGES", 200)?),
    };
    let mut rounds = 0;
    while !frontier.is_empty() {
        round(worker, &mut frontier)?;
        rounds += 1;
        if rounds % ROUNDS_PER_CHECKPOINT == 0 {
            save(worker, &frontier)?;
        }
    }
    for fetcher in ["F1", "F2"] {
        worker.send(fetcher, "stop", &())?;
    }
    let summary: Summary = worker.receive_from("I")?.expect("summary")?;
    ensure!(
        summary.pages == frontier.visited(),
        "the index has {} pages, {} were handed out",
        summary.pages,
        frontier.visited()
    );
    worker.log(&format!(
        "crawled {} addresses ({} broken), {} words, {} links: {}",
        summary.pages, summary.broken, summary.words, summary.links, summary.index
    ))?;
    for fetcher in ["F1", "F2"] {
        worker.send(fetcher, "done", &())?;
    }
    Ok(())
}

fn round(worker: &mut Worker, frontier: &mut Frontier) -> anyhow::Result<()> {
    let jobs: [Job; 2] = frontier.pair();
    for (fetcher, job) in ["F1", "F2"].into_iter().zip(&jobs) {
        worker.send(fetcher, "fetch", job)?;
    }
    for parser in ["P1", "P2"] {
        let links: Links = worker.receive_from(parser)?.expect("links")?;
        frontier.admit(links);
    }
    let progress: Progress = worker.receive_from("I")?.expect("indexed")?;
    ensure!(progress.pages == frontier.visited(), "the indexer has missed a page");
    Ok(())
}

/// Saves the frontier. One that is too large is not saved: then a crash costs more, but nothing is lost.
fn save(worker: &mut Worker, frontier: &Frontier) -> anyhow::Result<()> {
    match worker.save_checkpoint(frontier) {
        Err(Error::CheckpointTooLarge { .. }) => Ok(()),
        other => other.context("saving the frontier"),
    }
}
