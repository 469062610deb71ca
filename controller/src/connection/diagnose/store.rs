//! The table's rows for the customer's store.

use barndoor_crds::aws::Partition;
use barndoor_crds::place::{Place, Region};
use barndoor_crds::reason::Reason;

use super::super::failure::{Answer, Transport, TransportKind};
use super::super::guard::{Cause, Forbidden};
use super::{CLOCK_OF_CONTROLLER, Context, Operation, Row, WAIT, is_throttling, row, words_of};

pub(super) fn transport(transport: &Transport, place: &Place) -> Row {
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
        TransportKind::Forbidden(Forbidden::PlainHttp | Forbidden::Unresolved(Cause::PlainHttp)) => row(
            Reason::EndpointForbidden,
            format!(
                "the endpoint {endpoint} uses plain http, and does not lead to an address that the operator allows for it"
            ),
            "Use https, or ask the operator to allow this endpoint with --allow-endpoint.",
        ),
        TransportKind::Forbidden(
            Forbidden::RoleOutsideAws | Forbidden::Unresolved(Cause::RoleOutsideAws),
        ) => row(
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

pub(super) fn answer(operation: Operation, answer: &Answer, context: &Context<'_>) -> Row {
    let message = words_of(answer);
    let lower = message.to_ascii_lowercase();
    let region = bucket_region(answer);
    let elsewhere =
        region.as_ref().is_some_and(|region| region.as_str() != context.place.region.for_signing());
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
        // S3 explains every 503 with SlowDown; HEAD answers, and balancers in front of a store, leave the words out.
        (_, 429) | ("", 503) => row(Reason::Throttled, message, WAIT),
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
    let Place { endpoint, bucket, region, .. } = context.place;
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
            let suffix = if Partition::of_region(region.as_str()) == Partition::AwsCn { ".cn" } else { "" };
            format!(
                "The bucket {} is in {region}: set region to {region} and endpoint to https://s3.{region}.amazonaws.com{suffix}.",
                place.bucket
            )
        }
        Some(region) => format!("The bucket {} is in {region}: set region to {region}.", place.bucket),
        None => format!(
            "The bucket {} is not in {}: look its region up in the store's console and enter that region and its endpoint.",
            place.bucket,
            place.region.for_signing()
        ),
    };
    row(Reason::WrongRegion, message, remedy)
}

fn kms_denied(message: String, context: &Context<'_>) -> Row {
    let who = context.role.map_or_else(|| "the access key's user".to_owned(), |role| role.arn.to_string());
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
    let Place { bucket, prefix, region, .. } = context.place;
    let partition = context
        .role
        .map_or_else(|| Partition::of_region(region.as_str()), |role| role.arn.partition())
        .name();
    let who = context.role.map_or_else(|| "the access key's user".to_owned(), |role| role.arn.to_string());
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
