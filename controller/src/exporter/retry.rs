//! How long to wait after a failure. Pure but for the jitter, which the caller draws.

use std::time::Duration;

/// The first pause after a failed attempt.
const BASE: Duration = Duration::from_secs(1);
/// The longest pause.
const CEILING: Duration = Duration::from_mins(1);
/// The first pause between quick retries inside one attempt.
const QUICK: Duration = Duration::from_millis(200);

/// The pause after so many failed attempts in a row (1 or more): 1 s doubling to 60 s, of which `jitter` (0 to 1)
/// takes away up to half, so that destinations that failed together do not come back together.
pub fn backoff(failures: u32, jitter: f64) -> Duration {
    let doubled = BASE.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(CEILING);
    doubled.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

/// The pause before the n-th quick retry (1 or more): 200 ms doubling.
pub fn quick_pause(retry: u32, jitter: f64) -> Duration {
    QUICK.saturating_mul(1 << retry.saturating_sub(1).min(4)).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_a_second_to_a_minute() {
        let seconds: Vec<u64> = (1..=9).map(|failures| backoff(failures, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff(u32::MAX, 1.0), Duration::from_secs(30));
    }
}
