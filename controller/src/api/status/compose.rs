//! Composes what is said of a destination from what is known of it. Pure; the one place that decides what the badge
//! and the conditions say.

use barndoor_crds::condition::{ConditionStatus, ConditionType};
use barndoor_crds::reason::Reason;
use barndoor_crds::rest::{ConditionObject, DeliveryObject, StatusResponse, TrustObject};
use jiff::Timestamp;

use crate::destinations::{Destination, Health, Wish};
use crate::event_log::{LogHead, Usage};
use crate::exporter::record::DeliveryRecord;

/// From this share of a size limit on, the status warns, in percent.
const FULL_WARNING_PERCENT: u128 = 80;
/// How long the status says that the log was replaced, in seconds: a week, for somebody to notice.
const REPLACED_SHOWN_SECONDS: i64 = 7 * 24 * 60 * 60;

/// Everything that is known of one destination.
#[derive(Clone, Debug)]
pub(super) struct Observation<'a> {
    /// What is declared.
    pub(super) destination: &'a Destination,
    /// Its place in the log, since the first wish to stream.
    pub(super) record: Option<&'a DeliveryRecord>,
    /// The log it is a place in.
    pub(super) head: Option<&'a LogHead>,
    /// When the oldest waiting event was accepted.
    pub(super) oldest_pending_at: Option<Timestamp>,
    /// What checks and deliveries saw.
    pub(super) health: &'a Health,
    /// What the exporter is doing, when there is one.
    pub(super) activity: Option<Reason>,
    /// How full the log is.
    pub(super) usage: Usage,
    /// What the customer's AWS account must trust, when the controller has an identity.
    pub(super) trust: Option<TrustObject>,
    /// The time.
    pub(super) now: Timestamp,
}

/// A condition's content.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    status: ConditionStatus,
    reason: Reason,
    message: String,
    since: Timestamp,
}

/// The status of a destination.
pub(super) fn compose(seen: &Observation<'_>) -> StatusResponse {
    let delivery = seen.record.map(|record| delivery(seen, record));
    let connection = connection(seen);
    let streaming = streaming(seen, delivery.as_ref(), &connection);
    let ready = ready(seen, delivery.as_ref(), &connection, &streaming);
    let observed_generation = i64::try_from(seen.destination.generation).unwrap_or(i64::MAX);
    let state = streaming.reason;
    let conditions = [
        (ConditionType::Ready, ready),
        (ConditionType::ConnectionHealthy, connection),
        (ConditionType::Streaming, streaming),
    ];
    StatusResponse {
        organization_id: seen.destination.organization.to_string(),
        name: seen.destination.name.to_string(),
        paused: seen.destination.wish == Wish::Paused,
        state,
        observed_generation,
        last_handled_requested_at: None,
        conditions: conditions
            .into_iter()
            .map(|(condition_type, verdict)| verdict.into_condition(condition_type, observed_generation))
            .collect(),
        trust: seen.trust.clone(),
        check: seen.health.check.clone(),
        delivery,
    }
}

impl Verdict {
    fn into_condition(self, condition_type: ConditionType, observed_generation: i64) -> ConditionObject {
        let Self { status, reason, message, since } = self;
        ConditionObject {
            condition_type,
            status,
            reason,
            message,
            observed_generation,
            last_transition_time: since,
        }
    }
}

fn delivery(seen: &Observation<'_>, record: &DeliveryRecord) -> DeliveryObject {
    let counts = record.counts;
    let backlog = seen.head.map_or(0, |head| head.next.saturating_sub(record.next));
    DeliveryObject {
        started_at: record.start.at,
        accepted: counts.delivered + counts.filtered + counts.dropped_age + backlog,
        delivered: counts.delivered,
        filtered: counts.filtered,
        dropped: counts.dropped_age,
        possibly_duplicated: counts.possibly_duplicated,
        backlog,
        oldest_pending_at: seen.oldest_pending_at.filter(|_| backlog > 0),
        last_object: seen.health.last_object.clone(),
        last_issue: seen.health.last_issue.clone(),
    }
}

/// The latest evidence counts: a failed delivery, a delivery that succeeded, or a check. Evidence from another place is
/// forgotten when the declaration changes.
fn connection(seen: &Observation<'_>) -> Verdict {
    let Health { check, last_issue, last_object: _, healthy_at } = seen.health;
    let check = check.as_ref();
    if let Some(issue) = last_issue.as_ref().filter(|issue| check.is_none_or(|check| check.at <= issue.at)) {
        let code = issue.code.as_deref().map_or_else(String::new, |code| format!("{code}: "));
        let message = format!("{}: {code}{}", issue.operation, issue.message);
        let message = sentence(&message, &issue.remedy);
        return Verdict { status: ConditionStatus::False, reason: issue.reason, message, since: issue.at };
    }
    let succeeded_at = healthy_at.filter(|at| check.is_none_or(|check| check.at < *at));
    match (check, succeeded_at) {
        (Some(check), None) => Verdict {
            status: if check.healthy { ConditionStatus::True } else { ConditionStatus::False },
            reason: check.reason,
            message: sentence(&check.message, &check.remedy),
            since: check.at,
        },
        (_, Some(at)) => Verdict {
            status: ConditionStatus::True,
            reason: Reason::Healthy,
            message: "The last delivery succeeded.".to_owned(),
            since: at,
        },
        (None, None) => Verdict {
            status: ConditionStatus::Unknown,
            reason: Reason::NotChecked,
            message: Reason::NotChecked.description().to_owned(),
            since: seen.now,
        },
    }
}

fn sentence(message: &str, remedy: &str) -> String {
    if remedy.is_empty() { message.to_owned() } else { format!("{message}: {remedy}") }
}

fn streaming(seen: &Observation<'_>, delivery: Option<&DeliveryObject>, connection: &Verdict) -> Verdict {
    let reason = match seen.destination.wish {
        Wish::Paused => Reason::Paused,
        Wish::Streaming => streaming_reason(seen, delivery, connection),
    };
    let status = match reason {
        Reason::StreamingActive | Reason::NoEvents => ConditionStatus::True,
        Reason::Starting => ConditionStatus::Unknown,
        _ => ConditionStatus::False,
    };
    let started_at = delivery.map(|delivery| delivery.started_at);
    Verdict {
        status,
        reason,
        message: reason.description().to_owned(),
        since: started_at.unwrap_or(seen.now),
    }
}

/// An exporter with nothing to do says nothing, so "nothing waits" is judged here.
fn streaming_reason(
    seen: &Observation<'_>,
    delivery: Option<&DeliveryObject>,
    connection: &Verdict,
) -> Reason {
    let reported = seen.activity.unwrap_or(Reason::Starting);
    let (accepted, backlog) = delivery.map_or((0, 0), |delivery| (delivery.accepted, delivery.backlog));
    match reported {
        Reason::Starting | Reason::StreamingActive | Reason::NoEvents => {
            if connection.status == ConditionStatus::False {
                Reason::Retrying
            } else if accepted == 0
                && (reported != Reason::Starting || connection.status == ConditionStatus::True)
            {
                Reason::NoEvents
            } else if reported == Reason::Starting && (backlog > 0 || accepted == 0) {
                Reason::Starting
            } else {
                Reason::StreamingActive
            }
        }
        other => other,
    }
}

/// Paused and healthy is ready: a GitOps tool would wait for ever otherwise.
fn ready(
    seen: &Observation<'_>,
    delivery: Option<&DeliveryObject>,
    connection: &Verdict,
    streaming: &Verdict,
) -> Verdict {
    // Before the connection's own trouble, which is the usual cause and has a condition of its own.
    let waiting = delivery.is_some_and(|delivery| delivery.backlog > 0);
    let fullness = fullness_percent(seen.usage);
    if waiting && fullness >= FULL_WARNING_PERCENT {
        return Verdict {
            status: if fullness >= 100 { ConditionStatus::False } else { connection.status },
            reason: Reason::BufferFull,
            message: format!(
                "The event log is {fullness} % full: at 100 % no more events are accepted. Repair or resume destinations, or ask the operator for more room."
            ),
            since: seen.now,
        };
    }
    if connection.status != ConditionStatus::True {
        return connection.clone();
    }
    if let Some(replaced_at) = recently_replaced(seen) {
        return Verdict {
            status: ConditionStatus::True,
            reason: Reason::LogReplaced,
            message: format!(
                "The event log was replaced at {replaced_at}, by a restore perhaps: deliveries began anew at its oldest event, and what only the older log held is not delivered."
            ),
            since: replaced_at,
        };
    }
    match seen.destination.wish {
        Wish::Paused => Verdict { status: ConditionStatus::True, ..streaming.clone() },
        Wish::Streaming => streaming.clone(),
    }
}

fn recently_replaced(seen: &Observation<'_>) -> Option<Timestamp> {
    let replaced_at = seen.record?.log_replaced_at?;
    let age_seconds = seen.now.as_second().saturating_sub(replaced_at.as_second());
    (age_seconds < REPLACED_SHOWN_SECONDS).then_some(replaced_at)
}

/// The fuller of the organization's share and the whole log.
fn fullness_percent(usage: Usage) -> u128 {
    let percent = |bytes: u64, limit: u64| u128::from(bytes) * 100 / u128::from(limit.max(1));
    percent(usage.organization_bytes, usage.organization_limit_bytes)
        .max(percent(usage.total_bytes, usage.total_limit_bytes))
}

#[cfg(test)]
mod tests;
