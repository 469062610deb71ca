//! What must hold after every step, and what must hold at rest.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use aws_lc_rs::digest;
use barndoor_crds::event_type::EventTypeSet;

use super::world::{State, Stored, World};
use crate::clock::Clock;
use crate::event_log::Sequence;
use crate::exporter::object_key::hexadecimal;
use crate::exporter::record::Outcome;

/// After a start nothing is dropped for so long.
const HELD_AFTER_START: Duration = Duration::from_hours(2);
/// How long one turn may take: time passes in it.
const A_TURN: Duration = Duration::from_mins(10);

struct Delivered {
    first: Sequence,
    last: Sequence,
    ids: Vec<Sequence>,
    sha256: String,
    previous: Option<String>,
}

fn read(key: &str, stored: &Stored) -> Delivered {
    let mut text = String::new();
    flate2::read::GzDecoder::new(&stored.body[..]).read_to_string(&mut text).expect("gzip");
    let sha256 = hexadecimal(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    assert!(key.contains(&sha256[..16]), "{key} holds its content's hash");
    let metadata: BTreeMap<&str, &str> =
        stored.metadata.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let number = |name: &str| metadata[name].parse::<u64>().expect("a number");
    let ids: Vec<Sequence> = text
        .lines()
        .map(|line| line.trim_start_matches("{\"id\":").trim_end_matches('}').parse().expect("an id"))
        .collect();
    assert_eq!(number("event-count"), ids.len() as u64);
    assert_eq!(metadata["uncompressed-sha256"], sha256);
    let delivered = Delivered {
        first: number("first-sequence"),
        last: number("last-sequence"),
        ids,
        sha256,
        previous: metadata.get("previous-sha256").map(|text| (*text).to_owned()),
    };
    assert!(delivered.ids.iter().all(|id| (delivered.first..=delivered.last).contains(id)));
    assert!(delivered.ids.is_sorted_by(|left, right| left < right), "{key} is in order");
    delivered
}

fn times_delivered(state: &State) -> BTreeMap<Sequence, u64> {
    let mut times = BTreeMap::new();
    for (key, stored) in state.buckets.values().flatten() {
        for id in read(key, stored).ids {
            *times.entry(id).or_default() += 1;
        }
    }
    times
}

/// After every step.
pub(super) fn check(world: &World) {
    let state = world.state();
    assert!(state.violations.is_empty(), "{:?}", state.violations);
    let record = &state.record;
    let counts = record.counts;
    assert_eq!(
        counts.delivered + counts.filtered + counts.dropped_age + (state.next - record.next),
        state.next - record.start.sequence,
        "every accepted event is delivered, filtered, dropped or waiting"
    );
    assert!(state.trimmed_before <= record.next, "nothing that waits is trimmed");
    for (bucket, objects) in &state.buckets {
        let mut objects: Vec<Delivered> = objects.iter().map(|(key, stored)| read(key, stored)).collect();
        objects.sort_by_key(|object| object.first);
        let ids: Vec<Sequence> = objects.iter().flat_map(|object| object.ids.iter().copied()).collect();
        assert!(
            ids.is_sorted_by(|left, right| left < right) || counts.possibly_duplicated > 0,
            "at most once and in order in {bucket}"
        );
    }
    let twice: u64 = times_delivered(&state).values().map(|times| times - 1).sum();
    assert!(twice <= counts.possibly_duplicated, "{twice} events are there twice and nobody says so");
}

/// After a turn: nothing older than the retention waits, but for a plan whose PUT may still land.
pub(super) fn check_age(world: &World, retention: Duration) {
    let (now, steady) = (world.now(), world.steady());
    let state = world.state();
    let oldest = state.batches.iter().find(|batch| batch.last() >= state.record.next);
    let Some(oldest) = oldest.filter(|_| steady > HELD_AFTER_START) else { return };
    let undecided = state.record.plan.as_ref().is_some_and(|plan| match plan.outcome {
        Outcome::NotSent => false,
        Outcome::Unknown { may_land_until } => may_land_until > now,
    });
    let age = Duration::try_from(now.duration_since(oldest.accepted_at)).unwrap_or_default();
    assert!(undecided || age <= retention + A_TURN, "an event has waited for {age:?}");
}

/// Once the faults are over and nothing waits.
pub(super) fn check_at_rest(world: &World) {
    let state = world.state();
    let counts = state.record.counts;
    let times = times_delivered(&state);
    assert!(state.record.plan.is_none());
    // With a count of possible duplicates, an abandoned object may be there beside its successor, under other filters.
    if counts.possibly_duplicated == 0 {
        assert_eq!(times.len() as u64, counts.delivered, "what was counted as delivered is in the buckets");
        let mut objects: Vec<Delivered> =
            state.buckets.values().flatten().map(|(key, stored)| read(key, stored)).collect();
        objects.sort_by_key(|object| object.first);
        let (mut next, mut previous) = (1, None);
        for object in objects {
            assert_eq!(object.first, next, "ranges tile the sequence");
            assert_eq!(object.previous, previous, "each object names the one before");
            (next, previous) = (object.last + 1, Some(object.sha256));
        }
    }
    if counts.dropped_age == 0 {
        let always = |event_type| {
            state.filters.iter().all(|filter| EventTypeSet::included(filter.as_deref()).contains(event_type))
        };
        for batch in &state.batches {
            for (index, event_type) in batch.types.iter().enumerate() {
                let sequence = batch.first + index as u64;
                assert!(times.contains_key(&sequence) || !always(*event_type), "{sequence} is lost");
            }
        }
    }
}
