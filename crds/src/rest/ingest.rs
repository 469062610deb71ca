//! The answer to a batch of events.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST events/{org}`: what became of every line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IngestAnswer {
    /// Events that are durably in the event log.
    pub accepted: u64,
    /// The first one's sequence, as text because it may exceed what JSON readers keep of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "1201")]
    pub first: Option<String>,
    /// The last one's sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "1298")]
    pub last: Option<String>,
    /// Valid events that were not stored, because no destination of the organization ever wished to stream.
    pub not_kept: u64,
    /// Lines that are not events; the others were taken all the same. At most the first 1,000 are listed.
    pub rejected: Vec<RejectedLine>,
    /// How many lines are not events, listed or not.
    #[serde(default)]
    pub rejected_count: u64,
}

/// A line that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RejectedLine {
    /// Its number, counted from 1.
    pub line: u64,
    /// Why, as a constant.
    pub reason: RejectionReason,
    /// Why, in words.
    pub message: String,
}

/// Why a line is not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum RejectionReason {
    /// Longer than an event may be.
    TooLarge,
    /// Nested deeper than an event may be.
    TooDeep,
    /// Not valid UTF-8.
    InvalidUtf8,
    /// Not JSON.
    InvalidJson,
    /// JSON, but not an object.
    NotAnObject,
    /// `id` is missing, not text, empty or too long.
    InvalidId,
    /// `type` is missing or not one of the 16.
    UnknownType,
    /// `timestamp` is missing or not RFC 3339.
    InvalidTimestamp,
    /// A field that must be there once is there twice.
    DuplicateField,
}
