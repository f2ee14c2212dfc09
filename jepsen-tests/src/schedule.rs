//! When what is broken: drawn from a seed, and from nothing else.
//!
//! Targets are drawn as numbers and resolved when the fault begins, for who leads then is not known now.

use std::time::Duration;

use crate::faults::Fault;

/// A sequence of numbers from a seed (`SplitMix64`), the same in every release and on every machine.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit as u64).unwrap_or(0)
    }

    /// A span from `from` to `to`.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let spread = u64::try_from(to.saturating_sub(from).as_millis()).unwrap_or(u64::MAX).max(1);
        from + Duration::from_millis(self.roll() % spread)
    }

    /// The numbers below `limit` in some order.
    pub fn shuffled(&mut self, limit: usize) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..limit).collect();
        for place in (1..limit).rev() {
            numbers.swap(place, self.below(place + 1));
        }
        numbers
    }
}

/// One fault of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When it begins, since the run began.
    pub at: Duration,
    /// How long it lasts; zero if it is over at once.
    pub lasts: Duration,
    /// What.
    pub fault: Fault,
    /// Decides on whom.
    pub draw: u64,
}

/// No fault before this: clients and sessions get under way, and the calm throughput is measured.
pub const CALM: Duration = Duration::from_secs(5);
const SHORTEST: Duration = Duration::from_millis(1500);
const LONGEST: Duration = Duration::from_secs(5);
const REST: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_millis(3500));

/// The faults of a run: one at a time, each kind as often as the others, with time to recover in between.
pub fn plan(seed: u64, duration: Duration, faults: &[Fault]) -> Vec<Planned> {
    let mut dice = Dice::new(seed);
    let mut plan = Vec::new();
    let mut at = CALM;
    if faults.is_empty() {
        return plan;
    }
    loop {
        for place in dice.shuffled(faults.len()) {
            let fault = faults[place];
            let lasts = if fault.is_instant() { Duration::ZERO } else { dice.between(SHORTEST, LONGEST) };
            let planned = Planned { at, lasts, fault, draw: dice.roll() };
            at += lasts + dice.between(REST.0, REST.1);
            if planned.at + lasts > duration {
                return plan;
            }
            plan.push(planned);
        }
    }
}

/// The schedule as text, one fault a line: what `--schedule` reads.
pub fn text(plan: &[Planned]) -> String {
    plan.iter()
        .map(|planned| {
            let (at, lasts) = (planned.at.as_millis(), planned.lasts.as_millis());
            format!("{at} {lasts} {} {}\n", planned.fault, planned.draw)
        })
        .collect()
}

/// Reads what [`text`] wrote. Lines that begin with `#` are notes.
pub fn read(text: &str) -> Result<Vec<Planned>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let malformed = || format!("`{line}` is not: begin-ms length-ms fault draw");
            let [at, lasts, name, draw]: [&str; 4] =
                line.split_whitespace().collect::<Vec<_>>().try_into().map_err(|_| malformed())?;
            let fault = Fault::ALL.into_iter().find(|fault| fault.name() == name).ok_or_else(malformed)?;
            let millis = |text: &str| text.parse().map(Duration::from_millis).map_err(|_| malformed());
            Ok(Planned { at: millis(at)?, lasts: millis(lasts)?, fault, draw: draw.parse().map_err(|_| malformed())? })
        })
        .collect()
}
