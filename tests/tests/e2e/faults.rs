//! Exactly once, in order, under stores that fail, lie about nothing but answer badly, or know no preconditions.

use std::time::Duration;

use barndoor_tests::account::account;
use barndoor_tests::bucket::Bucket;
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::events::EventSource;
use barndoor_tests::minio::{self, Minio, guide_policy};
use barndoor_tests::s3_client::Keys;
use barndoor_tests::strict_aws::{Dialect, Fault, Operation, Policy, REGION, StrictAws};
use serde_json::json;

use crate::e2e::export::{Export, FLOW_LIMIT, PREFIX, RECOVERY_LIMIT, with_keys};

const USER: &str = "arn:aws:iam::444455556666:user/export";

/// A store of this dialect with the buckets, and keys with the guide's permissions in every one of them.
async fn store(dialect: Dialect, buckets: &[&str]) -> (StrictAws, Keys) {
    let aws = StrictAws::start(dialect).await;
    for bucket in buckets {
        aws.create_bucket(bucket, REGION);
    }
    let keys = aws.create_identity(USER, Policy::of(&guide_policy("*")).expect("a policy"));
    (aws, keys)
}

/// An export into the store's bucket `acme`, streaming, with a flush of a second.
async fn streaming(controller: &Controller, organization: &str, aws: &StrictAws, keys: &Keys) -> Export {
    let export = Export::new(controller, organization, "siem", Bucket::new(aws.client(), "acme"));
    export.put(&with_keys(aws.endpoint(), "acme", REGION, keys)).await.expect(200);
    export.flush_quickly().await;
    export.start().await.ok();
    export
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_preconditions_gets_the_same_bytes_again_or_nothing() {
    let (aws, keys) = store(Dialect::IgnoresPreconditions, &["acme"]).await;
    let mut controller = Controller::start(Options::loopback()).await;
    let export = streaming(&controller, "f-lax", &aws, &keys).await;
    let mut events = EventSource::new("f-lax");
    let mut accepted = Vec::new();
    for round in 0..4 {
        aws.fail_next(Operation::PutObject, 2, &Fault::DoAndHangUp);
        let batch = events.take(100);
        accepted.extend(export.accept_stubbornly(&batch[0].id, &batch).await);
        tokio::time::sleep(Duration::from_millis(900 + 400 * round)).await;
        controller.kill9();
        controller.restart().await;
    }
    export.wait_until_drained(RECOVERY_LIMIT).await;
    export.account(&accepted).await.assert_clean();
    assert!(aws.overwritten("acme").is_empty());
    assert_eq!(export.delivery("possibly_duplicated").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn google_cloud_storage_is_delivered_to_without_what_it_does_not_know() {
    let (google, keys) = store(Dialect::Gcs, &["acme"]).await;
    let controller = Controller::start(Options::loopback()).await;
    let export = streaming(&controller, "f-gcs", &google, &keys).await;
    let mut events = EventSource::new("f-gcs");
    let mut accepted = export.accept(&events.take(50)).await;
    export.wait_for(50, FLOW_LIMIT).await;
    let busy = Fault::Answer { status: 503, code: "ServiceUnavailable", message: "Service Unavailable" };
    google.fail_next(Operation::PutObject, 3, &busy);
    accepted.extend(export.accept(&events.take(50)).await);
    export.wait_for(100, RECOVERY_LIMIT).await;
    export.account(&accepted).await.assert_clean();
    assert!(google.overwritten("acme").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_changed_while_an_upload_is_undecided_neither_loses_nor_doubles_it() {
    let (aws, keys) = store(Dialect::Aws, &["acme", "moved"]).await;
    let controller = Controller::start(Options::loopback()).await;
    let export = streaming(&controller, "f-moved", &aws, &keys).await;
    let mut events = EventSource::new("f-moved");
    let mut accepted = export.accept(&events.take(30)).await;
    export.wait_for(30, FLOW_LIMIT).await;

    // The next object is stored, and nobody says so.
    aws.fail(Operation::PutObject, Fault::DoAndHangUp);
    accepted.extend(export.accept(&events.take(30)).await);
    export.wait_for(60, FLOW_LIMIT).await;
    export.put(&with_keys(aws.endpoint(), "moved", REGION, &keys)).await.expect(200);
    aws.heal();
    accepted.extend(export.accept(&events.take(30)).await);
    export.wait_until_drained(RECOVERY_LIMIT).await;

    let mut delivered = export.bucket.delivered(PREFIX).await;
    let moved = Bucket::new(aws.client(), "moved").delivered(PREFIX).await;
    assert!(!moved.is_empty(), "later events go to the new bucket");
    delivered.extend(moved);
    account(&accepted, &delivered).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_definitely_refusing_is_left_behind_at_once() {
    let (aws, keys) = store(Dialect::Aws, &["acme", "moved"]).await;
    let controller = Controller::start(Options::loopback()).await;
    let export = streaming(&controller, "f-refused", &aws, &keys).await;
    let denied = Fault::Answer { status: 403, code: "AccessDenied", message: "Access Denied" };
    aws.fail(Operation::PutObject, denied);
    let accepted = export.accept(&EventSource::new("f-refused").take(30)).await;
    let issue = export.wait_for_issue("PutObject").await;
    assert_eq!(issue["reason"], "WriteDenied", "{issue}");
    aws.heal();
    export.put(&with_keys(aws.endpoint(), "moved", REGION, &keys)).await.expect(200);
    export.wait_until_drained(FLOW_LIMIT).await;
    assert!(export.bucket.keys("").await.is_empty(), "nothing in the bucket that refused");
    account(&accepted, &Bucket::new(aws.client(), "moved").delivered(PREFIX).await).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_store_killed_under_load_costs_nothing_but_time() {
    let mut minio = Minio::start().await;
    minio.create_bucket("acme").await;
    let controller = Controller::start(Options::loopback()).await;
    let export = Export::new(&controller, "f-killed", "siem", Bucket::new(minio.client(), "acme"));
    export.put(&with_keys(minio.endpoint(), "acme", minio::REGION, &minio.root())).await.expect(200);
    export.settings(&json!({ "flush_interval_seconds": 1, "batch_size": 100 })).await;
    export.start().await.ok();
    let mut events = EventSource::new("f-killed").padded_by(1_000);
    let mut accepted = Vec::new();
    for round in 0..60 {
        accepted.extend(export.accept(&events.take(50)).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
        match round {
            20 => minio.kill(),
            40 => minio.restart().await,
            _ => {}
        }
    }
    export.wait_until_drained(RECOVERY_LIMIT).await;
    export.account(&accepted).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_bucket_is_filled_and_nothing_in_it_needs_deleting() {
    let minio = Minio::shared().await;
    minio.create_locked_bucket("f-locked").await;
    let keys = minio.create_user("f-locked", &guide_policy("f-locked")).await;
    let controller = Controller::start(Options::loopback()).await;
    let export = Export::new(&controller, "f-locked", "siem", Bucket::new(minio.client(), "f-locked"));
    export.put(&with_keys(minio.endpoint(), "f-locked", minio::REGION, &keys)).await.expect(200);
    export.flush_quickly().await;
    export.start().await.ok();
    let accepted = export.accept(&EventSource::new("f-locked").take(30)).await;
    export.wait_for(30, FLOW_LIMIT).await;
    export.account(&accepted).await.assert_clean();
    assert_eq!(export.bucket.keys("").await, export.bucket.keys(PREFIX).await, "objects only, no probe");
}
