//! The banner and the badge: what streaming shows while it cannot, and when the trouble is over.

use barndoor_tests::bucket::Bucket;
use barndoor_tests::deadline::eventually;
use barndoor_tests::events::EventSource;
use barndoor_tests::minio::{Minio, REGION, guide_policy, policy};

use super::controller;
use crate::e2e::export::{Export, FLOW_LIMIT, RECOVERY_LIMIT, assert_names, with_keys};

async fn export(organization: &str) -> Export {
    let minio = Minio::shared().await;
    minio.create_bucket(organization).await;
    let keys = minio.create_user(organization, &guide_policy(organization)).await;
    let export = Export {
        rest: controller().await.administrator().await,
        organization: organization.to_owned(),
        name: "siem".to_owned(),
        bucket: Bucket::new(minio.client(), organization),
    };
    export.put(&with_keys(minio.endpoint(), organization, REGION, &keys)).await.expect(200);
    export.flush_quickly().await;
    export.start().await.ok();
    export
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_put_object_is_the_banners_and_goes_away_with_the_next_success() {
    let (minio, export) = (Minio::shared().await, export("t-banner").await);
    let list_only = policy("t-banner", &[], &["s3:ListBucket", "s3:GetBucketLocation"]);
    minio.set_user_policy("t-banner", &list_only).await;
    let mut events = EventSource::new("t-banner");
    let mut accepted = export.accept(&events.take(20)).await;
    let issue = export.wait_for_issue("PutObject").await;
    assert_eq!(
        (&issue["reason"], &issue["code"]),
        (&"WriteDenied".into(), &"AccessDenied".into()),
        "{issue}"
    );
    assert_names(&issue["message"], &["AccessDenied", "Access Denied"]);
    assert_names(&issue["remedy"], &["s3:PutObject", "arn:aws:s3:::t-banner/audit-events/*"]);
    let counted = eventually("a second attempt", RECOVERY_LIMIT, async || {
        let issue = export.delivery("last_issue").await;
        issue["count"].as_u64().filter(|&count| count > 1)
    });
    counted.await;
    assert_eq!(export.status().await["state"], "Retrying");

    minio.set_user_policy("t-banner", &guide_policy("t-banner")).await;
    accepted.extend(export.accept(&events.take(20)).await);
    export.wait_until_drained(RECOVERY_LIMIT).await;
    let status = export.wait_for_state("StreamingActive", FLOW_LIMIT).await;
    assert!(status["delivery"]["last_issue"].is_null(), "{status}");
    assert_eq!(status["delivery"]["dropped"], 0);
    export.account(&accepted).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn streaming_without_traffic_says_that_there_was_none() {
    let export = export("t-quiet").await;
    let status = export.wait_for_state("NoEvents", FLOW_LIMIT).await;
    let conditions = status["conditions"].as_array().expect("conditions");
    let streaming = conditions.iter().find(|condition| condition["type"] == "Streaming").expect("Streaming");
    assert_eq!(
        (&streaming["status"], &streaming["reason"]),
        (&"True".into(), &"NoEvents".into()),
        "{status}"
    );
    assert_names(&streaming["message"], &["no traffic"]);
    export.accept(&EventSource::new("t-quiet").take(1)).await;
    export.wait_for_state("StreamingActive", FLOW_LIMIT).await;
}
