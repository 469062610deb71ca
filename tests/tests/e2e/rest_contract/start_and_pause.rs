//! `POST …/start` and `POST …/pause`.

use std::time::{Duration, Instant};

use barndoor_tests::minio::{Minio, REGION};
use serde_json::json;

use super::{Api, odd, problem, shared};
use crate::e2e::export::{Export, with_keys};

#[tokio::test(flavor = "multi_thread")]
async fn start_checks_and_enabled_is_true_in_the_very_next_get() {
    let export = Export::on_minio_of(shared().await, "r-start").await;
    let api = Api::shared().await;
    assert!(api.get("exports/r-start/siem/status").await.expect(200)["check"].is_null());
    for _ in 0..3 {
        api.post("exports/r-start/siem/start").await.expect(200);
        assert!(export.enabled().await);
        api.post("exports/r-start/siem/pause").await.expect(200);
        assert!(!export.enabled().await);
    }
    let status = api.get("exports/r-start/siem/status").await.expect(200);
    assert_eq!(status["check"]["healthy"], true, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn already_started_is_200_also_when_the_store_is_gone() {
    let export = Export::on_minio_of(shared().await, "r-again").await;
    let api = Api::shared().await;
    api.post("exports/r-again/siem/start").await.expect(200);
    api.post("exports/r-again/siem/start").await.expect(200);
    export
        .put(&with_keys("http://127.0.0.1:1", "r-again", REGION, &Minio::shared().await.root()))
        .await
        .expect(200);
    let answer = api.post("exports/r-again/siem/start").await.expect(200);
    assert_eq!(answer["enabled"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_check_fails_is_422_with_reason_and_remedy_and_changes_nothing() {
    let export = Export::on_minio_of(shared().await, "r-refused").await;
    let api = Api::shared().await;
    let minio = Minio::shared().await;
    export.put(&with_keys(minio.endpoint(), "r-not-there", REGION, &minio.root())).await.expect(200);
    let before = api.get("exports/r-refused/siem").await.raw;
    let refused = api.post("exports/r-refused/siem/start").await;
    let message = problem(&refused, 422, "BucketNotFound");
    let report = api.post("exports/r-refused/siem/check").await.expect(200);
    let remedy = report["remedy"].as_str().expect("a remedy");
    assert!(!remedy.is_empty() && message.ends_with(remedy), "{message}\n{remedy}");
    assert_eq!(api.get("exports/r-refused/siem").await.raw, before);
    let status = api.get("exports/r-refused/siem/status").await.expect(200);
    assert!(status["delivery"].is_null(), "no place in the log was taken: {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_destination_start_is_400_and_pause_404() {
    let api = Api::shared().await;
    problem(&api.post("exports/r-none/siem/start").await, 400, "NoDestination");
    problem(&api.post("exports/r-none/siem/pause").await, 404, "NotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_is_idempotent_also_when_never_started_and_never_reaches_the_store() {
    let api = Api::shared().await;
    api.put("exports/r-pause/siem/destination", &odd()).await.expect(200);
    let started = Instant::now();
    for _ in 0..3 {
        assert_eq!(api.post("exports/r-pause/siem/pause").await.expect(200)["enabled"], false);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    api.patch("exports/r-pause/siem/settings", &json!({"paused": false})).await.ok();
    assert_eq!(api.post("exports/r-pause/siem/pause").await.expect(200)["enabled"], false);
}
