//! One attempt to deliver an object: a PUT and its quick retries. It folds what they came to into the least certain.

use std::time::Duration;

use barndoor_crds::reason::Reason;
use jiff::Timestamp;

use crate::destinations::Destination;
use crate::exporter::decide::AttemptEnd;
use crate::exporter::deliver::Ports;
use crate::exporter::live::Live;
use crate::exporter::retry::quick_pause;
use crate::exporter::store::{Issue, Object, PutOutcome, Session};

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The store has the object.
    Delivered,
    /// It may not have it.
    Failed {
        /// The least certain of the PUTs.
        end: AttemptEnd,
        /// The last one's trouble.
        issue: Issue,
    },
    /// Before or between PUTs the gate closed, the declaration changed or the grant ended.
    Stopped {
        /// The least certain of the PUTs.
        end: AttemptEnd,
    },
}

/// How long after its beginning an attempt still makes quick retries: what takes longer is for the back-off, and by
/// then the declaration may have changed.
const QUICK_RETRIES_FOR: Duration = Duration::from_secs(15);

/// What bounds an attempt beside its outcome.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// The destination as it was when the session was opened.
    pub destination: &'a Destination,
    /// No PUT begins after this time: its signature would outlive the plan's grant.
    pub begin_until: Timestamp,
}

/// Puts the object, at most 1 + `max_retries` times, as long as trying again at once may help.
pub async fn attempt(
    session: &dyn Session,
    object: &Object,
    bounds: Bounds<'_>,
    live: &Live,
    ports: &Ports,
) -> Attempt {
    let began = ports.clock.steady();
    let mut end = AttemptEnd::Refused;
    let mut retry = 0;
    loop {
        if !live.connects_like(bounds.destination) || ports.clock.now() > bounds.begin_until {
            return Attempt::Stopped { end };
        }
        let Some(under_way) = live.gate.begin() else {
            return Attempt::Stopped { end };
        };
        let outcome = session.put(object.clone()).await;
        drop(under_way);
        let (this_end, issue) = match outcome {
            PutOutcome::Stored | PutOutcome::AlreadyThere => return Attempt::Delivered,
            PutOutcome::Refused(issue) => (AttemptEnd::Refused, issue),
            PutOutcome::Undecided(issue) => (AttemptEnd::Undecided, issue),
            PutOutcome::Unanswered(issue) => (AttemptEnd::Unanswered, issue),
        };
        end = end.max(this_end);
        let late = ports.clock.steady().saturating_sub(began) > QUICK_RETRIES_FOR;
        let spent = late || retry == bounds.destination.batch.max_retries;
        if spent || !helps_to_repeat(this_end, issue.reason) {
            return Attempt::Failed { end, issue };
        }
        retry += 1;
        ports.clock.sleep(quick_pause(retry, (ports.jitter)())).await;
    }
}

/// A store that said no says no again; one that was not reached, or had trouble of its own, may have got over it.
fn helps_to_repeat(end: AttemptEnd, reason: Reason) -> bool {
    match end {
        AttemptEnd::Undecided | AttemptEnd::Unanswered => true,
        AttemptEnd::Refused => matches!(reason, Reason::EndpointUnreachable | Reason::Throttled),
    }
}
