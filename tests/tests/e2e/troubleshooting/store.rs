//! What the customer's store refuses: permissions, keys, buckets, regions, clocks, encryption, locks.

use barndoor_tests::minio::{self, Minio, guide_policy, policy};
use barndoor_tests::s3_client::Keys;
use barndoor_tests::strict_aws::{Dialect, Fault, Operation, Policy, REGION, StrictAws};

use super::{Finding, check, controller};
use crate::e2e::export::with_keys;

const HEAD: &str = "HeadBucket";
const WRITE: &str = "WritePermission";

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named_with_the_bucket_it_is_missing_on() {
    let (minio, rest) = (Minio::shared().await, controller().await.administrator().await);
    minio.create_bucket("t-grants").await;
    let keys = minio.create_user("t-grants", &guide_policy("t-grants")).await;
    let destination = with_keys(minio.endpoint(), "t-grants", minio::REGION, &keys);
    let bucket = "arn:aws:s3:::t-grants";
    let rows = [
        (
            policy("t-grants", &["s3:PutObject"], &["s3:GetBucketLocation"]),
            Finding::failed("HeadBucketDenied", HEAD)
                .says("AccessDenied", "HeadBucket: AccessDenied: Access Denied")
                .advises(&["s3:ListBucket", "s3:GetBucketLocation", bucket]),
        ),
        (
            policy("t-grants", &["s3:PutObject"], &["s3:ListBucket"]),
            Finding::warned("HeadBucketDenied", HEAD)
                .says("AccessDenied", "GetBucketLocation: AccessDenied: Access Denied")
                .advises(&["s3:GetBucketLocation", bucket]),
        ),
        (
            policy("t-grants", &[], &["s3:ListBucket", "s3:GetBucketLocation"]),
            Finding::failed("WriteDenied", WRITE)
                .says("AccessDenied", "PutObject: AccessDenied: Access Denied")
                .advises(&["s3:PutObject", "arn:aws:s3:::t-grants/audit-events/*", "the access key's user"]),
        ),
    ];
    for (permissions, finding) in rows {
        minio.set_user_policy("t-grants", &permissions).await;
        finding.assert(&check(&rest, "t-grants", &destination).await);
    }
    minio.set_user_policy("t-grants", &guide_policy("t-grants")).await;
    let report = check(&rest, "t-grants", &destination).await;
    assert_eq!((&report["healthy"], &report["reason"]), (&true.into(), &"Healthy".into()), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_bucket_key_or_secret_is_told_apart_in_the_stores_words() {
    let (minio, rest) = (Minio::shared().await, controller().await.administrator().await);
    minio.create_bucket("t-typos").await;
    let root = minio.root();
    let place = |bucket: &str, keys: &Keys| with_keys(minio.endpoint(), bucket, minio::REGION, keys);
    let rows = [
        (
            place("t-tpyos", &root),
            Finding::failed("BucketNotFound", HEAD)
                .says("NoSuchBucket", "The specified bucket does not exist")
                .advises(&["t-tpyos", "typo", "another region", minio::REGION]),
        ),
        (
            place("t-typos", &Keys::new(&root.access_key_id, "mistyped")),
            Finding::failed("InvalidAccessKey", HEAD)
                .says("SignatureDoesNotMatch", "signature")
                .advises(&["Access Key ID", "Secret Access Key"]),
        ),
        (
            place("t-typos", &Keys::new("nobody", "mistyped")),
            Finding::failed("InvalidAccessKey", HEAD)
                .says("InvalidAccessKeyId", "does not exist in our records")
                .advises(&["Access Key ID", "active"]),
        ),
    ];
    for (destination, finding) in rows {
        let report = check(&rest, "t-typos", &destination).await;
        finding.assert(&report);
        assert!(!report.to_string().contains("mistyped"), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_region_is_answered_with_the_right_one() {
    let rest = controller().await.administrator().await;
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    aws.create_bucket("frankfurt", "eu-central-1");
    let keys = aws.create_identity("arn:aws:iam::444455556666:user/export", Policy::everything());
    Finding::failed("WrongRegion", HEAD)
        .says("PermanentRedirect", "")
        .advises(&["frankfurt is in eu-central-1", "set region to eu-central-1"])
        .assert(&check(&rest, "t-region", &with_keys(aws.endpoint(), "frankfurt", REGION, &keys)).await);
    Finding::failed("WrongRegion", HEAD)
        .says("AuthorizationHeaderMalformed", "expecting 'us-east-1'")
        .assert(&check(&rest, "t-region", &with_keys(aws.endpoint(), "acme", "eu-west-1", &keys)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_whose_kms_key_is_closed_says_which_actions_open_it() {
    let rest = controller().await.administrator().await;
    let aws = StrictAws::start(Dialect::Aws).await;
    let kms_key = "arn:aws:kms:us-east-1:444455556666:key/0c0ffee0";
    aws.create_kms_bucket("sealed", REGION, kms_key);
    let only_s3 = Policy::of(&guide_policy("sealed")).expect("a policy");
    let keys = aws.create_identity("arn:aws:iam::444455556666:user/export", only_s3);
    Finding::failed("KmsDenied", WRITE)
        .says("AccessDenied", "not authorized to perform: kms:GenerateDataKey")
        .tells(kms_key)
        .advises(&["kms:GenerateDataKey", "kms:Decrypt", "key policy"])
        .assert(&check(&rest, "t-kms", &with_keys(aws.endpoint(), "sealed", REGION, &keys)).await);
    assert!(aws.versions("sealed").is_empty());
}

const fn answer(status: u16, code: &'static str, message: &'static str) -> Fault {
    Fault::Answer { status, code, message }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_quotas_locks_and_errors_of_the_store_are_told_apart() {
    let rest = controller().await.administrator().await;
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    let keys = aws.create_identity("arn:aws:iam::444455556666:user/export", Policy::everything());
    let destination = with_keys(aws.endpoint(), "acme", REGION, &keys);
    let skewed = "The difference between the request time and the current time is too large.";
    let lock = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters";
    let rows = [
        (
            answer(403, "RequestTimeTooSkewed", skewed),
            Finding::failed("ClockSkewed", WRITE)
                .says("RequestTimeTooSkewed", skewed)
                .advises(&["clock", "NTP"]),
        ),
        (
            answer(503, "SlowDown", "Please reduce your request rate."),
            Finding::failed("Throttled", WRITE)
                .says("SlowDown", "reduce your request rate")
                .advises(&["by itself"]),
        ),
        (
            answer(400, "InvalidRequest", lock),
            Finding::failed("ObjectLockRefused", WRITE)
                .says("InvalidRequest", lock)
                .advises(&["Object Lock", "s3:PutObject"]),
        ),
        (
            answer(403, "AccessDenied", "with an explicit deny in a resource-based policy"),
            Finding::failed("WriteDenied", WRITE).says("AccessDenied", "explicit deny").advises(&[
                "s3:PutObject",
                "bucket policy",
                "service control policies",
            ]),
        ),
        (
            answer(500, "InternalError", "We encountered an internal error. Please try again."),
            Finding::failed("StoreError", WRITE)
                .says("InternalError", "internal error")
                .advises(&["by itself", "status and logs"]),
        ),
        (
            answer(400, "ExpiredToken", "The provided token has expired."),
            Finding::failed("InvalidAccessKey", WRITE)
                .says("ExpiredToken", "expired")
                .advises(&["Access Key ID"]),
        ),
    ];
    for (fault, finding) in rows {
        aws.fail(Operation::PutObject, fault);
        finding.assert(&check(&rest, "t-words", &destination).await);
        aws.heal();
    }
    aws.fail(Operation::HeadBucket, Fault::Garbage);
    aws.fail(Operation::GetBucketLocation, Fault::Garbage);
    Finding::failed("StoreError", HEAD)
        .tells("does not speak S3")
        .advises(&["web console"])
        .assert(&check(&rest, "t-words", &destination).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_answer_without_a_body_borrows_the_words_of_another_call_and_a_bare_503_is_throttling() {
    let rest = controller().await.administrator().await;
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    let keys = aws.create_identity("arn:aws:iam::444455556666:user/export", Policy::everything());
    let destination = with_keys(aws.endpoint(), "acme", REGION, &keys);
    let skewed = answer(403, "RequestTimeTooSkewed", "The clocks differ.");
    aws.fail(Operation::HeadBucket, skewed.clone());
    aws.fail(Operation::ListObjects, skewed);
    Finding::failed("ClockSkewed", HEAD)
        .says("RequestTimeTooSkewed", "The clocks differ.")
        .advises(&["NTP"])
        .assert(&check(&rest, "t-head", &destination).await);
    aws.heal();
    aws.fail(Operation::HeadBucket, answer(503, "SlowDown", "Please reduce your request rate."));
    Finding::failed("Throttled", HEAD)
        .tells("503")
        .advises(&["by itself"])
        .assert(&check(&rest, "t-head", &destination).await);
}
