//! `export_oldest_pending_seconds`: how long the oldest accepted event has been waiting, worst destination first.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use barndoor_crds::name::DestinationUid;
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};

use crate::clock::Clock;
use crate::destinations::Destination;

/// How many destinations are named.
const NAMED_MAX: usize = 5;
/// A destination is named when its oldest event has waited longer than is promised, in seconds.
const NAMED_FROM_SECONDS: i64 = 60;

/// When every lagging destination's oldest waiting event was accepted.
pub struct Laggards {
    clock: Arc<dyn Clock>,
    waiting: Mutex<HashMap<DestinationUid, Waiting>>,
}

#[derive(Clone, Debug)]
struct Waiting {
    organization: String,
    name: String,
    since: Timestamp,
}

impl fmt::Debug for Laggards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Laggards(..)")
    }
}

impl Laggards {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, waiting: Mutex::default() }
    }

    pub(super) fn report(&self, destination: &Destination, since: Option<Timestamp>) {
        let Some(since) = since else { return self.forget(&destination.uid) };
        let organization = destination.organization.to_string();
        let waiting = Waiting { organization, name: destination.name.to_string(), since };
        self.lock().insert(destination.uid.clone(), waiting);
    }

    pub(super) fn forget(&self, destination: &DestinationUid) {
        self.lock().remove(destination);
    }

    /// Nothing is left half done under this lock, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, HashMap<DestinationUid, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds waited, worst first.
    fn worst(&self) -> Vec<(i64, Waiting)> {
        let now = self.clock.now().as_second();
        let mut waiting: Vec<_> = self
            .lock()
            .values()
            .map(|waiting| (now.saturating_sub(waiting.since.as_second()).max(0), waiting.clone()))
            .collect();
        waiting.sort_by_key(|(seconds, _)| std::cmp::Reverse(*seconds));
        waiting.truncate(NAMED_MAX);
        waiting
    }
}

impl Collector for Laggards {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let worst = self.worst();
        let oldest = ConstGauge::new(worst.first().map_or(0, |(seconds, _)| *seconds));
        oldest.encode(encoder.encode_descriptor(
            "export_oldest_pending_seconds",
            "How long the oldest accepted event has been waiting to be delivered, over all streaming destinations",
            None,
            MetricType::Gauge,
        )?)?;
        let named = Family::<Vec<(&'static str, String)>, Gauge>::default();
        for (seconds, waiting) in worst.into_iter().filter(|(seconds, _)| *seconds > NAMED_FROM_SECONDS) {
            let labels = vec![("organization", waiting.organization), ("destination", waiting.name)];
            named.get_or_create(&labels).set(seconds);
        }
        named.encode(encoder.encode_descriptor(
            "export_laggard_oldest_pending_seconds",
            "The same for the few destinations that are most behind",
            None,
            MetricType::Gauge,
        )?)
    }
}
