//! Role K: computes constants.
//!
//! Stateless: what it has to do follows from its place in the protocol, which it is told when it starts.

use anyhow::Context as _;
use rekindle_worker::Worker;

/// The name of a constant and how it is computed.
type Constant = (&'static str, fn() -> f64);

/// The constants, as the protocol orders them.
const CONSTANTS: [Constant; 3] = [("pi", pi), ("e", e), ("phi", phi)];

pub(crate) fn run(worker: &mut Worker) -> anyhow::Result<()> {
    let first = match worker.next() {
        // Started again in its final state.
        [] => return Ok(()),
        [only] if only == "C?constants" => {
            worker.receive_from("C")?.expect::<()>("constants")?;
            0
        }
        next => {
            let is_next = |(name, _): &Constant| next.iter().any(|event| event.strip_prefix("C!") == Some(name));
            CONSTANTS.iter().position(is_next).with_context(|| format!("none of {next:?} is a constant"))?
        }
    };
    for (name, compute) in &CONSTANTS[first..] {
        worker.send("C", name, &compute())?;
    }
    Ok(())
}

/// By Machin's formula.
fn pi() -> f64 {
    4.0 * (4.0 * arctangent_of_reciprocal(5.0) - arctangent_of_reciprocal(239.0))
}

/// 1/x - 1/3x³ + 1/5x⁵ - …, until nothing changes any more.
fn arctangent_of_reciprocal(x: f64) -> f64 {
    let mut power = 1.0 / x;
    series((0..).map(|n| {
        let term = power / f64::from(2 * n + 1);
        power /= -x * x;
        term
    }))
}

/// 1 + 1/1 + 1/2 + 1/6 + …
fn e() -> f64 {
    let mut term = 1.0;
    series((1..).map(|n| {
        let current = term;
        term /= f64::from(n);
        current
    }))
}

/// The golden section, by Newton's method for x² = x + 1.
fn phi() -> f64 {
    let mut x = 2.0_f64;
    loop {
        let better = (x * x + 1.0) / (2.0 * x - 1.0);
        if better >= x {
            return x;
        }
        x = better;
    }
}

/// The sum of terms that shrink. The smallest come first: so the rounding errors stay small.
fn series(terms: impl Iterator<Item = f64>) -> f64 {
    let terms: Vec<f64> = terms.take_while(|term: &f64| term.abs() > f64::EPSILON / 16.0).collect();
    terms.into_iter().rev().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_right() {
        use std::f64::consts::{E, PI};
        for (computed, known) in [(pi(), PI), (e(), E), (phi(), 5.0_f64.sqrt().midpoint(1.0))] {
            assert!((computed - known).abs() <= 4.0 * f64::EPSILON, "{computed} instead of {known}");
        }
    }
}
