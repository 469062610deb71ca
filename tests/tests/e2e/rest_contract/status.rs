//! `GET …/status` and `GET …/preview`.

use std::time::Duration;

use barndoor_tests::deadline::eventually;
use barndoor_tests::events::EventSource;
use serde_json::{Value, json};

use super::{Api, changed, odd, problem, shared};
use crate::e2e::export::Export;

fn condition<'a>(status: &'a Value, name: &str) -> &'a Value {
    let conditions = status["conditions"].as_array().expect("conditions");
    conditions
        .iter()
        .find(|condition| condition["type"] == name)
        .unwrap_or_else(|| panic!("{name} in {status}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_has_its_fields_in_snake_case_before_anything_has_happened() {
    let api = Api::shared().await;
    problem(&api.get("exports/w-new/siem/status").await, 404, "NotFound");
    api.put("exports/w-new/siem/destination", &odd()).await.expect(200);
    let status = api.get("exports/w-new/siem/status").await.expect(200);
    assert_eq!((&status["organization_id"], &status["name"]), (&json!("w-new"), &json!("siem")));
    assert_eq!((&status["paused"], &status["state"]), (&json!(true), &json!("Paused")));
    assert!(status["check"].is_null() && status["delivery"].is_null() && status["trust"].is_null());
    assert!(status["observed_generation"].is_u64());
    for name in ["Ready", "ConnectionHealthy", "Streaming"] {
        let condition = condition(&status, name);
        for member in ["status", "reason", "message", "last_transition_time"] {
            assert!(condition[member].is_string(), "{member} in {condition}");
        }
    }
    let connection = condition(&status, "ConnectionHealthy");
    assert_eq!((&connection["status"], &connection["reason"]), (&json!("Unknown"), &json!("NotChecked")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_follows_a_destination_from_no_events_to_streaming_active_and_paused() {
    let export = Export::on_minio_of(shared().await, "w-flow").await;
    let api = Api::shared().await;
    export.flush_quickly().await;
    export.start().await.ok();
    let status = api.get("exports/w-flow/siem/status").await.expect(200);
    assert_eq!((&status["paused"], &status["check"]["healthy"]), (&json!(false), &json!(true)), "{status}");
    let delivery = &status["delivery"];
    assert!(delivery["started_at"].as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()));
    for member in ["accepted", "delivered", "filtered", "dropped", "possibly_duplicated", "backlog"] {
        assert_eq!(delivery[member], 0, "{member}");
    }
    for member in ["oldest_pending_at", "last_object", "last_issue"] {
        assert!(delivery[member].is_null(), "{member}");
    }
    let badge = condition(&status, "Streaming")["message"].to_string();
    assert!(badge.to_lowercase().contains("accepted"), "nothing was accepted yet, and it says so: {badge}");

    export.settings(&json!({"included_event_types": ["AUDIT"], "flush_interval_seconds": 3})).await;
    export.accept(&EventSource::new("w-flow").take(32)).await;
    let waiting = api.get("exports/w-flow/siem/status").await.expect(200)["delivery"].clone();
    assert_eq!((&waiting["accepted"], &waiting["backlog"]), (&json!(32), &json!(32)), "{waiting}");
    assert!(waiting["oldest_pending_at"].is_string());
    let status = eventually("2 events delivered", Duration::from_secs(40), async || {
        let status = api.get("exports/w-flow/siem/status").await.expect(200);
        let sum: u64 = ["delivered", "filtered", "dropped", "backlog"]
            .iter()
            .filter_map(|member| status["delivery"][member].as_u64())
            .sum();
        assert_eq!(status["delivery"]["accepted"], sum, "the counters add up: {status}");
        (status["delivery"]["backlog"] == 0 && status["delivery"]["last_object"].is_object())
            .then_some(status)
    })
    .await;
    assert_eq!(status["state"], "StreamingActive");
    let delivery = &status["delivery"];
    assert_eq!((&delivery["delivered"], &delivery["filtered"]), (&json!(2), &json!(30)));
    assert_eq!(export.bucket.keys("").await, [delivery["last_object"]["key"].as_str().expect("a key")]);
    assert!(delivery["last_object"]["at"].is_string() && delivery["oldest_pending_at"].is_null());

    export.pause().await.ok();
    let status = api.get("exports/w-flow/siem/status").await.expect(200);
    assert_eq!((&status["paused"], &status["state"]), (&json!(true), &json!("Paused")));
    assert_eq!(condition(&status, "Ready")["status"], "True", "paused and healthy is ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_delivery_shows_as_the_last_issue_with_a_remedy_and_a_count() {
    let api = Api::shared().await;
    let dead = changed(&odd(), &json!({"endpoint": "http://127.0.0.1:1"}));
    api.put("exports/w-issue/siem/destination", &dead).await.expect(200);
    api.patch("exports/w-issue/siem/settings", &json!({"paused": false, "flush_interval_seconds": 1}))
        .await
        .ok();
    api.rest.accept("w-issue", &EventSource::new("w-issue").take(3)).await;
    let status = eventually("an issue", Duration::from_mins(1), async || {
        let status = api.get("exports/w-issue/siem/status").await.expect(200);
        status["delivery"]["last_issue"].is_object().then_some(status)
    })
    .await;
    let issue = &status["delivery"]["last_issue"];
    assert_eq!((&issue["operation"], &issue["reason"]), (&json!("PutObject"), &json!("EndpointUnreachable")));
    assert!(issue["count"].as_u64() >= Some(1) && issue["at"].is_string());
    assert!(
        ["message", "remedy"]
            .iter()
            .all(|member| issue[member].as_str().is_some_and(|text| !text.is_empty()))
    );
    assert_eq!((&status["state"], &status["delivery"]["backlog"]), (&json!("Retrying"), &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_the_pattern_of_the_keys_that_will_be_used() {
    let export = Export::on_minio_of(shared().await, "w-preview").await;
    let api = Api::shared().await;
    problem(&api.get("exports/w-preview/other/preview").await, 404, "NotFound");
    let preview = api.get("exports/w-preview/siem/preview").await;
    assert_eq!(preview.body["bucket"], "w-preview");
    assert_eq!(preview.body["prefix"], "audit-events/");
    assert_eq!(api.get("exports/w-preview/siem/preview").await.raw, preview.raw, "a pure function");
    let pattern = preview.text("key_pattern").to_owned();
    assert!(pattern.starts_with("audit-events/date=") && pattern.ends_with(".jsonl.gz"), "{pattern}");

    export.flush_quickly().await;
    export.start().await.ok();
    export.accept(&EventSource::new("w-preview").take(3)).await;
    export.wait_for(3, Duration::from_secs(30)).await;
    let keys = export.bucket.keys("").await;
    assert!(fits(&pattern, &keys[0]), "{pattern} {keys:?}");
}

/// Whether a key is the pattern with something in every `<…>`.
fn fits(pattern: &str, key: &str) -> bool {
    let mut rest = key;
    for (index, piece) in pattern.split('<').enumerate() {
        let fixed = if index == 0 { piece } else { piece.split_once('>').map_or("", |(_, fixed)| fixed) };
        let Some(at) = (if index == 0 {
            rest.starts_with(fixed).then_some(0)
        } else {
            rest.find(fixed).filter(|at| *at > 0)
        }) else {
            return false;
        };
        rest = &rest[at + fixed.len()..];
    }
    rest.is_empty()
}
