use std::io::Read;

use barndoor_crds::event_type::EventType;
use proptest::prelude::*;

use super::*;
use crate::event_log::Events;

fn recipe(types: &[EventType]) -> Recipe {
    Recipe {
        event_types: EventTypeSet::included(Some(types)),
        format: Format::Json,
        organization: "acme".parse().expect("a name"),
    }
}

fn batch(first: Sequence, at: &str, events: &[(EventType, String)]) -> RecordBatch {
    let mut collected = Events::default();
    for (event_type, text) in events {
        collected.push(*event_type, text.as_bytes());
    }
    RecordBatch {
        first,
        accepted_at: at.parse().expect("a time"),
        bytes_before: 0,
        bytes: collected.bytes.into(),
        ends: collected.ends,
        types: collected.types,
    }
}

fn gunzip(body: &[u8]) -> String {
    let mut text = String::new();
    let mut decoder = flate2::bufread::GzDecoder::new(body);
    decoder.read_to_string(&mut text).expect("one gzip member");
    assert!(decoder.into_inner().is_empty(), "exactly one gzip member");
    text
}

const FULL: Until = Until::Full { events: 1_000, bytes: 1 << 20 };
const NOON: &str = "2026-11-05T12:00:00Z";

#[test]
fn unwanted_events_are_left_out_and_counted() {
    let events = [
        (EventType::Audit, "a".to_owned()),
        (EventType::System, "b".to_owned()),
        (EventType::Audit, "c".to_owned()),
    ];
    let mut encoder = Encoder::new(recipe(&[EventType::Audit]), 5, FULL);
    assert_eq!(encoder.push(&batch(5, NOON, &events)).expect("dense"), Fill::Open);
    let encoded = encoder.finish().expect("events were taken");
    assert_eq!((encoded.from, encoded.last, encoded.count, encoded.filtered), (5, 7, 2, 1));
    assert_eq!(gunzip(&encoded.body), "a\nc\n");
    assert_eq!(encoded.last_crc, event_crc(7, b"c"));
}

#[test]
fn an_object_ends_at_its_count_and_at_the_hour() {
    let events: Vec<_> = (0..10).map(|n| (EventType::Audit, n.to_string())).collect();
    let mut encoder = Encoder::new(recipe(&[]), 1, Until::Full { events: 4, bytes: 1 << 20 });
    assert_eq!(encoder.push(&batch(1, NOON, &events)).expect("dense"), Fill::Full);
    assert_eq!(encoder.finish().map(|encoded| encoded.last), Some(4));

    let mut encoder = Encoder::new(recipe(&[]), 1, FULL);
    assert_eq!(encoder.push(&batch(1, NOON, &events)).expect("dense"), Fill::Open);
    assert_eq!(encoder.push(&batch(11, "2026-11-05T11:59:59Z", &events)).expect("dense"), Fill::Full);
    assert_eq!(encoder.finish().map(|encoded| encoded.last), Some(10), "the hour changes either way");
}

#[test]
fn an_object_ends_when_its_compressed_bytes_are_reached() {
    let noise: Vec<_> = (0..12_000_u64)
        .map(|n| (EventType::Audit, hexadecimal(digest::digest(&digest::SHA256, &n.to_be_bytes()).as_ref())))
        .collect();
    let bytes = 64 * 1024;
    let mut encoder = Encoder::new(recipe(&[]), 1, Until::Full { events: 1_000_000, bytes });
    assert_eq!(encoder.push(&batch(1, NOON, &noise)).expect("dense"), Fill::Full);
    let encoded = encoder.finish().expect("events were taken");
    assert!((bytes..bytes + 2 * BLOCK_BYTES).contains(&encoded.body.len()), "{}", encoded.body.len());
}

#[test]
fn a_hole_in_the_log_is_an_error() {
    let events = [(EventType::Audit, "a".to_owned())];
    let mut encoder = Encoder::new(recipe(&[]), 5, FULL);
    assert!(encoder.push(&batch(6, NOON, &events)).is_err());
    assert!(encoder.push(&batch(4, NOON, &events)).is_err());
    assert!(encoder.finish().is_none(), "nothing was taken");
}

proptest! {
    #[test]
    fn a_replay_makes_the_same_bytes_however_the_log_hands_them_out(
        lengths in proptest::collection::vec(1_usize..20_000, 1..40),
        split in 1_usize..39,
    ) {
        let events: Vec<_> = lengths
            .iter()
            .enumerate()
            .map(|(n, length)| {
                let event_type = EventType::ALL[n % 3];
                (event_type, format!("{n}").repeat(*length / 2 + 1))
            })
            .collect();
        let split = split.min(events.len());
        let wanted = recipe(&[EventType::ALL[0], EventType::ALL[2]]);
        let mut whole = Encoder::new(wanted.clone(), 1, FULL);
        whole.push(&batch(1, NOON, &events)).expect("dense");
        let whole = whole.finish().expect("events were taken");

        let mut parts = Encoder::new(wanted, 1, Until::Sequence(whole.last));
        parts.push(&batch(1, NOON, &events[..split])).expect("dense");
        if split < events.len() && parts.next() <= whole.last {
            parts.push(&batch(1 + split as u64, NOON, &events[split..])).expect("dense");
        }
        prop_assert_eq!(parts.finish().expect("events were taken"), whole);
    }
}
