//! The name of an object: a pure function of its content, so that a repeated PUT can only repeat.

use barndoor_crds::name::DestinationUid;
use barndoor_crds::place::PathPrefix;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::event_log::{LogEpoch, Sequence};

/// What an object's name is made of.
#[derive(Clone, Copy, Debug)]
pub struct ObjectName<'a> {
    /// The effective prefix.
    pub prefix: &'a PathPrefix,
    /// When its events were accepted; only the hour counts.
    pub hour: Timestamp,
    /// The log they come from.
    pub log_epoch: &'a LogEpoch,
    /// The first sequence the object answers for.
    pub first: Sequence,
    /// The last.
    pub last: Sequence,
    /// Whose object it is.
    pub destination: &'a DestinationUid,
    /// SHA-256 of the uncompressed bytes, 64 hexadecimal digits.
    pub uncompressed_sha256: &'a str,
}

/// `<prefix>date=YYYY-MM-DD/hour=HH/<log_epoch>-<first>-<last>-<destination:8>-<sha256:16>.jsonl.gz`, UTC, sequences
/// padded to 20 digits: names sort in delivery order inside an hour, and ranges tile the sequence.
pub fn object_key(name: ObjectName<'_>) -> String {
    let ObjectName { prefix, hour, log_epoch, first, last, destination, uncompressed_sha256 } = name;
    let hour = hour.to_zoned(TimeZone::UTC);
    format!(
        "{prefix}date={:04}-{:02}-{:02}/hour={:02}/{}-{first:020}-{last:020}-{}-{}.jsonl.gz",
        hour.year(),
        hour.month(),
        hour.day(),
        hour.hour(),
        log_epoch.as_str(),
        short_id(destination),
        &uncompressed_sha256[..16],
    )
}

/// What [`object_key`] makes, with the parts that vary in angle brackets.
pub fn key_pattern(prefix: &PathPrefix, destination: &DestinationUid) -> String {
    format!(
        "{prefix}date=<YYYY-MM-DD>/hour=<HH>/<log epoch>-<first sequence>-<last sequence>-{}-<sha256>.jsonl.gz",
        short_id(destination),
    )
}

/// `<destination:8>`: the first 8 hexadecimal digits of SHA-256 of the uid.
pub fn short_id(destination: &DestinationUid) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, destination.as_str().as_bytes());
    hexadecimal(&digest.as_ref()[..4])
}

/// Lower-case hexadecimal digits, two a byte.
pub fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// The start of the UTC hour that this time is in.
pub fn hour_of(time: Timestamp) -> Timestamp {
    const HOUR_SECONDS: i64 = 3_600;
    let seconds = time.as_second().div_euclid(HOUR_SECONDS) * HOUR_SECONDS;
    // A whole hour at or before a representable time is representable, but for the first hour of the year -9999.
    Timestamp::from_second(seconds).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(first: Sequence, last: Sequence, at: &str) -> String {
        object_key(ObjectName {
            prefix: &PathPrefix::default(),
            hour: at.parse().expect("a time"),
            log_epoch: &LogEpoch::new(ulid::Ulid::from_parts(1_700_000_000_000, 7)),
            first,
            last,
            destination: &DestinationUid::new("d"),
            uncompressed_sha256: &"ab".repeat(32),
        })
    }

    #[test]
    fn a_name_holds_hour_log_range_destination_and_content() {
        assert_eq!(
            key(1201, 1298, "2026-11-05T09:59:59.999Z"),
            "audit-events/date=2026-11-05/hour=09/01hf7yat000000000000000007-00000000000000001201-\
             00000000000000001298-18ac3e73-abababababababab.jsonl.gz"
        );
    }

    #[test]
    fn names_sort_in_delivery_order_inside_an_hour() {
        assert!(key(9, 10, "2026-11-05T09:00:00Z") < key(11, 2000, "2026-11-05T09:00:00Z"));
        assert!(key(999, 1000, "2026-11-05T09:00:00Z") < key(1001, 1001, "2026-11-05T09:59:00Z"));
    }

    #[test]
    fn an_hour_begins_on_the_hour_before_the_epoch_too() {
        let hour = |text: &str| hour_of(text.parse().expect("a time")).to_string();
        assert_eq!(hour("2026-11-05T09:59:59.999Z"), "2026-11-05T09:00:00Z");
        assert_eq!(hour("1969-12-31T23:30:00Z"), "1969-12-31T23:00:00Z");
    }
}
