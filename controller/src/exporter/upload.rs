//! One attempt to deliver an object: a PUT and its quick retries. It folds what they came to into the least certain.

use std::time::Duration;

use barndoor_crds::reason::Reason;

use crate::exporter::decide::AttemptEnd;
use crate::exporter::deliver::Ports;
use crate::exporter::gate::Gate;
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
    /// The gate closed before or between PUTs.
    Stopped {
        /// The least certain of the PUTs.
        end: AttemptEnd,
    },
}

/// How long after its beginning an attempt still makes quick retries: what takes longer is for the back-off, and by
/// then the declaration may have changed.
const QUICK_RETRIES_FOR: Duration = Duration::from_secs(15);

/// Puts the object, at most 1 + `max_retries` times, as long as trying again at once may help.
pub async fn attempt(
    session: &dyn Session,
    object: &Object,
    max_retries: u32,
    gate: &Gate,
    ports: &Ports,
) -> Attempt {
    let began = ports.clock.steady();
    let mut end = AttemptEnd::Refused;
    let mut retry = 0;
    loop {
        let Some(under_way) = gate.begin() else {
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
        if late || retry == max_retries || !helps_to_repeat(this_end, issue.reason) {
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
