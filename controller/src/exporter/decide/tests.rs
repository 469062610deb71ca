use barndoor_crds::event_type::EventTypeSet;
use barndoor_crds::place::{Addressing, Endpoint, PathPrefix, Scheme};
use barndoor_crds::settings::Format;

use super::*;
use crate::event_log::LogEpoch;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).expect("a time")
}

fn place(endpoint: &str, bucket: &str) -> Place {
    Place {
        endpoint: Endpoint::parse(endpoint, Scheme::Https).expect("an endpoint"),
        region: "us-east-1".parse().expect("a region"),
        bucket: bucket.parse().expect("a bucket"),
        prefix: PathPrefix::default(),
        addressing: Addressing::Auto,
    }
}

fn epoch(millisecond: u64) -> LogEpoch {
    LogEpoch::new(ulid::Ulid::from_parts(millisecond, 0))
}

fn head(first: Sequence, next: Sequence) -> LogHead {
    LogHead { epoch: epoch(1), first, next, appended_bytes: 0 }
}

/// Events 11 to 20 planned for a bucket of AWS, of which 11 and 12 are filtered out.
fn planned(outcome: Outcome) -> DeliveryRecord {
    let start = Start { log_epoch: epoch(1), sequence: 1, at: second(0) };
    DeliveryRecord {
        next: 11,
        covered_from: 9,
        counts: Counts { delivered: 8, filtered: 2, ..Counts::default() },
        plan: Some(Plan {
            first: 9,
            last: 20,
            last_crc: 7,
            count: 8,
            filtered: 2,
            hour: second(0),
            place: place("s3.us-east-1.amazonaws.com", "old"),
            key: "key".to_owned(),
            uncompressed_sha256: "ab".repeat(32),
            event_types: EventTypeSet::ALL,
            format: Format::Json,
            encoder: 1,
            outcome,
        }),
        ..DeliveryRecord::begin(start, None)
    }
}

const IN_FLIGHT: i64 = 600;

fn in_flight() -> DeliveryRecord {
    planned(Outcome::Unknown { may_land_until: second(IN_FLIGHT) })
}

fn written(action: Action) -> (DeliveryRecord, Step) {
    (action.write.expect("a write"), action.step)
}

#[test]
fn a_delivered_object_moves_the_place_and_the_counters_in_one_write() {
    let record = in_flight();
    let observation = Observation::Delivered { following: Following::Nothing, now: second(1) };
    let (after, step) = written(decide(&record, observation));
    assert_eq!((after.next, after.covered_from, step), (21, 21, Step::Proceed));
    assert_eq!((after.counts.delivered, after.counts.filtered), (16, 4));
    assert_eq!(after.anchor, Some(Anchor { sequence: 20, crc: 7 }));
    assert_eq!(after.previous_sha256, Some("ab".repeat(32)));
    assert_eq!(after.revision, record.revision + 1);
}

#[test]
fn a_new_owner_bumps_the_epoch_before_anything_else() {
    let record = in_flight();
    let observation =
        Observation::Opened { log: &head(1, 30), anchor: AnchorFinding::Matches, now: second(1) };
    let (after, step) = written(decide(&record, observation));
    assert_eq!((after.owner_epoch, step), (record.owner_epoch + 1, Step::Proceed));
    assert_eq!(after.plan, record.plan);
}

#[test]
fn a_log_that_ends_before_the_plan_does_is_not_the_one_remembered() {
    let observation =
        Observation::Opened { log: &head(1, 20), anchor: AnchorFinding::Matches, now: second(1) };
    assert_eq!(written(decide(&in_flight(), observation)).1, Step::RenewLog);
}

#[test]
fn a_replaced_log_is_sent_whole_and_what_may_be_there_twice_is_counted() {
    let log = LogHead { epoch: epoch(2), first: 5, next: 9, appended_bytes: 0 };
    let (after, _) = written(decide(&in_flight(), Observation::LogRenewed { log: &log, now: second(1) }));
    assert_eq!((after.next, after.start.sequence, after.plan), (5, 5, None));
    assert_eq!(after.start.log_epoch, epoch(2));
    assert_eq!(after.counts.possibly_duplicated, 4);
    assert_eq!(after.log_replaced_at, Some(second(1)));
}

#[test]
fn a_refused_plan_is_made_anew_at_once_when_the_place_changes() {
    let elsewhere = place("s3.us-east-1.amazonaws.com", "new");
    let observation = Observation::PlanOpen { desired: &elsewhere, now: second(1) };
    let (after, step) = written(decide(&planned(Outcome::NotSent), observation));
    assert_eq!((after.plan, after.next, step), (None, 11, Step::Proceed));
}

#[test]
fn a_plan_whose_put_may_still_land_is_looked_for_before_it_is_made_anew_elsewhere() {
    let elsewhere = place("s3.us-east-1.amazonaws.com", "new");
    let record = in_flight();
    let now = second(1);
    let action = decide(&record, Observation::PlanOpen { desired: &elsewhere, now });
    assert_eq!((action.write, action.step), (None, Step::List));

    let absent = |now| Observation::Listed { finding: ListFinding::Absent, now };
    assert_eq!(decide(&record, absent(now)).step, Step::WaitUntil(second(61)));
    let (after, _) = written(decide(&record, absent(second(IN_FLIGHT))));
    assert_eq!((after.plan, after.counts.possibly_duplicated), (None, 0));

    let present = Observation::Listed { finding: ListFinding::Present, now };
    assert_eq!(written(decide(&record, present)).0.next, 21);
}

#[test]
fn a_place_that_may_not_be_listed_is_waited_out_and_counted() {
    let unavailable = |now| Observation::Listed { finding: ListFinding::Unavailable, now };
    assert_eq!(decide(&in_flight(), unavailable(second(599))).step, Step::WaitUntil(second(IN_FLIGHT)));
    let (after, _) = written(decide(&in_flight(), unavailable(second(IN_FLIGHT))));
    assert_eq!((after.plan, after.counts.possibly_duplicated), (None, 8));
}

#[test]
fn the_same_bucket_reached_another_way_keeps_the_plan() {
    let corrected = place("s3.eu-west-1.amazonaws.com", "old");
    let observation = Observation::PlanOpen { desired: &corrected, now: second(1) };
    let (after, step) = written(decide(&in_flight(), observation));
    assert_eq!((after.plan.map(|plan| plan.place), step), (Some(corrected), Step::Put));
}

#[test]
fn an_attempt_is_granted_before_it_begins_and_refusals_take_the_grant_back() {
    let record = planned(Outcome::NotSent);
    let desired = record.plan.as_ref().expect("planned").place.clone();
    let (granted, step) =
        written(decide(&record, Observation::PlanOpen { desired: &desired, now: second(0) }));
    assert_eq!(step, Step::Put);
    let may_land_until = second(SIGNATURE_VALID_SECONDS + GRANT_WINDOW_SECONDS);
    assert_eq!(granted.plan.as_ref().map(|plan| plan.outcome), Some(Outcome::Unknown { may_land_until }));

    let failed = |end| Observation::Failed { before: Outcome::NotSent, end, now: second(9) };
    let outcome = |end| {
        let action = decide(&granted, failed(end));
        action.write.unwrap_or_else(|| granted.clone()).plan.map(|plan| plan.outcome)
    };
    assert_eq!(outcome(AttemptEnd::Refused), Some(Outcome::NotSent));
    assert_eq!(outcome(AttemptEnd::Undecided), Some(Outcome::Unknown { may_land_until: second(9) }));
    assert_eq!(outcome(AttemptEnd::Unanswered), Some(Outcome::Unknown { may_land_until }));
}
