//! The strict stub refuses what AWS refuses, in words that the real SDK understands.

use std::time::Duration;

use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::ByteStream;
use barndoor_tests::bucket::Bucket;
use barndoor_tests::minio::{guide_policy, policy};
use barndoor_tests::s3_client::{Keys, client, client_with_checksums, refusal, sts_client};
use barndoor_tests::strict_aws::{Dialect, Fault, Operation, Policy, REGION, Role, StrictAws};
use serde_json::{Value, json};

const CONTROLLER: &str = "arn:aws:iam::111122223333:user/barndoor";
const ROLE: &str = "arn:aws:iam::444455556666:role/audit-export";

fn parsed(document: &Value) -> Policy {
    Policy::of(document).expect("a policy")
}

struct Assume<'a> {
    role: &'a str,
    external_id: Option<&'a str>,
    policy: Option<String>,
    session_name: &'a str,
    seconds: Option<i32>,
}

const PROPER: Assume<'_> = Assume {
    role: ROLE,
    external_id: Some("the-id"),
    policy: None,
    session_name: "barndoor-0123abcd",
    seconds: None,
};

async fn assume(aws: &StrictAws, keys: &Keys, wish: Assume<'_>) -> Result<Keys, (u16, String, String)> {
    let Assume { role, external_id, policy, session_name, seconds } = wish;
    let call =
        sts_client(aws.endpoint(), REGION, keys).assume_role().role_arn(role).role_session_name(session_name);
    let call =
        call.set_external_id(external_id.map(str::to_owned)).set_policy(policy).set_duration_seconds(seconds);
    let answer = call.send().await.map_err(|error| {
        let (status, code) = refusal(&error);
        let message = aws_sdk_s3::error::ProvideErrorMetadata::message(&error).unwrap_or_default().to_owned();
        (status, code, message)
    })?;
    let session = answer.credentials().expect("credentials");
    let mut keys = Keys::new(session.access_key_id(), session.secret_access_key());
    keys.session_token = Some(session.session_token().to_owned());
    Ok(keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flaw_of_an_assume_role_is_refused_in_awss_words() {
    let aws = StrictAws::start(Dialect::Aws).await;
    let controller = aws.create_identity(CONTROLLER, Policy::nothing());
    let stranger = aws.create_identity("arn:aws:iam::111122223333:user/stranger", Policy::nothing());
    aws.put_role(Role::new(ROLE, CONTROLLER, Some("the-id"), Policy::everything()));
    assume(&aws, &controller, PROPER).await.expect("everything is right");

    let words = |user: &str, role: &str| {
        (
            403,
            "AccessDenied".to_owned(),
            format!("User: {user} is not authorized to perform: sts:AssumeRole on resource: {role}"),
        )
    };
    let of = |answer: Result<Keys, (u16, String, String)>| answer.expect_err("a flaw");
    let missing = assume(&aws, &controller, Assume { external_id: None, ..PROPER }).await;
    assert_eq!(of(missing), words(CONTROLLER, ROLE));
    let wrong = assume(&aws, &controller, Assume { external_id: Some("the-ID"), ..PROPER }).await;
    assert_eq!(of(wrong), words(CONTROLLER, ROLE));
    let other = "arn:aws:iam::444455556666:role/another-role";
    let unknown = assume(&aws, &controller, Assume { role: other, ..PROPER }).await;
    assert_eq!(of(unknown), words(CONTROLLER, other));
    let untrusted = assume(&aws, &stranger, PROPER).await;
    assert_eq!(of(untrusted), words("arn:aws:iam::111122223333:user/stranger", ROLE));

    for (flaw, code) in [
        (Assume { session_name: "not/allowed", ..PROPER }, "ValidationError"),
        (Assume { seconds: Some(899), ..PROPER }, "ValidationError"),
        (Assume { seconds: Some(3_601), ..PROPER }, "ValidationError"),
        (Assume { policy: Some("{}".to_owned()), ..PROPER }, "MalformedPolicyDocument"),
        (Assume { policy: Some(" ".repeat(2_049)), ..PROPER }, "ValidationError"),
    ] {
        let (status, found, message) = of(assume(&aws, &controller, flaw).await);
        assert_eq!((status, found.as_str()), (400, code), "{message}");
    }
    let wrong_secret = Keys::new(&controller.access_key_id, "wrong");
    assert_eq!(of(assume(&aws, &wrong_secret, PROPER).await).1, "SignatureDoesNotMatch");
    assert_eq!(of(assume(&aws, &Keys::new("AKIAUNKNOWN", "wrong"), PROPER).await).1, "InvalidClientTokenId");

    let caller = sts_client(aws.endpoint(), REGION, &controller).get_caller_identity().send().await;
    assert_eq!(caller.expect("anyone may ask").arn(), Some(CONTROLLER));
    let recorded = aws.recorded_of(Operation::AssumeRole);
    assert_eq!(recorded[0].form["ExternalId"], "the-id");
    assert_eq!((recorded[0].status, recorded[1].status), (200, 403));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_may_do_what_both_its_policies_allow() {
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    aws.create_bucket("acme-frankfurt", "eu-central-1");
    aws.create_kms_bucket("acme-kms", REGION, "arn:aws:kms:us-east-1:444455556666:key/k");
    let controller = aws.create_identity(CONTROLLER, Policy::nothing());
    aws.put_role(Role::new(ROLE, CONTROLLER, Some("the-id"), parsed(&guide_policy("*"))));
    let narrow = guide_policy("acme").to_string().replace("acme/*", "acme/audit/*");
    let session =
        assume(&aws, &controller, Assume { policy: Some(narrow), ..PROPER }).await.expect("trusted");
    let store = client(aws.endpoint(), REGION, &session);
    let put = |bucket: &str, key: &str| {
        store.put_object().bucket(bucket).key(key).body(ByteStream::from_static(b"x")).send()
    };
    put("acme", "audit/date=1/a b.gz").await.expect("both allow it");
    let denied = (403, "AccessDenied".to_owned());
    assert_eq!(refusal(&put("acme", "other/x").await.expect_err("outside the session policy")), denied);
    put("acme", "audit/x").await.expect("both allow it");
    store.head_bucket().bucket("acme").send().await.expect("allowed");
    store.get_bucket_location().bucket("acme").send().await.expect("allowed");
    let get = store.get_object().bucket("acme").key("audit/x").send().await.expect_err("nobody allows it");
    assert_eq!(refusal(&get), denied);

    let kms = assume(&aws, &controller, Assume { policy: None, ..PROPER }).await.expect("trusted");
    let kms = client(aws.endpoint(), REGION, &kms);
    let body = ByteStream::from_static(b"x");
    let no_key =
        kms.put_object().bucket("acme-kms").key("x").body(body).send().await.expect_err("no KMS permission");
    assert!(format!("{no_key:?}").contains("kms:GenerateDataKey"), "{no_key:?}");

    let elsewhere = kms.head_bucket().bucket("acme-frankfurt").send().await.expect_err("another region");
    let answer = elsewhere.raw_response().expect("an answer");
    assert_eq!(
        (answer.status().as_u16(), answer.headers().get("x-amz-bucket-region")),
        (301, Some("eu-central-1"))
    );
    let missing = kms.head_bucket().bucket("nowhere").send().await.expect_err("no such bucket");
    assert_eq!(missing.raw_response().map(|answer| answer.status().as_u16()), Some(404));

    aws.put_role(Role::new(
        ROLE,
        CONTROLLER,
        Some("the-id"),
        parsed(&policy("acme", &[], &["s3:ListBucket"])),
    ));
    assert_eq!(
        refusal(&put("acme", "audit/y").await.expect_err("the role changed under the session")),
        denied
    );
    let bucket = Bucket::new(aws.client(), "acme");
    assert_eq!(bucket.keys("").await, ["audit/date=1/a b.gz", "audit/x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_judged_as_s3_judges_them() {
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    let keys = aws.create_identity("arn:aws:iam::444455556666:user/export", parsed(&guide_policy("acme")));
    let store = client(aws.endpoint(), REGION, &keys);
    let put = || store.put_object().bucket("acme").key("k").body(ByteStream::from_static(b"x"));
    let wrong = put().content_md5("nUEYLVUgkT7dRM/cNFYZzg==").send().await.expect_err("a wrong digest");
    assert_eq!(refusal(&wrong), (400, "BadDigest".to_owned()));
    assert!(aws.versions("acme").is_empty());
    let md5 = barndoor_tests::crypto::md5_base64(b"x");
    let proper = || put().content_md5(&md5).metadata("count", "1").if_none_match("*").send();
    proper().await.expect("a proper upload");
    assert_eq!(refusal(&proper().await.expect_err("taken")), (412, "PreconditionFailed".to_owned()));
    let stored = Bucket::new(aws.client(), "acme").get("k").await;
    assert_eq!((&stored.body[..], stored.metadata["count"].as_str()), (&b"x"[..], "1"));

    let nobody = client(aws.endpoint(), REGION, &Keys::new("AKIAUNKNOWN", "wrong"));
    let nobody = nobody.list_objects_v2().bucket("acme").send().await.expect_err("an unknown key");
    assert_eq!(refusal(&nobody), (403, "InvalidAccessKeyId".to_owned()));
    let elsewhere = client(aws.endpoint(), "eu-west-1", &keys);
    let elsewhere =
        elsewhere.list_objects_v2().bucket("acme").send().await.expect_err("another region's scope");
    assert_eq!(refusal(&elsewhere), (400, "AuthorizationHeaderMalformed".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn google_refuses_what_only_amazon_knows_and_lax_stores_overwrite() {
    let google = StrictAws::start(Dialect::Gcs).await;
    google.create_bucket("acme", REGION);
    let keys = google.create_identity("arn:aws:iam::444455556666:user/export", Policy::everything());
    let default =
        client_with_checksums(google.endpoint(), REGION, &keys, RequestChecksumCalculation::WhenSupported);
    let body = || ByteStream::from_static(b"x");
    let refused =
        default.put_object().bucket("acme").key("k").body(body()).send().await.expect_err("SDK checksums");
    assert_eq!(refusal(&refused).0, 403);
    let plain = client(google.endpoint(), REGION, &keys);
    let refused = plain.put_object().bucket("acme").key("k").if_none_match("*").body(body()).send().await;
    assert_eq!(refusal(&refused.expect_err("a precondition")), (501, "NotImplemented".to_owned()));
    plain.put_object().bucket("acme").key("k").body(body()).send().await.expect("a plain upload");

    let lax = StrictAws::start(Dialect::IgnoresPreconditions).await;
    lax.create_bucket("acme", REGION);
    let keys = lax.create_identity("arn:aws:iam::444455556666:user/export", Policy::everything());
    let store = client(lax.endpoint(), REGION, &keys);
    for bytes in [&b"one"[..], b"one", b"two"] {
        let put = store
            .put_object()
            .bucket("acme")
            .key("k")
            .if_none_match("*")
            .body(ByteStream::from(bytes.to_vec()));
        put.send().await.expect("it overwrites");
    }
    assert_eq!(lax.overwritten("acme"), ["k"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_come_when_they_were_ordered() {
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    let store = aws.client();
    let put =
        |key: &str| store.put_object().bucket("acme").key(key).body(ByteStream::from_static(b"x")).send();
    let busy = Fault::Answer { status: 503, code: "SlowDown", message: "Please reduce your request rate." };
    aws.fail_next(Operation::PutObject, 1, &busy);
    aws.fail_next(Operation::PutObject, 1, &Fault::DoAndHangUp);
    aws.fail_next(Operation::PutObject, 1, &Fault::Delay(Duration::from_millis(300)));
    assert_eq!(refusal(&put("a").await.expect_err("busy")), (503, "SlowDown".to_owned()));
    assert_eq!(refusal(&put("b").await.expect_err("no answer")).0, 0);
    let started = std::time::Instant::now();
    put("c").await.expect("late, but proper");
    assert!(started.elapsed() >= Duration::from_millis(300));
    aws.fail(Operation::ListObjects, Fault::Hang);
    let listing = store.list_objects_v2().bucket("acme").send();
    tokio::time::timeout(Duration::from_millis(300), listing).await.expect_err("no answer comes");
    aws.heal();
    assert_eq!(Bucket::new(store.clone(), "acme").keys("").await, ["b", "c"]);
    let unknown = store.list_buckets().send().await.expect_err("no export asks that");
    assert_eq!(refusal(&unknown).0, 501);
    assert_eq!(
        json!(aws.recorded_of(Operation::PutObject).iter().map(|record| record.status).collect::<Vec<_>>()),
        json!([503, 0, 200])
    );
}
