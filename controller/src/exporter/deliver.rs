//! One destination's deliveries: opens the record, pursues what is open, cuts, encodes, plans, puts, commits.
//!
//! Every write of the record is what `decide` returned; a turn may be dropped at any await and taken up again by a
//! new exporter from what is durable.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use barndoor_crds::event_type::EventTypeSet;
use barndoor_crds::name::{DestinationUid, OrganizationUid};
use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::destinations::{Destination, StorageError, Wish};
use crate::event_log::{EventLog, LogError, LogHead, Sequence, event_crc};
use crate::exporter::budget::{Budget, Grant, Urgency};
use crate::exporter::cut::{Due, Pace, Pending, due};
use crate::exporter::decide::{
    Action, AnchorFinding, Following, ListFinding, Observation, Passed, Sealed, Step, decide,
};
use crate::exporter::encode::{ENCODER_VERSION, Encoded, Encoder, Fill, Recipe, Until};
use crate::exporter::live::Live;
use crate::exporter::object_key::{ObjectName, object_key, short_id};
use crate::exporter::record::{DeliveryRecord, DeliveryRecords, Outcome, Plan, RecordError};
use crate::exporter::retention::{Dropping, JumpWatch, expiry};
use crate::exporter::store::{Issue, Listing, Object, ObjectStores, Session};
use crate::exporter::upload::{Attempt, attempt};

/// Decoded bytes read from the log at once.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// How long a delivered object waits for the next one to share its write, so that each costs one.
const SHARED_WRITE: Duration = Duration::from_secs(1);

/// Memory an encoder needs beside the object itself: two reads and the compressor.
const ENCODER_BYTES: usize = 2 * READ_BYTES;

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
    async fn run<T: Send + 'static>(&self, bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
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
    fn failed(&self, reason: barndoor_crds::reason::Reason);
    /// Events were dropped because of their age.
    fn dropped(&self, events: u64);
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

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing is to be done before this time, unless events or wishes arrive.
    Idle {
        /// When to look again.
        look_at: Option<Timestamp>,
    },
    /// An attempt failed.
    Failed(Issue),
    /// No wish to stream was ever accepted, or the destination is gone.
    NoPlace,
}

/// Why a turn broke off.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// Somebody else owns the record, or it is gone.
    #[error("the delivery record was taken over")]
    Lost,
    /// The records' storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The event log failed, or is damaged.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl From<RecordError> for TurnError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Lost => Self::Lost,
            RecordError::Storage(error) => Self::Storage(error),
        }
    }
}

/// The exporter of one destination.
pub struct Exporter {
    ports: Arc<Ports>,
    organization: OrganizationUid,
    uid: DestinationUid,
    record: Option<DeliveryRecord>,
    oldest: Option<Oldest>,
}

/// What the log says of the first unresolved event; remembered, because it cannot change.
#[derive(Clone, Copy, Debug)]
struct Oldest {
    sequence: Sequence,
    accepted_at: Timestamp,
    bytes_before: u64,
}

/// An object ready to be put, with all it needs.
struct Ready {
    session: Box<dyn Session>,
    body: Bytes,
    _memory: Grant,
}

/// What a cut came to.
enum Cut {
    /// The log ended.
    Nothing,
    /// No event of the range is wanted.
    AllFiltered(Passed),
    /// An object.
    Object(Box<Sealed>, Bytes),
}

/// Go on with the turn, or end it.
enum Flow {
    Again,
    End(Turn),
}

impl Exporter {
    /// An exporter that has not looked at its record yet.
    pub fn new(ports: Arc<Ports>, organization: OrganizationUid, uid: DestinationUid) -> Self {
        Self { ports, organization, uid, record: None, oldest: None }
    }

    /// The first event not yet resolved, as last seen.
    pub fn next(&self) -> Option<Sequence> {
        self.record.as_ref().map(|record| record.next)
    }

    /// Forgets what it knows of the record; the next turn takes it over anew.
    pub fn forget(&mut self) {
        self.record = None;
        self.oldest = None;
    }

    fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Does all that can be done now.
    ///
    /// # Errors
    /// When the record was lost, or storage failed; what is durable is right in any case.
    pub async fn turn(&mut self, live: &Live) -> Result<Turn, TurnError> {
        if self.record.is_none() && !self.open().await? {
            return Ok(Turn::NoPlace);
        }
        loop {
            let flow = if self.record().plan.is_some() {
                if !live.gate.is_open() {
                    return Ok(Turn::Idle { look_at: None });
                }
                self.pursue(live).await?
            } else {
                self.expire().await?;
                self.cut_and_put(live).await?
            };
            if let Flow::End(turn) = flow {
                return Ok(turn);
            }
        }
    }

    fn record(&self) -> &DeliveryRecord {
        self.record.as_ref().expect("a turn opens the record first")
    }

    /// Takes the record over, before anything else; whether there is one.
    async fn open(&mut self) -> Result<bool, TurnError> {
        let ports = self.ports.clone();
        let Some(record) = ports.records.load(&self.organization, &self.uid).await? else { return Ok(false) };
        let log = match ports.log.head(&self.organization).await? {
            Some(log) => log,
            None => ports.log.renew_epoch(&self.organization).await?,
        };
        let anchor = self.find_anchor(&record, &log).await?;
        self.record = Some(record);
        let opened = self.act(Observation::Opened { log: &log, anchor, now: self.now() }).await;
        let step = match opened {
            Ok(step) => step,
            Err(error) => {
                self.forget();
                return Err(error);
            }
        };
        if step == Step::RenewLog {
            tracing::error!(
                organization = %self.organization, destination = %self.uid,
                "the event log is not the one this destination's place is in; all it holds is sent"
            );
            let log = ports.log.renew_epoch(&self.organization).await?;
            self.act(Observation::LogRenewed { log: &log, now: self.now() }).await?;
        }
        Ok(true)
    }

    async fn find_anchor(&self, record: &DeliveryRecord, log: &LogHead) -> Result<AnchorFinding, TurnError> {
        let Some(anchor) = record.anchor else { return Ok(AnchorFinding::Matches) };
        if anchor.sequence < log.first {
            return Ok(AnchorFinding::Matches);
        }
        if anchor.sequence >= log.next {
            return Ok(AnchorFinding::Differs);
        }
        let batches = self.ports.log.read(&self.organization, anchor.sequence, 1).await?;
        let same = batches.first().is_some_and(|batch| {
            let index = usize::try_from(anchor.sequence - batch.first).unwrap_or(usize::MAX);
            index < batch.ends.len() && event_crc(anchor.sequence, batch.event(index)) == anchor.crc
        });
        Ok(if same { AnchorFinding::Matches } else { AnchorFinding::Differs })
    }

    /// Decides, writes what was decided, and says what to do next.
    async fn act(&mut self, observation: Observation<'_>) -> Result<Step, TurnError> {
        let Action { write, step } = decide(self.record(), observation);
        if let Some(record) = write {
            let written = record.clone();
            self.ports.records.compare_and_swap(&self.organization, &self.uid, record).await?;
            self.record = Some(written);
        }
        Ok(step)
    }

    /// Drops what is older than the retention.
    async fn expire(&mut self) -> Result<(), TurnError> {
        let now = self.now();
        let dropping = self
            .ports
            .jumps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .look(now, self.ports.clock.steady());
        if dropping == Dropping::Held {
            return Ok(());
        }
        let before = expiry(now, self.ports.retention);
        while self.oldest().await?.is_some_and(|oldest| oldest.accepted_at < before) {
            let next = self.record().next;
            let batches = self.ports.log.read(&self.organization, next, READ_BYTES).await?;
            let Some(batch) = batches.iter().take_while(|batch| batch.accepted_at < before).last() else {
                break;
            };
            let last_crc = event_crc(batch.last(), batch.event(batch.ends.len() - 1));
            let passed = Passed { last: batch.last(), last_crc };
            self.act(Observation::Expired(passed)).await?;
            self.ports.meter.dropped(passed.last + 1 - next);
            tracing::warn!(
                organization = %self.organization, destination = %self.uid, events = passed.last + 1 - next,
                "events older than the retention were dropped"
            );
        }
        Ok(())
    }

    async fn oldest(&mut self) -> Result<Option<Oldest>, TurnError> {
        let next = self.record().next;
        if let Some(oldest) = self.oldest.filter(|oldest| oldest.sequence == next) {
            return Ok(Some(oldest));
        }
        self.oldest = self.look_at(next).await?;
        Ok(self.oldest)
    }

    async fn look_at(&self, sequence: Sequence) -> Result<Option<Oldest>, TurnError> {
        let batches = self.ports.log.read(&self.organization, sequence, 1).await?;
        Ok(batches.first().map(|batch| Oldest {
            sequence,
            accepted_at: batch.accepted_at,
            bytes_before: batch.bytes_before,
        }))
    }

    async fn pending(&self, oldest: Oldest) -> Result<Option<Pending>, TurnError> {
        let head = self.ports.log.head(&self.organization).await?;
        Ok(head.map(|head| Pending {
            events: head.next.saturating_sub(oldest.sequence),
            bytes: head.appended_bytes.saturating_sub(oldest.bytes_before),
            oldest_accepted_at: oldest.accepted_at,
        }))
    }

    async fn cut_and_put(&mut self, live: &Live) -> Result<Flow, TurnError> {
        let idle = |look_at| Ok(Flow::End(Turn::Idle { look_at }));
        let Some(oldest) = self.oldest().await? else { return idle(None) };
        let destination = live.destination();
        if destination.wish == Wish::Paused || !live.gate.is_open() {
            return idle(None);
        }
        let Some(pending) = self.pending(oldest).await? else { return idle(None) };
        if let Due::At(time) = due(pending, destination.batch, live.pace(), self.now()) {
            return idle(Some(time));
        }
        let session = match self.ports.stores.open(&destination, &destination.place).await {
            Ok(session) => session,
            Err(issue) => return Ok(Flow::End(self.failed(live, issue))),
        };
        let urgency = if live.reason() == barndoor_crds::reason::Reason::Retrying {
            Urgency::Behind
        } else {
            Urgency::Live
        };
        let memory = self.memory(&destination, pending, urgency).await;
        let record = self.record();
        match self.cut(&destination, record, record.next, record.covered_from).await? {
            Cut::Nothing => idle(None),
            Cut::AllFiltered(passed) => {
                self.act(Observation::AllFiltered(passed)).await?;
                Ok(Flow::Again)
            }
            Cut::Object(sealed, body) => {
                self.act(Observation::Sealed { sealed: *sealed, now: self.now() }).await?;
                self.put(live, Ready { session, body, _memory: memory }, Outcome::NotSent).await
            }
        }
    }

    async fn memory(&self, destination: &Destination, pending: Pending, urgency: Urgency) -> Grant {
        let object = usize::try_from(pending.bytes.min(u64::from(destination.batch.max_bytes))).unwrap_or(usize::MAX);
        let encoder = usize::try_from(pending.bytes).unwrap_or(usize::MAX).min(ENCODER_BYTES);
        self.ports.budget.acquire(urgency, object.saturating_add(encoder)).await
    }

    /// Reads from `from` until an object is full or the log ends.
    async fn cut(
        &self,
        destination: &Destination,
        record: &DeliveryRecord,
        from: Sequence,
        covered_from: Sequence,
    ) -> Result<Cut, TurnError> {
        let event_types = EventTypeSet::included(destination.include.as_deref());
        let recipe =
            Recipe { event_types, format: destination.format, organization: destination.organization.clone() };
        let until = Until::Full {
            events: u64::from(destination.batch.max_events),
            bytes: destination.batch.max_bytes as usize,
        };
        let Some(encoded) = self.encode(recipe, from, until).await? else { return Ok(Cut::Nothing) };
        let Encoded { from, last, last_crc, count, filtered, hour, uncompressed_sha256, body } = encoded;
        if count == 0 {
            return Ok(Cut::AllFiltered(Passed { last, last_crc }));
        }
        let key = object_key(ObjectName {
            prefix: &destination.place.prefix,
            hour,
            log_epoch: &record.start.log_epoch,
            first: covered_from,
            last,
            destination: &self.uid,
            uncompressed_sha256: &uncompressed_sha256,
        });
        let plan = Plan {
            first: covered_from,
            last,
            last_crc,
            count,
            filtered,
            hour,
            place: destination.place.clone(),
            key,
            uncompressed_sha256,
            event_types,
            format: destination.format,
            encoder: ENCODER_VERSION,
            outcome: Outcome::NotSent,
        };
        Ok(Cut::Object(Box::new(Sealed { from, plan }), body))
    }

    async fn encode(&self, recipe: Recipe, from: Sequence, until: Until) -> Result<Option<Encoded>, TurnError> {
        let mut encoder = Encoder::new(recipe, from, until);
        let mut fill = Fill::Open;
        let mut read_bytes = 0;
        while fill == Fill::Open {
            let batches = self.ports.log.read(&self.organization, encoder.next(), READ_BYTES).await?;
            if batches.is_empty() {
                break;
            }
            read_bytes = batches.iter().map(|batch| batch.bytes.len()).sum();
            let pushed;
            (encoder, pushed) = self
                .ports
                .compute
                .run(read_bytes, move || {
                    let mut fill = Fill::Open;
                    for batch in &batches {
                        match encoder.push(batch) {
                            Ok(Fill::Open) => {}
                            Ok(Fill::Full) => {
                                fill = Fill::Full;
                                break;
                            }
                            Err(damaged) => return (encoder, Err(damaged)),
                        }
                    }
                    (encoder, Ok(fill))
                })
                .await;
            fill = pushed?;
        }
        Ok(self.ports.compute.run(read_bytes, move || encoder.finish()).await)
    }

    /// Cuts the next object while one is on its way, when it is due already.
    async fn cut_following(&self, live: &Live) -> Result<Option<(Following, Option<Ready>)>, TurnError> {
        let record = self.record();
        let Some(plan) = &record.plan else { return Ok(None) };
        let destination = live.destination();
        let Some(oldest) = self.look_at(plan.last + 1).await? else { return Ok(None) };
        let Some(pending) = self.pending(oldest).await? else { return Ok(None) };
        if due(pending, destination.batch, Pace::Steady, self.now()) != Due::Now {
            return Ok(None);
        }
        let Ok(session) = self.ports.stores.open(&destination, &destination.place).await else {
            // Its turn comes, and with it the issue.
            return Ok(None);
        };
        let memory = self.memory(&destination, pending, Urgency::Behind).await;
        Ok(match self.cut(&destination, record, plan.last + 1, plan.last + 1).await? {
            Cut::Nothing => None,
            Cut::AllFiltered(passed) => Some((Following::AllFiltered(passed), None)),
            Cut::Object(sealed, body) => {
                Some((Following::Sealed(sealed), Some(Ready { session, body, _memory: memory })))
            }
        })
    }

    /// Puts the open plan's object, and then those that follow it.
    async fn put(&mut self, live: &Live, ready: Ready, before: Outcome) -> Result<Flow, TurnError> {
        let (mut ready, mut before) = (ready, before);
        loop {
            let plan = self.record().plan.clone().expect("a plan is open while its object is put");
            let object = self.object(&plan, ready.body.clone());
            let bytes = object.body.len();
            let started = self.ports.clock.steady();
            let max_retries = live.destination().batch.max_retries;
            let (attempted, following) = {
                let attempting = attempt(&*ready.session, &object, max_retries, &live.gate, &self.ports);
                let following = self.cut_following(live);
                tokio::pin!(attempting, following);
                let mut cut = None;
                let attempted = loop {
                    tokio::select! {
                        biased;
                        attempted = &mut attempting => break attempted,
                        // What is wrong there is met again, and told, when its turn comes.
                        done = &mut following, if cut.is_none() => cut = Some(done.unwrap_or(None)),
                    }
                };
                if cut.is_none() && attempted == Attempt::Delivered {
                    cut = tokio::select! {
                        biased;
                        done = following => Some(done.unwrap_or(None)),
                        () = self.ports.clock.sleep(SHARED_WRITE) => None,
                    };
                }
                (attempted, cut.flatten())
            };
            match attempted {
                Attempt::Delivered => {
                    let (following, next) = following.unwrap_or((Following::Nothing, None));
                    let now = self.now();
                    let step = self.act(Observation::Delivered { following, now }).await?;
                    self.ports.meter.delivered(plan.count, bytes, self.ports.clock.steady().saturating_sub(started));
                    live.delivered(plan.key, now);
                    match (step, next) {
                        (Step::Put, Some(next)) => {
                            ready = next;
                            before = Outcome::NotSent;
                        }
                        _ => return Ok(Flow::Again),
                    }
                }
                Attempt::Failed { end, issue } => {
                    self.act(Observation::Failed { before, end, now: self.now() }).await?;
                    return Ok(Flow::End(self.failed(live, issue)));
                }
                Attempt::Stopped { end } => {
                    self.act(Observation::Failed { before, end, now: self.now() }).await?;
                    return Ok(Flow::End(Turn::Idle { look_at: None }));
                }
            }
        }
    }

    fn failed(&self, live: &Live, issue: Issue) -> Turn {
        live.failed(&issue, self.now());
        self.ports.meter.failed(issue.reason);
        Turn::Failed(issue)
    }

    fn object(&self, plan: &Plan, body: Bytes) -> Object {
        let record = self.record();
        let mut metadata = vec![
            ("log-epoch", record.start.log_epoch.as_str().to_owned()),
            ("destination", short_id(&self.uid)),
            ("first-sequence", plan.first.to_string()),
            ("last-sequence", plan.last.to_string()),
            ("event-count", plan.count.to_string()),
            ("omitted-count", (plan.last + 1 - plan.first - plan.count).to_string()),
            ("uncompressed-sha256", plan.uncompressed_sha256.clone()),
            ("format", plan.format.name().to_owned()),
            ("encoder", plan.encoder.to_string()),
        ];
        if let Some(previous) = &record.previous_sha256 {
            metadata.push(("previous-sha256", previous.clone()));
        }
        Object { key: plan.key.clone(), body, metadata }
    }

    /// A plan is open and nothing is under way: after a failure, a pause or a crash.
    async fn pursue(&mut self, live: &Live) -> Result<Flow, TurnError> {
        let destination = live.destination();
        let plan = self.record().plan.clone().expect("pursued because a plan is open");
        let desired = &destination.place;
        let before = plan.outcome;
        let session = if plan.place.holds_the_same_objects_as(desired) {
            match self.ports.stores.open(&destination, desired).await {
                Ok(session) => Some(session),
                Err(issue) => return Ok(Flow::End(self.failed(live, issue))),
            }
        } else {
            None
        };
        let step = self.act(Observation::PlanOpen { desired, now: self.now() }).await?;
        match (step, session) {
            (Step::Put, Some(session)) => {
                let memory = self
                    .ports
                    .budget
                    .acquire(Urgency::Behind, destination.batch.max_bytes as usize + ENCODER_BYTES)
                    .await;
                let body = self.replay(&destination, &plan).await?;
                self.put(live, Ready { session, body, _memory: memory }, before).await
            }
            (Step::List, _) => self.look_for(live, &destination, &plan).await,
            _ => Ok(Flow::Again),
        }
    }

    /// The same bytes as when the plan was made.
    async fn replay(&self, destination: &Destination, plan: &Plan) -> Result<Bytes, TurnError> {
        let recipe = Recipe {
            event_types: plan.event_types,
            format: plan.format,
            organization: destination.organization.clone(),
        };
        let from = self.record().next;
        let encoded = self.encode(recipe, from, Until::Sequence(plan.last)).await?;
        match encoded {
            Some(encoded) if encoded.uncompressed_sha256 == plan.uncompressed_sha256 => Ok(encoded.body),
            Some(_) | None => Err(TurnError::Log(LogError::Damaged {
                at: from,
                what: format!("events {from} to {} are not those that were planned", plan.last),
            })),
        }
    }

    /// The place changed while a PUT's fate is unknown: is the object at the old place?
    async fn look_for(&mut self, live: &Live, destination: &Destination, plan: &Plan) -> Result<Flow, TurnError> {
        let listing = match self.ports.stores.open(destination, &plan.place).await {
            Ok(session) => session.list(&plan.key).await,
            Err(issue) => Listing::Unavailable(issue),
        };
        let finding = match &listing {
            Listing::Present => ListFinding::Present,
            Listing::Absent => ListFinding::Absent,
            Listing::Unavailable(_) => ListFinding::Unavailable,
        };
        let now = self.now();
        if let Step::WaitUntil(time) = self.act(Observation::Listed { finding, now }).await? {
            if let Listing::Unavailable(issue) = listing {
                live.failed(&issue, now);
            }
            return Ok(Flow::End(Turn::Idle { look_at: Some(time) }));
        }
        if finding == ListFinding::Present {
            live.delivered(plan.key.clone(), now);
        }
        Ok(Flow::Again)
    }
}
