//! The calculator's worker: plays whichever role of `calculator.scr` it is started as.

mod arithmetic;
mod client;
mod constants;
mod expression;

use anyhow::bail;
use rekindle_worker::Worker;

fn main() -> anyhow::Result<()> {
    let mut worker = Worker::from_stdio()?;
    match worker.role() {
        "C" => client::run(&mut worker),
        "A" => arithmetic::run(&mut worker),
        "K" => constants::run(&mut worker),
        other => bail!("the calculator has no role {other}"),
    }
}
