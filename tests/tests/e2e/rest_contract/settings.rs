//! `PATCH …/settings`: the row, its defaults, and the additions of this project.

use std::time::Duration;

use barndoor_crds::event_type::EventType;
use barndoor_tests::events::EventSource;
use serde_json::{Value, json};

use super::{Api, odd, problem, shared};
use crate::e2e::export::Export;

async fn created(api: &Api, organization: &str) -> String {
    api.put(&format!("exports/{organization}/siem/destination"), &odd()).await.expect(200);
    format!("exports/{organization}/siem")
}

async fn settings(api: &Api, path: &str) -> Value {
    api.get(path).await.expect(200)["settings"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_subset_changes_what_it_names_and_nothing_else() {
    let api = Api::shared().await;
    let path = created(&api, "s-subset").await;
    let mut expected = settings(&api, &path).await;
    api.patch(&format!("{path}/settings"), &json!({})).await.ok();
    assert_eq!(settings(&api, &path).await, expected);
    for (member, value) in [
        ("batch_size", json!(7)),
        ("flush_interval_seconds", json!(45)),
        ("max_retries", json!(5)),
        ("included_event_types", json!(["TOOL_CALL"])),
        ("max_bytes", json!(1_000_000)),
        ("format", json!("datadog-json")),
    ] {
        api.patch(&format!("{path}/settings"), &json!({member: value})).await.ok();
        expected[member] = value;
        assert_eq!(settings(&api, &path).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_goes_back_to_the_default_and_the_effective_integers_are_reported() {
    let api = Api::shared().await;
    let path = created(&api, "s-zero").await;
    for (member, other, default) in [
        ("batch_size", 10, 50_000),
        ("flush_interval_seconds", 10, 30),
        ("max_retries", 10, 3),
        ("max_bytes", 65_536, 8_388_608),
    ] {
        for (sent, reported) in [(other, other), (0, default)] {
            api.patch(&format!("{path}/settings"), &json!({member: sent})).await.ok();
            let raw = api.get(&path).await.raw;
            assert!(raw.contains(&format!("\"{member}\":{reported},")), "{member} {sent}: {raw}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_out_of_bounds_are_refused_by_name_and_change_nothing() {
    let api = Api::shared().await;
    let path = created(&api, "s-bounds").await;
    let before = settings(&api, &path).await;
    for (member, value) in [
        ("batch_size", json!(-1)),
        ("batch_size", json!(1_000_001)),
        ("flush_interval_seconds", json!(3_601)),
        ("max_retries", json!(11)),
        ("max_bytes", json!(1)),
        ("max_bytes", json!(i64::MAX)),
    ] {
        let refused =
            api.patch(&format!("{path}/settings"), &json!({"format": "datadog-json", member: value})).await;
        assert!(problem(&refused, 400, "InvalidField").contains(member), "{}", refused.raw);
        assert_eq!(refused.body["field"], member);
    }
    for body in [json!({"batch_size": "many"}), json!({"batch_size": 1.5}), json!({"format": "xml"})] {
        problem(&api.patch(&format!("{path}/settings"), &body).await, 400, "InvalidBody");
    }
    assert_eq!(settings(&api, &path).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_types_are_refused_with_the_list_of_the_16() {
    let api = Api::shared().await;
    let path = created(&api, "s-types").await;
    let body = json!({"included_event_types": ["AUDIT", "AUTHENTIFICATION"]});
    let refused = api.patch(&format!("{path}/settings"), &body).await;
    let message = problem(&refused, 400, "InvalidField");
    assert_eq!(refused.body["field"], "included_event_types");
    assert!(message.contains("AUTHENTIFICATION"), "{message}");
    assert_eq!(EventType::ALL.len(), 16);
    for event_type in EventType::ALL {
        assert!(message.contains(event_type.name()), "{} in {message}", event_type.name());
    }
    assert_eq!(settings(&api, &path).await["included_event_types"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_16_types_are_taken() {
    let api = Api::shared().await;
    let path = created(&api, "s-all").await;
    let mut every: Vec<&str> = EventType::ALL.iter().map(|event_type| event_type.name()).collect();
    every.reverse();
    api.patch(&format!("{path}/settings"), &json!({"included_event_types": every})).await.ok();
    assert_eq!(settings(&api, &path).await["included_event_types"], json!(every));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_means_every_type_and_a_list_means_its_own() {
    let export = Export::on_minio_of(shared().await, "s-empty").await;
    export.settings(&json!({"included_event_types": [], "flush_interval_seconds": 1})).await;
    export.start().await.ok();
    let mut events = EventSource::new("s-empty");
    export.accept(&events.take(16)).await;
    export.wait_for(16, Duration::from_secs(30)).await;
    export.settings(&json!({"included_event_types": ["AUDIT", "SYSTEM"]})).await;
    export.accept(&events.take(16)).await;
    export.wait_for(18, Duration::from_secs(30)).await;
    let delivery = export.wait_until_drained(Duration::from_secs(30)).await;
    assert_eq!((&delivery["delivered"], &delivery["filtered"]), (&json!(18), &json!(14)), "{delivery}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_an_unknown_export_are_404_and_unknown_fields_are_ignored() {
    let api = Api::shared().await;
    problem(&api.patch("exports/s-none/siem/settings", &json!({})).await, 404, "NotFound");
    let path = created(&api, "s-unknown").await;
    api.patch(&format!("{path}/settings"), &json!({"unheard_of": {"a": 1}, "max_retries": 4})).await.ok();
    assert_eq!(settings(&api, &path).await["max_retries"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_records_the_wish_without_a_check_and_fixes_the_place_before_it_answers() {
    let api = Api::shared().await;
    let path = created(&api, "s-paused").await;
    let answer = api.patch(&format!("{path}/settings"), &json!({"paused": false})).await.ok();
    assert_eq!(answer["paused"], false);
    let export = api.get(&path).await.expect(200);
    assert_eq!((&export["enabled"], &export["settings"]["paused"]), (&json!(true), &json!(false)));
    let mut events = EventSource::new("s-paused");
    api.rest.accept("s-paused", &events.take(5)).await;
    let status = api.get(&format!("{path}/status")).await.expect(200);
    assert_eq!(status["delivery"]["accepted"], 5, "nothing is lost while it is not healthy yet: {status}");

    api.patch(&format!("{path}/settings"), &json!({"paused": true})).await.ok();
    assert_eq!(api.get(&path).await.expect(200)["enabled"], false);
    api.rest.accept("s-paused", &events.take(5)).await;
    let status = api.get(&format!("{path}/status")).await.expect(200);
    assert_eq!(status["delivery"]["accepted"], 10, "a pause keeps its place: {status}");
}
