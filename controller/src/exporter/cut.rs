//! When a batch is due. Pure: how much waits and since when goes in; now, or a time to look again, comes out.

use barndoor_crds::settings::Batch;
use jiff::{SignedDuration, Timestamp};

/// Seconds after its first event when the first batch after a Start or resume is cut, so that a person sees an object
/// soon.
const FIRST_BATCH_SECONDS: i64 = 5;

/// What audit events are expected to shrink to at least, for guessing from decoded bytes whether an object is full.
/// Ratios of 3.3 to 5.5 were measured; a guess too low only closes an object early.
const EXPECTED_RATIO: u64 = 5;

/// What waits after a destination's place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Events.
    pub events: u64,
    /// Their decoded bytes, roughly.
    pub bytes: u64,
    /// When the first of them was accepted.
    pub oldest_accepted_at: Timestamp,
}

/// How patient the destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Nothing was delivered since the last Start or resume.
    First,
    /// As declared.
    Steady,
}

/// When the next object is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Now.
    Now,
    /// Not before this time, unless more events arrive.
    At(Timestamp),
}

/// Whether more waits than two objects hold: a backlog, which leaves the memory to live streams.
pub fn is_backlog(pending: Pending, batch: Batch) -> bool {
    pending.events > 2 * u64::from(batch.max_events)
        || pending.bytes > 2 * EXPECTED_RATIO * u64::from(batch.max_bytes)
}

/// When what waits is due: full, or old enough. Behind or not makes no difference to the age, because an object that
/// is due takes all that fits.
pub fn due(pending: Pending, batch: Batch, pace: Pace, now: Timestamp) -> Due {
    let full = pending.events >= u64::from(batch.max_events)
        || pending.bytes >= u64::from(batch.max_bytes) * EXPECTED_RATIO;
    if full {
        return Due::Now;
    }
    let declared = i64::from(batch.max_delay_seconds);
    let delay = SignedDuration::from_secs(match pace {
        Pace::First => declared.min(FIRST_BATCH_SECONDS),
        Pace::Steady => declared,
    });
    // A clock set back must not make an event wait for longer than the delay from now.
    let latest = now.saturating_add(delay).unwrap_or(now);
    let at = pending.oldest_accepted_at.saturating_add(delay).unwrap_or(now).min(latest);
    if at <= now { Due::Now } else { Due::At(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).expect("a time")
    }

    fn waiting(events: u64, oldest: i64) -> Pending {
        Pending { events, bytes: events * 1_100, oldest_accepted_at: second(oldest) }
    }

    #[test]
    fn a_batch_is_due_half_a_minute_after_its_first_event() {
        let batch = Batch::default();
        assert_eq!(due(waiting(1, 0), batch, Pace::Steady, second(29)), Due::At(second(30)));
        assert_eq!(due(waiting(1, 0), batch, Pace::Steady, second(30)), Due::Now);
    }

    #[test]
    fn the_first_batch_after_a_start_is_due_after_five_seconds() {
        assert_eq!(due(waiting(1, 0), Batch::default(), Pace::First, second(0)), Due::At(second(5)));
    }

    #[test]
    fn a_full_batch_is_due_at_once() {
        assert_eq!(due(waiting(50_000, 0), Batch::default(), Pace::Steady, second(0)), Due::Now);
    }

    #[test]
    fn a_clock_set_back_delays_nothing_for_longer_than_the_delay() {
        assert_eq!(due(waiting(1, 9_999), Batch::default(), Pace::Steady, second(0)), Due::At(second(30)));
    }
}
