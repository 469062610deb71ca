//! The wall clock, as a port: tests and the simulator own time.

use jiff::Timestamp;

/// Tells the wall-clock time; it may jump either way, and nobody may clamp it.
pub trait Clock: Send + Sync + 'static {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
