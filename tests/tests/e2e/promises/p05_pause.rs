//! Promise 5: Pause keeps accepted events for the retention; after the answer to a pause no new PUT begins; resume sends them
//! in order, then goes on; what retention dropped is counted and reported.

use std::time::Duration;

use barndoor_tests::bucket::Bucket;
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::deadline::throughout;
use barndoor_tests::events::EventSource;
use barndoor_tests::strict_aws::{Dialect, Operation, Policy, REGION, StrictAws};
use serde_json::json;

use crate::e2e::export::{DELIVERY_LIMIT, Export, FLOW_LIMIT, with_keys};

#[tokio::test(flavor = "multi_thread")]
async fn promise_05_a_paused_destination_keeps_its_events_and_sends_them_in_order() {
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    let keys = aws.create_identity("arn:aws:iam::444455556666:user/export", Policy::everything());
    let mut controller = Controller::start(Options::loopback()).await;
    let export = Export::new(&controller, "p05-pause", "siem", Bucket::new(aws.client(), "acme"));
    export.put(&with_keys(aws.endpoint(), "acme", REGION, &keys)).await.expect(200);
    export.flush_quickly().await;
    export.start().await.ok();
    let mut events = EventSource::new("p05");
    let mut accepted = export.accept(&events.take(100)).await;
    export.wait_for(100, FLOW_LIMIT).await;

    accepted.extend(export.accept(&events.take(100)).await);
    export.pause().await.ok();
    export.pause().await.ok();
    let puts = aws.recorded_of(Operation::PutObject).len();
    accepted.extend(export.accept(&events.take(100)).await);
    let still = || async {
        let now = aws.recorded_of(Operation::PutObject).len();
        if now == puts { Ok(()) } else { Err(format!("{} PUTs after the pause was answered", now - puts)) }
    };
    throughout("no PUT while paused", Duration::from_secs(5), still).await;
    assert_eq!(export.status().await["state"], "Paused");
    assert!(!export.enabled().await);
    controller.kill9();
    controller.restart().await;
    throughout("no PUT while paused, after a crash too", Duration::from_secs(5), still).await;

    export.start().await.ok();
    accepted.extend(export.accept(&events.take(100)).await);
    export.wait_for(400, DELIVERY_LIMIT).await;
    export.account(&accepted).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_05_what_retention_dropped_is_counted_and_younger_events_are_sent() {
    let controller = Controller::start(Options::loopback().flag("--retention", "20s")).await;
    let export = Export::on_minio_of(&controller, "p05-retention").await;
    export.flush_quickly().await;
    export.start().await.ok();
    let mut events = EventSource::new("p05-retention");
    let mut accepted = export.accept(&events.take(10)).await;
    export.wait_for(10, FLOW_LIMIT).await;
    export.pause().await.ok();
    export.accept(&events.take(10)).await;
    tokio::time::sleep(Duration::from_secs(25)).await;
    accepted.extend(export.accept(&events.take(10)).await);
    export.start().await.ok();
    export.wait_for(20, FLOW_LIMIT).await;
    let delivery = export.wait_until_drained(FLOW_LIMIT).await;
    assert_eq!((&delivery["dropped"], &delivery["delivered"]), (&json!(10), &json!(20)), "{delivery}");
    assert_eq!(delivery["accepted"], 30);
    export.account(&accepted).await.assert_clean();
}
