//! `decide(record, observation) → action`: the only writer of the delivery record. Pure: what was seen goes in, what
//! to write and what to do next comes out. The simulation drives exactly this.

use barndoor_crds::place::Place;
use jiff::{SignedDuration, Timestamp};

use crate::event_log::{LogHead, Sequence};
use crate::exporter::record::{Anchor, Counts, DeliveryRecord, Outcome, Plan, Start};
use crate::exporter::store::SIGNATURE_VALID_SECONDS;

/// How much longer than one signature an attempt is granted, so that a failing destination's retries do not each
/// cost a write: 5 minutes.
const GRANT_WINDOW_SECONDS: i64 = 5 * 60;

/// How often a plan that may still land at an old place is looked for there, in seconds.
const LOOK_AGAIN_SECONDS: i64 = 60;

/// What was seen.
#[derive(Clone, Debug)]
pub enum Observation<'a> {
    /// An exporter opens the destination: its first act, before any PUT.
    Opened {
        /// The organization's log.
        log: &'a LogHead,
        /// Whether event `next` - 1 is the one remembered.
        anchor: AnchorFinding,
        /// The wall clock.
        now: Timestamp,
    },
    /// The log got a new identity, as [`Step::RenewLog`] asked.
    LogRenewed {
        /// The organization's log.
        log: &'a LogHead,
        /// The wall clock.
        now: Timestamp,
    },
    /// Events from `next` on are older than the retention; no plan is open.
    Expired(Passed),
    /// Events from `next` on were read and none is wanted; no plan is open.
    AllFiltered(Passed),
    /// Events from `next` on were read, filtered and encoded; no plan is open.
    Sealed {
        /// The object.
        sealed: Box<Sealed>,
        /// The wall clock.
        now: Timestamp,
    },
    /// A plan is open and nothing is under way.
    PlanOpen {
        /// The destination's place now.
        desired: &'a Place,
        /// The wall clock.
        now: Timestamp,
    },
    /// A plan is open and its events are older than the retention.
    PlanOutlived,
    /// The attempt failed.
    Failed {
        /// The plan's outcome before the attempt was granted.
        before: Outcome,
        /// How it ended.
        end: AttemptEnd,
        /// The wall clock.
        now: Timestamp,
    },
    /// The store has the open plan's object.
    Delivered {
        /// What was cut meanwhile from the events after it.
        following: Following,
        /// The wall clock.
        now: Timestamp,
    },
    /// The open plan's key was looked for at its place.
    Listed {
        /// What came of it.
        finding: ListFinding,
        /// The wall clock.
        now: Timestamp,
    },
}

/// What was found where the anchor should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorFinding {
    /// The same event, or there is nothing to compare.
    Matches,
    /// Another event, or none where one must be.
    Differs,
}

/// A range that was resolved without an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The last event of the range.
    pub last: Sequence,
    /// Its fingerprint.
    pub last_crc: u32,
}

/// An encoded object that has no plan yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The first event that was read for it: the record's `next`.
    pub from: Sequence,
    /// The plan it asks for; its outcome is overwritten.
    pub plan: Plan,
}

/// What was cut while an object was on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Following {
    /// Nothing yet.
    Nothing,
    /// A range without wanted events.
    AllFiltered(Passed),
    /// The next object.
    Sealed(Box<Sealed>),
}

/// How a failed attempt ended, its quick retries included: the least certain of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttemptEnd {
    /// Every PUT was definitely not taken.
    Refused,
    /// The store answered without saying whether it took one; nothing is on its way.
    Undecided,
    /// A PUT was not answered and may still land.
    Unanswered,
}

/// What a listing at the plan's place showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFinding {
    /// The object is there.
    Present,
    /// It is not there now.
    Absent,
    /// Listing is not allowed, or failed.
    Unavailable,
}

/// What to write, and what to do once it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The record to write by compare-and-swap first.
    pub write: Option<DeliveryRecord>,
    /// What to do then.
    pub step: Step,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Look at the record: observe the open plan, or cut.
    Proceed,
    /// Put the open plan's object.
    Put,
    /// Ask the plan's place whether its key is there.
    List,
    /// Do nothing before this time, then observe the open plan again.
    WaitUntil(Timestamp),
    /// Give the log a new identity, then observe [`Observation::LogRenewed`].
    RenewLog,
}

/// Decides. The record is the one last written.
///
/// # Panics
/// When an observation does not fit the record: a defect of the exporter, stopped before it can do harm.
pub fn decide(record: &DeliveryRecord, observation: Observation<'_>) -> Action {
    match observation {
        Observation::Opened { log, anchor, now } => open(record, log, anchor, now),
        Observation::LogRenewed { log, now } => write(begin_anew(record, log, now), Step::Proceed),
        Observation::Expired(passed) => {
            let mut after = pass(record, passed);
            after.counts.dropped_age += passed.last + 1 - record.next;
            write(after, Step::Proceed)
        }
        Observation::AllFiltered(passed) => write(pass_filtered(record, passed), Step::Proceed),
        Observation::Sealed { sealed, now } => write(plan(record, *sealed, now), Step::Put),
        Observation::PlanOpen { desired, now } => pursue(record, desired, now),
        Observation::PlanOutlived => outlive(record),
        Observation::Failed { before, end, now } => fail(record, before, end, now),
        Observation::Delivered { following, now } => deliver(record, following, now),
        Observation::Listed { finding, now } => list(record, finding, now),
    }
}

fn write(mut record: DeliveryRecord, step: Step) -> Action {
    record.revision += 1;
    Action { write: Some(record), step }
}

const fn only(step: Step) -> Action {
    Action { write: None, step }
}

fn open_plan(record: &DeliveryRecord) -> &Plan {
    record.plan.as_ref().expect("the exporter observes attempts only while a plan is open")
}

fn open(record: &DeliveryRecord, log: &LogHead, anchor: AnchorFinding, now: Timestamp) -> Action {
    let mut owned = record.clone();
    owned.owner_epoch += 1;
    if log.epoch != record.start.log_epoch {
        // Another destination of the organization noticed first and renewed the log's identity.
        return write(begin_anew(&owned, log, now), Step::Proceed);
    }
    let reaches = record.plan.as_ref().map_or(record.next, |plan| plan.last + 1);
    let step = match anchor {
        AnchorFinding::Matches if reaches <= log.next => Step::Proceed,
        AnchorFinding::Matches | AnchorFinding::Differs => Step::RenewLog,
    };
    write(owned, step)
}

/// A log that is not the one remembered: everything it holds is sent, because what of it was delivered before cannot
/// be known; nothing is lost, and what may be there twice is counted.
fn begin_anew(record: &DeliveryRecord, log: &LogHead, now: Timestamp) -> DeliveryRecord {
    let maybe_again = record.next.min(log.next).saturating_sub(log.first);
    DeliveryRecord {
        revision: record.revision,
        owner_epoch: record.owner_epoch,
        start: Start { log_epoch: log.epoch.clone(), sequence: log.first, at: now },
        next: log.first,
        covered_from: log.first,
        anchor: None,
        counts: Counts {
            possibly_duplicated: record.counts.possibly_duplicated + maybe_again,
            ..Counts::default()
        },
        previous_sha256: None,
        plan: None,
        log_replaced_at: Some(now),
    }
}

fn pass(record: &DeliveryRecord, passed: Passed) -> DeliveryRecord {
    assert!(record.plan.is_none(), "an open plan's range is held until it is resolved");
    assert!(passed.last >= record.next, "a range is passed forwards");
    let mut after = record.clone();
    after.next = passed.last + 1;
    after.anchor = Some(Anchor { sequence: passed.last, crc: passed.last_crc });
    after
}

fn pass_filtered(record: &DeliveryRecord, passed: Passed) -> DeliveryRecord {
    let mut after = pass(record, passed);
    after.counts.filtered += passed.last + 1 - record.next;
    after
}

fn plan(record: &DeliveryRecord, sealed: Sealed, now: Timestamp) -> DeliveryRecord {
    assert!(record.plan.is_none(), "one plan at a time");
    assert_eq!(sealed.from, record.next, "an object begins at the first unresolved event");
    assert_eq!(sealed.plan.first, record.covered_from, "the names tile the sequence");
    assert_eq!(
        sealed.plan.count + sealed.plan.filtered,
        sealed.plan.last + 1 - sealed.from,
        "every event counts"
    );
    let mut after = record.clone();
    after.plan = Some(Plan { outcome: granted(now), ..sealed.plan });
    after
}

/// An attempt may begin until the grant's window ends; its signature outlives it by as much as signatures do.
fn granted(now: Timestamp) -> Outcome {
    Outcome::Unknown { may_land_until: later(now, SIGNATURE_VALID_SECONDS + GRANT_WINDOW_SECONDS) }
}

fn later(time: Timestamp, seconds: i64) -> Timestamp {
    time.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

fn pursue(record: &DeliveryRecord, desired: &Place, now: Timestamp) -> Action {
    let plan = open_plan(record);
    if plan.place == *desired {
        return grant(record, now);
    }
    if plan.place.holds_the_same_objects_as(desired) {
        // The same key in the same bucket, only reached another way: a repeat can still only repeat.
        let mut after = record.clone();
        after.plan = Some(Plan { place: desired.clone(), outcome: granted(now), ..plan.clone() });
        return write(after, Step::Put);
    }
    match plan.outcome {
        Outcome::NotSent => write(abandon(record), Step::Proceed),
        Outcome::Unknown { .. } => only(Step::List),
    }
}

fn grant(record: &DeliveryRecord, now: Timestamp) -> Action {
    let plan = open_plan(record);
    let covered = match plan.outcome {
        Outcome::NotSent => false,
        Outcome::Unknown { may_land_until } => may_land_until >= later(now, SIGNATURE_VALID_SECONDS),
    };
    if covered {
        return only(Step::Put);
    }
    let mut after = record.clone();
    after.plan = Some(Plan { outcome: granted(now), ..plan.clone() });
    write(after, Step::Put)
}

/// What may still have been taken is looked for once more; what was not is given up, for the retention to drop.
fn outlive(record: &DeliveryRecord) -> Action {
    match open_plan(record).outcome {
        Outcome::NotSent => write(abandon(record), Step::Proceed),
        Outcome::Unknown { .. } => only(Step::List),
    }
}

fn abandon(record: &DeliveryRecord) -> DeliveryRecord {
    DeliveryRecord { plan: None, ..record.clone() }
}

fn fail(record: &DeliveryRecord, before: Outcome, end: AttemptEnd, now: Timestamp) -> Action {
    let plan = open_plan(record);
    let outcome = match (end, before) {
        (AttemptEnd::Refused, before) => before,
        (AttemptEnd::Undecided, Outcome::NotSent) => Outcome::Unknown { may_land_until: now },
        (AttemptEnd::Undecided, Outcome::Unknown { may_land_until }) => {
            Outcome::Unknown { may_land_until: may_land_until.max(now) }
        }
        (AttemptEnd::Unanswered, _) => plan.outcome,
    };
    if outcome == plan.outcome {
        return only(Step::Proceed);
    }
    let mut after = record.clone();
    after.plan = Some(Plan { outcome, ..plan.clone() });
    write(after, Step::Proceed)
}

fn commit(record: &DeliveryRecord) -> DeliveryRecord {
    let plan = open_plan(record);
    let mut after = record.clone();
    after.next = plan.last + 1;
    after.covered_from = plan.last + 1;
    after.anchor = Some(Anchor { sequence: plan.last, crc: plan.last_crc });
    after.counts.delivered += plan.count;
    after.counts.filtered += plan.filtered;
    after.previous_sha256 = Some(plan.uncompressed_sha256.clone());
    after.plan = None;
    after
}

fn deliver(record: &DeliveryRecord, following: Following, now: Timestamp) -> Action {
    let committed = commit(record);
    match following {
        Following::Nothing => write(committed, Step::Proceed),
        Following::AllFiltered(passed) => write(pass_filtered(&committed, passed), Step::Proceed),
        Following::Sealed(sealed) => write(plan(&committed, *sealed, now), Step::Put),
    }
}

fn list(record: &DeliveryRecord, finding: ListFinding, now: Timestamp) -> Action {
    let plan = open_plan(record);
    let may_land_until = match plan.outcome {
        Outcome::NotSent => now,
        // After the clock was set back, the grant must not hold the destination for longer than it ever could.
        Outcome::Unknown { may_land_until } => {
            may_land_until.min(later(now, SIGNATURE_VALID_SECONDS + GRANT_WINDOW_SECONDS))
        }
    };
    let settled = now >= may_land_until;
    match finding {
        ListFinding::Present => write(commit(record), Step::Proceed),
        ListFinding::Absent if settled => write(abandon(record), Step::Proceed),
        ListFinding::Unavailable if settled => {
            let mut after = abandon(record);
            after.counts.possibly_duplicated += plan.count;
            write(after, Step::Proceed)
        }
        ListFinding::Absent | ListFinding::Unavailable => {
            only(Step::WaitUntil(may_land_until.min(later(now, LOOK_AGAIN_SECONDS))))
        }
    }
}

#[cfg(test)]
mod tests;
