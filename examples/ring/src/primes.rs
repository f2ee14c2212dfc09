//! Primes, in two ways that know nothing of each other: listed by a sieve, counted without one.

/// The primes `p` with `from <= p < to`: a segment of the sieve of Eratosthenes.
pub(crate) fn between(from: usize, to: usize) -> Vec<usize> {
    let from = from.max(2);
    let mut composite = vec![false; to.saturating_sub(from)];
    for divisor in (2..).take_while(|divisor| divisor * divisor < to) {
        let first = (divisor * divisor).max(from.next_multiple_of(divisor));
        for multiple in (first..to).step_by(divisor) {
            composite[multiple - from] = true;
        }
    }
    (from..to).zip(composite).filter(|(_, composite)| !composite).map(|(number, _)| number).collect()
}

/// How many primes are below `numbers`, after Legendre: strike out the multiples of each prime, but keep only counts.
///
/// With `n` the last of the numbers, `small[k]` and `large[k]` count what is left of 2 to `k`, and of 2 to `n / k`.
pub(crate) fn count(numbers: usize) -> usize {
    if numbers <= 2 {
        return 0;
    }
    let n = numbers - 1;
    let root = n.isqrt();
    let mut small: Vec<usize> = (0..=root).map(|k| k.saturating_sub(1)).collect();
    let mut large: Vec<usize> = (0..=root).map(|k| n / k.max(1) - 1).collect();
    for p in 2..=root {
        let below = small[p - 1];
        if small[p] == below {
            continue;
        }
        for k in 1..=root.min(n / (p * p)) {
            let left = if k * p <= root { large[k * p] } else { small[n / (k * p)] };
            large[k] -= left - below;
        }
        for k in (p * p..=root).rev() {
            small[k] -= small[k / p] - below;
        }
    }
    large[1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_primes() {
        assert_eq!(between(0, 30), [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        assert_eq!(between(23, 30), [23, 29]);
        assert_eq!(between(24, 29), [] as [usize; 0]);
        assert_eq!(between(48, 50), [] as [usize; 0]);
        assert_eq!(between(30, 30), [] as [usize; 0]);
    }

    #[test]
    fn counts_primes() {
        for (numbers, primes) in [(10, 4), (100, 25), (10_000, 1_229), (1_000_000, 78_498), (100_000_000, 5_761_455)] {
            assert_eq!(count(numbers), primes, "below {numbers}");
        }
    }

    #[test]
    fn both_ways_agree() {
        for numbers in (0..200).chain([9_409, 9_410, 65_536, 65_537, 65_538]) {
            assert_eq!(count(numbers), between(0, numbers).len(), "below {numbers}");
        }
    }
}
