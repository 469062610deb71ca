//! The simulated world, all drawn from one seed: what is durable, what is declared, what is on its way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use barndoor_crds::event_type::EventType;
use barndoor_crds::name::{DestinationUid, OrganizationUid};
use barndoor_crds::place::{Endpoint, PathPrefix, Place, Scheme};
use barndoor_crds::settings::{Batch, Format};
use bytes::Bytes;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{Notify, broadcast};

use super::faults::Faults;
use crate::clock::Clock;
use crate::destinations::{AsSent, Auth, Destination, Wish};
use crate::event_log::{Events, LogEpoch, RecordBatch, Sequence};
use crate::exporter::live::Live;
use crate::exporter::record::{DeliveryRecord, Start};
use crate::exporter::store::{Object, PutOutcome};

/// An object in a simulated bucket.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) body: Bytes,
    pub(super) metadata: Vec<(&'static str, String)>,
}

pub(super) struct Late {
    pub(super) at: Timestamp,
    pub(super) bucket: String,
    pub(super) object: Object,
}

pub(super) struct State {
    pub(super) rng: StdRng,
    pub(super) destination: Destination,
    pub(super) epoch: LogEpoch,
    pub(super) batches: Vec<RecordBatch>,
    pub(super) trimmed_before: Sequence,
    pub(super) next: Sequence,
    pub(super) record: DeliveryRecord,
    pub(super) buckets: BTreeMap<String, BTreeMap<String, Stored>>,
    pub(super) violations: Vec<String>,
    /// Every filter that was ever declared.
    pub(super) filters: Vec<Option<Vec<EventType>>>,
    pub(super) elapsed: Duration,
    live: Weak<Live>,
    pub(super) late: Vec<Late>,
    pub(super) faults: Faults,
    crash_in: Option<u32>,
}

/// Everything outside the exporter.
pub(super) struct World {
    state: Mutex<State>,
    crash: Notify,
    pub(super) changes: broadcast::Sender<OrganizationUid>,
}

pub(super) const BEGAN: i64 = 1_790_000_000;

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let faults = Faults::draw(&mut rng);
        let place = Place {
            endpoint: Endpoint::parse("https://store.example", Scheme::Https).expect("an endpoint"),
            region: "auto".parse().expect("a region"),
            bucket: "bucket-a".parse().expect("a bucket"),
            prefix: PathPrefix::default(),
            addressing: barndoor_crds::place::Addressing::Auto,
        };
        let destination = Destination {
            organization: "acme".parse().expect("a name"),
            organization_uid: OrganizationUid::new("acme"),
            name: "audit".parse().expect("a name"),
            uid: DestinationUid::new("destination"),
            generation: 1,
            wish: Wish::Streaming,
            place,
            as_sent: AsSent {
                endpoint: String::new(),
                bucket: String::new(),
                region: None,
                path_prefix: None,
                use_ssl: true,
                use_path_style: false,
            },
            auth: Auth::AccessKeys,
            include: None,
            format: Format::Json,
            batch: Batch { max_events: rng.random_range(1..40), ..Batch::default() },
        };
        let epoch = LogEpoch::new(ulid::Ulid::from_parts(1, u128::from(seed)));
        let start = Start {
            log_epoch: epoch.clone(),
            sequence: 1,
            at: Timestamp::from_second(BEGAN).expect("a time"),
        };
        let state = State {
            rng,
            filters: vec![destination.include.clone()],
            destination,
            epoch,
            batches: Vec::new(),
            trimmed_before: 1,
            next: 1,
            record: DeliveryRecord::begin(start, None),
            buckets: BTreeMap::new(),
            violations: Vec::new(),
            elapsed: Duration::ZERO,
            live: Weak::new(),
            late: Vec::new(),
            faults,
            crash_in: None,
        };
        Self { state: Mutex::new(state), crash: Notify::new(), changes: broadcast::channel(1).0 }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a seed that panicked is over")
    }

    pub(super) fn with_rng<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.state().rng)
    }

    pub(super) fn organization(&self) -> OrganizationUid {
        self.state().destination.organization_uid.clone()
    }

    pub(super) fn uid(&self) -> DestinationUid {
        self.state().destination.uid.clone()
    }

    pub(super) fn destination(&self) -> Destination {
        self.state().destination.clone()
    }

    /// Declarations are told to this from now on, at once, as REST does.
    pub(super) fn listen(&self, live: &Arc<Live>) {
        self.state().live = Arc::downgrade(live);
    }

    fn change(&self, change: impl FnOnce(&mut Destination, &mut StdRng)) {
        let (live, destination) = {
            let state = &mut *self.state();
            change(&mut state.destination, &mut state.rng);
            state.destination.generation += 1;
            state.filters.push(state.destination.include.clone());
            (state.live.clone(), state.destination.clone())
        };
        if let Some(live) = live.upgrade() {
            live.declare(destination);
        }
    }

    /// Somebody changes the wish, the bucket, the filter or the retries.
    pub(super) fn redeclare(&self) {
        self.change(|destination, rng| match rng.random_range(0..10) {
            0..=2 => destination.wish = Wish::Paused,
            3..=5 => destination.wish = Wish::Streaming,
            6..=7 => {
                let bucket = ["bucket-a", "bucket-b"][rng.random_range(0..2)];
                destination.place.bucket = bucket.parse().expect("a bucket");
            }
            8 => destination.batch.max_retries = rng.random_range(1..=10),
            _ => {
                let kept = EventType::ALL.into_iter().filter(|_| rng.random_bool(0.6)).collect();
                destination.include = rng.random_bool(0.7).then_some(kept);
            }
        });
    }

    /// The faults are over, and events shall flow.
    pub(super) fn rest(&self) {
        self.set_faults(|_| Faults::none());
        self.change(|destination, _| destination.wish = Wish::Streaming);
    }

    pub(super) fn set_faults(&self, draw: impl FnOnce(&mut StdRng) -> Faults) {
        let state = &mut *self.state();
        state.faults = draw(&mut state.rng);
    }

    pub(super) fn backlog(&self) -> u64 {
        let state = self.state();
        state.next - state.record.next
    }

    /// Appends one batch of events whose ids are their sequences.
    pub(super) fn append(&self) {
        let now = self.now();
        let state = &mut *self.state();
        let mut events = Events::default();
        for sequence in state.next..state.next + state.rng.random_range(1..60) {
            let event_type = EventType::ALL[state.rng.random_range(0..EventType::ALL.len())];
            events.push(event_type, format!("{{\"id\":{sequence}}}").as_bytes());
        }
        let first = state.next;
        state.next += events.len() as u64;
        state.batches.push(RecordBatch {
            first,
            accepted_at: now,
            bytes_before: first * 12,
            bytes: events.bytes.into(),
            ends: events.ends,
            types: events.types,
        });
    }

    pub(super) fn arm(&self, crash_in: Option<u32>) {
        self.state().crash_in = crash_in;
    }

    pub(super) async fn crashed(&self) {
        self.crash.notified().await;
    }

    pub(super) fn pass(&self, duration: Duration) {
        self.state().elapsed += duration;
    }

    pub(super) fn pass_until(&self, time: Timestamp) {
        let wait = time.duration_since(self.now());
        self.pass(Duration::try_from(wait).unwrap_or_default() + Duration::from_millis(1));
    }

    /// A place where the process may die: it then never goes on.
    pub(super) async fn mortal(&self) {
        let probability = self.state().faults.redeclared;
        if self.with_rng(|rng| rng.random_bool(probability)) {
            self.redeclare();
        }
        let dies = {
            let mut state = self.state();
            match &mut state.crash_in {
                Some(0) => true,
                Some(left) => {
                    *left -= 1;
                    false
                }
                None => false,
            }
        };
        if dies {
            self.crash.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Late requests whose time has come land now.
    pub(super) fn land(&self) {
        let now = self.now();
        let state = &mut *self.state();
        let (due, late) = std::mem::take(&mut state.late).into_iter().partition(|late: &Late| late.at <= now);
        state.late = late;
        for Late { bucket, object, .. } in due {
            state.store(&bucket, object, Condition::Honoured);
        }
    }

    pub(super) fn land_everything(&self) {
        let state = &mut *self.state();
        for Late { bucket, object, .. } in std::mem::take(&mut state.late) {
            state.store(&bucket, object, Condition::Honoured);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Honoured,
    Ignored,
}

impl State {
    pub(super) fn store(&mut self, bucket: &str, object: Object, condition: Condition) -> PutOutcome {
        let bucket = self.buckets.entry(bucket.to_owned()).or_default();
        if let Some(there) = bucket.get(&object.key) {
            if there.body != object.body {
                self.violations.push(format!("{} was offered with other bytes", object.key));
            }
            if condition == Condition::Honoured {
                return PutOutcome::AlreadyThere;
            }
        }
        bucket.insert(object.key, Stored { body: object.body, metadata: object.metadata });
        PutOutcome::Stored
    }

    pub(super) fn strikes(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }
}
