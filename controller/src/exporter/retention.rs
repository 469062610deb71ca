//! Which events are too old to keep. Pure; dropping them is a write in the delivery record.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The wall clock may differ by this much from the steady clock before it counts as a jump: 2 minutes.
const JUMP: SignedDuration = SignedDuration::from_secs(2 * 60);

/// How long nothing is dropped after a jump: an hour, for somebody to notice.
const HOLD: Duration = Duration::from_hours(1);

/// The time before which accepted events are dropped.
pub fn expiry(now: Timestamp, retention: Duration) -> Timestamp {
    let retention = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
    now.saturating_sub(retention).unwrap_or(Timestamp::MIN)
}

/// Notices a wall clock that jumps beside the steady one.
#[derive(Debug, Default)]
pub struct JumpWatch {
    last: Option<(Timestamp, Duration)>,
    held_until: Option<Duration>,
}

/// Whether events may be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropping {
    /// They may.
    Allowed,
    /// The clock jumped within the last hour.
    Held,
}

impl JumpWatch {
    /// Looks at both clocks.
    pub fn look(&mut self, wall: Timestamp, steady: Duration) -> Dropping {
        if let Some((last_wall, last_steady)) = self.last {
            let elapsed = SignedDuration::try_from(steady.saturating_sub(last_steady));
            let drift = wall.duration_since(last_wall) - elapsed.unwrap_or(SignedDuration::MAX);
            if drift.abs() > JUMP {
                self.held_until = Some(steady + HOLD);
            }
        }
        self.last = Some((wall, steady));
        match self.held_until {
            Some(until) if steady < until => Dropping::Held,
            Some(_) | None => Dropping::Allowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_dropped_for_an_hour_after_the_clock_jumped() {
        let (wall, steady) = (Timestamp::from_second(1_790_000_000).expect("a time"), Duration::ZERO);
        let at = |minutes: u64| steady + Duration::from_mins(minutes);
        let day = SignedDuration::from_hours(24);
        let mut watch = JumpWatch::default();
        assert_eq!(watch.look(wall, steady), Dropping::Allowed);
        assert_eq!(watch.look(wall + SignedDuration::from_mins(10), at(10)), Dropping::Allowed);
        assert_eq!(watch.look(wall + day, at(11)), Dropping::Held);
        assert_eq!(watch.look(wall + day + SignedDuration::from_mins(59), at(70)), Dropping::Held);
        assert_eq!(watch.look(wall + day + SignedDuration::from_mins(60), at(71)), Dropping::Allowed);
    }
}
