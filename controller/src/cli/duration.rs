//! Durations as people write them on a command line: `30d`, `12h`, `45m`, `90s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The longest duration a flag takes, in seconds: ten years.
pub const DURATION_MAX_SECONDS: u64 = 3_650 * 86_400;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// A duration of whole seconds, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(u64);

impl Seconds {
    /// The duration.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

/// Text that is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a whole number and a unit, from 1s to 3650d: s, m, h or d, such as 30d")]
pub struct InvalidDuration;

impl FromStr for Seconds {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let (number, unit_seconds) = UNITS
            .into_iter()
            .find_map(|(unit, seconds)| text.strip_suffix(unit).map(|number| (number, seconds)))
            .ok_or(InvalidDuration)?;
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidDuration);
        }
        let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_seconds));
        match seconds {
            Some(seconds @ 1..=DURATION_MAX_SECONDS) => Ok(Self(seconds)),
            Some(_) | None => Err(InvalidDuration),
        }
    }
}

impl fmt::Display for Seconds {
    /// In the largest unit that needs no fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, seconds) =
            UNITS.into_iter().find(|(_, seconds)| self.0.is_multiple_of(*seconds)).unwrap_or(('s', 1));
        write!(f, "{}{unit}", self.0 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, seconds) in [("30d", 2_592_000), ("12h", 43_200), ("45m", 2_700), ("90s", 90)] {
            let parsed: Seconds = text.parse().expect(text);
            assert_eq!(parsed.duration().as_secs(), seconds, "{text}");
            assert_eq!(parsed.to_string(), text);
        }
        assert_eq!("24h".parse::<Seconds>().map(|parsed| parsed.to_string()).as_deref(), Ok("1d"));
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for bad in
            ["", "30", "d", "0s", "-1d", "+1d", "1.5h", "1w", "30 d", "30D", "3651d", "99999999999999999999d"]
        {
            let refusal = bad.parse::<Seconds>().expect_err(bad);
            assert!(refusal.to_string().ends_with("such as 30d"), "{refusal}");
        }
    }
}
