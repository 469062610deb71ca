//! Whether a text is an RFC 3339 date-time; the text itself stays what the producer wrote.

/// Whether this is `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)` of a day that exists. 60 seconds are allowed: RFC 3339
/// has leap seconds.
pub(super) fn is_date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some((head, rest)) = bytes.split_at_checked(19) else { return false };
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't', h1, h2, b':', n1, n2, b':', s1, s2] = *head
    else {
        return false;
    };
    let (Some(century), Some(year), Some(month), Some(day)) =
        (two_digits(y1, y2), two_digits(y3, y4), two_digits(m1, m2), two_digits(d1, d2))
    else {
        return false;
    };
    let year = u16::from(century) * 100 + u16::from(year);
    (1..=days_in(year, month)).contains(&day)
        && two_digits(h1, h2).is_some_and(|hour| hour <= 23)
        && two_digits(n1, n2).is_some_and(|minute| minute <= 59)
        && two_digits(s1, s2).is_some_and(|second| second <= 60)
        && without_fraction(rest).is_some_and(is_offset)
}

fn without_fraction(rest: &[u8]) -> Option<&[u8]> {
    let Some(fraction) = rest.strip_prefix(b".") else { return Some(rest) };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then(|| &fraction[digits..])
}

fn is_offset(offset: &[u8]) -> bool {
    match *offset {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            two_digits(h1, h2).is_some_and(|hours| hours <= 23)
                && two_digits(m1, m2).is_some_and(|minutes| minutes <= 59)
        }
        _ => false,
    }
}

fn two_digits(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + (ones - b'0'))
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_times_of_rfc_3339_are_recognized() {
        for good in [
            "2026-03-01T00:00:00Z",
            "2024-02-29t23:59:60.123456789z",
            "1985-04-12T23:20:50.52+05:30",
            "2000-02-29T00:00:00-00:00",
        ] {
            assert!(is_date_time(good), "{good}");
        }
    }

    #[test]
    fn anything_else_is_not() {
        for bad in [
            "",
            "2026-03-01",
            "2026-03-01T00:00:00",
            "2026-03-01 00:00:00Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+0530",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00Z[UTC]",
            "20260101T000000Z",
            "1767225600",
        ] {
            assert!(!is_date_time(bad), "{bad}");
        }
    }
}
