//! Promise 1: A destination is saved paused. Nothing accepted before Start is sent. The place in the log is fixed when the
//! wish to stream is accepted; a start whose check fails changes nothing and says why.

use std::time::Duration;

use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::events::EventSource;
use barndoor_tests::fault_front::{FaultFront, Weather};
use barndoor_tests::minio::{Minio, policy};
use serde_json::json;

use crate::e2e::export::{Export, FLOW_LIMIT, RECOVERY_LIMIT, assert_names};

#[tokio::test(flavor = "multi_thread")]
async fn promise_01_a_destination_is_saved_paused_and_nothing_before_start_is_sent() {
    let (_controller, export) = Export::on_minio("p01-paused").await;
    let mut events = EventSource::new("p01");
    assert!(!export.enabled().await, "saved paused");
    export.not_kept(&events.take(5)).await;

    export.start().await.ok();
    assert!(export.enabled().await, "enabled in the very next GET");
    export.start().await.expect(200);
    let accepted = export.accept(&events.take(20)).await;
    export.wait_for(20, FLOW_LIMIT).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    export.account(&accepted).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_01_a_start_whose_check_fails_changes_nothing_and_says_why() {
    let (_controller, export) = Export::on_minio("p01-denied").await;
    let minio = Minio::shared().await;
    minio
        .set_user_policy("p01-denied", &policy("p01-denied", &[], &["s3:ListBucket", "s3:GetBucketLocation"]))
        .await;
    let refusal = export.start().await;
    assert_eq!((refusal.status, refusal.text("reason")), (422, "WriteDenied"), "{}", refusal.body);
    assert_names(&refusal.body["message"], &["s3:PutObject"]);
    assert!(!export.enabled().await);
    export.not_kept(&EventSource::new("p01-denied").take(1)).await;
    assert!(export.status().await["delivery"].is_null(), "no place in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_01_a_declared_wish_to_stream_that_is_not_healthy_yet_loses_nothing() {
    let minio = Minio::shared().await;
    let front = FaultFront::start(minio.endpoint(), 1).await;
    front.set(Weather::Outage);
    let mut controller = Controller::start(Options::loopback()).await;
    let export = Export::on_minio_through(&controller, "p01-wish", front.endpoint()).await;
    export.settings(&json!({ "paused": false })).await;
    assert!(export.enabled().await);
    let mut events = EventSource::new("p01-wish");
    let mut accepted = export.accept(&events.take(10)).await;
    controller.kill9();
    controller.restart().await;
    accepted.extend(export.accept(&events.take(10)).await);
    export.wait_for_state("Retrying", RECOVERY_LIMIT).await;
    front.set(Weather::Calm);
    export.wait_for(20, RECOVERY_LIMIT).await;
    export.account(&accepted).await.assert_clean();
}
