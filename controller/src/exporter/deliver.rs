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
use jiff::Timestamp;

pub use self::ports::{Compute, Meter, Ports};
use self::reading::Oldest;
use self::sealing::Cut;
use crate::destinations::{Destination, StorageError, Wish};
use crate::event_log::LogError;
use crate::exporter::budget::{Grant, Urgency};
use crate::exporter::cut::{Due, Pace, due, is_backlog};
use crate::exporter::decide::{Action, Following, ListFinding, Observation, Step, decide};
use crate::exporter::live::Live;
use crate::exporter::record::{DeliveryRecord, Outcome, Plan, RecordError};
use crate::exporter::store::{Issue, Listing, Session};
use crate::exporter::upload::{Attempt, attempt};

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
    session: Box<dyn Session>,
    body: Bytes,
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

    /// When the oldest event that waits was accepted, as last seen.
    pub fn oldest_pending(&self) -> Option<Timestamp> {
        let next = self.record.as_ref()?.next;
        self.oldest.filter(|oldest| oldest.sequence == next).map(|oldest| oldest.accepted_at)
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

    async fn cut_and_put(&mut self, live: &Live) -> Result<Flow, TurnError> {
        let idle = |look_at| Ok(Flow::End(Turn::Idle { look_at }));
        let Some(oldest) = self.oldest().await? else {
            return idle(None);
        };
        let destination = live.destination();
        if destination.wish == Wish::Paused || !live.gate.is_open() {
            return idle(None);
        }
        let Some(pending) = self.pending(oldest).await? else {
            return idle(None);
        };
        if let Due::At(time) = due(pending, destination.batch, live.pace(), self.now()) {
            return idle(Some(time));
        }
        let session = match self.ports.stores.open(&destination, &destination.place).await {
            Ok(session) => session,
            Err(issue) => return Ok(Flow::End(self.failed(live, issue))),
        };
        let behind = live.reason() == Reason::Retrying || is_backlog(pending, destination.batch);
        let urgency = if behind { Urgency::Behind } else { Urgency::Live };
        let memory = self.memory(&destination, pending, urgency).await;
        let record = self.record();
        match self.cut(&destination, record, record.next, record.covered_from).await? {
            Cut::Nothing => idle(None),
            Cut::AllFiltered(passed) => {
                self.act(Observation::AllFiltered(passed)).await?;
                Ok(Flow::Again)
            }
            Cut::Object(sealed, body) => {
                self.act(Observation::Sealed { sealed, now: self.now() }).await?;
                self.put(live, Ready { session, body, _memory: memory }, Outcome::NotSent).await
            }
        }
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
            let destination = live.destination();
            let object = self.object(&destination, &plan, ready.body.clone());
            let bytes = object.body.len();
            let started = self.ports.clock.steady();
            let max_retries = destination.batch.max_retries;
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
                let memory = self.memory_to_replay(&destination).await;
                let body = self.replay(&destination, &plan).await?;
                self.put(live, Ready { session, body, _memory: memory }, before).await
            }
            (Step::List, _) => self.look_for(live, &destination, &plan).await,
            _ => Ok(Flow::Again),
        }
    }

    /// The place changed while a PUT's fate is unknown: is the object at the old place?
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
