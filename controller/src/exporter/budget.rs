//! The memory that all objects in the making share: live streams may use all of it, backlogs half.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit of the budget's semaphores, whose count is 32 bits.
const UNIT_BYTES: usize = 1024;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Events that became due just now.
    Live,
    /// A backlog, or a destination whose last attempt failed.
    Behind,
}

/// Memory for objects in the making.
#[derive(Clone, Debug)]
pub struct Budget {
    units: u32,
    all: Arc<Semaphore>,
    behind: Arc<Semaphore>,
}

/// Memory granted until dropped.
#[derive(Debug)]
pub struct Grant {
    _all: OwnedSemaphorePermit,
    _behind: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT_BYTES).clamp(2, u32::MAX as usize / 2);
        Self {
            // Clamped to u32 above.
            units: u32::try_from(units).unwrap_or(u32::MAX),
            all: Arc::new(Semaphore::new(units)),
            behind: Arc::new(Semaphore::new(units / 2)),
        }
    }

    /// Waits for so many bytes; more than a share is granted as the whole share, so that nothing waits for ever.
    pub async fn acquire(&self, urgency: Urgency, bytes: usize) -> Grant {
        let most = match urgency {
            Urgency::Live => self.units,
            Urgency::Behind => self.units / 2,
        };
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).clamp(1, most);
        let never_closed = "the budget's semaphores are never closed";
        let behind = match urgency {
            Urgency::Live => None,
            Urgency::Behind => Some(self.behind.clone().acquire_many_owned(units).await.expect(never_closed)),
        };
        Grant { _all: self.all.clone().acquire_many_owned(units).await.expect(never_closed), _behind: behind }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn backlogs_leave_half_of_the_memory_to_live_streams() {
        let budget = Budget::new(8 * 1024);
        let _backlog = budget.acquire(Urgency::Behind, 1 << 30).await;
        assert!(budget.acquire(Urgency::Behind, 1).now_or_never().is_none(), "the backlogs' half is taken");
        let _live = budget.acquire(Urgency::Live, 4 * 1024).await;
    }
}
