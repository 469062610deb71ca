//! Figures. Whoever has something to report calls a method here; nobody here asks back.
//!
//! No label names a destination, but for the few that lag most: there may be tens of thousands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use barndoor_crds::name::DestinationUid;
use barndoor_crds::reason::Reason;
use barndoor_crds::rest::RejectionReason;
use http::{Method, StatusCode};
use jiff::Timestamp;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::laggards::Laggards;
use crate::clock::Clock;
use crate::destinations::Destination;
use crate::event_log::TotalUsage;
use crate::exporter::deliver::Meter;

pub mod laggards;

type Labels = Vec<(&'static str, String)>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// Every figure of the process.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    accepted: Counter,
    not_kept: Counter,
    rejected: Family<Labels, Counter>,
    append_seconds: Histogram,
    delivered_events: Counter,
    delivered_objects: Counter,
    delivered_bytes: Counter,
    dropped_events: Counter,
    failed_attempts: Family<Labels, Counter>,
    put_seconds: Histogram,
    log_bytes: Gauge,
    log_limit_bytes: Gauge,
    requests: Family<Labels, Counter>,
    request_seconds: Histograms,
    laggards: Arc<Laggards>,
}

/// A page of metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposition(pub String);

impl Exposition {
    /// The media type of the page.
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

/// From 1 ms, doubling, to about 65 s.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 17))
}

impl Telemetry {
    /// Figures that begin at zero.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let laggards = Arc::new(Laggards::new(clock));
        let mut telemetry = Self {
            registry: Registry::default(),
            accepted: Counter::default(),
            not_kept: Counter::default(),
            rejected: Family::default(),
            append_seconds: seconds(),
            delivered_events: Counter::default(),
            delivered_objects: Counter::default(),
            delivered_bytes: Counter::default(),
            dropped_events: Counter::default(),
            failed_attempts: Family::default(),
            put_seconds: seconds(),
            log_bytes: Gauge::default(),
            log_limit_bytes: Gauge::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            laggards,
        };
        telemetry.register();
        telemetry
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("build", "This build", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        registry.register("ingest_accepted_events", "Events stored and acknowledged", self.accepted.clone());
        registry.register(
            "ingest_not_kept_events",
            "Valid events that no destination has a place for",
            self.not_kept.clone(),
        );
        registry.register("ingest_rejected_lines", "Lines that are not events", self.rejected.clone());
        registry.register(
            "ingest_append_seconds",
            "Time until a batch is on disk",
            self.append_seconds.clone(),
        );
        registry.register(
            "export_delivered_events",
            "Events in customers' buckets",
            self.delivered_events.clone(),
        );
        registry.register("export_delivered_objects", "Objects uploaded", self.delivered_objects.clone());
        registry.register("export_delivered_bytes", "Bytes uploaded", self.delivered_bytes.clone());
        registry.register(
            "export_dropped_events",
            "Events that grew older than the retention before they were delivered",
            self.dropped_events.clone(),
        );
        registry.register(
            "export_failed_attempts",
            "Deliveries that failed and are tried again",
            self.failed_attempts.clone(),
        );
        registry.register("export_put_seconds", "Time of one upload", self.put_seconds.clone());
        registry.register("event_log_bytes", "Bytes of the event log on disk", self.log_bytes.clone());
        registry.register(
            "event_log_limit_bytes",
            "Most bytes of the event log on disk",
            self.log_limit_bytes.clone(),
        );
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register("http_request_seconds", "Time of one request", self.request_seconds.clone());
        registry.register_collector(Box::new(Arc::clone(&self.laggards)));
    }

    /// Events that a producer was told are stored, or valid but not kept.
    pub fn accepted(&self, kept: u64, not_kept: u64) {
        self.accepted.inc_by(kept);
        self.not_kept.inc_by(not_kept);
    }

    /// Lines that are not events.
    pub fn rejected(&self, by_reason: &BTreeMap<RejectionReason, u64>) {
        for (reason, count) in by_reason {
            self.rejected.get_or_create(&vec![("reason", format!("{reason:?}"))]).inc_by(*count);
        }
    }

    /// A batch was stored in this time.
    pub fn appended(&self, elapsed: Duration) {
        self.append_seconds.observe(elapsed.as_secs_f64());
    }

    /// How full the event log is.
    pub fn log_usage(&self, usage: TotalUsage) {
        self.log_bytes.set(i64::try_from(usage.bytes).unwrap_or(i64::MAX));
        self.log_limit_bytes.set(i64::try_from(usage.limit_bytes).unwrap_or(i64::MAX));
    }

    /// A request was answered.
    pub fn answered(&self, method: &Method, route: &str, status: StatusCode, elapsed: Duration) {
        let route = route.to_owned();
        let requests = vec![
            ("method", method.to_string()),
            ("route", route.clone()),
            ("status", status.as_u16().to_string()),
        ];
        self.requests.get_or_create(&requests).inc();
        self.request_seconds.get_or_create(&vec![("route", route)]).observe(elapsed.as_secs_f64());
    }

    /// All figures as they are now.
    pub fn exposition(&self) -> Exposition {
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut page, &self.registry);
        Exposition(page)
    }
}

impl Meter for Telemetry {
    fn delivered(&self, events: u64, bytes: usize, took: Duration) {
        self.delivered_objects.inc();
        self.delivered_events.inc_by(events);
        self.delivered_bytes.inc_by(bytes as u64);
        self.put_seconds.observe(took.as_secs_f64());
    }

    fn failed(&self, reason: Reason) {
        self.failed_attempts.get_or_create(&vec![("reason", reason.name().to_owned())]).inc();
    }

    fn dropped(&self, events: u64) {
        self.dropped_events.inc_by(events);
    }

    fn oldest_pending(&self, destination: &Destination, accepted_at: Option<Timestamp>) {
        self.laggards.report(destination, accepted_at);
    }

    fn gone(&self, destination: &DestinationUid) {
        self.laggards.forget(destination);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn what_is_reported_is_on_the_page() {
        let telemetry = Telemetry::new(Arc::new(SystemClock));
        telemetry.accepted(98, 2);
        telemetry.rejected(&BTreeMap::from([(RejectionReason::TooLarge, 3)]));
        telemetry.delivered(50, 1_000, Duration::from_millis(5));
        telemetry.failed(Reason::WriteDenied);
        telemetry.appended(Duration::from_millis(3));
        let Exposition(page) = telemetry.exposition();
        for line in [
            "ingest_accepted_events_total 98",
            "ingest_not_kept_events_total 2",
            "ingest_rejected_lines_total{reason=\"TooLarge\"} 3",
            "export_delivered_events_total 50",
            "export_failed_attempts_total{reason=\"WriteDenied\"} 1",
            "ingest_append_seconds_count 1",
            "export_oldest_pending_seconds 0",
            "build_info{version=",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
        assert!(page.ends_with("# EOF\n"));
    }
}
