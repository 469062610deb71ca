//! Which events are too old to keep. Pure; dropping them is a write in the delivery record.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The wall clock may differ by this much from the steady clock before it counts as a jump: 2 minutes.
const JUMP: SignedDuration = SignedDuration::from_secs(2 * 60);

/// How long nothing is dropped after a jump or a start, for somebody to notice a wrong clock: an hour, or the
/// retention if that is shorter.
const HOLD_MAX: Duration = Duration::from_hours(1);

/// The time before which accepted events are dropped.
pub fn expiry(now: Timestamp, retention: Duration) -> Timestamp {
    let retention = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
    now.saturating_sub(retention).unwrap_or(Timestamp::MIN)
}

/// Notices a wall clock that jumps beside the steady one. What happened to it before the start cannot be known, so a
/// start counts as a jump.
#[derive(Debug)]
pub struct JumpWatch {
    hold: Duration,
    last: Option<(Timestamp, Duration)>,
    held_until: Option<Duration>,
}

/// Whether events may be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropping {
    /// They may.
    Allowed,
    /// The clock may have jumped a short while ago.
    Held,
}

impl JumpWatch {
    /// A watch over events that are kept for so long.
    pub fn new(retention: Duration) -> Self {
        Self { hold: retention.min(HOLD_MAX), last: None, held_until: None }
    }

    /// Looks at both clocks.
    pub fn look(&mut self, wall: Timestamp, steady: Duration) -> Dropping {
        let jumped = self.last.is_none_or(|(last_wall, last_steady)| {
            let elapsed = SignedDuration::try_from(steady.saturating_sub(last_steady));
            (wall.duration_since(last_wall) - elapsed.unwrap_or(SignedDuration::MAX)).abs() > JUMP
        });
        if jumped {
            self.held_until = Some(steady + self.hold);
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
    fn nothing_is_dropped_for_an_hour_after_a_start_or_a_jump_of_the_clock() {
        let wall = Timestamp::from_second(1_790_000_000).expect("a time");
        let at = Duration::from_mins;
        let minutes = |minutes| wall + SignedDuration::from_mins(minutes);
        let day = SignedDuration::from_hours(24);
        let mut watch = JumpWatch::new(Duration::from_hours(24 * 30));
        assert_eq!(watch.look(wall, at(0)), Dropping::Held, "nobody knows what the clock did before");
        assert_eq!(watch.look(minutes(59), at(59)), Dropping::Held);
        assert_eq!(watch.look(minutes(60), at(60)), Dropping::Allowed);
        assert_eq!(watch.look(minutes(61) + day, at(61)), Dropping::Held);
        assert_eq!(watch.look(minutes(120) + day, at(120)), Dropping::Held);
        assert_eq!(watch.look(minutes(121) + day, at(121)), Dropping::Allowed);
    }
}
