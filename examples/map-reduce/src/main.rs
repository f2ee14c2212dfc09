//! The worker of map-reduce: plays whichever role of `map_reduce.scr` it is started as.

mod mapper;
mod master;
mod reducer;
mod texts;

use anyhow::bail;
use rekindle_worker::Worker;

/// The mappers, in the order in which they get pieces.
const MAPPERS: [&str; 3] = ["W1", "W2", "W3"];

/// The reducers: each word belongs to one.
const REDUCERS: [&str; 2] = ["R1", "R2"];

fn main() -> anyhow::Result<()> {
    let mut worker = Worker::from_stdio()?;
    match worker.role() {
        "M" => master::run(&mut worker),
        "W1" => mapper::run(&mut worker, 0),
        "W2" => mapper::run(&mut worker, 1),
        "W3" => mapper::run(&mut worker, 2),
        "R1" | "R2" => reducer::run(&mut worker),
        other => bail!("map-reduce has no role {other}"),
    }
}
