//! AssumeRole and GetCallerIdentity of the STS query API, version 2011-06-15.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use jiff::{SignedDuration, Timestamp};

use super::Call;
use super::account::{Account, Identity, Kind, Role};
use super::answer::{Refusal, escape, response};
use super::authenticate::{Service, authenticate};
use super::policy::Policy;

/// STS API reference, AssumeRole: the plain text of a session policy, in characters.
const SESSION_POLICY_LIMIT: usize = 2_048;

/// STS API reference, AssumeRole: the default duration, in seconds.
const DEFAULT_SECONDS: u32 = 3_600;

pub(super) fn assume_role(account: &mut Account, call: &Call) -> Result<Response<Full<Bytes>>, Refusal> {
    let caller = authenticate(account, Service::Sts, call)?;
    let field = |name: &str| call.form.get(name).map(String::as_str);
    if field("Version") != Some("2011-06-15") {
        return Err(Refusal::new(
            400,
            "InvalidAction",
            "Could not find operation AssumeRole for the given version",
        ));
    }
    let role_arn = field("RoleArn").unwrap_or_default();
    let session_name = field("RoleSessionName").unwrap_or_default();
    check_text("roleArn", role_arn, 20, |byte| byte.is_ascii_graphic())?;
    check_text("roleSessionName", session_name, 2, |byte| {
        byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
    })?;
    let external_id = field("ExternalId");
    if let Some(external_id) = external_id {
        check_text("externalId", external_id, 2, |byte| {
            byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte)
        })?;
    }
    let session_policy = field("Policy").map(parse_session_policy).transpose()?;
    let seconds = field("DurationSeconds").map_or(Ok(DEFAULT_SECONDS), parse_seconds)?;

    // One answer for an unknown role, an untrusted principal and a wrong External ID: AWS does not tell them apart.
    let denied = || {
        let message = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
            caller.arn
        );
        Refusal::new(403, "AccessDenied", &message)
    };
    let role = account
        .role(role_arn)
        .filter(|role| trusts(role, &caller, external_id))
        .cloned()
        .ok_or_else(denied)?;
    if seconds > role.max_session_seconds {
        return Err(validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    let expires = Timestamp::now() + SignedDuration::from_secs(i64::from(seconds));
    let keys = account.open_session(&role, session_name, session_policy, expires);
    let caller =
        account.identity(&keys.access_key_id).map(|identity| identity.arn.clone()).unwrap_or_default();
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><AssumedRoleId>AROA0000000000000000:{session_name}</AssumedRoleId><Arn>{}</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
         <Expiration>{}</Expiration></Credentials><PackedPolicySize>10</PackedPolicySize></AssumeRoleResult>{METADATA}\
         </AssumeRoleResponse>",
        escape(&caller),
        keys.access_key_id,
        keys.secret_access_key,
        keys.session_token.unwrap_or_default(),
        expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
    );
    Ok(response(StatusCode::OK, "text/xml", body))
}

pub(super) fn get_caller_identity(account: &Account, call: &Call) -> Result<Response<Full<Bytes>>, Refusal> {
    let caller = authenticate(account, Service::Sts, call)?;
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>{}</Arn><UserId>AIDA0000000000000000</UserId><Account>{}</Account></GetCallerIdentityResult>{METADATA}\
         </GetCallerIdentityResponse>",
        escape(&caller.arn),
        caller.arn.split(':').nth(4).unwrap_or_default(),
    );
    Ok(response(StatusCode::OK, "text/xml", body))
}

const METADATA: &str =
    "<ResponseMetadata><RequestId>00000000-0000-4000-8000-000000000000</RequestId></ResponseMetadata>";

fn trusts(role: &Role, caller: &Identity, external_id: Option<&str>) -> bool {
    let principal = match &caller.kind {
        Kind::LongLived { .. } => assumed_role(&caller.arn).unwrap_or_else(|| caller.arn.clone()),
        Kind::Session { role_arn, .. } => role_arn.clone(),
    };
    role.trusted.contains(&principal)
        && (role.external_ids.is_empty()
            || external_id.is_some_and(|id| role.external_ids.iter().any(|wanted| wanted == id)))
}

/// The role behind `arn:aws:sts::<account>:assumed-role/<name>/<session>`.
fn assumed_role(arn: &str) -> Option<String> {
    let (head, tail) = arn.split_once(":assumed-role/")?;
    let name = tail.rsplit_once('/')?.0;
    Some(format!("{}:role/{name}", head.replacen(":sts:", ":iam:", 1)))
}

fn parse_session_policy(text: &str) -> Result<Policy, Refusal> {
    if text.chars().count() > SESSION_POLICY_LIMIT {
        return Err(validation(
            "1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to 2048",
        ));
    }
    Policy::parse(text).map_err(|error| Refusal::new(400, "MalformedPolicyDocument", &error.to_string()))
}

fn parse_seconds(text: &str) -> Result<u32, Refusal> {
    text.parse().ok().filter(|seconds| (900..=43_200).contains(seconds)).ok_or_else(|| {
        validation(
            "1 validation error detected: Value at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900",
        )
    })
}

fn check_text(field: &str, text: &str, least: usize, fits: fn(u8) -> bool) -> Result<(), Refusal> {
    // STS API reference: 64 for session names, 1224 for External IDs, 2048 for ARNs.
    let most = match field {
        "roleSessionName" => 64,
        "externalId" => 1_224,
        _ => 2_048,
    };
    if (least..=most).contains(&text.len()) && text.bytes().all(fits) {
        Ok(())
    } else {
        Err(validation(&format!(
            "1 validation error detected: Value '{text}' at '{field}' failed to satisfy constraint"
        )))
    }
}

fn validation(message: &str) -> Refusal {
    Refusal::new(400, "ValidationError", message)
}
