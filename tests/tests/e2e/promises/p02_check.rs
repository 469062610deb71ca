//! Promise 2: Check Connection reports each step with result, the store's own code and message, and a remedy ready to paste.
//! It leaves no object.

use std::time::{Duration, Instant};

use barndoor_tests::bucket::Bucket;
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::minio::{Minio, guide_policy, policy};
use barndoor_tests::s3_client::Keys;
use barndoor_tests::strict_aws::{Dialect, Fault, Operation, Policy, REGION, Role, StrictAws};
use serde_json::json;

use crate::e2e::export::{Export, assert_names, step, with_keys, with_role};

const CONTROLLER: &str = "arn:aws:iam::111122223333:user/barndoor";
const ROLE: &str = "arn:aws:iam::444455556666:role/audit-export";

#[tokio::test(flavor = "multi_thread")]
async fn promise_02_each_step_of_a_check_says_what_is_missing_and_how_to_grant_it() {
    let (_controller, export) = Export::on_minio("p02-steps").await;
    let minio = Minio::shared().await;
    let report = export.check().await;
    assert_eq!((&report["healthy"], &report["reason"]), (&json!(true), &json!("Healthy")), "{report}");
    assert_eq!(step(&report, "AssumeRole")["result"], "skipped");
    assert_eq!(step(&report, "WritePermission")["result"], "passed");

    minio
        .set_user_policy("p02-steps", &policy("p02-steps", &[], &["s3:ListBucket", "s3:GetBucketLocation"]))
        .await;
    let report = export.check().await;
    assert_eq!((&report["healthy"], &report["reason"]), (&json!(false), &json!("WriteDenied")), "{report}");
    let write = step(&report, "WritePermission");
    assert_eq!((&write["result"], &write["code"]), (&json!("failed"), &json!("AccessDenied")));
    assert_names(&write["remedy"], &["s3:PutObject", "p02-steps"]);

    minio.set_user_policy("p02-steps", &policy("p02-steps", &["s3:PutObject"], &[])).await;
    let report = export.check().await;
    assert_eq!(report["reason"], "HeadBucketDenied", "{report}");
    assert_names(&step(&report, "HeadBucket")["remedy"], &["s3:ListBucket", "s3:GetBucketLocation"]);

    minio.set_user_policy("p02-steps", &guide_policy("p02-steps")).await;
    assert_eq!(export.check().await["healthy"], true);
    assert!(export.bucket.keys("").await.is_empty(), "no object is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_02_a_dry_run_tells_a_typo_from_a_wrong_key_and_saves_nothing() {
    let controller = Controller::start(Options::loopback()).await;
    let minio = Minio::shared().await;
    minio.create_bucket("p02-dry").await;
    let root = minio.root();
    let mistyped = with_keys(minio.endpoint(), "p02-dyr", REGION, &root);
    let report = controller.rest().check("p02-dry", "siem", Some(&mistyped)).await.expect(200);
    assert_eq!(report["reason"], "BucketNotFound", "{report}");
    let wrong =
        with_keys(minio.endpoint(), "p02-dry", REGION, &Keys::new(&root.access_key_id, "not-the-secret"));
    let report = controller.rest().check("p02-dry", "siem", Some(&wrong)).await.expect(200);
    assert_eq!(report["reason"], "InvalidAccessKey", "{report}");
    assert!(!report.to_string().contains("not-the-secret"));
    controller.rest().export("p02-dry", "siem").await.expect(404);
    controller.rest().check("p02-dry", "siem", None).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_02_a_check_of_a_role_says_who_to_trust_and_warns_of_a_trust_too_wide() {
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    aws.create_bucket("frankfurt", "eu-central-1");
    let identity = aws.create_identity(CONTROLLER, Policy::nothing());
    let controller = Controller::start(Options::loopback().aws(aws.endpoint(), REGION, &identity)).await;
    let export = Export::new(&controller, "p02-roles", "siem", Bucket::new(aws.client(), "acme"));
    let trust = controller.rest().trust_info("p02-roles", "siem").await.expect(200);
    assert_eq!(trust["principal_arn"], CONTROLLER);
    let external_id = trust["external_id"].as_str().expect("an External ID");
    let role =
        |id: Option<&str>| Role::new(ROLE, CONTROLLER, id, Policy::of(&guide_policy("*")).expect("a policy"));

    export.put(&with_role(aws.endpoint(), "acme", REGION, ROLE)).await.expect(200);
    aws.put_role(role(Some("a-mistyped-external-id")));
    let report = export.check().await;
    assert_eq!(report["reason"], "AssumeRoleDenied", "{report}");
    let assume = step(&report, "AssumeRole");
    assert_names(&assume["message"], &["not authorized to perform: sts:AssumeRole"]);
    assert_names(&assume["remedy"], &[CONTROLLER, external_id]);
    assert_eq!(step(&report, "HeadBucket")["result"], "skipped");

    aws.put_role(role(None));
    let report = export.check().await;
    let assume = step(&report, "AssumeRole");
    assert_eq!((&report["healthy"], &assume["result"]), (&json!(true), &json!("warning")), "{report}");
    assert_eq!(assume["reason"], "ExternalIdNotEnforced");

    aws.put_role(role(Some(external_id)));
    let report = export.check().await;
    assert_eq!((&report["healthy"], &report["reason"]), (&json!(true), &json!("Healthy")), "{report}");
    assert!(aws.versions("acme").is_empty(), "no object was ever stored");

    export.put(&with_role(aws.endpoint(), "frankfurt", REGION, ROLE)).await.expect(200);
    let report = export.check().await;
    assert_eq!(report["reason"], "WrongRegion", "{report}");
    assert_names(&step(&report, "HeadBucket")["remedy"], &["eu-central-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_02_a_check_and_a_start_answer_within_20_s_whatever_the_store_does() {
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    let keys = aws.create_identity("arn:aws:iam::444455556666:user/export", Policy::everything());
    let controller = Controller::start(Options::loopback()).await;
    let export = Export::new(&controller, "p02-hang", "siem", Bucket::new(aws.client(), "acme"));
    export.put(&with_keys(aws.endpoint(), "acme", REGION, &keys)).await.expect(200);
    for fault in [Fault::Hang, Fault::Garbage, Fault::HangUp] {
        for operation in [Operation::PutObject, Operation::HeadBucket] {
            aws.heal();
            aws.fail(operation, fault.clone());
            aws.fail(Operation::ListObjects, fault.clone());
            let started = Instant::now();
            let report = export.check().await;
            assert!(started.elapsed() < Duration::from_secs(20), "{operation:?} {fault:?}");
            // A 200 with a garbled body is a success to HEAD, and to a PUT of a store that ignores Content-MD5.
            if fault != Fault::Garbage {
                assert_eq!(report["healthy"], false, "{operation:?} {fault:?}: {report}");
            }
        }
    }
    aws.heal();
    aws.fail(Operation::HeadBucket, Fault::Hang);
    let started = Instant::now();
    assert_eq!(export.start().await.status, 422);
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(!export.enabled().await);
}
