//! One table: what was asked and what came back → reason, message, remedy. Pure.
//!
//! A stranger's words reach a user only through here, and only as the parsed code and message of an answer.

use barndoor_crds::aws::{ExternalId, Partition, RoleArn};
use barndoor_crds::place::{Place, Region};
use barndoor_crds::reason::Reason;

use super::failure::{Answer, Failure, NotSendable, Transport, TransportKind, WORDS_MAX_BYTES, printable};
use super::guard::Forbidden;
use crate::exporter::store::Issue;

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
        (Failure::Transport(transport), Operation::AssumeRole) => (sts_transport(transport), None),
        (Failure::Transport(transport), _) => (store_transport(transport, context.place), None),
        (Failure::Answered(answer), Operation::AssumeRole) => {
            (sts_answer(answer, context), answer.code.clone())
        }
        (Failure::Answered(answer), _) => (store_answer(operation, answer, context), answer.code.clone()),
    };
    let Row {
        reason,
        message,
        remedy,
    } = row;
    Issue {
        operation: operation.name(),
        reason,
        code,
        message: printable(&message, WORDS_MAX_BYTES),
        remedy,
    }
}

fn row(reason: Reason, message: impl Into<String>, remedy: impl Into<String>) -> Row {
    Row {
        reason,
        message: message.into(),
        remedy: remedy.into(),
    }
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

fn sts_transport(transport: &Transport) -> Row {
    let reason = match transport.kind {
        TransportKind::Tls => Reason::TlsFailed,
        TransportKind::Forbidden(_)
        | TransportKind::Unresolved
        | TransportKind::ConnectFailed
        | TransportKind::TimedOut
        | TransportKind::Broken => Reason::EndpointUnreachable,
    };
    row(
        reason,
        format!(
            "AWS STS cannot be reached from the controller: {}",
            transport.words
        ),
        "Ask the operator to check the controller's network; nothing in your account needs to change.",
    )
}

fn store_transport(transport: &Transport, place: &Place) -> Row {
    let endpoint = &place.endpoint;
    let words = &transport.words;
    let addressing_hint = if place.uses_path_style() {
        ""
    } else {
        " If the store does not give every bucket a host name of its own, set addressing to Path."
    };
    match &transport.kind {
        TransportKind::Forbidden(Forbidden::NotPublic { class, .. }) => row(
            Reason::EndpointForbidden,
            format!("the endpoint {endpoint} leads to {class}, which the operator does not allow"),
            "Use an endpoint with a public address, or ask the operator to allow this one with --allow-endpoint.",
        ),
        TransportKind::Forbidden(Forbidden::PlainHttp(_)) => row(
            Reason::EndpointForbidden,
            format!("the endpoint {endpoint} uses plain http, which the operator does not allow"),
            "Use https, or ask the operator to allow this endpoint with --allow-endpoint.",
        ),
        TransportKind::Forbidden(Forbidden::RoleOutsideAws(_)) => row(
            Reason::EndpointForbidden,
            format!("the endpoint {endpoint} is not AWS, and IAM roles work with AWS only"),
            "Use an endpoint such as https://s3.us-east-1.amazonaws.com, or switch to access keys.",
        ),
        TransportKind::Unresolved => row(
            Reason::EndpointUnreachable,
            format!("the endpoint {endpoint} has a host name that does not resolve: {words}"),
            format!("Check the endpoint for a typo.{addressing_hint}"),
        ),
        TransportKind::ConnectFailed | TransportKind::TimedOut | TransportKind::Broken => row(
            Reason::EndpointUnreachable,
            format!("nothing answers at the endpoint {endpoint}: {words}"),
            "Check the endpoint and its port, and that the store accepts connections from the controller's network.",
        ),
        TransportKind::Tls => row(
            Reason::TlsFailed,
            format!("no trusted TLS connection to the endpoint {endpoint}: {words}"),
            format!(
                "Give the store a certificate for this host name from a public authority, or ask the operator to trust its authority with --ca-certificate.{addressing_hint}"
            ),
        ),
    }
}

fn sts_answer(answer: &Answer, context: &Context<'_>) -> Row {
    const OPERATORS: &str = "Ask the operator to renew the controller's own AWS credentials; nothing in your account needs to change.";
    let message = words_of(answer);
    let lower = message.to_ascii_lowercase();
    match (answer.code.as_deref().unwrap_or_default(), answer.status) {
        ("RequestTimeTooSkewed" | "RequestExpired", _) => {
            row(Reason::ClockSkewed, message, CLOCK_OF_CONTROLLER)
        }
        ("SignatureDoesNotMatch", _) if lower.contains("expired") || lower.contains("not yet current") => {
            row(Reason::ClockSkewed, message, CLOCK_OF_CONTROLLER)
        }
        (
            "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "UnrecognizedClientException",
            _,
        ) => row(Reason::AssumeRoleDenied, message, OPERATORS),
        (_, 429) => row(Reason::Throttled, message, WAIT),
        (code, _) if is_throttling(code) => row(Reason::Throttled, message, WAIT),
        (_, 500..) => row(Reason::StoreError, message, WAIT),
        ("RegionDisabledException", _) => row(
            Reason::AssumeRoleDenied,
            message,
            "Activate STS for this region in the account settings of IAM, in the account of the role.",
        ),
        ("MalformedPolicyDocument" | "PackedPolicyTooLarge", _) => row(
            Reason::StoreError,
            message,
            "Use a shorter bucket name or path prefix, and tell the operator.",
        ),
        (_, 0..=399) => row(
            Reason::StoreError,
            message,
            "Ask the operator to check AWS_ENDPOINT_URL_STS.",
        ),
        (_, 400..=499) => row(Reason::AssumeRoleDenied, message, trust_remedy(context, &lower)),
    }
}

/// AWS says the same for a wrong principal and for a wrong External ID, so the remedy names both.
fn trust_remedy(context: &Context<'_>, lower_message: &str) -> String {
    let Some(RoleContext {
        arn,
        principal_arn,
        external_id,
    }) = context.role
    else {
        return String::new();
    };
    let principal = principal_arn.unwrap_or("the Barndoor principal shown with this destination");
    if lower_message.contains("invalid externalid") || lower_message.contains("invalid external id") {
        return format!(
            "In the trust policy of {arn}, set the condition StringEquals sts:ExternalId to {external_id} exactly; it is stable for this destination. The Principal must be {{\"AWS\": \"{principal}\"}}."
        );
    }
    format!(
        "Check both in the trust policy of {arn}: its Principal must be {{\"AWS\": \"{principal}\"}} exactly, allowed sts:AssumeRole, and its condition StringEquals sts:ExternalId must be {external_id}. AWS gives the same answer for either, and for a role that does not exist."
    )
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

fn store_answer(operation: Operation, answer: &Answer, context: &Context<'_>) -> Row {
    let message = words_of(answer);
    let lower = message.to_ascii_lowercase();
    let region = bucket_region(answer);
    let elsewhere = region
        .as_ref()
        .is_some_and(|region| region.as_str() != context.place.region.for_signing());
    match (answer.code.as_deref().unwrap_or_default(), answer.status) {
        (_, 200..=299) => row(
            Reason::StoreError,
            format!("what answers at {} does not speak S3", context.place.endpoint),
            "Check the endpoint: it must be the store's S3 API, not its web console.",
        ),
        ("NoSuchBucket", _) => no_such_bucket(message, context),
        (
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "Redirect"
            | "IllegalLocationConstraintException"
            | "AuthorizationQueryParametersError",
            _,
        )
        | (_, 300..=399) => wrong_region(message, region.as_ref(), context),
        ("AuthorizationHeaderMalformed", _) if lower.contains("region") => {
            wrong_region(message, region.as_ref(), context)
        }
        (_, 400) if elsewhere => wrong_region(message, region.as_ref(), context),
        ("RequestTimeTooSkewed" | "RequestExpired", _) => {
            row(Reason::ClockSkewed, message, CLOCK_OF_CONTROLLER)
        }
        (code, _) if code.starts_with("KMS") || code.contains("KMS") || lower.contains("kms:") => {
            kms_denied(message, context)
        }
        ("ExpiredToken" | "ExpiredTokenException", _) if context.role.is_some() => {
            row(Reason::StoreError, message, WAIT)
        }
        (
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "InvalidSecurity"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "AuthorizationHeaderMalformed"
            | "MissingSecurityHeader",
            _,
        )
        | (_, 401) => invalid_key(message, context),
        (code, _) if is_throttling(code) => row(Reason::Throttled, message, WAIT),
        (_, 429) => row(Reason::Throttled, message, WAIT),
        ("ServiceUnavailable", 503) if lower.contains("reduce") => row(Reason::Throttled, message, WAIT),
        (
            "ObjectLocked"
            | "InvalidBucketState"
            | "InvalidRetentionPeriod"
            | "NoSuchObjectLockConfiguration",
            _,
        ) => object_lock(message),
        ("InvalidRequest" | "MissingContentMD5", _)
            if lower.contains("object lock")
                || lower.contains("content-md5")
                || lower.contains("x-amz-checksum") =>
        {
            object_lock(message)
        }
        (_, 403) => denied(operation, message, &lower, context),
        (_, 404) => no_such_bucket(message, context),
        (_, 500..) => row(
            Reason::StoreError,
            message,
            "It is tried again by itself; when it stays, look at the store's own status and logs.",
        ),
        (_, 0..=199 | 400..=499) => row(
            Reason::StoreError,
            message,
            "Look up the store's code in its documentation; Barndoor does not know it.",
        ),
    }
}

fn no_such_bucket(message: String, context: &Context<'_>) -> Row {
    let Place {
        endpoint,
        bucket,
        region,
        ..
    } = context.place;
    row(
        Reason::BucketNotFound,
        message,
        format!(
            "Check the bucket's name ({bucket}) for a typo, and that the bucket is behind {endpoint} in region {}; it may be in another region than entered.",
            region.for_signing()
        ),
    )
}

fn wrong_region(message: String, region: Option<&Region>, context: &Context<'_>) -> Row {
    let place = context.place;
    let remedy = match region {
        Some(region) if place.endpoint.is_aws() => {
            let suffix = if Partition::of_region(region.as_str()) == Partition::AwsCn {
                ".cn"
            } else {
                ""
            };
            format!(
                "The bucket {} is in {region}: set region to {region} and endpoint to https://s3.{region}.amazonaws.com{suffix}.",
                place.bucket
            )
        }
        Some(region) => format!(
            "The bucket {} is in {region}: set region to {region}.",
            place.bucket
        ),
        None => format!(
            "The bucket {} is not in {}: look its region up in the store's console and enter that region and its endpoint.",
            place.bucket,
            place.region.for_signing()
        ),
    };
    row(Reason::WrongRegion, message, remedy)
}

fn kms_denied(message: String, context: &Context<'_>) -> Row {
    let who = context
        .role
        .map_or_else(|| "the access key's user".to_owned(), |role| role.arn.to_string());
    row(
        Reason::KmsDenied,
        message,
        format!(
            "Allow {who} the actions kms:GenerateDataKey and kms:Decrypt on the bucket's KMS key, in the key policy and in the identity's own policy, and check that the key is enabled."
        ),
    )
}

fn invalid_key(message: String, context: &Context<'_>) -> Row {
    let remedy = if context.role.is_some() {
        "The store does not know AWS's temporary credentials: IAM roles work with AWS only. Use AWS's own endpoint, or switch to access keys."
    } else {
        "Paste Access Key ID and Secret Access Key again; check that the key is active and belongs to this store."
    };
    row(Reason::InvalidAccessKey, message, remedy)
}

fn object_lock(message: String) -> Row {
    row(
        Reason::ObjectLockRefused,
        message,
        "Check the bucket's Object Lock and default retention settings: they must let s3:PutObject through with a Content-MD5 header.",
    )
}

fn denied(operation: Operation, message: String, lower_message: &str, context: &Context<'_>) -> Row {
    let Place {
        bucket,
        prefix,
        region,
        ..
    } = context.place;
    let partition = context
        .role
        .map_or_else(
            || Partition::of_region(region.as_str()),
            |role| role.arn.partition(),
        )
        .name();
    let who = context
        .role
        .map_or_else(|| "the access key's user".to_owned(), |role| role.arn.to_string());
    let mut remedy = match operation {
        Operation::PutObject => {
            format!("Grant s3:PutObject on arn:{partition}:s3:::{bucket}/{prefix}* to {who}.")
        }
        Operation::DeleteObject => {
            format!(
                "Grant s3:DeleteObject on arn:{partition}:s3:::{bucket}/{prefix}* to {who}, or remove the object by hand."
            )
        }
        Operation::HeadBucket
        | Operation::ListObjects
        | Operation::GetBucketLocation
        | Operation::AssumeRole => {
            format!("Grant s3:ListBucket and s3:GetBucketLocation on arn:{partition}:s3:::{bucket} to {who}.")
        }
    };
    if lower_message.contains("explicit deny") {
        remedy.push_str(" An explicit deny overrides every grant: look for it in the bucket policy, permission boundaries and service control policies.");
    }
    let reason = match operation {
        Operation::PutObject | Operation::DeleteObject => Reason::WriteDenied,
        Operation::HeadBucket
        | Operation::ListObjects
        | Operation::GetBucketLocation
        | Operation::AssumeRole => Reason::HeadBucketDenied,
    };
    row(reason, message, remedy)
}

/// The region that the answer names, in its header or (as AWS does) in its words: "the region 'x' is wrong; expecting 'y'".
fn bucket_region(answer: &Answer) -> Option<Region> {
    let spoken = || {
        let (_, after) = answer.message.as_deref()?.split_once("expecting '")?;
        after.split_once('\'').map(|(region, _)| region)
    };
    answer
        .bucket_region
        .as_deref()
        .or_else(spoken)?
        .parse()
        .ok()
        .filter(|region: &Region| !region.as_str().is_empty())
}

/// `Code: message`, as a banner shows it.
fn words_of(answer: &Answer) -> String {
    let Answer {
        status,
        code,
        message,
        bucket_region: _,
    } = answer;
    match (
        code.as_deref().filter(|c| !c.is_empty()),
        message.as_deref().filter(|m| !m.is_empty()),
    ) {
        (Some(code), Some(message)) if message.starts_with(code) => message.to_owned(),
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(only), None) | (None, Some(only)) => format!("{only} (HTTP status {status})"),
        (None, None) => format!("HTTP status {status} without an explanation"),
    }
}

#[cfg(test)]
mod tests;
