//! One table: what was asked and what came back → reason, message, remedy. Pure.
//!
//! A stranger's words reach a user only through here, and only as the parsed code and message of an answer.

use barndoor_crds::aws::{ExternalId, RoleArn};
use barndoor_crds::place::Place;
use barndoor_crds::reason::Reason;

use super::failure::{Answer, Failure, NotSendable, WORDS_MAX_BYTES, printable};
use crate::exporter::store::Issue;

mod store;
mod sts;

/// What was asked of AWS or of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Mint credentials.
    AssumeRole,
    /// See the bucket.
    HeadBucket,
    /// List one key.
    ListObjects,
    /// Ask where the bucket is.
    GetBucketLocation,
    /// Store an object.
    PutObject,
    /// Remove the write check's object.
    DeleteObject,
}

impl Operation {
    /// The API's own name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AssumeRole => "AssumeRole",
            Self::HeadBucket => "HeadBucket",
            Self::ListObjects => "ListObjectsV2",
            Self::GetBucketLocation => "GetBucketLocation",
            Self::PutObject => "PutObject",
            Self::DeleteObject => "DeleteObject",
        }
    }
}

/// What a remedy may name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// Where objects go.
    pub(crate) place: &'a Place,
    /// The role, in role mode.
    pub(crate) role: Option<RoleContext<'a>>,
}

/// What a remedy may name in role mode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoleContext<'a> {
    /// The customer's role.
    pub(crate) arn: &'a RoleArn,
    /// Who assumes it, when known.
    pub(crate) principal_arn: Option<&'a str>,
    /// The destination's External ID.
    pub(crate) external_id: &'a ExternalId,
}

struct Row {
    reason: Reason,
    message: String,
    remedy: String,
}

/// What a failure means and what to do about it.
pub(crate) fn diagnose(operation: Operation, failure: &Failure, context: &Context<'_>) -> Issue {
    let (row, code) = match (failure, operation) {
        (Failure::NotSendable(cause), _) => (not_sendable(cause), None),
        (Failure::Transport(transport), Operation::AssumeRole) => (sts::transport(transport), None),
        (Failure::Transport(transport), _) => (store::transport(transport, context.place), None),
        (Failure::Answered(answer), Operation::AssumeRole) => {
            (sts::answer(answer, context), answer.code.clone())
        }
        (Failure::Answered(answer), _) => (store::answer(operation, answer, context), answer.code.clone()),
    };
    let Row { reason, message, remedy } = row;
    Issue { operation: operation.name(), reason, code, message: printable(&message, WORDS_MAX_BYTES), remedy }
}

fn row(reason: Reason, message: impl Into<String>, remedy: impl Into<String>) -> Row {
    Row { reason, message: message.into(), remedy: remedy.into() }
}

fn not_sendable(cause: &NotSendable) -> Row {
    match cause {
        NotSendable::NoIdentity => row(
            Reason::AssumeRoleDenied,
            "the controller has no AWS identity of its own, so it cannot assume a role",
            "Ask the operator to give the controller AWS credentials, or switch this destination to access keys.",
        ),
        NotSendable::IdentityUnavailable(words) => row(
            Reason::AssumeRoleDenied,
            format!("the controller's own AWS credentials could not be loaded: {words}"),
            "Ask the operator to look at the controller's AWS credentials; nothing in your account needs to change.",
        ),
        NotSendable::Malformed(words) => row(
            Reason::StoreError,
            format!("the request could not be made: {words}"),
            "Check the endpoint, region and bucket of the destination.",
        ),
    }
}

const WAIT: &str = "Nothing to do: it is tried again by itself, more slowly.";
const CLOCK_OF_CONTROLLER: &str =
    "Ask the operator to correct the controller's clock (NTP); then compare the store's clock.";

fn is_throttling(code: &str) -> bool {
    code.starts_with("SlowDown")
        || code.starts_with("Throttl")
        || matches!(
            code,
            "TooManyRequests"
                | "TooManyRequestsException"
                | "RequestLimitExceeded"
                | "RequestThrottled"
                | "BandwidthLimitExceeded"
        )
}

/// `Code: message`, as a banner shows it.
fn words_of(answer: &Answer) -> String {
    let Answer { status, code, message, bucket_region: _ } = answer;
    match (code.as_deref().filter(|c| !c.is_empty()), message.as_deref().filter(|m| !m.is_empty())) {
        (Some(code), Some(message)) if message.starts_with(code) => message.to_owned(),
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(only), None) | (None, Some(only)) => format!("{only} (HTTP status {status})"),
        (None, None) => format!("HTTP status {status} without an explanation"),
    }
}

#[cfg(test)]
mod tests;
