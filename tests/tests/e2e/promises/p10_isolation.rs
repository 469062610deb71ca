//! Promise 10: One destination's trouble (dead, denied, slow, huge backlog) delays no other.

use std::time::{Duration, Instant};

use barndoor_tests::bucket::Bucket;
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::events::EventSource;
use barndoor_tests::strict_aws::{Dialect, Fault, Operation, Policy, REGION, StrictAws};
use serde_json::json;

use crate::e2e::export::{DELIVERY_LIMIT, Export, FLOW_LIMIT, RECOVERY_LIMIT, with_keys};

#[tokio::test(flavor = "multi_thread")]
async fn promise_10_trouble_of_one_destination_delays_no_other() {
    let controller = Controller::start(Options::loopback()).await;
    let denied = Fault::Answer { status: 403, code: "AccessDenied", message: "Access Denied" };
    let faults = [
        ("dead", Fault::HangUp),
        ("denied", denied),
        ("slow", Fault::Delay(Duration::from_secs(20))),
        ("hanging", Fault::Hang),
    ];
    let mut troubled = Vec::new();
    for (what, fault) in faults {
        let aws = StrictAws::start(Dialect::Aws).await;
        aws.create_bucket("acme", REGION);
        let keys = aws.create_identity("arn:aws:iam::444455556666:user/export", Policy::everything());
        aws.fail(Operation::PutObject, fault);
        let organization = format!("p10-{what}");
        let export = Export::new(&controller, &organization, "siem", Bucket::new(aws.client(), "acme"));
        export.put(&with_keys(aws.endpoint(), "acme", REGION, &keys)).await.expect(200);
        export.settings(&json!({ "paused": false, "flush_interval_seconds": 1 })).await;
        let mut events = EventSource::new(&organization).padded_by(900);
        let mut accepted = Vec::new();
        for _ in 0..10 {
            accepted.extend(export.accept(&events.take(2_000)).await);
        }
        troubled.push((aws, export, accepted));
    }

    let healthy = Export::on_minio_of(&controller, "p10-healthy").await;
    healthy.flush_quickly().await;
    healthy.start().await.ok();
    let mut events = EventSource::new("p10-healthy");
    let mut accepted = Vec::new();
    let started = Instant::now();
    let mut slowest = Duration::ZERO;
    while started.elapsed() < Duration::from_secs(40) {
        let batch = healthy.accept(&events.take(50)).await;
        let answered = Instant::now();
        accepted.extend(batch);
        healthy.wait_for(accepted.len(), FLOW_LIMIT).await;
        slowest = slowest.max(answered.elapsed());
    }
    assert!(
        slowest < Duration::from_secs(15),
        "the healthy destination waited {slowest:?} for a flush of 1 s"
    );
    healthy.account(&accepted).await.assert_clean();

    // After the repair the troubled ones drain, whole and in order.
    for (aws, export, accepted) in &troubled {
        aws.heal();
        export.check().await;
        export.wait_for(accepted.len(), RECOVERY_LIMIT + DELIVERY_LIMIT).await;
        export.account(accepted).await.assert_clean();
        assert!(aws.overwritten("acme").is_empty());
    }
}
