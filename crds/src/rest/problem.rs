//! Errors as problem+json (RFC 9457) that older clients can show too.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ingest::RejectedLine;

/// The body of every error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem; `about:blank` when `status` says it all.
    #[serde(rename = "type", default = "about_blank")]
    pub problem_type: String,
    /// The status in words.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// Why, as a constant.
    #[serde(default)]
    pub reason: String,
    /// What happened.
    #[serde(default)]
    pub detail: String,
    /// The detail with its remedy: what older clients show, cut at 512 bytes.
    #[serde(default)]
    pub message: String,
    /// The field of the request that it is about, when it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The lines of an ingest body that are not events, when none is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<RejectedLine>,
}

/// The media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

fn about_blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// A problem of this status; `remedy` may be empty.
    pub fn new(status: u16, title: &str, reason: &str, detail: &str, remedy: &str) -> Self {
        let message = if remedy.is_empty() { detail.to_owned() } else { format!("{detail}: {remedy}") };
        Self {
            problem_type: about_blank(),
            title: title.to_owned(),
            status,
            reason: reason.to_owned(),
            detail: detail.to_owned(),
            message,
            field: None,
            rejected: Vec::new(),
        }
    }
}
