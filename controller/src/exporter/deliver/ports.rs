//! Everything an exporter needs of the world.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use barndoor_crds::name::DestinationUid;
use barndoor_crds::reason::Reason;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::destinations::Destination;
use crate::event_log::EventLog;
use crate::exporter::budget::Budget;
use crate::exporter::record::DeliveryRecords;
use crate::exporter::retention::JumpWatch;
use crate::exporter::store::ObjectStores;

/// Below this many bytes, work is done in place rather than handed to another thread.
const INLINE_BYTES: usize = 64 * 1024;

/// Where the heavy work is done.
#[derive(Debug)]
pub enum Compute {
    /// On threads of its own, as many at once as there are permits.
    Threads(Semaphore),
    /// In place: one thread, one order of events, for the simulation.
    Inline,
}

impl Compute {
    pub(super) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        match self {
            Self::Threads(permits) if bytes >= INLINE_BYTES => {
                let _permit = permits.acquire().await.expect("the permits are never closed");
                match tokio::task::spawn_blocking(work).await {
                    Ok(done) => done,
                    Err(failure) => std::panic::resume_unwind(failure.into_panic()),
                }
            }
            Self::Threads(_) | Self::Inline => work(),
        }
    }
}

/// Counts what happens, for the metrics.
pub trait Meter: Send + Sync + 'static {
    /// An object is in a bucket and committed.
    fn delivered(&self, events: u64, bytes: usize, took: Duration);
    /// An attempt failed.
    fn failed(&self, reason: Reason);
    /// Events were dropped because of their age.
    fn dropped(&self, events: u64);
    /// When the oldest event that waits for the destination was accepted; `None` when none waits.
    fn oldest_pending(&self, destination: &Destination, accepted_at: Option<Timestamp>);
    /// The destination is gone.
    fn gone(&self, destination: &DestinationUid);
}

/// Everything an exporter needs of the world.
pub struct Ports {
    /// Where events wait.
    pub log: Arc<dyn EventLog>,
    /// Where delivery records are.
    pub records: Arc<dyn DeliveryRecords>,
    /// Where objects go.
    pub stores: Arc<dyn ObjectStores>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The metrics.
    pub meter: Arc<dyn Meter>,
    /// Memory for objects in the making.
    pub budget: Budget,
    /// Where the heavy work is done.
    pub compute: Compute,
    /// How long accepted events are kept.
    pub retention: Duration,
    /// Notices a wall clock that jumps.
    pub jumps: Mutex<JumpWatch>,
    /// Draws a number from 0 to 1.
    pub jitter: Box<dyn Fn() -> f64 + Send + Sync>,
}
