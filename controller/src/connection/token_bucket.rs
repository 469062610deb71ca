//! Keeps the controller's calls below a service's quota: a bucket of tokens that fills at a steady rate.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many calls, how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Calls a second in the long run.
    pub(crate) per_second: u32,
    /// Calls at once after a quiet time.
    pub(crate) burst: u32,
}

/// Hands out turns in the order they are asked for.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    interval: Duration,
    burst: Duration,
    /// When the bucket would be full; each turn moves it by one interval.
    full_at: Mutex<Option<Instant>>,
}

impl TokenBucket {
    pub(crate) fn new(rate: Rate) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        Self { interval, burst: interval * rate.burst.max(1), full_at: Mutex::new(None) }
    }

    /// Waits for a turn.
    pub(crate) async fn turn(&self) {
        let wait = self.reserve(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn reserve(&self, now: Instant) -> Duration {
        // One assignment is all that happens under the lock, so a poisoned one still holds a true value.
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = full_at.filter(|at| *at > now).unwrap_or(now) + self.interval;
        *full_at = Some(next);
        next.saturating_duration_since(now).saturating_sub(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let bucket = TokenBucket::new(Rate { per_second: 10, burst: 3 });
        let start = Instant::now();
        let waits: Vec<u128> = (0..5).map(|_| bucket.reserve(start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200]);
        assert_eq!(bucket.reserve(start + Duration::from_secs(10)), Duration::ZERO);
    }
}
