//! `PUT …/destination` and `DELETE …/destination`, and the rules of the PUT body.

use std::time::Duration;

use barndoor_tests::bucket::Bucket;
use barndoor_tests::deadline::eventually;
use barndoor_tests::events::EventSource;
use barndoor_tests::minio::{Minio, REGION, guide_policy};
use barndoor_tests::strict_aws::{Dialect, Policy, StrictAws};
use serde_json::{Value, json};

use super::{Api, changed, odd, problem, role, shared};
use crate::e2e::export::{Export, with_keys};

#[tokio::test(flavor = "multi_thread")]
async fn a_put_creates_paused_answers_200_and_says_enabled_truthfully() {
    let api = Api::shared().await;
    let path = "exports/u-create/siem/destination";
    assert_eq!(api.put(path, &odd()).await.expect(200)["enabled"], false);
    assert_eq!(api.put(path, &odd()).await.expect(200)["enabled"], false);
    api.patch("exports/u-create/siem/settings", &json!({"paused": false})).await.ok();
    assert_eq!(
        api.put(path, &changed(&odd(), &json!({"bucket": "other"}))).await.expect(200)["enabled"],
        true
    );
    assert_eq!(api.get("exports/u-create/siem").await.expect(200)["enabled"], true, "a PUT keeps it");
    assert!(api.get(path).await.expect(200)["enabled"].is_null(), "only the answer to a PUT says it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_never_reaches_the_endpoint() {
    let aws = StrictAws::start(Dialect::Aws).await;
    let keys = aws.create_identity("arn:aws:iam::444455556666:user/export", Policy::everything());
    let api = Api::shared().await;
    let path = "exports/u-probe/siem/destination";
    for region in ["us-east-1", "", "eu-central-1"] {
        api.put(path, &with_keys(aws.endpoint(), "not-there", region, &keys)).await.expect(200);
    }
    let hanging = changed(&odd(), &json!({"endpoint": "https://192.0.2.1"}));
    api.put(path, &hanging).await.expect(200);
    assert!(aws.recorded().is_empty(), "{:?}", aws.recorded());
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_and_bucket_are_required_and_each_refusal_names_its_field() {
    let api = Api::shared().await;
    let path = "exports/u-required/siem/destination";
    for (members, field) in [
        (json!({"endpoint": null}), "endpoint"),
        (json!({"endpoint": ""}), "endpoint"),
        (json!({"endpoint": "https://user:word@minio.example"}), "endpoint"),
        (json!({"endpoint": "https://minio.example/bucket"}), "endpoint"),
        (json!({"bucket": null}), "bucket"),
        (json!({"bucket": ""}), "bucket"),
        (json!({"bucket": "Not A Bucket"}), "bucket"),
        (json!({"path_prefix": "/audit"}), "path_prefix"),
        (json!({"path_prefix": "a/../b"}), "path_prefix"),
        (json!({"auth_method": "password"}), "auth_method"),
    ] {
        let reply = api.put(path, &changed(&odd(), &members)).await;
        let message = problem(&reply, 400, "InvalidField");
        assert_eq!(reply.body["field"], field, "{message}");
        assert!(message.contains(field), "{message}");
    }
    api.get(path).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_required_at_first_and_may_be_left_out_while_the_mode_stays() {
    let api = Api::shared().await;
    let path = "exports/u-keys/siem/destination";
    let without = changed(&odd(), &json!({"access_key_id": null, "secret_access_key": null}));
    let refused = api.put(path, &without).await;
    problem(&refused, 400, "InvalidField");
    assert_eq!(refused.body["field"], "access_key_id");
    for (half, field) in [
        (json!({"access_key_id": null}), "access_key_id"),
        (json!({"secret_access_key": null}), "secret_access_key"),
    ] {
        let refused = api.put(path, &changed(&odd(), &half)).await;
        problem(&refused, 400, "InvalidField");
        assert_eq!(refused.body["field"], field);
    }
    api.put(path, &odd()).await.expect(200);
    let empty = changed(&odd(), &json!({"access_key_id": "", "secret_access_key": "", "bucket": "third"}));
    for body in [changed(&without, &json!({"bucket": "second"})), empty] {
        let answer = api.put(path, &body).await.expect(200);
        assert_eq!((&answer["has_credentials"], &answer["bucket"]), (&json!(true), &body["bucket"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_keys_still_open_the_store_after_a_put_without_keys() {
    let export = Export::on_minio_of(shared().await, "u-stored").await;
    let api = Api::shared().await;
    let body = with_keys(Minio::shared().await.endpoint(), "u-stored", REGION, &Minio::shared().await.root());
    let moved = changed(
        &body,
        &json!({"access_key_id": null, "secret_access_key": null, "path_prefix": "elsewhere"}),
    );
    api.put("exports/u-stored/siem/destination", &moved).await.expect(200);
    assert_eq!(export.check().await["healthy"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_the_other_mode_is_refused_by_name() {
    let api = Api::shared().await;
    let path = "exports/u-modes/siem/destination";
    let arn = &role()["iam_role_arn"];
    for (body, field) in [
        (changed(&odd(), &json!({"iam_role_arn": arn})), "iam_role_arn"),
        (changed(&odd(), &json!({"iam_role_arn": arn, "auth_method": ""})), "iam_role_arn"),
        (changed(&role(), &json!({"access_key_id": "AKIAEXAMPLE"})), "access_key_id"),
        (changed(&role(), &json!({"secret_access_key": "word"})), "secret_access_key"),
        (changed(&role(), &json!({"iam_role_arn": null})), "iam_role_arn"),
        (changed(&role(), &json!({"iam_role_arn": "arn:aws:iam::1:role/x"})), "iam_role_arn"),
    ] {
        let refused = api.put(path, &body).await;
        assert!(problem(&refused, 400, "InvalidField").contains(field), "{}", refused.raw);
        assert_eq!(refused.body["field"], field);
    }
    api.get(path).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_to_role_deletes_the_keys_and_role_to_keys_asks_for_new_ones() {
    let api = Api::shared().await;
    let path = "exports/u-switch/siem/destination";
    api.put(path, &odd()).await.expect(200);
    let as_role = api.put(path, &role()).await.expect(200);
    assert_eq!((&as_role["auth_method"], &as_role["has_credentials"]), (&json!("iam_role"), &json!(false)));
    let without = changed(&odd(), &json!({"access_key_id": null, "secret_access_key": null}));
    let refused = api.put(path, &without).await;
    problem(&refused, 400, "InvalidField");
    assert_eq!(
        api.get(path).await.expect(200),
        changed(&as_role, &json!({"enabled": null})),
        "nothing changed"
    );
    let as_keys = api.put(path, &odd()).await.expect(200);
    assert_eq!((&as_keys["auth_method"], &as_keys["has_credentials"]), (&json!("access_keys"), &json!(true)));
    assert!(as_keys["iam_role_arn"].is_null() && as_keys["external_id"].is_null());
    let again = api.put(path, &role()).await.expect(200);
    assert_eq!(again["external_id"], as_role["external_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_provider_is_refused_403_before_all_else() {
    let api = Api::shared().await;
    let path = "exports/u-provider/siem/destination";
    for body in [
        json!({"provider": "azure_blob"}),
        json!({"provider": "azure_blob", "endpoint": 7, "container": "x", "use_ssl": "no"}),
        changed(&odd(), &json!({"provider": "azure_blob"})),
    ] {
        let refused = api.put(path, &body).await;
        let message = problem(&refused, 403, "UnsupportedProvider");
        assert!(message.contains("azure_blob") && message.contains("s3"), "{message}");
        let dry = api.post_json("exports/u-provider/siem/check", &body).await;
        problem(&dry, 403, "UnsupportedProvider");
    }
    for absent in [json!(null), json!(""), json!("s3")] {
        api.put(path, &changed(&odd(), &json!({"provider": absent}))).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_are_ignored() {
    let api = Api::shared().await;
    let path = "exports/u-unknown/siem/destination";
    let body = changed(
        &odd(),
        &json!({"compression": "gzip", "enabled": true, "has_credentials": false, "nested": {"a": [1]}}),
    );
    let answer = api.put(path, &body).await.expect(200);
    assert_eq!((&answer["enabled"], &answer["has_credentials"]), (&json!(false), &json!(true)));
    assert!(answer.get("compression").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_upload_uses_the_new_destination_and_a_failure_shows_as_the_last_issue() {
    let export = Export::on_minio_of(shared().await, "u-move").await;
    let minio = Minio::shared().await;
    minio.create_bucket("u-moved").await;
    let keys = minio.create_user("u-moved", &guide_policy("u-moved")).await;
    let (endpoint, moved) = (minio.endpoint(), Bucket::new(minio.client(), "u-moved"));
    export.flush_quickly().await;
    export.start().await.ok();
    let mut events = EventSource::new("u-move");
    export.accept(&events.take(3)).await;
    export.wait_for(3, Duration::from_secs(30)).await;

    export.put(&with_keys(endpoint, "u-moved", REGION, &keys)).await.expect(200);
    export.accept(&events.take(3)).await;
    eventually("3 events at the new place", Duration::from_secs(30), async || {
        (moved.event_ids("audit-events/").await.len() == 3).then_some(())
    })
    .await;

    let nowhere = with_keys(endpoint, "u-nowhere", REGION, &minio.root());
    let answer = export.put(&nowhere).await.expect(200);
    assert_eq!(answer["enabled"], true, "a PUT keeps it, and never asks the store");
    export.accept(&events.take(3)).await;
    let issue = export.wait_for_issue("PutObject").await;
    assert_eq!(
        (&issue["code"], &issue["reason"]),
        (&json!("NoSuchBucket"), &json!("BucketNotFound")),
        "{issue}"
    );
    export.put(&with_keys(endpoint, "u-moved", REGION, &keys)).await.expect(200);
    eventually("what waited, at the place that works", Duration::from_mins(1), async || {
        (moved.event_ids("audit-events/").await.len() == 6).then_some(())
    })
    .await;
    assert_eq!(export.delivery("last_issue").await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_answers_204_and_the_credentials_are_gone_with_it() {
    let api = Api::shared().await;
    let path = "exports/u-delete/siem/destination";
    api.put(path, &odd()).await.expect(200);
    let reply = api.delete(path).await;
    assert_eq!((reply.status, reply.raw.as_str()), (204, ""));
    problem(&api.get(path).await, 404, "NotFound");
    problem(&api.get("exports/u-delete/siem").await, 404, "NotFound");
    let without = changed(&odd(), &json!({"access_key_id": null, "secret_access_key": null}));
    problem(&api.put(path, &without).await, 400, "InvalidField");
    problem(&api.post_json("exports/u-delete/siem/check", &without).await, 400, "InvalidField");
}
