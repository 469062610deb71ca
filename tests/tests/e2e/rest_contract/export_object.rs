//! The export object, and the first row of the endpoints.

use serde_json::{Value, json};

use super::{Api, odd, problem, role};

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_export_and_its_destination_are_404() {
    let api = Api::shared().await;
    problem(&api.get("exports/e-none/siem").await, 404, "NotFound");
    problem(&api.get("exports/e-none/siem/destination").await, 404, "NotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_every_field_from_the_first_answer_on() {
    let api = Api::shared().await;
    let put = api.put("exports/e-fields/siem/destination", &odd()).await.expect(200);
    let reply = api.get("exports/e-fields/siem").await;
    let export = reply.body.as_object().expect("an object");
    let mut names: Vec<&str> = export.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["destination", "enabled", "export_type", "organization_id", "settings"]);
    assert_eq!((&export["organization_id"], &export["export_type"]), (&json!("e-fields"), &json!("siem")));
    assert_eq!(export["enabled"], false);
    let settings = &export["settings"];
    assert_eq!(
        settings,
        &json!({
            "batch_size": 50_000, "flush_interval_seconds": 30, "max_retries": 3, "included_event_types": null,
            "max_bytes": 8_388_608, "format": "json", "paused": true
        })
    );
    let destination = api.get("exports/e-fields/siem/destination").await.expect(200);
    assert_eq!(export["destination"], destination, "the same object in both places");
    let mut without_enabled = put;
    without_enabled.as_object_mut().expect("an object").remove("enabled");
    assert_eq!(destination, without_enabled);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_written_as_integers() {
    let api = Api::shared().await;
    api.put("exports/e-integers/siem/destination", &odd()).await.expect(200);
    let body =
        json!({"batch_size": 100, "flush_interval_seconds": 60, "max_retries": 5, "max_bytes": 1_000_000});
    let patched = api.patch("exports/e-integers/siem/settings", &body).await;
    for reply in [patched, api.get("exports/e-integers/siem").await, api.get("exports/e-integers").await] {
        for written in [
            r#""batch_size":100,"#,
            r#""flush_interval_seconds":60,"#,
            r#""max_retries":5,"#,
            r#""max_bytes":1000000,"#,
        ] {
            assert!(reply.raw.contains(written), "{written} in {}", reply.raw);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_clients_default_to_means_datadogs_format_and_every_other_json() {
    let api = Api::shared().await;
    for (name, format) in [("datadog-json", "datadog-json"), ("siem", "json"), ("json", "json")] {
        api.put(&format!("exports/e-format/{name}/destination"), &role()).await.expect(200);
        let export = api.get(&format!("exports/e-format/{name}")).await.expect(200);
        assert_eq!((&export["export_type"], &export["settings"]["format"]), (&json!(name), &json!(format)));
    }
    api.patch("exports/e-format/datadog-json/settings", &json!({"format": "json"})).await.ok();
    api.put("exports/e-format/datadog-json/destination", &role()).await.expect(200);
    let export = api.get("exports/e-format/datadog-json").await.expect(200);
    assert_eq!(export["settings"]["format"], "json", "what was said stays said");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_may_be_a_uuid_and_needs_no_creation() {
    let api = Api::shared().await;
    let organization = "0190d2c5-6f4e-7a3b-9c1d-2e3f4a5b6c7d";
    api.put(&format!("exports/{organization}/siem/destination"), &odd()).await.expect(200);
    let export = api.get(&format!("exports/{organization}/siem")).await.expect(200);
    assert_eq!(export["organization_id"], organization);
    let longest = "a".repeat(63);
    api.put(&format!("exports/{longest}/{longest}/destination"), &odd()).await.expect(200);
    for bad in ["a".repeat(64).as_str(), "-a", "a-", "A", "a_b", "a.b", "%20"] {
        problem(&api.get(&format!("exports/{bad}/siem")).await, 400, "InvalidField");
        problem(&api.get(&format!("exports/e-names/{bad}")).await, 400, "InvalidField");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn included_event_types_are_null_at_first_and_then_as_sent() {
    let api = Api::shared().await;
    api.put("exports/e-types/siem/destination", &odd()).await.expect(200);
    let types = |reply: Value| reply["settings"]["included_event_types"].clone();
    assert_eq!(types(api.get("exports/e-types/siem").await.expect(200)), Value::Null);
    for sent in [
        json!(["TOOL_CALL", "AUDIT", "AUTHENTICATION"]),
        json!(["AUTHENTICATION", "AUDIT", "TOOL_CALL"]),
        json!(["AUDIT", "AUDIT"]),
        json!([]),
        Value::Null,
    ] {
        api.patch("exports/e-types/siem/settings", &json!({"included_event_types": sent})).await.ok();
        assert_eq!(types(api.get("exports/e-types/siem").await.expect(200)), sent);
    }
}
