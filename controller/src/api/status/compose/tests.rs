use barndoor_crds::name::{DestinationUid, OrganizationUid};
use barndoor_crds::place::{Addressing, Endpoint, PathPrefix, Place, Scheme};
use barndoor_crds::settings::{Batch, Format};
use barndoor_crds::status::{CheckReport, DeliveryIssue};

use super::*;
use crate::destinations::{AsSent, Auth};
use crate::event_log::LogEpoch;
use crate::exporter::record::{Counts, Start};

const GENERATION: u64 = 3;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn destination(wish: Wish) -> Destination {
    Destination {
        organization: "acme".parse().expect("a name"),
        organization_uid: OrganizationUid::new("acme"),
        name: "audit".parse().expect("a name"),
        uid: DestinationUid::new("uid"),
        generation: GENERATION,
        wish,
        place: Place {
            endpoint: Endpoint::parse("s3.us-east-1.amazonaws.com", Scheme::Https).expect("an endpoint"),
            region: "us-east-1".parse().expect("a region"),
            bucket: "acme-audit".parse().expect("a bucket"),
            prefix: PathPrefix::default(),
            addressing: Addressing::Auto,
        },
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
        batch: Batch::default(),
    }
}

fn check(second: i64, reason: Reason) -> CheckReport {
    CheckReport {
        at: at(second),
        generation: GENERATION,
        healthy: matches!(reason, Reason::Healthy | Reason::ExternalIdNotEnforced),
        reason,
        message: "seen".to_owned(),
        remedy: String::new(),
        steps: Vec::new(),
    }
}

fn issue(second: i64) -> DeliveryIssue {
    DeliveryIssue {
        at: at(second),
        operation: "PutObject".to_owned(),
        reason: Reason::WriteDenied,
        code: Some("AccessDenied".to_owned()),
        message: "no".to_owned(),
        remedy: "grant s3:PutObject".to_owned(),
        count: 1,
    }
}

fn record(delivered: u64, filtered: u64, dropped_age: u64) -> DeliveryRecord {
    DeliveryRecord {
        revision: 1,
        owner_epoch: 1,
        start: Start { log_epoch: LogEpoch::new(ulid::Ulid::nil()), sequence: 101, at: at(50) },
        next: 101 + delivered + filtered + dropped_age,
        covered_from: 101,
        anchor: None,
        counts: Counts { delivered, filtered, dropped_age, possibly_duplicated: 0 },
        previous_sha256: None,
        plan: None,
        log_replaced_at: None,
    }
}

fn head(next: u64) -> LogHead {
    LogHead { epoch: LogEpoch::new(ulid::Ulid::nil()), first: 101, next, appended_bytes: 0 }
}

fn usage(percent: u64) -> Usage {
    Usage {
        organization_bytes: percent,
        organization_limit_bytes: 100,
        total_bytes: 0,
        total_limit_bytes: 100,
    }
}

/// A destination about which nothing is known but its wish.
struct Case {
    destination: Destination,
    record: Option<DeliveryRecord>,
    head: Option<LogHead>,
    health: Health,
    activity: Option<Reason>,
    usage: Usage,
}

impl Case {
    fn new(wish: Wish) -> Self {
        Self {
            destination: destination(wish),
            record: None,
            head: None,
            health: Health::default(),
            activity: None,
            usage: usage(0),
        }
    }

    fn healthy(mut self) -> Self {
        self.health.check = Some(check(100, Reason::Healthy));
        self
    }

    fn delivering(mut self, record: DeliveryRecord, next: u64, activity: Option<Reason>) -> Self {
        self.record = Some(record);
        self.head = Some(head(next));
        self.activity = activity;
        self
    }

    fn status(&self) -> StatusResponse {
        compose(&Observation {
            destination: &self.destination,
            record: self.record.as_ref(),
            head: self.head.as_ref(),
            oldest_pending_at: Some(at(60)),
            health: &self.health,
            activity: self.activity,
            usage: self.usage,
            trust: None,
            now: at(1_000),
        })
    }

    fn condition(&self, wanted: ConditionType) -> (ConditionStatus, Reason) {
        let status = self.status();
        let found = status.conditions.iter().find(|condition| condition.condition_type == wanted);
        found.map(|condition| (condition.status, condition.reason)).expect("always there")
    }
}

#[test]
fn a_new_destination_is_paused_and_not_checked() {
    let case = Case::new(Wish::Paused);
    assert_eq!(case.condition(ConditionType::Ready), (ConditionStatus::Unknown, Reason::NotChecked));
    assert_eq!(case.condition(ConditionType::Streaming), (ConditionStatus::False, Reason::Paused));
    assert_eq!(case.status().delivery, None);
}

#[test]
fn paused_and_healthy_is_ready() {
    let case = Case::new(Wish::Paused).healthy();
    assert_eq!(case.condition(ConditionType::Ready), (ConditionStatus::True, Reason::Paused));
    assert_eq!(case.status().state, Reason::Paused);
}

#[test]
fn a_change_of_the_wish_keeps_what_the_check_saw() {
    let mut case = Case::new(Wish::Paused).healthy();
    case.destination.generation += 1;
    assert_eq!(case.condition(ConditionType::ConnectionHealthy), (ConditionStatus::True, Reason::Healthy));
}

#[test]
fn the_latest_evidence_decides_whether_the_connection_is_healthy() {
    let connection = |check: Option<CheckReport>, issue: Option<DeliveryIssue>, healthy_at: Option<i64>| {
        let mut case = Case::new(Wish::Streaming);
        case.health = Health { check, last_issue: issue, last_object: None, healthy_at: healthy_at.map(at) };
        case.condition(ConditionType::ConnectionHealthy)
    };
    let healthy = || Some(check(100, Reason::Healthy));
    let denied = || Some(check(100, Reason::HeadBucketDenied));
    assert_eq!(connection(healthy(), Some(issue(99)), Some(100)), (ConditionStatus::True, Reason::Healthy));
    assert_eq!(connection(healthy(), Some(issue(101)), None), (ConditionStatus::False, Reason::WriteDenied));
    assert_eq!(connection(denied(), None, Some(99)), (ConditionStatus::False, Reason::HeadBucketDenied));
    assert_eq!(connection(denied(), None, Some(101)), (ConditionStatus::True, Reason::Healthy));
    let warned = Some(check(100, Reason::ExternalIdNotEnforced));
    assert_eq!(connection(warned, None, Some(100)), (ConditionStatus::True, Reason::ExternalIdNotEnforced));
}

#[test]
fn a_failing_delivery_is_not_ready_and_says_the_stores_words_and_the_remedy() {
    let mut case =
        Case::new(Wish::Streaming).healthy().delivering(record(0, 0, 0), 105, Some(Reason::Retrying));
    case.health.last_issue = Some(issue(200));
    assert_eq!(case.condition(ConditionType::Ready), (ConditionStatus::False, Reason::WriteDenied));
    assert_eq!(case.condition(ConditionType::Streaming), (ConditionStatus::False, Reason::Retrying));
    let message = case.status().conditions[0].message.clone();
    assert_eq!(message, "PutObject: AccessDenied: no: grant s3:PutObject");
}

#[test]
fn what_was_accepted_since_start_is_somewhere() {
    let case = Case::new(Wish::Streaming).healthy().delivering(record(10, 5, 2), 123, None);
    let delivery = case.status().delivery.expect("started");
    let expected =
        case.head.as_ref().expect("a log").next - case.record.as_ref().expect("started").start.sequence;
    assert_eq!((delivery.accepted, delivery.backlog), (expected, 5));
    assert_eq!(delivery.oldest_pending_at, Some(at(60)));
}

#[test]
fn the_badge_says_whether_events_flow_also_when_the_exporter_rests() {
    let badge = |record, next, activity| {
        Case::new(Wish::Streaming).healthy().delivering(record, next, activity).status().state
    };
    assert_eq!(badge(record(0, 0, 0), 101, None), Reason::NoEvents);
    assert_eq!(badge(record(0, 0, 0), 101, Some(Reason::StreamingActive)), Reason::NoEvents);
    assert_eq!(badge(record(0, 0, 0), 103, None), Reason::Starting);
    assert_eq!(badge(record(2, 0, 0), 103, None), Reason::StreamingActive);
    assert_eq!(badge(record(2, 0, 0), 104, Some(Reason::StreamingActive)), Reason::StreamingActive);
    assert_eq!(badge(record(2, 0, 0), 104, Some(Reason::Retrying)), Reason::Retrying);
}

#[test]
fn a_replaced_log_is_said_for_a_week() {
    let ready = |replaced_at| {
        let record = DeliveryRecord { log_replaced_at: Some(at(replaced_at)), ..record(0, 0, 0) };
        Case::new(Wish::Streaming)
            .healthy()
            .delivering(record, 105, Some(Reason::StreamingActive))
            .condition(ConditionType::Ready)
    };
    assert_eq!(ready(999), (ConditionStatus::True, Reason::LogReplaced));
    assert_eq!(ready(999 - 7 * 24 * 3_600), (ConditionStatus::True, Reason::StreamingActive));
}

#[test]
fn a_log_that_fills_up_warns_before_it_refuses() {
    let ready = |percent| {
        let mut case = Case::new(Wish::Streaming).healthy().delivering(
            record(0, 0, 0),
            105,
            Some(Reason::StreamingActive),
        );
        case.usage = usage(percent);
        case.condition(ConditionType::Ready)
    };
    assert_eq!(ready(79), (ConditionStatus::True, Reason::StreamingActive));
    assert_eq!(ready(80), (ConditionStatus::True, Reason::BufferFull));
    assert_eq!(ready(100), (ConditionStatus::False, Reason::BufferFull));
}
