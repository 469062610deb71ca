//! The S3 calls that an export and its reader make: signature, bucket, region, permission, then the call itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

use super::account::{Account, Identity, Object};
use super::answer::{Refusal, escape, response};
use super::authenticate::{Service, authenticate};
use super::fault::Operation;
use super::policy::Question;
use super::{Call, Dialect, REGION};
use crate::crypto::md5_base64;

type Judged = Result<Response<Full<Bytes>>, Refusal>;

/// S3 API reference, ListObjectsV2: keys in one answer.
const PAGE: usize = 1_000;

pub(super) fn answer(account: &mut Account, dialect: Dialect, call: &Call) -> Judged {
    if dialect == Dialect::Gcs {
        refuse_for_gcs(call)?;
    }
    let caller = authenticate(account, Service::S3, call)?;
    let Some(bucket) = account.buckets.get(&call.bucket) else {
        return Err(Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist"));
    };
    if bucket.region != REGION {
        return Err(Refusal::elsewhere(&bucket.region));
    }
    authorize(account, &caller, call)?;
    match call.operation {
        Operation::PutObject => put_object(account, dialect, call),
        Operation::GetObject => get_object(account, call),
        Operation::DeleteObject => {
            bucket_of(account, call)?.objects.remove(&call.key);
            Ok(response(StatusCode::NO_CONTENT, "application/xml", String::new()))
        }
        Operation::HeadBucket => {
            let mut head = response(StatusCode::OK, "application/xml", String::new());
            head.headers_mut().insert("x-amz-bucket-region", REGION.parse().expect("a header value"));
            Ok(head)
        }
        Operation::GetBucketLocation => {
            // S3 API reference: us-east-1 is the empty location.
            let body =
                "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></LocationConstraint>";
            Ok(response(StatusCode::OK, "application/xml", body.to_owned()))
        }
        Operation::ListObjects => list_objects(account, call),
        Operation::AssumeRole | Operation::GetCallerIdentity | Operation::Unknown => Err(Refusal::new(
            405,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        )),
    }
}

fn bucket_of<'a>(account: &'a mut Account, call: &Call) -> Result<&'a mut super::account::Bucket, Refusal> {
    let missing = || Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist");
    account.buckets.get_mut(&call.bucket).ok_or_else(missing)
}

fn authorize(account: &Account, caller: &Identity, call: &Call) -> Result<(), Refusal> {
    let action = match call.operation {
        Operation::PutObject => "s3:PutObject",
        Operation::GetObject => "s3:GetObject",
        Operation::DeleteObject => "s3:DeleteObject",
        Operation::HeadBucket | Operation::ListObjects => "s3:ListBucket",
        Operation::GetBucketLocation => "s3:GetBucketLocation",
        Operation::AssumeRole | Operation::GetCallerIdentity | Operation::Unknown => return Ok(()),
    };
    let resource = if call.key.is_empty() {
        format!("arn:aws:s3:::{}", call.bucket)
    } else {
        format!("arn:aws:s3:::{}/{}", call.bucket, call.key)
    };
    let prefix = call.query("prefix").unwrap_or_default();
    demand(account, caller, action, &resource, &[("s3:prefix", &prefix)])?;
    let kms_key = account.buckets.get(&call.bucket).and_then(|bucket| bucket.kms_key_arn.as_deref());
    if let (Operation::PutObject, Some(kms_key)) = (call.operation, kms_key) {
        let via = format!("s3.{REGION}.amazonaws.com");
        demand(account, caller, "kms:GenerateDataKey", kms_key, &[("kms:viaservice", &via)])?;
    }
    Ok(())
}

fn demand(
    account: &Account,
    caller: &Identity,
    action: &str,
    resource: &str,
    context: &[(&str, &str)],
) -> Result<(), Refusal> {
    account.judge(caller, &Question { action, resource, context }).map_err(|who| {
        let message = format!(
            "User: {} is not authorized to perform: {action} on resource: \"{resource}\" because {who} allows the {action} action",
            caller.arn
        );
        Refusal::new(403, "AccessDenied", &message)
    })
}

/// Google, XML API reference and "Migrate from Amazon S3": no chunked signing or trailing checksums, preconditions
/// only in its own headers.
fn refuse_for_gcs(call: &Call) -> Result<(), Refusal> {
    let foreign = call.request.headers().keys().map(http::HeaderName::as_str).find(|name| {
        name.starts_with("x-amz-checksum-")
            || *name == "x-amz-sdk-checksum-algorithm"
            || *name == "x-amz-trailer"
    });
    let chunked = call.header("content-encoding").is_some_and(|encoding| encoding.contains("aws-chunked"))
        || call.header("x-amz-content-sha256").is_some_and(|payload| payload.starts_with("STREAMING-"));
    if foreign.is_some() || chunked {
        return Err(Refusal::new(
            403,
            "SignatureDoesNotMatch",
            "Access denied. The request signature we calculated does not match the signature you provided.",
        ));
    }
    let conditional = ["if-none-match", "if-match"].into_iter().find(|name| call.header(name).is_some());
    if call.operation == Operation::PutObject && conditional.is_some() {
        return Err(Refusal::new(
            501,
            "NotImplemented",
            "A header or query you provided requested a function that is not implemented.",
        ));
    }
    Ok(())
}

fn put_object(account: &mut Account, dialect: Dialect, call: &Call) -> Judged {
    let body = call.request.body();
    if call.header("content-length").is_none() {
        return Err(Refusal::new(
            411,
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        ));
    }
    if let Some(md5) = call.header("content-md5") {
        if STANDARD.decode(md5).map_or(0, |bytes| bytes.len()) != 16 {
            return Err(Refusal::new(400, "InvalidDigest", "The Content-MD5 you specified was invalid."));
        }
        if md5 != md5_base64(body) {
            return Err(Refusal::new(
                400,
                "BadDigest",
                "The Content-MD5 you specified did not match what we received.",
            ));
        }
    }
    if call.header("x-amz-content-sha256").is_some_and(|payload| payload.starts_with("STREAMING-")) {
        return Err(Refusal::new(501, "NotImplemented", "The stub does not take chunked uploads."));
    }
    let bucket = bucket_of(account, call)?;
    match (dialect, call.header("if-none-match")) {
        (Dialect::Aws, Some("*")) if bucket.objects.contains_key(&call.key) => {
            return Err(Refusal::new(
                412,
                "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold",
            ));
        }
        // S3 API reference, PutObject: the only value is *.
        (Dialect::Aws, Some(other)) if other != "*" => {
            return Err(Refusal::new(501, "NotImplemented", "If-None-Match takes * only."));
        }
        (Dialect::Aws | Dialect::Gcs | Dialect::IgnoresPreconditions, _) => {}
    }
    let metadata = call
        .request
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"))
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let content_type = call.header("content-type").unwrap_or("binary/octet-stream").to_owned();
    bucket.store(&call.key, Object { body: body.clone(), content_type, metadata });
    let mut stored = response(StatusCode::OK, "application/xml", String::new());
    stored
        .headers_mut()
        .insert("etag", "\"00000000000000000000000000000000\"".parse().expect("a header value"));
    Ok(stored)
}

fn get_object(account: &mut Account, call: &Call) -> Judged {
    let Some(object) = bucket_of(account, call)?.objects.get(&call.key) else {
        return Err(Refusal::new(404, "NoSuchKey", "The specified key does not exist."));
    };
    let mut found = Response::builder().status(StatusCode::OK).header("content-type", &object.content_type);
    for (name, value) in &object.metadata {
        found = found.header(name, value);
    }
    Ok(found.body(Full::new(object.body.clone())).expect("stored headers were headers"))
}

fn list_objects(account: &mut Account, call: &Call) -> Judged {
    let prefix = call.query("prefix").unwrap_or_default();
    let after = call.query("continuation-token").or_else(|| call.query("start-after")).unwrap_or_default();
    let page = call.query("max-keys").and_then(|text| text.parse().ok()).unwrap_or(PAGE).min(PAGE);
    let bucket = bucket_of(account, call)?;
    let mut matching =
        bucket.objects.iter().filter(|(key, _)| key.starts_with(&prefix) && key.as_str() > after.as_str());
    let shown: Vec<(&String, &Object)> = matching.by_ref().take(page).collect();
    let more = matching.next().is_some();
    let entry = |(key, object): &(&String, &Object)| {
        format!("<Contents><Key>{}</Key><Size>{}</Size></Contents>", escape(key), object.body.len())
    };
    let contents = shown.iter().map(entry).collect::<Vec<_>>().concat();
    let next = match shown.last() {
        Some((key, _)) if more => format!("<NextContinuationToken>{}</NextContinuationToken>", escape(key)),
        Some(_) | None => String::new(),
    };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name><Prefix>{}</Prefix><KeyCount>{}</KeyCount><MaxKeys>{page}</MaxKeys><IsTruncated>{more}</IsTruncated>{contents}{next}</ListBucketResult>",
        escape(&call.bucket),
        escape(&prefix),
        shown.len(),
    );
    Ok(response(StatusCode::OK, "application/xml", body))
}
