//! The handle to all exporters: what REST may ask of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use barndoor_crds::name::DestinationUid;
use barndoor_crds::reason::Reason;
use barndoor_crds::status::CheckReport;
use tokio::sync::Notify;

use crate::destinations::{Destination, Health, Wish};
use crate::exporter::live::Live;

/// How long [`Exporters::declare`] waits for a PUT that began before.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);

/// The handle to all exporters.
#[derive(Clone, Default)]
pub struct Exporters {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    lives: Mutex<HashMap<DestinationUid, Arc<Live>>>,
    wakes: Mutex<HashSet<DestinationUid>>,
    woken: Notify,
}

impl std::fmt::Debug for Exporters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exporters(..)")
    }
}

/// What the exporter of one destination is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// `Paused`, `Starting`, `StreamingActive` or `Retrying`.
    pub reason: Reason,
    /// The last check, issue and object, newer than what was saved.
    pub health: Health,
}

impl Exporters {
    pub(super) fn lives(&self) -> MutexGuard<'_, HashMap<DestinationUid, Arc<Live>>> {
        self.shared.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when somebody was woken.
    pub(super) async fn woken(&self) {
        self.shared.woken.notified().await;
    }

    /// Who was woken since the last time.
    pub(super) fn take_woken(&self) -> HashSet<DestinationUid> {
        std::mem::take(&mut *self.wakes())
    }

    fn wakes(&self) -> MutexGuard<'_, HashSet<DestinationUid>> {
        self.shared.wakes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self, destination: &DestinationUid) -> Option<Arc<Live>> {
        self.lives().get(destination).cloned()
    }

    pub(super) fn live_or_new(&self, destination: Destination) -> Arc<Live> {
        let uid = destination.uid.clone();
        self.lives().entry(uid).or_insert_with(|| Arc::new(Live::new(destination))).clone()
    }

    /// Takes a newer declaration at once and returns when no PUT can begin under an older one: call it after a wish
    /// or place was written and before it is answered. Waits at most 5 seconds for a PUT already under way.
    pub async fn declare(&self, destination: &Destination) {
        // Right after the start the table may not know it yet; what is declared here holds then, too.
        let live = self.live_or_new(destination.clone());
        live.declare(destination.clone());
        if destination.wish == Wish::Paused {
            live.gate.idle(SETTLE_PATIENCE).await;
        }
        self.wake(&destination.uid);
    }

    /// The destination is gone: returns when no PUT can begin; waits like [`Exporters::declare`].
    pub async fn remove(&self, destination: &DestinationUid) {
        if let Some(live) = self.live(destination) {
            live.gate.shut();
            live.gate.idle(SETTLE_PATIENCE).await;
        }
    }

    /// Looks at the destination at once and forgets its back-off: after Start, a healthy check, a changed declaration.
    pub fn wake(&self, destination: &DestinationUid) {
        self.wakes().insert(destination.clone());
        self.shared.woken.notify_one();
    }

    /// Remembers what a check found; a healthy one ends the back-off.
    pub fn checked(&self, destination: &DestinationUid, report: &CheckReport) {
        if let Some(live) = self.live(destination) {
            live.checked(report.clone());
        }
        if report.healthy {
            self.wake(destination);
        }
    }

    /// What the exporter is doing; `None` when the destination has none, or right after the start.
    pub fn activity(&self, destination: &DestinationUid) -> Option<Activity> {
        let live = self.live(destination).filter(|live| live.is_remembered())?;
        Some(Activity { reason: live.reason(), health: live.health() })
    }
}
