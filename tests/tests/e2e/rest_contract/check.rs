//! `POST …/check`, on what is saved and as a dry run.

use std::time::{Duration, Instant};

use barndoor_tests::minio::{Minio, REGION, policy};
use barndoor_tests::strict_aws::{Dialect, Fault, Operation, Policy, StrictAws};
use serde_json::{Value, json};

use super::{Api, changed, odd, problem, role, shared};
use crate::e2e::export::{Export, assert_names, step, with_keys};

const STEPS: [&str; 3] = ["AssumeRole", "HeadBucket", "WritePermission"];

/// Demands the documented form, and gives back the results of the steps.
fn results(report: &Value) -> Vec<&str> {
    for member in ["reason", "message"] {
        assert!(report[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {report}");
    }
    assert!(report["remedy"].is_string() && report["healthy"].is_boolean() && report["generation"].is_u64());
    let at: Result<jiff::Timestamp, _> = report["at"].as_str().unwrap_or_default().parse();
    assert!(at.is_ok(), "{report}");
    let steps = report["steps"].as_array().expect("steps");
    let names: Vec<&str> = steps.iter().filter_map(|step| step["name"].as_str()).collect();
    assert_eq!(names, STEPS, "{report}");
    steps
        .iter()
        .map(|step| {
            for member in ["reason", "message", "remedy", "result"] {
                assert!(step[member].is_string(), "{member} in {step}");
            }
            step["result"].as_str().expect("a text")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_is_200_whenever_it_ran_with_every_step_and_leaves_nothing() {
    let export = Export::on_minio_of(shared().await, "h-ran").await;
    let api = Api::shared().await;
    let report = api.post("exports/h-ran/siem/check").await.expect(200);
    assert_eq!(results(&report), ["skipped", "passed", "passed"]);
    assert_eq!((&report["healthy"], &report["reason"]), (&json!(true), &json!("Healthy")));
    assert!(export.bucket.keys("").await.is_empty());
    let status = api.get("exports/h-ran/siem/status").await.expect(200);
    assert_eq!(status["check"], report, "the last check is kept");

    Minio::shared()
        .await
        .set_user_policy("h-ran", &policy("h-ran", &[], &["s3:ListBucket", "s3:GetBucketLocation"]))
        .await;
    let report = api.post("exports/h-ran/siem/check").await.expect(200);
    assert_eq!(results(&report), ["skipped", "passed", "failed"]);
    assert_names(&report["remedy"], &["s3:PutObject"]);
    assert_eq!(step(&report, "WritePermission")["code"], "AccessDenied");
    assert!(!export.enabled().await, "a check changes no wish");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_destination_a_check_is_404_and_with_a_body_a_dry_run_that_saves_nothing() {
    let api = Api::shared().await;
    let minio = Minio::shared().await;
    minio.create_bucket("h-dry").await;
    problem(&api.post("exports/h-dry/siem/check").await, 404, "NotFound");
    let body = with_keys(minio.endpoint(), "h-dry", REGION, &minio.root());
    let report = api.post_json("exports/h-dry/siem/check", &body).await.expect(200);
    assert_eq!((&report["healthy"], &report["generation"]), (&json!(true), &json!(0)));
    assert_eq!(results(&report), ["skipped", "passed", "passed"]);
    let mistyped = changed(&body, &json!({"bucket": "h-dyr"}));
    let report = api.post_json("exports/h-dry/siem/check", &mistyped).await.expect(200);
    assert_eq!((&report["healthy"], &report["reason"]), (&json!(false), &json!("BucketNotFound")));
    problem(&api.get("exports/h-dry/siem").await, 404, "NotFound");
    problem(&api.post("exports/h-dry/siem/check").await, 404, "NotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_may_use_the_stored_keys_and_leaves_the_saved_destination_alone() {
    let export = Export::on_minio_of(shared().await, "h-stored").await;
    let api = Api::shared().await;
    let before = api.get("exports/h-stored/siem/status").await.raw;
    let minio = Minio::shared().await;
    let body = with_keys(minio.endpoint(), "h-elsewhere", REGION, &minio.root());
    let without = changed(&body, &json!({"access_key_id": null, "secret_access_key": null}));
    let report = api.post_json("exports/h-stored/siem/check", &without).await.expect(200);
    assert_eq!(report["healthy"], false, "{report}");
    let here = changed(&without, &json!({"bucket": "h-stored"}));
    assert_eq!(api.post_json("exports/h-stored/siem/check", &here).await.expect(200)["healthy"], true);
    let after: Value =
        serde_json::from_str(&api.get("exports/h-stored/siem/status").await.raw).expect("JSON");
    let before: Value = serde_json::from_str(&before).expect("JSON");
    assert_eq!(
        (&after["check"], &after["observed_generation"]),
        (&before["check"], &before["observed_generation"])
    );
    assert!(!export.enabled().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_refuses_unknown_fields_and_what_a_put_would_refuse() {
    let api = Api::shared().await;
    let path = "exports/h-refused/siem/check";
    let message =
        problem(&api.post_json(path, &changed(&odd(), &json!({"buckett": "x"}))).await, 400, "InvalidBody");
    assert!(message.contains("buckett") && message.contains("bucket"), "{message}");
    problem(&api.post_json(path, &json!({})).await, 400, "InvalidField");
    problem(
        &api.post_json(path, &changed(&role(), &json!({"access_key_id": "A"}))).await,
        400,
        "InvalidField",
    );
    let without = changed(&odd(), &json!({"access_key_id": null, "secret_access_key": null}));
    problem(&api.post_json(path, &without).await, 400, "InvalidField");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_start_answer_within_20_s_whatever_the_store_does() {
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", "us-east-1");
    let keys = aws.create_identity("arn:aws:iam::444455556666:user/export", Policy::everything());
    let api = Api::shared().await;
    api.put("exports/h-hang/siem/destination", &with_keys(aws.endpoint(), "acme", "us-east-1", &keys))
        .await
        .expect(200);
    for operation in
        [Operation::HeadBucket, Operation::PutObject, Operation::ListObjects, Operation::GetBucketLocation]
    {
        aws.fail(operation, Fault::Hang);
    }
    let started = Instant::now();
    let (check, start) =
        tokio::join!(api.post("exports/h-hang/siem/check"), api.post("exports/h-hang/siem/start"));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let report = check.expect(200);
    assert_eq!(report["healthy"], false);
    assert!(report["remedy"].as_str().is_some_and(|text| !text.is_empty()), "{report}");
    assert_eq!(report["steps"].as_array().map(Vec::len), Some(3), "{report}");
    problem(&start, 422, "EndpointUnreachable");
}
