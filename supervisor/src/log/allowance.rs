//! How much of a role's words go to the log.
//!
//! Invariants
//! * over any time, no more than `burst` and `per_second` for each second of it are let through;
//! * what is left out is counted and told before the next line, or at the end of the process, with its newest lines:
//!   the last words before a crash say the most.

use std::collections::VecDeque;

use tokio::time::Instant;

/// Newest lines that are kept of what is left out.
const NEWEST_LINES: usize = 10;
/// Most of a line that is kept.
const NEWEST_CHARS: usize = 200;

/// See the head of the file. Sizes in bytes.
#[derive(Debug)]
pub(super) struct Allowance {
    burst: u64,
    per_second: u64,
    left: u64,
    filled_at: Instant,
    missing: Missing,
}

#[derive(Debug, Default)]
struct Missing {
    lines: u64,
    bytes: u64,
    newest: VecDeque<String>,
}

impl Allowance {
    pub(super) fn new(burst: u64, per_second: u64, now: Instant) -> Self {
        Allowance { burst, per_second, left: burst, filled_at: now, missing: Missing::default() }
    }

    /// Gives to `out` what goes to the log now that the role says `line`.
    pub(super) fn take(&mut self, line: &str, now: Instant, mut out: impl FnMut(&str)) {
        self.fill(now);
        // Its place in the log costs something too, or empty lines would be free.
        let cost = line.len() as u64 + 16;
        // Once something is missing, a tenth must be free again: else every second line would be about the ones missing.
        let enough = if self.missing.lines > 0 { (self.burst / 10).max(cost) } else { cost };
        if self.left < enough {
            self.missing.add(line);
            return;
        }
        self.left -= cost;
        self.tell(&mut out);
        out(line);
    }

    /// Says what is missing, if anything is.
    pub(super) fn tell(&mut self, out: &mut impl FnMut(&str)) {
        let Missing { lines, bytes, newest } = std::mem::take(&mut self.missing);
        if lines == 0 {
            return;
        }
        let rate = self.per_second;
        out(&format!(
            "… {lines} lines ({bytes} bytes) are left out: more than {rate} bytes a second; the newest of them:"
        ));
        for line in &newest {
            out(line);
        }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at).as_millis();
        let gained = u128::from(self.per_second) * passed / 1000;
        if gained > 0 {
            self.left = u64::try_from(u128::from(self.left) + gained).unwrap_or(u64::MAX).min(self.burst);
            self.filled_at = now;
        }
    }
}

impl Missing {
    fn add(&mut self, line: &str) {
        self.lines += 1;
        self.bytes += line.len() as u64;
        if self.newest.len() == NEWEST_LINES {
            self.newest.pop_front();
        }
        self.newest.push_back(line.chars().take(NEWEST_CHARS).collect());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_cut_counted_and_its_end_is_kept() {
        let start = Instant::now();
        let mut allowance = Allowance::new(10_000, 1_000, start);
        let mut log = Vec::new();
        let flood = 100_000;
        for number in 0..flood {
            allowance.take(&format!("line {number}"), start, |line| log.push(line.to_owned()));
        }
        let bytes: usize = log.iter().map(String::len).sum();
        assert!(bytes < 13_000, "{bytes}");
        let passed = log.iter().filter(|line| line.starts_with("line")).count() as u64;
        allowance.tell(&mut |line| log.push(line.to_owned()));
        assert_eq!(log.last().map(String::as_str), Some("line 99999"));
        assert!(log.iter().any(|line| line.starts_with(&format!("… {} lines", flood - passed))), "{:?}", log.last());
    }

    #[test]
    fn after_a_pause_everything_is_let_through_again() {
        let start = Instant::now();
        let mut allowance = Allowance::new(1_000, 1_000, start);
        let mut log = Vec::new();
        for _ in 0..100 {
            allowance.take("a line of the flood", start, |line| log.push(line.to_owned()));
        }
        log.clear();
        allowance.take("after", start + Duration::from_secs(1), |line| log.push(line.to_owned()));
        assert!(log[0].starts_with("… ") && log[0].contains("left out"), "{log:?}");
        assert_eq!(log.last().map(String::as_str), Some("after"));
        log.clear();
        allowance.take("and on", start + Duration::from_secs(1), |line| log.push(line.to_owned()));
        assert_eq!(log, ["and on"]);
    }
}
