//! Decides whether one line of an ingest body is an event, and of which type.
//!
//! Pure, and one pass over the bytes: a valid event costs no allocation. It must not know HTTP or the event log.

use barndoor_crds::event_type::{EventType, UnknownEventType};
use barndoor_crds::rest::RejectionReason;

use super::json::{JsonError, Reader, Text};
use super::rfc3339;

/// The longest event, in bytes, without its line end.
pub(super) const EVENT_MAX_BYTES: usize = 256 * 1024;
/// The most objects and arrays inside one another; the event itself is the first.
pub(super) const EVENT_MAX_DEPTH: usize = 64;
/// The longest `id`, in characters.
pub(super) const ID_MAX_CHARACTERS: usize = 128;

/// Why a line was not taken as an event; of its content the message repeats an unknown type at most.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejection {
    /// Over [`EVENT_MAX_BYTES`].
    #[error("the event is {bytes} bytes long; the most is {EVENT_MAX_BYTES}")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Over [`EVENT_MAX_DEPTH`].
    #[error("objects and arrays are nested deeper than {EVENT_MAX_DEPTH}")]
    TooDeep,
    /// Not UTF-8.
    #[error("the line is not valid UTF-8 from byte {column} on")]
    NotUtf8 {
        /// The first bad byte, from 1.
        column: usize,
    },
    /// Not JSON.
    #[error("the line is not JSON: {what} at column {column}")]
    NotJson {
        /// In bytes, from 1.
        column: usize,
        /// What was expected.
        what: &'static str,
    },
    /// JSON, but no object.
    #[error("an event is a JSON object")]
    NotAnObject,
    /// A required member twice.
    #[error("\"{0}\" is there twice; readers would disagree about which one counts")]
    DuplicateKey(&'static str),
    /// `id` absent or unfit.
    #[error("\"id\" must be a string of 1 to {ID_MAX_CHARACTERS} characters")]
    InvalidId,
    /// `type` absent or no string.
    #[error("\"type\" must be a string: one of the 16 event types, such as AUTHENTICATION")]
    InvalidType,
    /// `type` is none of the 16.
    #[error(transparent)]
    UnknownType(#[from] UnknownEventType),
    /// `timestamp` absent or unfit.
    #[error("\"timestamp\" must be a string with an RFC 3339 date and time, such as 2026-01-31T12:00:00Z")]
    InvalidTimestamp,
}

impl Rejection {
    /// The constant that producers and metrics see.
    pub(super) const fn reason(&self) -> RejectionReason {
        match self {
            Self::TooLarge { .. } => RejectionReason::TooLarge,
            Self::TooDeep => RejectionReason::TooDeep,
            Self::NotUtf8 { .. } => RejectionReason::InvalidUtf8,
            Self::NotJson { .. } => RejectionReason::InvalidJson,
            Self::NotAnObject => RejectionReason::NotAnObject,
            Self::DuplicateKey(_) => RejectionReason::DuplicateField,
            Self::InvalidId => RejectionReason::InvalidId,
            Self::InvalidType | Self::UnknownType(_) => RejectionReason::UnknownType,
            Self::InvalidTimestamp => RejectionReason::InvalidTimestamp,
        }
    }
}

impl From<JsonError> for Rejection {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Syntax { column, what } => Self::NotJson { column, what },
            JsonError::TooDeep => Self::TooDeep,
        }
    }
}

/// A required member: not seen, seen with another kind of value, or its string.
#[derive(Clone, Copy)]
enum Member<'a> {
    Absent,
    NotText,
    Text(Text<'a>),
}

/// The type of the event on this line, which has no line end.
///
/// # Errors
/// The first thing that keeps it from being an event.
pub(super) fn parse(line: &[u8]) -> Result<EventType, Rejection> {
    if line.len() > EVENT_MAX_BYTES {
        return Err(Rejection::TooLarge { bytes: line.len() });
    }
    if let Err(error) = std::str::from_utf8(line) {
        return Err(Rejection::NotUtf8 { column: error.valid_up_to() + 1 });
    }
    let mut reader = Reader::new(line, EVENT_MAX_DEPTH);
    if reader.peek() != Some(b'{') {
        reader.value()?;
        reader.end()?;
        return Err(Rejection::NotAnObject);
    }
    let mut members = [("id", Member::Absent), ("type", Member::Absent), ("timestamp", Member::Absent)];
    let mut duplicate = None;
    reader.object(|reader, key| {
        let key = key.decoded();
        let wanted = members.iter_mut().find(|(name, _)| key.as_deref() == Some(*name));
        let Some((name, member)) = wanted else { return reader.value() };
        if !matches!(member, Member::Absent) {
            duplicate = Some(*name);
        }
        *member = reader.text_or_skip()?.map_or(Member::NotText, Member::Text);
        Ok(())
    })?;
    reader.end()?;
    if let Some(name) = duplicate {
        return Err(Rejection::DuplicateKey(name));
    }
    let [(_, id), (_, event_type), (_, timestamp)] = members;
    check_id(id)?;
    let event_type = parse_type(event_type)?;
    check_timestamp(timestamp)?;
    Ok(event_type)
}

fn check_id(id: Member<'_>) -> Result<(), Rejection> {
    let Member::Text(text) = id else { return Err(Rejection::InvalidId) };
    let id = text.decoded().ok_or(Rejection::InvalidId)?;
    let fits = !id.is_empty() && id.chars().nth(ID_MAX_CHARACTERS).is_none();
    if fits { Ok(()) } else { Err(Rejection::InvalidId) }
}

fn parse_type(event_type: Member<'_>) -> Result<EventType, Rejection> {
    let Member::Text(text) = event_type else { return Err(Rejection::InvalidType) };
    Ok(text.decoded().ok_or(Rejection::InvalidType)?.parse()?)
}

fn check_timestamp(timestamp: Member<'_>) -> Result<(), Rejection> {
    let Member::Text(text) = timestamp else { return Err(Rejection::InvalidTimestamp) };
    let fits = text.decoded().is_some_and(|text| rfc3339::is_date_time(&text));
    if fits { Ok(()) } else { Err(Rejection::InvalidTimestamp) }
}

#[cfg(test)]
mod tests {
    use super::RejectionReason as Reason;
    use super::*;

    const TAIL: &str = r#""type":"AUDIT","timestamp":"2026-01-31T12:00:00Z""#;

    fn reason(line: &str) -> Reason {
        parse(line.as_bytes()).expect_err(line).reason()
    }

    #[test]
    fn an_event_needs_an_id_a_known_type_and_a_timestamp_and_may_hold_anything_else() {
        for (line, expected) in [
            (r#"{"id":"1","type":"TOOL_CALL","timestamp":"2026-01-31T12:00:00Z"}"#, EventType::ToolCall),
            (
                r#" {"x":[{"id":1}],"timestamp":"2026-01-31T12:00:00+01:00","type":"AUDIT","id":"é"} "#,
                EventType::Audit,
            ),
            (
                r#"{"\u0069d":"1","t\u0079pe":"\u0041UDIT","timestamp":"2026-01-31T12:00:00Z","n":1e999}"#,
                EventType::Audit,
            ),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(expected), "{line}");
        }
    }

    #[test]
    fn a_line_that_is_no_event_is_rejected_with_its_reason() {
        for (line, expected) in [
            ("[]".to_owned(), Reason::NotAnObject),
            ("7".to_owned(), Reason::NotAnObject),
            ("{".to_owned(), Reason::InvalidJson),
            ("{}{}".to_owned(), Reason::InvalidJson),
            ("hello".to_owned(), Reason::InvalidJson),
            (format!("{{{TAIL}}}"), Reason::InvalidId),
            (format!(r#"{{"id":"",{TAIL}}}"#), Reason::InvalidId),
            (format!(r#"{{"id":1,{TAIL}}}"#), Reason::InvalidId),
            (format!(r#"{{"id":"\ud800",{TAIL}}}"#), Reason::InvalidId),
            (format!(r#"{{"id":"{}",{TAIL}}}"#, "é".repeat(129)), Reason::InvalidId),
            (format!(r#"{{"id":"1","id":"1",{TAIL}}}"#), Reason::DuplicateField),
            (format!(r#"{{"id":"1","i\u0064":"2",{TAIL}}}"#), Reason::DuplicateField),
            (format!(r#"{{"id":"1",{TAIL},"type":7}}"#), Reason::DuplicateField),
            (r#"{"id":"1","timestamp":"2026-01-31T12:00:00Z"}"#.to_owned(), Reason::UnknownType),
            (
                r#"{"id":"1","type":"audit","timestamp":"2026-01-31T12:00:00Z"}"#.to_owned(),
                Reason::UnknownType,
            ),
            (r#"{"id":"1","type":"AUDIT","timestamp":"yesterday"}"#.to_owned(), Reason::InvalidTimestamp),
            (r#"{"id":"1","type":"AUDIT"}"#.to_owned(), Reason::InvalidTimestamp),
        ] {
            assert_eq!(reason(&line), expected, "{line}");
        }
        assert!(parse(format!(r#"{{"id":"{}",{TAIL}}}"#, "é".repeat(128)).as_bytes()).is_ok());
        assert_eq!(parse(b"{\"id\":\"\xff\"}").map_err(|r| r.reason()), Err(Reason::InvalidUtf8));
    }

    #[test]
    fn the_limits_are_exact() {
        let of_length = |length: usize| {
            let frame = format!(r#"{{"id":"1",{TAIL},"x":""}}"#).len();
            format!(r#"{{"id":"1",{TAIL},"x":"{}"}}"#, "x".repeat(length - frame))
        };
        assert!(parse(of_length(EVENT_MAX_BYTES).as_bytes()).is_ok());
        assert_eq!(reason(&of_length(EVENT_MAX_BYTES + 1)), Reason::TooLarge);
        let of_depth = |depth: usize| {
            format!(r#"{{"id":"1",{TAIL},"x":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
        };
        assert!(parse(of_depth(EVENT_MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(reason(&of_depth(EVENT_MAX_DEPTH + 1)), Reason::TooDeep);
    }

    #[test]
    fn an_unknown_type_is_answered_with_the_nearest() {
        let line = r#"{"id":"1","type":"TOOLCALL","timestamp":"2026-01-31T12:00:00Z"}"#;
        let message = parse(line.as_bytes()).expect_err("unknown").to_string();
        assert!(message.contains("did you mean TOOL_CALL?"), "{message}");
    }
}
