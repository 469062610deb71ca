//! One destination's deliveries: opens the record, pursues what is open, cuts, encodes, plans, puts, commits.
//!
//! Every write of the record is what `decide` returned; a turn may be dropped at any await and taken up again by a
//! new exporter from what is durable.

mod ports;
mod reading;
mod sealing;

use std::sync::Arc;
use std::time::Duration;

use barndoor_crds::name::{DestinationUid, OrganizationUid};
use barndoor_crds::reason::Reason;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

pub use self::ports::{Compute, Meter, Ports};
use self::reading::Oldest;
use self::sealing::Cut;
use crate::destinations::{Destination, StorageError, Wish};
use crate::event_log::LogError;
use crate::exporter::budget::{Grant, Urgency};
use crate::exporter::cut::{Due, Pace, Pending, due, is_backlog};
use crate::exporter::decide::{Action, Following, ListFinding, Observation, Step, decide};
use crate::exporter::live::Live;
use crate::exporter::record::{DeliveryRecord, Outcome, Plan, RecordError};
use crate::exporter::store::{Issue, Listing, SIGNATURE_VALID_SECONDS, Session};
use crate::exporter::upload::{Attempt, Bounds, attempt};

/// How long a delivered object waits for the next one to share its write, so that each costs one.
const SHARED_WRITE: Duration = Duration::from_secs(1);

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

/// An object ready to be put, with all it needs.
struct Ready {
    prepared: Prepared,
    body: Bytes,
}

/// Memory for an object, and access to where it goes.
struct Prepared {
    destination: Arc<Destination>,
    session: Box<dyn Session>,
    _memory: Grant,
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
            let oldest = self.oldest().await?;
            self.report(live, oldest);
            let flow = match (self.record().plan.is_some(), self.is_outlived(oldest)) {
                (true, true) => self.outlive(live).await?,
                (true, false) if !live.gate.is_open() => Flow::End(Turn::Idle { look_at: None }),
                (true, false) => self.pursue(live).await?,
                (false, true) => self.expire().await?,
                (false, false) => self.cut_and_put(live, oldest).await?,
            };
            if let Flow::End(turn) = flow {
                return Ok(turn);
            }
        }
    }

    fn report(&self, live: &Live, oldest: Option<Oldest>) {
        let destination = live.destination();
        let waits = oldest.filter(|_| destination.wish == Wish::Streaming);
        self.ports.meter.oldest_pending(&destination, waits.map(|oldest| oldest.accepted_at));
    }

    fn record(&self) -> &DeliveryRecord {
        self.record.as_ref().expect("a turn opens the record first")
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

    async fn cut_and_put(&mut self, live: &Live, oldest: Option<Oldest>) -> Result<Flow, TurnError> {
        let idle = |look_at| Ok(Flow::End(Turn::Idle { look_at }));
        let Some(oldest) = oldest else { return idle(None) };
        let destination = live.destination();
        if !live.gate.is_open() {
            return idle(None);
        }
        let Some(pending) = self.pending(oldest).await? else {
            return idle(None);
        };
        if let Due::At(time) = due(pending, destination.batch, live.pace(), self.now()) {
            return idle(Some(time));
        }
        let prepared = match self.prepare(live, pending).await {
            Ok(prepared) => prepared,
            Err(issue) => return Ok(Flow::End(self.failed(live, issue))),
        };
        let record = self.record();
        match self.cut(&prepared.destination, record, record.next, record.covered_from).await? {
            Cut::Nothing => idle(None),
            Cut::AllFiltered(passed) => {
                self.act(Observation::AllFiltered(passed)).await?;
                Ok(Flow::Again)
            }
            Cut::Object(sealed, body) => {
                self.act(Observation::Sealed { sealed, now: self.now() }).await?;
                self.put(live, Ready { prepared, body }, Outcome::NotSent).await
            }
        }
    }

    /// Gets memory for an object, and access to where it goes, as declared by then.
    async fn prepare(&self, live: &Live, pending: Pending) -> Result<Prepared, Issue> {
        let retrying = live.reason() == Reason::Retrying;
        if retrying {
            // A store that is still gone takes no memory from those that are there.
            let destination = live.destination();
            self.ports.stores.open(&destination, &destination.place).await?.reach().await?;
        }
        let behind = retrying || is_backlog(pending, live.destination().batch);
        let urgency = if behind { Urgency::Behind } else { Urgency::Live };
        let memory = self.memory(&live.destination(), pending, urgency).await;
        let destination = live.destination();
        let session = self.ports.stores.open(&destination, &destination.place).await?;
        Ok(Prepared { destination, session, _memory: memory })
    }

    /// Cuts the next object while one is on its way, when it is due already.
    async fn cut_following(&self, live: &Live) -> Result<Option<(Following, Option<Ready>)>, TurnError> {
        let record = self.record();
        let Some(plan) = &record.plan else { return Ok(None) };
        let destination = live.destination();
        let Some(oldest) = self.look_at(plan.last + 1).await? else {
            return Ok(None);
        };
        let Some(pending) = self.pending(oldest).await? else {
            return Ok(None);
        };
        if due(pending, destination.batch, Pace::Steady, self.now()) != Due::Now {
            return Ok(None);
        }
        let memory = self.memory(&destination, pending, Urgency::Behind).await;
        let Ok(session) = self.ports.stores.open(&destination, &destination.place).await else {
            // Its turn comes, and with it the issue.
            return Ok(None);
        };
        let prepared = Prepared { destination, session, _memory: memory };
        Ok(match self.cut(&prepared.destination, record, plan.last + 1, plan.last + 1).await? {
            Cut::Nothing => None,
            Cut::AllFiltered(passed) => Some((Following::AllFiltered(passed), None)),
            Cut::Object(sealed, body) => Some((Following::Sealed(sealed), Some(Ready { prepared, body }))),
        })
    }

    /// Puts the open plan's object, and then those that follow it.
    async fn put(&mut self, live: &Live, ready: Ready, before: Outcome) -> Result<Flow, TurnError> {
        let (mut ready, mut before) = (ready, before);
        loop {
            let plan = self.record().plan.clone().expect("a plan is open while its object is put");
            let Prepared { destination, session, .. } = &ready.prepared;
            let object = self.object(destination, &plan, ready.body.clone());
            let bytes = object.body.len();
            let started = self.ports.clock.steady();
            let (attempted, following) = {
                let bounds = Bounds { destination, begin_until: grant_ends(&plan) };
                let attempting = attempt(&**session, &object, bounds, live, &self.ports);
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
                    // A plan made under a pause would only wait for its end.
                    let following = following.filter(|_| live.gate.is_open());
                    let (following, next) = following.unwrap_or((Following::Nothing, None));
                    let now = self.now();
                    let step = self.act(Observation::Delivered { following, now }).await?;
                    self.ports.meter.delivered(
                        plan.count,
                        bytes,
                        self.ports.clock.steady().saturating_sub(started),
                    );
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
                    return Ok(Flow::Again);
                }
            }
        }
    }

    fn failed(&self, live: &Live, issue: Issue) -> Turn {
        live.failed(&issue, self.now());
        self.ports.meter.failed(issue.reason);
        Turn::Failed(issue)
    }

    /// A plan is open and nothing is under way: after a failure, a pause or a crash.
    async fn pursue(&mut self, live: &Live) -> Result<Flow, TurnError> {
        let plan = self.record().plan.clone().expect("pursued because a plan is open");
        let before = plan.outcome;
        let same = plan.place.holds_the_same_objects_as(&live.destination().place);
        let prepared = if same {
            let pending = match self.oldest().await? {
                Some(oldest) => self.pending(oldest).await?,
                None => None,
            };
            let Some(pending) = pending else { return Err(self.plan_without_events()) };
            match self.prepare(live, pending).await {
                Ok(prepared) => Some(prepared),
                Err(issue) => return Ok(Flow::End(self.failed(live, issue))),
            }
        } else {
            None
        };
        let destination =
            prepared.as_ref().map_or_else(|| live.destination(), |ready| ready.destination.clone());
        let desired = &destination.place;
        let step = self.act(Observation::PlanOpen { desired, now: self.now() }).await?;
        match (step, prepared) {
            (Step::Put, Some(prepared)) => {
                let body = self.replay(&destination, &plan).await?;
                self.put(live, Ready { prepared, body }, before).await
            }
            (Step::List, _) => self.look_for(live, &destination, &plan).await,
            // The place changed meanwhile: look again.
            (Step::Put | Step::Proceed | Step::WaitUntil(_) | Step::RenewLog, _) => Ok(Flow::Again),
        }
    }

    fn plan_without_events(&self) -> TurnError {
        let what = "the events of an open plan are not there".to_owned();
        TurnError::Log(LogError::Damaged { at: self.record().next, what })
    }

    /// A plan is open and its events are older than the retention; nothing is put any more, so a pause does not matter.
    async fn outlive(&mut self, live: &Live) -> Result<Flow, TurnError> {
        let plan = self.record().plan.clone().expect("outlived because a plan is open");
        match self.act(Observation::PlanOutlived).await? {
            Step::List => self.look_for(live, &live.destination(), &plan).await,
            Step::Proceed | Step::Put | Step::WaitUntil(_) | Step::RenewLog => Ok(Flow::Again),
        }
    }

    /// A PUT's fate is unknown and it is not repeated: is the object at its place?
    async fn look_for(
        &mut self,
        live: &Live,
        destination: &Destination,
        plan: &Plan,
    ) -> Result<Flow, TurnError> {
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

/// No PUT may begin after this: its signature would outlive what the record grants.
fn grant_ends(plan: &Plan) -> Timestamp {
    match plan.outcome {
        Outcome::NotSent => Timestamp::MIN,
        Outcome::Unknown { may_land_until } => {
            let validity = SignedDuration::from_secs(SIGNATURE_VALID_SECONDS);
            may_land_until.saturating_sub(validity).unwrap_or(Timestamp::MIN)
        }
    }
}
