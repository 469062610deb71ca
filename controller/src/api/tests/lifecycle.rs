use barndoor_crds::status::LastObject;
use serde_json::json;

use super::*;
use crate::destinations::{Destinations, Health};

const EXPORT: &str = "exports/acme/datadog-json";
const DESTINATION: &str = "exports/acme/datadog-json/destination";
const SETTINGS: &str = "exports/acme/datadog-json/settings";

#[tokio::test]
async fn a_destination_is_created_paused_and_echoed_byte_for_byte() {
    let world = World::new().await;
    assert_eq!(world.get(EXPORT).await.problem(), (404, "NotFound"));
    let put = world.put(DESTINATION, with_keys()).await;
    assert_eq!((put.status, &put.body["enabled"]), (StatusCode::OK, &json!(false)));
    let destination = world.get(DESTINATION).await.body;
    for field in ["endpoint", "bucket", "region", "path_prefix", "use_ssl"] {
        assert_eq!(destination[field], with_keys()[field], "{field}");
    }
    assert_eq!(destination["has_credentials"], true);
    assert_eq!(destination["auth_method"], "access_keys");
    assert!(destination.get("iam_role_arn").is_none() && destination.get("enabled").is_none());
    assert!(world.checks.asked.lock().expect("not poisoned").is_empty(), "PUT never probes");
    assert!(!put.text.contains("hunter2") && !put.text.contains("AKIAEXAMPLE"));
    let export = world.get(EXPORT).await.body;
    assert_eq!(export["destination"], destination);
    assert_eq!(
        export["settings"],
        json!({
            "batch_size": 50_000, "flush_interval_seconds": 30, "max_retries": 3, "included_event_types": null,
            "max_bytes": 8_388_608, "format": "datadog-json", "paused": true,
        })
    );
    assert_eq!(
        (&export["organization_id"], &export["export_type"]),
        (&json!("acme"), &json!("datadog-json"))
    );
}

#[tokio::test]
async fn start_and_pause_are_synchronous_and_may_be_repeated() {
    let world = World::new().await;
    assert_eq!(world.post(&format!("{EXPORT}/start")).await.problem(), (400, "NoDestination"));
    assert_eq!(world.post(&format!("{EXPORT}/pause")).await.problem(), (404, "NotFound"));
    world.put(DESTINATION, with_keys()).await;
    assert_eq!(world.post(&format!("{EXPORT}/pause")).await.status, StatusCode::OK, "never started");
    for (call, enabled) in [("start", true), ("start", true), ("pause", false), ("pause", false)] {
        assert_eq!(world.post(&format!("{EXPORT}/{call}")).await.status, StatusCode::OK, "{call}");
        assert_eq!(world.get(EXPORT).await.body["enabled"], enabled, "{call}");
    }
    assert_eq!(world.checks.asked.lock().expect("not poisoned").len(), 1, "already started: no check");
}

#[tokio::test]
async fn a_start_whose_check_fails_changes_nothing_and_says_why() {
    let world = World::new().await;
    world.put(DESTINATION, with_keys()).await;
    world.finds(Reason::HeadBucketDenied);
    let refused = world.post(&format!("{EXPORT}/start")).await;
    assert_eq!(refused.problem(), (422, "HeadBucketDenied"));
    let message = refused.body["message"].as_str().expect("text");
    assert!(message.contains("the store said so") && message.contains("grant s3:ListBucket"), "{message}");
    assert_eq!(world.get(EXPORT).await.body["enabled"], false);
    let status = world.get(&format!("{EXPORT}/status")).await.body;
    assert_eq!((&status["state"], &status["delivery"]), (&json!("Paused"), &Value::Null));
    assert_eq!(status["conditions"][0]["reason"], "HeadBucketDenied");
    world.finds(Reason::Healthy);
    assert_eq!(world.post(&format!("{EXPORT}/start")).await.status, StatusCode::OK);
    assert_eq!(world.get(&format!("{EXPORT}/status")).await.body["state"], "NoEvents");
}

#[tokio::test]
async fn what_is_changed_while_it_is_checked_is_not_started() {
    let world = Arc::new(World::new().await);
    let change = |bucket: &'static str| {
        let other = Arc::clone(&world);
        async move {
            let mut body = with_keys();
            body["bucket"] = json!(bucket);
            assert_eq!(other.put(DESTINATION, body).await.status, StatusCode::OK);
        }
    };
    change("acme-audit").await;
    world.meanwhile(change("acme-unchecked"));
    let refused = world.post(&format!("{EXPORT}/start")).await;
    assert_eq!(refused.problem(), (409, "ChangedMeanwhile"));
    assert!(refused.text.contains("start it again"), "{}", refused.text);
    assert_eq!(world.get(EXPORT).await.body["enabled"], false);

    let other = Arc::clone(&world);
    let declare_anew = change("acme-successor");
    world.meanwhile(async move {
        other.delete(DESTINATION).await;
        declare_anew.await;
    });
    assert_eq!(world.post(&format!("{EXPORT}/start")).await.problem(), (409, "ChangedMeanwhile"));
    assert_eq!(world.get(EXPORT).await.body["enabled"], false);

    let other = Arc::clone(&world);
    world.meanwhile(async move {
        assert_eq!(other.post(&format!("{EXPORT}/start")).await.status, StatusCode::OK);
    });
    assert_eq!(world.post(&format!("{EXPORT}/start")).await.status, StatusCode::OK, "already started");
    assert_eq!(world.get(EXPORT).await.body["enabled"], true);
}

#[tokio::test]
async fn a_put_keeps_whether_it_streams_and_says_so() {
    let world = World::new().await;
    world.put(DESTINATION, with_keys()).await;
    world.post(&format!("{EXPORT}/start")).await;
    let mut changed = with_keys();
    changed["bucket"] = json!("acme-audit-2");
    assert_eq!(world.put(DESTINATION, changed).await.body["enabled"], true);
    assert_eq!(world.get(EXPORT).await.body["enabled"], true);
}

#[tokio::test]
async fn modes_switch_and_keys_go_with_the_mode() {
    let world = World::new().await;
    world.put(DESTINATION, with_keys()).await;
    let mut without_keys = with_keys();
    for field in ["access_key_id", "secret_access_key"] {
        without_keys.as_object_mut().expect("an object").remove(field);
    }
    let kept = world.put(DESTINATION, without_keys.clone()).await;
    assert_eq!((kept.status, &kept.body["has_credentials"]), (StatusCode::OK, &json!(true)));
    let role = world.put(DESTINATION, with_role()).await;
    assert_eq!(role.body["has_credentials"], false);
    assert_eq!(role.body["iam_role_arn"], with_role()["iam_role_arn"]);
    let trust = world.get(&format!("{DESTINATION}/aws-trust-info")).await.body;
    assert_eq!(role.body["external_id"], trust["external_id"]);
    let refused = world.put(DESTINATION, without_keys).await;
    assert_eq!((refused.status.as_u16(), &refused.body["field"]), (400, &json!("access_key_id")));
    assert_eq!(world.get(DESTINATION).await.body["auth_method"], "iam_role", "nothing changed");
}

#[tokio::test]
async fn another_provider_is_refused_before_all_else() {
    let world = World::new().await;
    let refused = world.put(DESTINATION, json!({"provider": "azure_blob", "endpoint": 7})).await;
    assert_eq!(refused.problem(), (403, "UnsupportedProvider"));
    assert!(refused.body["message"].as_str().expect("text").contains("azure_blob"));
    let fields = world.put(DESTINATION, json!({"endpoint": "h"})).await;
    assert_eq!((fields.status.as_u16(), &fields.body["field"]), (400, &json!("bucket")));
}

#[tokio::test]
async fn settings_change_one_by_one_and_zero_is_the_default() {
    let world = World::new().await;
    assert_eq!(world.patch(SETTINGS, json!({})).await.problem(), (404, "NotFound"));
    world.put(DESTINATION, with_keys()).await;
    let types = json!(["TOOL_CALL", "AUDIT"]);
    let change = json!({"batch_size": 100, "included_event_types": types, "format": "json", "unheard_of": 1});
    assert_eq!(world.patch(SETTINGS, change).await.status, StatusCode::OK);
    assert_eq!(world.patch(SETTINGS, json!({})).await.status, StatusCode::OK);
    let settings = world.get(EXPORT).await.body["settings"].clone();
    assert_eq!((&settings["batch_size"], &settings["included_event_types"]), (&json!(100), &types));
    assert_eq!(settings["format"], "json");
    let back = world.patch(SETTINGS, json!({"batch_size": 0, "included_event_types": null})).await.body;
    assert_eq!((&back["batch_size"], &back["included_event_types"]), (&json!(50_000), &Value::Null));
    let refused = world.patch(SETTINGS, json!({"included_event_types": ["LOGIN"]})).await;
    assert_eq!(refused.problem().0, 400);
    assert!(refused.text.contains("SESSION_UPDATED") && refused.text.contains("USER_ACTION"));
}

#[tokio::test]
async fn the_wish_can_be_recorded_without_a_check_and_fixes_the_place() {
    let world = World::new().await;
    world.put(DESTINATION, with_keys()).await;
    world.finds(Reason::HeadBucketDenied);
    assert_eq!(world.patch(SETTINGS, json!({"paused": false})).await.body["paused"], false);
    assert_eq!(world.get(EXPORT).await.body["enabled"], true);
    let status = world.get(&format!("{EXPORT}/status")).await.body;
    assert_eq!((&status["delivery"]["accepted"], &status["paused"]), (&json!(0), &json!(false)));
    assert!(world.checks.asked.lock().expect("not poisoned").is_empty());
}

#[tokio::test]
async fn a_removed_destination_is_gone_with_its_keys() {
    let world = World::new().await;
    world.put(DESTINATION, with_keys()).await;
    assert_eq!(world.delete(DESTINATION).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.delete(DESTINATION).await.status, StatusCode::NO_CONTENT, "again");
    assert_eq!(world.get(DESTINATION).await.problem(), (404, "NotFound"));
    let mut without_keys = with_keys();
    without_keys.as_object_mut().expect("an object").remove("access_key_id");
    without_keys.as_object_mut().expect("an object").remove("secret_access_key");
    assert_eq!(world.put(DESTINATION, without_keys).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn trust_info_is_there_before_anything_else_and_never_changes() {
    let world = World::new().await;
    let path = "exports/nobody-yet/audit/destination/aws-trust-info";
    let first = world.get(path).await;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(first.body["external_id"].as_str().map(str::len), Some(64));
    assert_eq!(world.get(path).await.body, first.body);
    world.principal(Err(PrincipalError::NoControllerIdentity));
    assert_eq!(world.get(path).await.problem(), (404, "NoControllerIdentity"));
    world.principal(Err(PrincipalError::Unreachable("timed out".to_owned())));
    let unreachable = world.get(path).await;
    assert_eq!(unreachable.problem().0, 503);
    assert_eq!(unreachable.header("retry-after"), "5");
}

#[tokio::test]
async fn a_check_runs_for_what_is_saved_and_for_what_is_not() {
    let world = World::new().await;
    let path = format!("{EXPORT}/check");
    assert_eq!(world.post(&path).await.problem(), (404, "NotFound"));
    let check = |body: Value| world.call_as(&world.admin, Method::POST, &path, Some(body));
    let mut unsaved = with_keys();
    unsaved.as_object_mut().expect("an object").remove("compression");
    let report = check(unsaved).await;
    assert_eq!((report.status, &report.body["healthy"]), (StatusCode::OK, &json!(true)));
    assert_eq!(world.get(DESTINATION).await.status, StatusCode::NOT_FOUND, "nothing was saved");
    assert_eq!(check(with_keys()).await.problem().0, 400, "an unknown field");
    world.put(DESTINATION, with_keys()).await;
    world.finds(Reason::BucketNotFound);
    let report = world.post(&path).await;
    assert_eq!((report.status, &report.body["reason"]), (StatusCode::OK, &json!("BucketNotFound")));
    let saved = world.get(&format!("{EXPORT}/status")).await.body["check"].clone();
    assert_eq!(saved, report.body);
    let asked = world.checks.asked.lock().expect("not poisoned");
    assert!(matches!(asked[0], (0, KeySource::Given(_))) && matches!(asked[1], (1, KeySource::Stored)));
}

#[tokio::test]
async fn a_list_comes_in_pages_in_name_order() {
    let world = World::new().await;
    for name in ["c", "a", "b"] {
        world.put(&format!("exports/acme/{name}/destination"), with_keys()).await;
    }
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("a list");
        items.iter().map(|item| item["export_type"].as_str().expect("text").to_owned()).collect()
    };
    let first = world.get("exports/acme?limit=2").await.body;
    assert_eq!(names(&first), ["a", "b"]);
    let cursor = first["next_cursor"].as_str().expect("another page");
    let last = world.get(&format!("exports/acme?limit=2&cursor={cursor}")).await.body;
    assert_eq!((names(&last), &last["next_cursor"]), (vec!["c".to_owned()], &Value::Null));
    assert_eq!(names(&world.get("exports/other").await.body), Vec::<String>::new());
    for bad in ["limit=0", "limit=x", "cursor=%21", "offset=1"] {
        assert_eq!(world.get(&format!("exports/acme?{bad}")).await.problem().0, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_preview_shows_the_keys_that_will_be_used() {
    let world = World::new().await;
    world.put(DESTINATION, with_keys()).await;
    let preview = world.get(&format!("{EXPORT}/preview")).await.body;
    assert_eq!((&preview["bucket"], &preview["prefix"]), (&json!("acme-audit"), &json!("audit/")));
    let pattern = preview["key_pattern"].as_str().expect("text");
    assert!(pattern.starts_with("audit/date=<YYYY-MM-DD>/hour=<HH>/"), "{pattern}");
}

#[tokio::test]
async fn a_destination_that_moves_is_not_checked_until_it_is_checked_there() {
    let world = World::new().await;
    world.put(DESTINATION, with_keys()).await;
    world.post(&format!("{EXPORT}/start")).await;
    let reason =
        || async { world.get(&format!("{EXPORT}/status")).await.body["conditions"][1]["reason"].clone() };
    assert_eq!(reason().await, "Healthy");
    world.patch(SETTINGS, json!({"batch_size": 7})).await;
    world.put(DESTINATION, with_keys()).await;
    assert_eq!(reason().await, "Healthy", "the place is the same");
    let mut moved = with_keys();
    moved["bucket"] = json!("acme-audit-2");
    world.put(DESTINATION, moved).await;
    assert_eq!(reason().await, "NotChecked");
}

#[tokio::test]
async fn a_check_adds_to_what_deliveries_saw_and_takes_nothing_away() {
    let world = World::new().await;
    world.put(DESTINATION, with_keys()).await;
    let (organization, name) =
        ("acme".parse().expect("a name"), "datadog-json".parse().expect("a destination's name"));
    let found =
        Destinations::find(&world.storage, &organization, &name).await.expect("reads").expect("is there");
    let at = Timestamp::from_second(1_000_000).expect("a time");
    let delivered = Health {
        last_object: Some(LastObject { key: "audit/1".to_owned(), at }),
        healthy_at: Some(at),
        ..Health::default()
    };
    world.storage.save_health(&found.uid, delivered.clone()).await.expect("saves");
    for finding in [Reason::BucketNotFound, Reason::Healthy] {
        world.finds(finding);
        world.post(&format!("{EXPORT}/check")).await;
        let saved = world.storage.health(&found.uid).await.expect("reads").expect("is saved");
        assert_eq!(saved.last_object, delivered.last_object);
        assert_eq!(saved.check.as_ref().map(|check| check.reason), Some(finding));
        let healthy_at =
            if finding == Reason::Healthy { saved.check.map(|check| check.at) } else { Some(at) };
        assert_eq!(saved.healthy_at, healthy_at);
    }
}
