//! The name of a delivered object, taken apart as design.md promises it.
//!
//! `<prefix>date=YYYY-MM-DD/hour=HH/<log_epoch>-<first:020>-<last:020>-<destination:8>-<sha256:16>.jsonl.gz`

/// The parts of a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// The log's identity; sorts by creation.
    pub log_epoch: String,
    /// The first sequence covered.
    pub first: u64,
    /// The last sequence covered.
    pub last: u64,
    /// `YYYY-MM-DD`, UTC.
    pub date: String,
    /// `HH`, UTC.
    pub hour: String,
    /// The first 8 hexadecimal digits of SHA-256 of the destination's uid.
    pub destination: String,
    /// The first 16 hexadecimal digits of SHA-256 of the uncompressed bytes.
    pub sha256: String,
}

impl ObjectName {
    /// The parts of a key under this effective prefix.
    ///
    /// # Errors
    /// What is wrong with the key.
    pub fn parse(prefix: &str, key: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{key}: {what}");
        let rest = key.strip_prefix(prefix).ok_or_else(|| wrong("not under the prefix"))?;
        let parts: Vec<&str> = rest.split('/').collect();
        let [date, hour, file] = parts[..] else {
            return Err(wrong("not date=…/hour=…/name"));
        };
        let date = date.strip_prefix("date=").ok_or_else(|| wrong("no date="))?;
        let hour = hour.strip_prefix("hour=").ok_or_else(|| wrong("no hour="))?;
        if !matches(date, "0000-00-00") || !matches(hour, "00") {
            return Err(wrong("date=YYYY-MM-DD/hour=HH expected"));
        }
        let stem = file.strip_suffix(".jsonl.gz").ok_or_else(|| wrong("not .jsonl.gz"))?;
        let fields: Vec<&str> = stem.split('-').collect();
        let [log_epoch, first, last, destination, sha256] = fields[..] else {
            return Err(wrong("five fields expected"));
        };
        let number = |text: &str| (text.len() == 20).then(|| text.parse::<u64>().ok()).flatten();
        let is_hex = |text: &str, length| {
            text.len() == length
                && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let (Some(first), Some(last)) = (number(first), number(last)) else {
            return Err(wrong("a sequence is not 20 digits"));
        };
        if log_epoch.is_empty() || first > last || !is_hex(destination, 8) || !is_hex(sha256, 16) {
            return Err(wrong("a field is out of shape"));
        }
        Ok(Self {
            log_epoch: log_epoch.to_owned(),
            first,
            last,
            date: date.to_owned(),
            hour: hour.to_owned(),
            destination: destination.to_owned(),
            sha256: sha256.to_owned(),
        })
    }
}

/// Whether the text has digits where the pattern has `0`, and the pattern's characters elsewhere.
fn matches(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text
            .bytes()
            .zip(pattern.bytes())
            .all(|(byte, wanted)| if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "audit-events/date=2026-07-01/hour=09/01kwz-00000000000000000001-00000000000000000042-0123abcd-0123456789abcdef.jsonl.gz";

    #[test]
    fn a_promised_name_is_taken_apart() {
        let name = ObjectName::parse("audit-events/", KEY).expect("a promised name");
        assert_eq!((name.first, name.last, name.hour.as_str()), (1, 42, "09"));
        assert_eq!((name.log_epoch.as_str(), name.destination.as_str()), ("01kwz", "0123abcd"));
    }

    #[test]
    fn any_other_name_is_refused() {
        for bad in [
            KEY.replace("date=2026-07-01", "date=2026-7-1"),
            KEY.replace("hour=09", "hour=9"),
            KEY.replace("00000000000000000001", "1"),
            KEY.replace("0123abcd", "0123ABCD"),
            KEY.replace(".jsonl.gz", ".json.gz"),
            KEY.replace("00000000000000000001", "00000000000000000043"),
            KEY.replace("audit-events/", "other/"),
            format!("{KEY}/x"),
        ] {
            assert!(ObjectName::parse("audit-events/", &bad).is_err(), "{bad}");
        }
    }
}
