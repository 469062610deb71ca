//! Promise 8: Remove stops the exporter, deletes stored credentials, and frees the events nobody else needs.

use std::time::Duration;

use barndoor_tests::bucket::Bucket;
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::deadline::throughout;
use barndoor_tests::events::EventSource;
use barndoor_tests::strict_aws::{Dialect, Operation, Policy, REGION, StrictAws};

use crate::e2e::export::{Export, FLOW_LIMIT, with_keys};

#[tokio::test(flavor = "multi_thread")]
async fn promise_08_a_removed_destination_sends_nothing_keeps_nothing_and_remembers_no_keys() {
    let aws = StrictAws::start(Dialect::Aws).await;
    for bucket in ["removed", "staying"] {
        aws.create_bucket(bucket, REGION);
    }
    let keys = aws.create_identity("arn:aws:iam::444455556666:user/export", Policy::everything());
    let controller = Controller::start(Options::loopback()).await;
    let export = |name: &str| Export::new(&controller, "p08-remove", name, Bucket::new(aws.client(), name));
    let (removed, staying) = (export("removed"), export("staying"));
    for export in [&removed, &staying] {
        export.put(&with_keys(aws.endpoint(), &export.name, REGION, &keys)).await.expect(200);
        export.flush_quickly().await;
        export.start().await.ok();
    }
    let mut events = EventSource::new("p08");
    let mut accepted = removed.accept(&events.take(10)).await;
    removed.wait_for(10, FLOW_LIMIT).await;
    staying.wait_for(10, FLOW_LIMIT).await;
    staying.pause().await.ok();
    accepted.extend(staying.accept(&events.take(10)).await);

    removed.pause().await.ok();
    removed.rest.delete_destination("p08-remove", "removed").await.expect(204);
    let again = removed.rest.delete_destination("p08-remove", "removed").await;
    assert!([204, 404].contains(&again.status), "{}", again.body);
    removed.rest.export("p08-remove", "removed").await.expect(404);
    removed.rest.status("p08-remove", "removed").await.expect(404);
    let puts = aws.recorded_of(Operation::PutObject).len();
    accepted.extend(staying.accept(&events.take(10)).await);
    throughout("no PUT after the removal", Duration::from_secs(5), || async {
        let now = aws.recorded_of(Operation::PutObject).len();
        if now == puts { Ok(()) } else { Err(format!("{} PUTs", now - puts)) }
    })
    .await;

    // What the other destination needs was kept.
    staying.start().await.ok();
    staying.wait_for(30, FLOW_LIMIT).await;
    staying.account(&accepted).await.assert_clean();

    // With nobody left nothing is kept, and a destination of the same name is a new one.
    staying.pause().await.ok();
    staying.rest.delete_destination("p08-remove", "staying").await.expect(204);
    staying.not_kept(&events.take(5)).await;
    let mut without_keys = with_keys(aws.endpoint(), "removed", REGION, &keys);
    for field in ["access_key_id", "secret_access_key"] {
        without_keys.as_object_mut().expect("an object").remove(field);
    }
    assert_eq!(removed.put(&without_keys).await.status, 400, "the stored keys are gone");
    let before = removed.bucket.event_ids("").await.len();
    removed.put(&with_keys(aws.endpoint(), "removed", REGION, &keys)).await.expect(200);
    assert!(!removed.enabled().await);
    removed.flush_quickly().await;
    removed.start().await.ok();
    removed.accept(&events.take(5)).await;
    assert_eq!(removed.wait_for(before + 5, FLOW_LIMIT).await.len(), before + 5, "no backfill");
}
