//! The simulated log, records, store, credentials and clock, all drawn from one seed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use async_trait::async_trait;
use barndoor_crds::event_type::EventType;
use barndoor_crds::name::{DestinationUid, OrganizationUid};
use barndoor_crds::place::{Endpoint, PathPrefix, Place, Scheme};
use barndoor_crds::reason::Reason;
use barndoor_crds::settings::{Batch, Format};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{Notify, broadcast};

use crate::clock::Clock;
use crate::destinations::{AsSent, Auth, Destination, StorageError, Wish};
use crate::event_log::{
    AppendError, Appended, EventLog, Events, Idempotency, LogEpoch, LogError, LogHead, RecordBatch, Sequence,
    Usage,
};
use crate::exporter::live::Live;
use crate::exporter::record::{DeliveryRecord, DeliveryRecords, RecordError, Start};
use crate::exporter::store::{
    Issue, Listing, Object, ObjectStores, PutOutcome, SIGNATURE_VALID_SECONDS, Session,
};

/// How likely each fault is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    credentials_refused: f64,
    put_refused: f64,
    put_busy: f64,
    reply_lost: f64,
    request_lost: f64,
    request_late: f64,
    list_refused: f64,
    condition_ignored: f64,
    /// Not a fault of the store: somebody changes the declaration in the middle of a turn.
    redeclared: f64,
}

impl Faults {
    fn none() -> Self {
        Self {
            credentials_refused: 0.0,
            put_refused: 0.0,
            put_busy: 0.0,
            reply_lost: 0.0,
            request_lost: 0.0,
            request_late: 0.0,
            list_refused: 0.0,
            condition_ignored: 0.0,
            redeclared: 0.0,
        }
    }

    pub(super) fn draw(rng: &mut StdRng) -> Self {
        let mut one = || {
            if rng.random_bool(0.4) { rng.random_range(0.0..0.5) } else { 0.0 }
        };
        Self {
            credentials_refused: one() / 2.0,
            put_refused: one(),
            put_busy: one(),
            reply_lost: one(),
            request_lost: one() / 2.0,
            request_late: one() / 2.0,
            list_refused: one(),
            condition_ignored: one(),
            redeclared: one() / 20.0,
        }
    }
}

/// An object in a simulated bucket.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) body: Bytes,
    pub(super) metadata: Vec<(&'static str, String)>,
}

struct Late {
    at: Timestamp,
    bucket: String,
    object: Object,
}

pub(super) struct State {
    rng: StdRng,
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
    elapsed: Duration,
    live: Weak<Live>,
    late: Vec<Late>,
    faults: Faults,
    crash_in: Option<u32>,
}

/// Everything outside the exporter.
pub(super) struct World {
    state: Mutex<State>,
    crash: Notify,
    changes: broadcast::Sender<OrganizationUid>,
}

const BEGAN: i64 = 1_790_000_000;

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
    async fn mortal(&self) {
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
    fn land(&self) {
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
enum Condition {
    Honoured,
    Ignored,
}

impl State {
    fn store(&mut self, bucket: &str, object: Object, condition: Condition) -> PutOutcome {
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

    fn strikes(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }
}

fn issue(operation: &'static str, reason: Reason) -> Issue {
    Issue { operation, reason, code: None, message: "simulated".to_owned(), remedy: String::new() }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.steady()).expect("a short run");
        Timestamp::from_second(BEGAN).expect("a time") + elapsed
    }

    fn steady(&self) -> Duration {
        self.state().elapsed
    }

    async fn sleep(&self, duration: Duration) {
        self.pass(duration);
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl EventLog for World {
    async fn append(
        &self,
        _organization: &OrganizationUid,
        _events: Events,
        _idempotency: Option<Idempotency>,
    ) -> Result<Appended, AppendError> {
        unreachable!("the exporter does not append")
    }

    async fn read(
        &self,
        _organization: &OrganizationUid,
        from: Sequence,
        limit_bytes: usize,
    ) -> Result<Vec<RecordBatch>, LogError> {
        self.mortal().await;
        let state = self.state();
        if from < state.trimmed_before {
            return Err(LogError::Damaged { at: from, what: "trimmed".to_owned() });
        }
        let mut bytes = 0;
        let mut batches = Vec::new();
        for batch in state.batches.iter().filter(|batch| batch.last() >= from) {
            batches.push(batch.clone());
            bytes += batch.bytes.len();
            if bytes >= limit_bytes {
                break;
            }
        }
        Ok(batches)
    }

    async fn head(&self, _organization: &OrganizationUid) -> Result<Option<LogHead>, LogError> {
        self.mortal().await;
        let state = self.state();
        Ok(Some(LogHead {
            epoch: state.epoch.clone(),
            first: state.trimmed_before,
            next: state.next,
            appended_bytes: state.next * 12,
        }))
    }

    async fn trim(&self, _organization: &OrganizationUid, before: Sequence) -> Result<(), LogError> {
        let state = &mut *self.state();
        state.batches.retain(|batch| batch.last() >= before);
        state.trimmed_before = state.batches.first().map_or(before, |batch| batch.first);
        Ok(())
    }

    async fn renew_epoch(&self, _organization: &OrganizationUid) -> Result<LogHead, LogError> {
        panic!("this log is never replaced")
    }

    async fn usage(&self, _organization: &OrganizationUid) -> Result<Usage, LogError> {
        unreachable!("the exporter does not ask")
    }

    async fn organizations(&self) -> Result<Vec<OrganizationUid>, LogError> {
        unreachable!("the exporter does not ask")
    }

    fn changes(&self) -> broadcast::Receiver<OrganizationUid> {
        self.changes.subscribe()
    }
}

#[async_trait]
impl DeliveryRecords for World {
    async fn load(
        &self,
        _organization: &OrganizationUid,
        _destination: &DestinationUid,
    ) -> Result<Option<DeliveryRecord>, StorageError> {
        self.mortal().await;
        Ok(Some(self.state().record.clone()))
    }

    async fn compare_and_swap(
        &self,
        _organization: &OrganizationUid,
        _destination: &DestinationUid,
        record: DeliveryRecord,
    ) -> Result<(), RecordError> {
        self.mortal().await;
        {
            let mut state = self.state();
            if state.record.revision + 1 != record.revision {
                return Err(RecordError::Lost);
            }
            // What is durable is what can be read back.
            let bytes = serde_json::to_vec(&record).expect("a record is JSON");
            state.record = serde_json::from_slice(&bytes).expect("a record is read back");
        }
        self.mortal().await;
        Ok(())
    }

    async fn of_organization(
        &self,
        _organization: &OrganizationUid,
    ) -> Result<Vec<(DestinationUid, DeliveryRecord)>, StorageError> {
        Ok(vec![(self.uid(), self.state().record.clone())])
    }
}

struct SimulatedSession {
    world: Arc<World>,
    bucket: String,
}

#[async_trait]
impl ObjectStores for Arc<World> {
    async fn open(&self, _destination: &Destination, place: &Place) -> Result<Box<dyn Session>, Issue> {
        self.mortal().await;
        let refused = {
            let state = &mut *self.state();
            let probability = state.faults.credentials_refused;
            state.strikes(probability)
        };
        if refused {
            return Err(issue("AssumeRole", Reason::AssumeRoleDenied));
        }
        Ok(Box::new(SimulatedSession { world: self.clone(), bucket: place.bucket.to_string() }))
    }
}

#[async_trait]
impl Session for SimulatedSession {
    async fn put(&self, object: Object) -> PutOutcome {
        let world = &self.world;
        world.land();
        {
            let state = &mut *world.state();
            if state.destination.wish == Wish::Paused {
                state.violations.push(format!("{} was put while paused", object.key));
            }
            if state.destination.place.bucket.as_str() != self.bucket {
                state.violations.push(format!("{} was put into the bucket of before", object.key));
            }
        }
        world.mortal().await;
        let outcome = {
            let now = world.now();
            let state = &mut *world.state();
            let faults = state.faults;
            let condition = if state.strikes(faults.condition_ignored) {
                Condition::Ignored
            } else {
                Condition::Honoured
            };
            if state.strikes(faults.put_refused) {
                let reason =
                    if state.strikes(0.5) { Reason::WriteDenied } else { Reason::EndpointUnreachable };
                PutOutcome::Refused(issue("PutObject", reason))
            } else if state.strikes(faults.put_busy) {
                if state.strikes(0.2) {
                    state.store(&self.bucket, object, condition);
                }
                PutOutcome::Undecided(issue("PutObject", Reason::Throttled))
            } else if state.strikes(faults.reply_lost) {
                state.store(&self.bucket, object, condition);
                PutOutcome::Unanswered(issue("PutObject", Reason::EndpointUnreachable))
            } else if state.strikes(faults.request_lost) {
                PutOutcome::Unanswered(issue("PutObject", Reason::EndpointUnreachable))
            } else if state.strikes(faults.request_late) {
                let seconds = state.rng.random_range(1..SIGNATURE_VALID_SECONDS);
                let at = now + SignedDuration::from_secs(seconds);
                state.late.push(Late { at, bucket: self.bucket.clone(), object });
                PutOutcome::Unanswered(issue("PutObject", Reason::EndpointUnreachable))
            } else {
                state.store(&self.bucket, object, condition)
            }
        };
        world.sleep(Duration::from_millis(20)).await;
        world.mortal().await;
        outcome
    }

    async fn reach(&self) -> Result<(), Issue> {
        self.world.mortal().await;
        let state = &mut *self.world.state();
        let probability = state.faults.request_lost;
        if state.strikes(probability) {
            return Err(issue("HeadBucket", Reason::EndpointUnreachable));
        }
        Ok(())
    }

    async fn list(&self, key: &str) -> Listing {
        self.world.land();
        self.world.mortal().await;
        let state = &mut *self.world.state();
        let probability = state.faults.list_refused;
        if state.strikes(probability) {
            return Listing::Unavailable(issue("ListObjectsV2", Reason::HeadBucketDenied));
        }
        let there = state.buckets.get(&self.bucket).is_some_and(|bucket| bucket.contains_key(key));
        if there { Listing::Present } else { Listing::Absent }
    }
}
