//! Promise 7: role ↔ keys keeps the destination, its place and its External ID; keys → role deletes the stored keys.

use barndoor_tests::bucket::Bucket;
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::events::EventSource;
use barndoor_tests::minio::guide_policy;
use barndoor_tests::strict_aws::{Dialect, Policy, REGION, Role, StrictAws};
use serde_json::json;

use crate::e2e::export::{Export, FLOW_LIMIT, assert_names, with_keys, with_role};

const CONTROLLER: &str = "arn:aws:iam::111122223333:user/barndoor";
const ROLE: &str = "arn:aws:iam::444455556666:role/audit-export";

#[tokio::test(flavor = "multi_thread")]
async fn promise_07_switching_between_role_and_keys_keeps_the_destination_and_its_place() {
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    let identity = aws.create_identity(CONTROLLER, Policy::nothing());
    let permissions = || Policy::of(&guide_policy("acme")).expect("a policy");
    let keys = aws.create_identity("arn:aws:iam::444455556666:user/export", permissions());
    let controller = Controller::start(Options::loopback().aws(aws.endpoint(), REGION, &identity)).await;
    let export = Export::new(&controller, "p07-switch", "siem", Bucket::new(aws.client(), "acme"));
    let trust = async || controller.rest().trust_info("p07-switch", "siem").await.expect(200);
    let first_trust = trust().await;
    aws.put_role(Role::new(ROLE, CONTROLLER, first_trust["external_id"].as_str(), permissions()));
    let by_keys = with_keys(aws.endpoint(), "acme", REGION, &keys);
    let mut by_stored_keys = by_keys.clone();
    for field in ["access_key_id", "secret_access_key"] {
        by_stored_keys.as_object_mut().expect("an object").remove(field);
    }
    let by_role = with_role(aws.endpoint(), "acme", REGION, ROLE);
    let mut events = EventSource::new("p07");
    let mut accepted = Vec::new();

    export.put(&by_keys).await.expect(200);
    export.flush_quickly().await;
    export.start().await.ok();
    accepted.extend(export.accept(&events.take(10)).await);
    export.wait_for(10, FLOW_LIMIT).await;

    let answer = export.put(&by_role).await.expect(200);
    assert_eq!((&answer["enabled"], &answer["has_credentials"]), (&json!(true), &json!(false)), "{answer}");
    assert_eq!(answer["external_id"], first_trust["external_id"]);
    accepted.extend(export.accept(&events.take(10)).await);
    export.wait_for(20, FLOW_LIMIT).await;

    let refused = export.put(&by_stored_keys).await;
    assert_eq!(refused.status, 400, "the stored keys were deleted: {}", refused.body);
    assert_names(&refused.body["message"], &["access_key_id"]);
    aws.remove_role(ROLE);
    let answer = export.put(&by_keys).await.expect(200);
    assert_eq!((&answer["enabled"], &answer["has_credentials"]), (&json!(true), &json!(true)), "{answer}");
    accepted.extend(export.accept(&events.take(10)).await);
    export.wait_for(30, FLOW_LIMIT).await;

    assert_eq!(trust().await, first_trust);
    // One destination in every name, ranges that tile, one chain: the place was kept.
    export.account(&accepted).await.assert_clean();
}
