//! Sizes and shares as people write them on a command line: `20GiB`, `half-of-disk`, `50%`.

use std::fmt;
use std::str::FromStr;

/// The least size of the event log, in bytes: below it a few large batches would fill it.
pub const EVENT_LOG_MIN_BYTES: u64 = 64 * 1024 * 1024;

const HALF_OF_DISK: &str = "half-of-disk";
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// How large the event log may grow on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventLogLimit {
    /// Half of the disk that the data folder is on.
    HalfOfDisk,
    /// This many bytes.
    Bytes(u64),
}

/// Text that is not a size for the event log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write half-of-disk, or a size of at least 64MiB with its unit (MiB, GiB, TiB, MB, GB, TB), such as 20GiB"
)]
pub struct InvalidSize;

impl FromStr for EventLogLimit {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        if text == HALF_OF_DISK {
            return Ok(Self::HalfOfDisk);
        }
        match parse_bytes(text) {
            Some(bytes @ EVENT_LOG_MIN_BYTES..) => Ok(Self::Bytes(bytes)),
            Some(_) | None => Err(InvalidSize),
        }
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit_bytes) = UNITS
        .into_iter()
        .find_map(|(unit, bytes)| text.strip_suffix(unit).map(|number| (number, bytes)))
        .unwrap_or((text, 1));
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(unit_bytes)
}

impl fmt::Display for EventLogLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HalfOfDisk => f.write_str(HALF_OF_DISK),
            Self::Bytes(bytes) => {
                let (unit, unit_bytes) = UNITS
                    .into_iter()
                    .find(|(_, unit_bytes)| bytes.is_multiple_of(*unit_bytes))
                    .unwrap_or(("B", 1));
                write!(f, "{}{unit}", bytes / unit_bytes)
            }
        }
    }
}

/// The part of the event log that one organization may fill, in percent: 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u8);

impl Share {
    /// The percentage.
    pub const fn percent(self) -> u8 {
        self.0
    }

    /// This share of so many bytes.
    pub fn of_bytes(self, bytes: u64) -> u64 {
        // Divided first: no overflow, and what rounding loses is below 100 bytes.
        bytes / 100 * u64::from(self.0)
    }
}

/// Text that is not a share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a whole percentage from 1% to 100%, such as 50%")]
pub struct InvalidShare;

impl FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let number = text.strip_suffix('%').unwrap_or(text);
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidShare);
        }
        match number.parse::<u8>() {
            Ok(percent @ 1..=100) => Ok(Self(percent)),
            Ok(_) | Err(_) => Err(InvalidShare),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_and_a_unit_or_half_of_the_disk() {
        for (text, limit) in [
            ("half-of-disk", EventLogLimit::HalfOfDisk),
            ("20GiB", EventLogLimit::Bytes(20 << 30)),
            ("64MiB", EventLogLimit::Bytes(64 << 20)),
            ("100MB", EventLogLimit::Bytes(100_000_000)),
        ] {
            assert_eq!(text.parse(), Ok(limit));
            assert_eq!(limit.to_string(), text);
        }
        assert_eq!("67108864".parse(), Ok(EventLogLimit::Bytes(64 << 20)));
    }

    #[test]
    fn a_size_without_sense_is_refused_with_an_example() {
        for bad in ["", "GiB", "1KiB", "63MiB", "-1GiB", "1.5GiB", "20 GiB", "20gb", "99999999999TiB", "half"]
        {
            let refusal = bad.parse::<EventLogLimit>().expect_err(bad);
            assert!(refusal.to_string().ends_with("such as 20GiB"), "{refusal}");
        }
    }

    #[test]
    fn a_share_is_a_percentage() {
        assert_eq!("50%".parse::<Share>().map(|share| share.of_bytes(1_000)), Ok(500));
        assert_eq!("100".parse::<Share>().map(|share| share.to_string()).as_deref(), Ok("100%"));
        for bad in ["", "%", "0%", "101%", "-5%", "5.5%", "half"] {
            assert_eq!(bad.parse::<Share>(), Err(InvalidShare), "{bad}");
        }
    }
}
