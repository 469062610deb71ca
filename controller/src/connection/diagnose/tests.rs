//! The table, row by row.

use barndoor_crds::place::{Addressing, Endpoint, PathPrefix, Scheme};
use proptest::prelude::*;

use super::super::failure::{Sent, Transport, TransportKind};
use super::super::guard::{Class, Forbidden};
use super::*;

const PRINCIPAL: &str = "arn:aws:iam::999999999999:role/barndoor";

const OPERATIONS: [Operation; 6] = [
    Operation::AssumeRole,
    Operation::HeadBucket,
    Operation::ListObjects,
    Operation::GetBucketLocation,
    Operation::PutObject,
    Operation::DeleteObject,
];

fn place(endpoint: &str) -> Place {
    Place {
        endpoint: Endpoint::parse(endpoint, Scheme::Https).expect("endpoint"),
        region: "us-east-1".parse().expect("region"),
        bucket: "acme-audit".parse().expect("bucket"),
        prefix: PathPrefix::default(),
        addressing: Addressing::Auto,
    }
}

fn answer(status: u16, code: &str, message: &str) -> Answer {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Answer { status, code: text(code), message: text(message), bucket_region: None }
}

fn with_keys(operation: Operation, failure: &Failure) -> Issue {
    diagnose(operation, failure, &Context { place: &place("s3.us-east-1.amazonaws.com"), role: None })
}

fn with_role(operation: Operation, failure: &Failure) -> Issue {
    let arn: RoleArn = "arn:aws:iam::123456789012:role/acme".parse().expect("role");
    let external_id = ExternalId::from_bytes([0xab; 32]);
    let role = RoleContext { arn: &arn, principal_arn: Some(PRINCIPAL), external_id: &external_id };
    diagnose(operation, failure, &Context { place: &place("s3.us-east-1.amazonaws.com"), role: Some(role) })
}

#[test]
fn every_known_answer_has_its_reason() {
    use Operation::{AssumeRole, GetBucketLocation, HeadBucket, PutObject};
    for (operation, status, code, message, reason) in [
        (HeadBucket, 403, "AccessDenied", "Access Denied", Reason::HeadBucketDenied),
        (HeadBucket, 403, "", "", Reason::HeadBucketDenied),
        (GetBucketLocation, 403, "AccessDenied", "Access Denied", Reason::HeadBucketDenied),
        (HeadBucket, 404, "", "", Reason::BucketNotFound),
        (HeadBucket, 404, "NoSuchBucket", "The specified bucket does not exist", Reason::BucketNotFound),
        (PutObject, 404, "NoSuchBucket", "", Reason::BucketNotFound),
        (HeadBucket, 301, "", "", Reason::WrongRegion),
        (PutObject, 301, "PermanentRedirect", "use the specified endpoint", Reason::WrongRegion),
        (
            HeadBucket,
            400,
            "AuthorizationHeaderMalformed",
            "the region 'a' is wrong; expecting 'b'",
            Reason::WrongRegion,
        ),
        (
            HeadBucket,
            400,
            "AuthorizationHeaderMalformed",
            "the Credential is mal-formed",
            Reason::InvalidAccessKey,
        ),
        (PutObject, 403, "AccessDenied", "Access Denied", Reason::WriteDenied),
        (PutObject, 403, "AccessDenied", "not authorized to perform: kms:GenerateDataKey", Reason::KmsDenied),
        (PutObject, 400, "KMS.DisabledException", "key is disabled", Reason::KmsDenied),
        (
            PutObject,
            400,
            "InvalidRequest",
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
            Reason::ObjectLockRefused,
        ),
        (PutObject, 403, "InvalidAccessKeyId", "does not exist", Reason::InvalidAccessKey),
        (HeadBucket, 403, "SignatureDoesNotMatch", "", Reason::InvalidAccessKey),
        (HeadBucket, 401, "", "", Reason::InvalidAccessKey),
        (PutObject, 403, "RequestTimeTooSkewed", "too large", Reason::ClockSkewed),
        (PutObject, 503, "SlowDown", "Please reduce your request rate.", Reason::Throttled),
        (HeadBucket, 503, "", "", Reason::Throttled),
        (PutObject, 429, "", "", Reason::Throttled),
        (PutObject, 500, "InternalError", "", Reason::StoreError),
        (PutObject, 200, "", "", Reason::StoreError),
        (PutObject, 418, "Teapot", "", Reason::StoreError),
        (
            AssumeRole,
            403,
            "AccessDenied",
            "not authorized to perform: sts:AssumeRole",
            Reason::AssumeRoleDenied,
        ),
        (AssumeRole, 400, "ValidationError", "", Reason::AssumeRoleDenied),
        (AssumeRole, 403, "ExpiredToken", "", Reason::AssumeRoleDenied),
        (AssumeRole, 403, "SignatureDoesNotMatch", "Signature expired: …", Reason::ClockSkewed),
        (AssumeRole, 400, "Throttling", "Rate exceeded", Reason::Throttled),
        (AssumeRole, 429, "", "", Reason::Throttled),
        (AssumeRole, 503, "ServiceUnavailable", "", Reason::StoreError),
    ] {
        let issue = with_role(operation, &Failure::Answered(answer(status, code, message)));
        assert_eq!(issue.reason, reason, "{operation:?} {status} {code}");
        assert!(!issue.remedy.is_empty(), "{operation:?} {status} {code}");
        assert_eq!(issue.code.as_deref().unwrap_or_default(), code);
    }
}

#[test]
fn a_message_is_the_stores_code_and_words() {
    let issue =
        with_keys(Operation::PutObject, &Failure::Answered(answer(403, "AccessDenied", "Access Denied")));
    assert_eq!((issue.operation, issue.message.as_str()), ("PutObject", "AccessDenied: Access Denied"));
    let issue = with_keys(Operation::HeadBucket, &Failure::Answered(answer(403, "", "")));
    assert_eq!(issue.message, "HTTP status 403 without an explanation");
}

#[test]
fn a_remedy_names_the_action_and_the_arn() {
    let denied = || Failure::Answered(answer(403, "AccessDenied", "explicit deny in a bucket policy"));
    let put = with_keys(Operation::PutObject, &denied()).remedy;
    assert!(put.contains("s3:PutObject on arn:aws:s3:::acme-audit/audit-events/*"), "{put}");
    assert!(put.contains("An explicit deny overrides"), "{put}");
    let head = with_role(Operation::HeadBucket, &denied()).remedy;
    assert!(head.contains("s3:ListBucket and s3:GetBucketLocation on arn:aws:s3:::acme-audit "), "{head}");
}

#[test]
fn a_refused_role_names_the_principal_and_the_external_id_since_aws_tells_neither() {
    let refused = answer(403, "AccessDenied", "User: x is not authorized to perform: sts:AssumeRole");
    let remedy = with_role(Operation::AssumeRole, &Failure::Answered(refused)).remedy;
    for part in [PRINCIPAL, "sts:ExternalId", &"ab".repeat(32), "trust policy", "Principal"] {
        assert!(remedy.contains(part), "{part}: {remedy}");
    }
    let refused = answer(403, "AccessDenied", "Invalid ExternalId");
    assert!(
        with_role(Operation::AssumeRole, &Failure::Answered(refused))
            .remedy
            .contains("exactly; it is stable")
    );
}

#[test]
fn the_buckets_real_region_comes_from_the_header_or_the_words() {
    let header = Answer { bucket_region: Some("eu-west-1".to_owned()), ..answer(400, "", "") };
    let issue = with_keys(Operation::HeadBucket, &Failure::Answered(header));
    assert_eq!(issue.reason, Reason::WrongRegion);
    assert!(issue.remedy.contains("endpoint to https://s3.eu-west-1.amazonaws.com."), "{}", issue.remedy);
    let words = answer(
        400,
        "AuthorizationHeaderMalformed",
        "the region 'us-east-1' is wrong; expecting 'cn-north-1'",
    );
    let remedy = with_keys(Operation::HeadBucket, &Failure::Answered(words)).remedy;
    assert!(remedy.contains("https://s3.cn-north-1.amazonaws.com.cn."), "{remedy}");
    let same = Answer { bucket_region: Some("us-east-1".to_owned()), ..answer(403, "AccessDenied", "") };
    assert_eq!(with_keys(Operation::HeadBucket, &Failure::Answered(same)).reason, Reason::HeadBucketDenied);
}

fn broken(kind: TransportKind) -> Failure {
    Failure::Transport(Transport { kind, sent: Sent::No, words: "words".to_owned() })
}

#[test]
fn what_never_answered_says_why() {
    let address = "10.0.0.7".parse().expect("an address");
    for (kind, reason) in [
        (
            TransportKind::Forbidden(Forbidden::NotPublic { address, class: Class::Private }),
            Reason::EndpointForbidden,
        ),
        (TransportKind::Forbidden(Forbidden::PlainHttp), Reason::EndpointForbidden),
        (TransportKind::Forbidden(Forbidden::RoleOutsideAws), Reason::EndpointForbidden),
        (TransportKind::Unresolved, Reason::EndpointUnreachable),
        (TransportKind::ConnectFailed, Reason::EndpointUnreachable),
        (TransportKind::TimedOut, Reason::EndpointUnreachable),
        (TransportKind::Broken, Reason::EndpointUnreachable),
        (TransportKind::Tls, Reason::TlsFailed),
    ] {
        let issue = with_keys(Operation::HeadBucket, &broken(kind));
        assert_eq!(issue.reason, reason, "{kind:?}");
        // Where an internal name leads is the operator's business.
        assert!(!issue.message.contains("10.0.0.7"), "{}", issue.message);
    }
    assert_eq!(
        with_role(Operation::AssumeRole, &broken(TransportKind::TimedOut)).reason,
        Reason::EndpointUnreachable
    );
    let nobody = with_role(Operation::AssumeRole, &Failure::NotSendable(NotSendable::NoIdentity));
    assert_eq!(nobody.reason, Reason::AssumeRoleDenied);
}

proptest! {
    #[test]
    fn whatever_a_store_says_the_message_is_one_bounded_printable_line(
        operation in prop::sample::select(&OPERATIONS[..]),
        status in any::<u16>(),
        code in proptest::option::of(".{0,200}"),
        message in proptest::option::of("(?s).{0,3000}"),
        bucket_region in proptest::option::of(".{0,50}"),
    ) {
        let answer = Answer { status, code, message, bucket_region };
        for issue in [with_keys(operation, &Failure::Answered(answer.clone())), with_role(operation, &Failure::Answered(answer))] {
            prop_assert!(!issue.message.is_empty() && issue.message.len() <= 1024);
            prop_assert!(issue.message.chars().chain(issue.remedy.chars()).all(|c| !c.is_control()));
            prop_assert!(issue.remedy.len() <= 2048);
        }
    }
}
