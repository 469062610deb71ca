//! How a record batch lies on disk: a small header, then the events and their index compressed together.
//!
//! Compressing is the caller's work; the header is filled in when the batch gets its place in the log.

use std::cell::RefCell;
use std::ops::Range;

use barndoor_crds::event_type::EventType;
use bytes::Bytes;
use jiff::Timestamp;

use crate::event_log::{Events, RECORD_BATCH_BYTES, RecordBatch, Sequence};

const VERSION: u8 = 1;
/// Version, CRC-32, accepted time, bytes before, number of events, uncompressed length.
const HEADER_BYTES: usize = 1 + 4 + 8 + 8 + 4 + 4;
/// Faster than storing plain bytes, at a fraction of the disk: fewer bytes to write and sync.
const ZSTD_LEVEL: i32 = 1;
/// Bytes of index per event: where it ends, its type.
const INDEX_BYTES: usize = 4 + 1;

/// A batch compressed and waiting for its place.
pub(super) struct Packed {
    value: Vec<u8>,
    payload_crc: u32,
    plain_bytes: u32,
    /// How many events.
    pub(super) count: u32,
    /// Their decoded bytes.
    pub(super) event_bytes: u64,
}

/// What a batch gets with its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'o> {
    pub(super) organization: &'o str,
    pub(super) first: Sequence,
    pub(super) accepted_at: Timestamp,
    pub(super) bytes_before: u64,
}

/// Splits and compresses events.
///
/// # Errors
/// zstd had no memory.
pub(super) fn pack(events: Events) -> std::io::Result<Vec<Packed>> {
    let ranges = split(&events.ends);
    if let [_] = ranges.as_slice() {
        return Ok(vec![pack_one(events.bytes, &events.ends, &events.types)?]);
    }
    let packed = ranges.into_iter().map(|range| {
        let start = start_of(&events.ends, range.start);
        let end = start_of(&events.ends, range.end);
        let ends: Vec<u32> = events.ends[range.clone()].iter().map(|&e| e - start).collect();
        pack_one(events.bytes[start as usize..end as usize].to_vec(), &ends, &events.types[range])
    });
    packed.collect()
}

fn start_of(ends: &[u32], index: usize) -> u32 {
    if index == 0 { 0 } else { ends[index - 1] }
}

/// Runs of events of at most [`RECORD_BATCH_BYTES`], or one larger event.
fn split(ends: &[u32]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut first = 0;
    while first < ends.len() {
        let limit = start_of(ends, first) as usize + RECORD_BATCH_BYTES;
        let fitting = ends[first..].partition_point(|&end| end as usize <= limit);
        let next = first + fitting.max(1);
        ranges.push(first..next);
        first = next;
    }
    ranges
}

fn pack_one(mut plain: Vec<u8>, ends: &[u32], types: &[EventType]) -> std::io::Result<Packed> {
    let event_bytes = plain.len() as u64;
    plain.reserve_exact(ends.len() * INDEX_BYTES);
    plain.extend(ends.iter().flat_map(|end| end.to_le_bytes()));
    plain.extend(types.iter().map(|&event_type| event_type as u8));

    let mut value = vec![0; HEADER_BYTES + zstd::zstd_safe::compress_bound(plain.len())];
    let length = compress(&plain, &mut value[HEADER_BYTES..])?;
    value.truncate(HEADER_BYTES + length);
    Ok(Packed {
        payload_crc: crc32fast::hash(&value[HEADER_BYTES..]),
        value,
        plain_bytes: u32::try_from(plain.len()).expect("ingest bounds a batch to 32 MiB"),
        count: u32::try_from(ends.len()).expect("a batch of 32 MiB has fewer events than that"),
        event_bytes,
    })
}

fn compress(plain: &[u8], into: &mut [u8]) -> std::io::Result<usize> {
    thread_local! {
        // A context is about a megabyte, which costs more to make than 100 events cost to compress.
        static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    }
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
        };
        compressor.compress_to_buffer(plain, into)
    })
}

impl Packed {
    /// Bytes of the stored value.
    pub(super) fn len(&self) -> usize {
        self.value.len()
    }

    /// Fills in the header; the bytes to store.
    pub(super) fn placed(mut self, place: Place<'_>) -> Vec<u8> {
        let mut header = [0; HEADER_BYTES];
        header[0] = VERSION;
        header[5..13].copy_from_slice(&place.accepted_at.as_millisecond().to_be_bytes());
        header[13..21].copy_from_slice(&place.bytes_before.to_be_bytes());
        header[21..25].copy_from_slice(&self.count.to_be_bytes());
        header[25..29].copy_from_slice(&self.plain_bytes.to_be_bytes());
        let crc = seal(self.payload_crc, &header[5..], place.organization, place.first);
        header[1..5].copy_from_slice(&crc.to_be_bytes());
        self.value[..HEADER_BYTES].copy_from_slice(&header);
        self.value
    }
}

/// The CRC-32 over the compressed bytes, the header after the CRC, and the key: a batch in another's place is found too.
fn seal(payload_crc: u32, header: &[u8], organization: &str, first: Sequence) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(payload_crc);
    hasher.update(header);
    hasher.update(organization.as_bytes());
    hasher.update(&first.to_be_bytes());
    hasher.finalize()
}

/// Reads a stored batch.
///
/// # Errors
/// What is wrong with it.
pub(super) fn unpack(organization: &str, first: Sequence, value: &[u8]) -> Result<RecordBatch, &'static str> {
    let (header, payload) = value.split_at_checked(HEADER_BYTES).ok_or("the record batch is cut short")?;
    if u32::from_be_bytes(field(header, 1))
        != seal(crc32fast::hash(payload), &header[5..], organization, first)
    {
        return Err("the record batch's checksum does not match");
    }
    if header[0] != VERSION {
        return Err("the record batch has an unknown version");
    }
    let count = u32::from_be_bytes(field(header, 21)) as usize;
    let plain_bytes = u32::from_be_bytes(field(header, 25)) as usize;
    let mut plain = zstd::bulk::decompress(payload, plain_bytes)
        .map_err(|_| "the record batch cannot be decompressed")?;
    let bytes =
        plain.len().checked_sub(count * INDEX_BYTES).ok_or("the record batch has no room for its index")?;
    let (ends, types) = plain[bytes..].split_at(count * 4);
    let ends: Vec<u32> = ends.chunks_exact(4).map(|end| u32::from_le_bytes(field(end, 0))).collect();
    let types: Option<Vec<EventType>> = types.iter().map(|&t| EventType::from_discriminant(t)).collect();
    let types = types.ok_or("the record batch has an unknown event type")?;
    if ends.last().copied() != u32::try_from(bytes).ok() || !ends.is_sorted() {
        return Err("the record batch's index does not fit its events");
    }
    plain.truncate(bytes);
    Ok(RecordBatch {
        first,
        accepted_at: Timestamp::from_millisecond(i64::from_be_bytes(field(header, 5)))
            .map_err(|_| "the record batch's time is out of range")?,
        bytes_before: u64::from_be_bytes(field(header, 13)),
        bytes: Bytes::from(plain),
        ends,
        types,
    })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has N bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(first: Sequence) -> Place<'static> {
        Place {
            organization: "acme",
            first,
            accepted_at: "2026-03-01T10:00:00.123Z".parse().expect("a time"),
            bytes_before: 77,
        }
    }

    fn events(list: &[(EventType, Vec<u8>)]) -> Events {
        let mut events = Events::default();
        for (event_type, event) in list {
            events.push(*event_type, event);
        }
        events
    }

    fn one(list: &[(EventType, Vec<u8>)]) -> Vec<u8> {
        let mut packed = pack(events(list)).expect("packs");
        assert_eq!(packed.len(), 1);
        packed.remove(0).placed(place(5))
    }

    prop_compose! {
        fn event()(discriminant in 0u8..16, event in prop::collection::vec(any::<u8>(), 1..200)) -> (EventType, Vec<u8>) {
            (EventType::from_discriminant(discriminant).expect("one of the 16"), event)
        }
    }

    proptest! {
        #[test]
        fn a_batch_is_read_as_it_was_written(list in prop::collection::vec(event(), 1..40)) {
            let read = unpack("acme", 5, &one(&list)).expect("reads");
            prop_assert_eq!(read.last(), 4 + list.len() as u64);
            prop_assert_eq!(read.bytes_before, 77);
            prop_assert_eq!(read.accepted_at, place(5).accepted_at);
            for (index, (event_type, event)) in list.iter().enumerate() {
                prop_assert_eq!(read.event(index), event.as_slice());
                prop_assert_eq!(read.types[index], *event_type);
            }
        }

        #[test]
        fn a_flipped_bit_anywhere_is_found(
            list in prop::collection::vec(event(), 1..10), at in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let mut value = one(&list);
            let at = at.index(value.len());
            value[at] ^= 1 << bit;
            prop_assert!(unpack("acme", 5, &value).is_err());
        }

        #[test]
        fn a_cut_batch_is_found(list in prop::collection::vec(event(), 1..10), at in any::<prop::sample::Index>()) {
            let value = one(&list);
            prop_assert!(unpack("acme", 5, &value[..at.index(value.len())]).is_err());
        }
    }

    #[test]
    fn a_batch_in_anothers_place_is_found() {
        let value = one(&[(EventType::Audit, b"{}".to_vec())]);
        assert!(unpack("acme", 6, &value).is_err());
        assert!(unpack("other", 5, &value).is_err());
    }

    #[test]
    fn long_appends_are_split_at_the_limit_and_a_large_event_gets_its_own_batch() {
        let limit = u32::try_from(RECORD_BATCH_BYTES).expect("small");
        assert_eq!(split(&[]), Vec::<Range<usize>>::new());
        assert!(split(&[limit]).into_iter().eq([0..1]));
        assert_eq!(split(&[1, limit, limit + 1]), [0..2, 2..3]);
        assert_eq!(split(&[1, limit + 2, limit + 3]), [0..1, 1..2, 2..3]);

        let large = vec![b'x'; RECORD_BATCH_BYTES / 2 + 1];
        let packed = pack(events(&vec![(EventType::Audit, large.clone()); 3])).expect("packs");
        assert_eq!(packed.len(), 3);
        for packed in packed {
            let read = unpack("acme", 9, &packed.placed(place(9))).expect("reads");
            assert_eq!(read.event(0), large);
        }
    }
}
