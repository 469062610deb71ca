//! Every error answer: problem+json (RFC 9457) with what older clients show.

use axum::Json;
use axum::response::{IntoResponse, Response};
use barndoor_crds::rest::problem::PROBLEM_JSON;
use barndoor_crds::rest::{Problem, RejectedLine};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::destinations::{AdjustError, StorageError};
use crate::event_log::LogError;

/// How long a client waits before it repeats what storage refused, in seconds.
const STORAGE_RETRY_AFTER_SECONDS: u32 = 5;

/// An answer, or why there is none.
pub(crate) type Answer<T> = Result<T, Refusal>;

/// Why a request was not done. Nothing changed unless its text says so.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    reason: String,
    detail: String,
    remedy: String,
    field: Option<&'static str>,
    retry_after_seconds: Option<u32>,
    rejected: Vec<RejectedLine>,
}

impl Refusal {
    /// A refusal with a constant reason and what happened.
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            status,
            reason: reason.into(),
            detail: detail.into(),
            remedy: String::new(),
            field: None,
            retry_after_seconds: None,
            rejected: Vec::new(),
        }))
    }

    /// 400 about one field of the request.
    pub(crate) fn field(field: &'static str, detail: impl Into<String>) -> Self {
        let mut refusal = Self::new(StatusCode::BAD_REQUEST, "InvalidField", detail);
        refusal.0.field = Some(field);
        refusal
    }

    /// 404, the same whether a thing is not there or not the caller's.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", detail)
    }

    /// Adds what to do.
    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = remedy.into();
        self
    }

    /// Adds when to come back.
    pub(crate) fn with_retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds the lines that were not taken.
    pub(crate) fn with_rejected(mut self, rejected: Vec<RejectedLine>) -> Self {
        self.0.rejected = rejected;
        self
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        tracing::error!(%error, "the destinations' storage failed");
        storage_unavailable()
    }
}

impl From<AdjustError> for Refusal {
    fn from(error: AdjustError) -> Self {
        match error {
            AdjustError::OtherVersion => {
                Self::new(StatusCode::CONFLICT, "ChangedMeanwhile", error.to_string())
                    .with_remedy("look at it, then try again")
            }
            AdjustError::Storage(error) => error.into(),
        }
    }
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        tracing::error!(%error, "the event log failed");
        storage_unavailable()
    }
}

/// The cause is the operator's business, and in the log.
fn storage_unavailable() -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "StorageUnavailable", "the storage below the API failed")
        .with_remedy("try again; the operator finds the cause in the log under this answer's x-request-id")
        .with_retry_after(STORAGE_RETRY_AFTER_SECONDS)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Parts { status, reason, detail, remedy, field, retry_after_seconds, rejected } = *self.0;
        let title = status.canonical_reason().unwrap_or("Error");
        let problem = Problem {
            field: field.map(str::to_owned),
            rejected,
            ..Problem::new(status.as_u16(), title, &reason, &detail, &remedy)
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"barndoor\""));
        }
        if let Some(seconds) = retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
