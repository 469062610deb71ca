//! Who signed a request: Signature Version 4, recomputed, with S3's and STS's own words for each way it can be wrong.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::account::{Account, Identity, Kind};
use super::answer::Refusal;
use super::{Call, REGION};
use crate::crypto::sha256_hex;
use crate::sigv4::{Authorization, Request};

/// S3 and STS refuse clocks that differ by more (S3 developer guide: RequestTimeTooSkewed).
const SKEW_LIMIT_SECONDS: i64 = 15 * 60;

/// The service whose scope a request must be signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    S3,
    Sts,
}

impl Service {
    const fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Sts => "sts",
        }
    }
}

/// The identity that signed the request.
pub(super) fn authenticate(account: &Account, service: Service, call: &Call) -> Result<Identity, Refusal> {
    let Some(header) = call.header("authorization") else {
        return Err(match service {
            Service::S3 => Refusal::new(403, "AccessDenied", "Access Denied"),
            Service::Sts => {
                Refusal::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
            }
        });
    };
    let Some(authorization) = Authorization::parse(header) else {
        return Err(Refusal::new(
            400,
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed.",
        ));
    };
    check_scope(service, &authorization)?;
    check_clock(call)?;
    let unknown = || match service {
        Service::S3 => Refusal::new(
            403,
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        ),
        Service::Sts => invalid_token(403, "InvalidClientTokenId"),
    };
    let identity = account.identity(&authorization.access_key_id).ok_or_else(unknown)?;
    if let Kind::Session { token, expires, .. } = &identity.kind {
        if call.header("x-amz-security-token") != Some(token) {
            return Err(match service {
                Service::S3 => {
                    Refusal::new(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
                }
                Service::Sts => invalid_token(403, "InvalidClientTokenId"),
            });
        }
        if *expires <= Timestamp::now() {
            return Err(Refusal::new(400, "ExpiredToken", "The provided token has expired."));
        }
    }
    check_signature(service, call, &authorization, identity)?;
    Ok(identity.clone())
}

fn check_scope(service: Service, authorization: &Authorization) -> Result<(), Refusal> {
    if authorization.service != service.name() {
        let message = format!("Credential should be scoped to correct service: '{}'.", service.name());
        return Err(match service {
            Service::S3 => Refusal::new(400, "AuthorizationHeaderMalformed", &message),
            Service::Sts => Refusal::new(403, "SignatureDoesNotMatch", &message),
        });
    }
    if authorization.region != REGION {
        let message = format!(
            "The authorization header is malformed; the region '{}' is wrong; expecting '{REGION}'",
            authorization.region
        );
        return Err(match service {
            Service::S3 => Refusal::new(400, "AuthorizationHeaderMalformed", &message),
            Service::Sts => {
                Refusal::new(403, "SignatureDoesNotMatch", "Credential should be scoped to a valid region.")
            }
        });
    }
    Ok(())
}

fn check_clock(call: &Call) -> Result<(), Refusal> {
    let skewed = || {
        Refusal::new(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
    };
    let signed_at = call
        .header("x-amz-date")
        .and_then(|text| DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok())
        .and_then(|at| at.to_zoned(TimeZone::UTC).ok())
        .ok_or_else(skewed)?;
    let apart = signed_at.timestamp().as_second().abs_diff(Timestamp::now().as_second());
    if apart > SKEW_LIMIT_SECONDS.unsigned_abs() { Err(skewed()) } else { Ok(()) }
}

fn check_signature(
    service: Service,
    call: &Call,
    authorization: &Authorization,
    identity: &Identity,
) -> Result<(), Refusal> {
    let actual = sha256_hex(call.request.body());
    let payload = match (service, call.header("x-amz-content-sha256")) {
        (Service::Sts, _) => actual.clone(),
        (Service::S3, Some(payload)) => payload.to_owned(),
        (Service::S3, None) => {
            return Err(Refusal::new(
                400,
                "InvalidRequest",
                "Missing required header for this request: x-amz-content-sha256",
            ));
        }
    };
    // S3: the host and every x-amz-* header that is sent must be signed.
    let unsigned = call.request.headers().keys().map(http::HeaderName::as_str).find(|name| {
        (name.starts_with("x-amz-") || *name == "host")
            && !authorization.signed_headers.iter().any(|signed| signed == name)
    });
    let request = Request {
        method: call.request.method().as_str(),
        path: call.request.uri().path(),
        query: call.request.uri().query().unwrap_or_default(),
        headers: call.request.headers(),
        payload: &payload,
    };
    if unsigned.is_some() || !authorization.is_by(&identity.secret, request) {
        return Err(Refusal::new(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
        ));
    }
    let is_hash = payload.len() == 64;
    if is_hash && payload != actual {
        return Err(Refusal::new(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ));
    }
    Ok(())
}

fn invalid_token(status: u16, code: &str) -> Refusal {
    Refusal::new(status, code, "The security token included in the request is invalid.")
}
