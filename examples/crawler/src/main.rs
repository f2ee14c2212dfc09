//! The crawler's worker: plays whichever role of `crawler.scr` it is started as.
//!
//! The index must be the same to the byte whatever crashes and however messages interleave. So what a role sends
//! depends on nothing but what it received: no clock, no order of arrival, no unordered map. The one thing that could
//! differ the second time is the network, see [`cache`].

mod cache;
mod fetcher;
mod frontier;
mod index;
mod indexer;
mod master;
mod message;
mod parser;
mod robots;
mod site;

use anyhow::bail;
use rekindle_worker::Worker;

fn main() -> anyhow::Result<()> {
    let mut worker = Worker::from_stdio()?;
    match worker.role() {
        "M" => master::run(&mut worker),
        "F1" => fetcher::run(&mut worker, "P1"),
        "F2" => fetcher::run(&mut worker, "P2"),
        "P1" => parser::run(&mut worker, "F1"),
        "P2" => parser::run(&mut worker, "F2"),
        "I" => indexer::run(&mut worker),
        other => bail!("the crawler has no role {other}"),
    }
}
