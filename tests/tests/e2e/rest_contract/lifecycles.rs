//! The lifecycles that existing clients run, replayed to the letter: what they send, in which order, and what they
//! compare afterwards.

use barndoor_tests::minio::{Minio, REGION, guide_policy};
use serde_json::{Value, json};

use super::{Api, changed};
use crate::e2e::export::with_keys;

/// What a client's configuration says.
struct Plan {
    destination: Value,
    settings: Option<Value>,
    enabled: Option<bool>,
}

/// The attributes a client compares with its plan; keys are never read back.
const COMPARED: [&str; 8] = [
    "endpoint",
    "bucket",
    "region",
    "path_prefix",
    "use_ssl",
    "use_path_style",
    "auth_method",
    "iam_role_arn",
];

async fn plan(organization: &str) -> Plan {
    let minio = Minio::shared().await;
    minio.create_bucket(organization).await;
    let keys = minio.create_user(organization, &guide_policy(organization)).await;
    let address = minio.endpoint().trim_start_matches("http://").to_owned();
    let members = json!({"endpoint": address, "use_ssl": false, "path_prefix": "no/slash", "provider": "s3"});
    Plan {
        destination: changed(&with_keys(&address, organization, REGION, &keys), &members),
        settings: Some(json!({"batch_size": 100, "included_event_types": ["TOOL_CALL", "AUDIT"]})),
        enabled: Some(true),
    }
}

/// PUT → PATCH, only if settings were given → start or pause, only if `enabled` differs from the PUT's answer.
async fn apply(api: &Api, path: &str, plan: &Plan) {
    let answer = api.put(&format!("{path}/destination"), &plan.destination).await.expect(200);
    if let Some(settings) = &plan.settings {
        api.patch(&format!("{path}/settings"), settings).await.ok();
    }
    if let Some(enabled) = plan.enabled.filter(|wanted| answer["enabled"] != *wanted) {
        toggle(api, path, enabled).await;
    }
}

async fn toggle(api: &Api, path: &str, enabled: bool) {
    let action = if enabled { "start" } else { "pause" };
    api.post(&format!("{path}/{action}")).await.ok();
}

/// GET, GET destination: the next plan must be empty.
async fn assert_nothing_to_do(api: &Api, path: &str, plan: &Plan) {
    let export = api.get(path).await.expect(200);
    let destination = api.get(&format!("{path}/destination")).await.expect(200);
    assert_eq!(export["destination"], destination);
    for name in COMPARED {
        let (planned, found) = (&plan.destination[name], &destination[name]);
        assert_eq!(planned, found, "{name} in {destination}");
    }
    for (name, planned) in plan.settings.iter().filter_map(Value::as_object).flatten() {
        assert_eq!(&export["settings"][name], planned, "{name} in {export}");
    }
    if let Some(enabled) = plan.enabled {
        assert_eq!(export["enabled"], enabled);
    }
    let mut parts = path.split('/').skip(1);
    assert_eq!(export["organization_id"].as_str(), parts.next());
    assert_eq!(export["export_type"].as_str(), parts.next());
}

#[tokio::test(flavor = "multi_thread")]
async fn create_with_every_attribute_leaves_an_empty_plan() {
    let (api, plan) = (Api::shared().await, plan("c-create").await);
    apply(&api, "exports/c-create/datadog-json", &plan).await;
    assert_nothing_to_do(&api, "exports/c-create/datadog-json", &plan).await;
    // Applying the same again is what a repeated run does.
    apply(&api, "exports/c-create/datadog-json", &plan).await;
    assert_nothing_to_do(&api, "exports/c-create/datadog-json", &plan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn create_with_the_least_leaves_an_empty_plan() {
    let (api, plan) = (Api::shared().await, plan("c-least").await);
    let least = changed(&plan.destination, &json!({"path_prefix": null, "provider": null}));
    let plan = Plan { destination: least, settings: None, enabled: None };
    apply(&api, "exports/c-least/datadog-json", &plan).await;
    assert_nothing_to_do(&api, "exports/c-least/datadog-json", &plan).await;
    let export = api.get("exports/c-least/datadog-json").await.expect(200);
    assert_eq!(export["enabled"], false, "saved paused");
}

#[tokio::test(flavor = "multi_thread")]
async fn create_that_cannot_start_reports_why_and_what_was_saved_stays() {
    let (api, plan) = (Api::shared().await, plan("c-fails").await);
    let destination = changed(&plan.destination, &json!({"bucket": "c-not-there"}));
    let plan = Plan { destination, ..plan };
    let path = "exports/c-fails/datadog-json";
    let answer = api.put(&format!("{path}/destination"), &plan.destination).await.expect(200);
    assert_eq!(answer["enabled"], false);
    assert_eq!(api.post(&format!("{path}/start")).await.status, 422);
    assert_nothing_to_do(&api, path, &Plan { settings: None, enabled: Some(false), ..plan }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn update_of_settings_alone_and_of_enabled_alone_touches_nothing_else() {
    let (api, plan) = (Api::shared().await, plan("c-update").await);
    let path = "exports/c-update/datadog-json";
    apply(&api, path, &plan).await;
    let settings = json!({"batch_size": 0, "flush_interval_seconds": 60, "included_event_types": ["AUDIT", "TOOL_CALL"]});
    api.patch(&format!("{path}/settings"), &settings).await.ok();
    let reported = changed(&settings, &json!({"batch_size": 50_000}));
    let plan = Plan { settings: Some(reported), ..plan };
    assert_nothing_to_do(&api, path, &plan).await;
    toggle(&api, path, false).await;
    let plan = Plan { enabled: Some(false), ..plan };
    assert_nothing_to_do(&api, path, &plan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn update_of_the_place_without_keys_leaves_an_empty_plan() {
    let (api, plan) = (Api::shared().await, plan("c-place").await);
    let path = "exports/c-place/datadog-json";
    apply(&api, path, &plan).await;
    let members = json!({"access_key_id": null, "secret_access_key": null, "path_prefix": "moved/"});
    let plan = Plan { destination: changed(&plan.destination, &members), ..plan };
    apply(&api, path, &plan).await;
    assert_nothing_to_do(&api, path, &plan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_is_pause_then_delete_and_may_be_cut_short_and_repeated() {
    let (api, mut plan) = (Api::shared().await, plan("c-delete").await);
    let path = "exports/c-delete/datadog-json";
    for enabled in [Some(true), None] {
        plan.enabled = enabled;
        apply(&api, path, &plan).await;
        api.post(&format!("{path}/pause")).await.ok();
        api.post(&format!("{path}/pause")).await.ok();
        assert!([204, 404].contains(&api.delete(&format!("{path}/destination")).await.status));
        assert!([204, 404].contains(&api.delete(&format!("{path}/destination")).await.status));
        assert_eq!(api.get(path).await.status, 404, "the client drops it");
        assert_eq!(api.get(&format!("{path}/destination")).await.status, 404);
        assert_eq!(api.post(&format!("{path}/pause")).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn import_finds_every_attribute_but_the_keys() {
    let (api, plan) = (Api::shared().await, plan("c-import").await);
    // `org` alone means the type clients default to; `org/type` any other.
    for path in ["exports/c-import/datadog-json", "exports/c-import/siem"] {
        apply(&api, path, &plan).await;
        assert_nothing_to_do(&api, path, &plan).await;
        let destination = api.get(&format!("{path}/destination")).await.expect(200);
        assert_eq!(destination["has_credentials"], true);
        assert!(destination.get("access_key_id").is_none() && destination.get("secret_access_key").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_made_elsewhere_is_seen_in_the_very_next_read() {
    let (api, plan) = (Api::shared().await, plan("c-drift").await);
    let path = "exports/c-drift/datadog-json";
    apply(&api, path, &plan).await;
    let drifted = Plan {
        destination: changed(&plan.destination, &json!({"region": "eu-central-1", "bucket": "c-drifted"})),
        settings: Some(json!({"batch_size": 7, "included_event_types": ["AUDIT"]})),
        enabled: Some(false),
    };
    apply(&api, path, &drifted).await;
    assert_nothing_to_do(&api, path, &drifted).await;
}
