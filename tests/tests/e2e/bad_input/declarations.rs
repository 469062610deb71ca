//! Names, destinations and settings that cannot be.

use barndoor_tests::rest::Rest;
use reqwest::Method;
use serde_json::{Value, json};

use super::{assert_problem, controller, visible};

fn good() -> Value {
    json!({
        "endpoint": "https://s3.us-east-1.amazonaws.com",
        "bucket": "acme-audit",
        "region": "us-east-1",
        "auth_method": "access_keys",
        "access_key_id": "AKIAEXAMPLE",
        "secret_access_key": "a-secret",
    })
}

fn with(change: &Value) -> Value {
    let mut body = good();
    let fields = body.as_object_mut().expect("an object");
    fields.extend(change.as_object().expect("an object").clone());
    fields.retain(|_, value| !value.is_null());
    body
}

async fn saved(organization: &str) -> Rest {
    let rest = controller().await.administrator().await;
    rest.put_destination(organization, "siem", &good()).await.expect(200);
    rest
}

const ROLE: &str = "arn:aws:iam::123456789012:role/x";

fn unfit_places() -> Vec<(Value, &'static str, &'static str)> {
    let endpoint = "https://s3.us-east-1.amazonaws.com";
    vec![
        (json!({ "endpoint": "" }), "endpoint", endpoint),
        (json!({ "endpoint": "ftp://s3.example" }), "endpoint", "https://"),
        (json!({ "endpoint": "https://user:pass@s3.example" }), "endpoint", "user name"),
        (json!({ "endpoint": "https://s3.example/acme-audit" }), "endpoint", "path"),
        (json!({ "endpoint": "s3 example" }), "endpoint", "spaces"),
        (json!({ "endpoint": "https://s3.example:99999" }), "endpoint", "port"),
        (json!({ "endpoint": format!("https://{}.example", "a".repeat(600)) }), "endpoint", "512"),
        (json!({ "bucket": "" }), "bucket", "required"),
        (json!({ "bucket": "Acme_Audit" }), "bucket", "a-z"),
        (json!({ "bucket": "s3://acme-audit" }), "bucket", "without s3://"),
        (json!({ "bucket": "arn:aws:s3:::acme-audit" }), "bucket", "ARN"),
        (json!({ "bucket": "192.168.0.1" }), "bucket", "IP address"),
        (json!({ "bucket": "a".repeat(64) }), "bucket", "63"),
        (json!({ "region": "US East" }), "region", "us-east-1"),
        (json!({ "region": "a".repeat(100) }), "region", "us-east-1"),
        (json!({ "path_prefix": "/audit" }), "path_prefix", "audit-events/"),
        (json!({ "path_prefix": "a/../b" }), "path_prefix", "\"..\""),
        (json!({ "path_prefix": "a//b" }), "path_prefix", "empty"),
        (json!({ "path_prefix": "a b" }), "path_prefix", "letters, digits"),
        (json!({ "path_prefix": "a\nb" }), "path_prefix", "letters, digits"),
        (json!({ "path_prefix": "a".repeat(201) }), "path_prefix", "200 bytes"),
    ]
}

fn unfit_authentications() -> Vec<(Value, &'static str, &'static str)> {
    let role = |arn: Value| json!({ "auth_method": "iam_role", "iam_role_arn": arn, "access_key_id": null, "secret_access_key": null });
    vec![
        (json!({ "auth_method": "password" }), "auth_method", "iam_role"),
        (json!({ "iam_role_arn": ROLE }), "iam_role_arn", "use iam_role"),
        (json!({ "auth_method": "iam_role", "iam_role_arn": ROLE }), "access_key_id", "use access_keys"),
        (
            json!({ "auth_method": "iam_role", "iam_role_arn": ROLE, "access_key_id": null }),
            "secret_access_key",
            "use access_keys",
        ),
        (role(json!(null)), "iam_role_arn", "required"),
        (role(json!("arn:aws:iam::1:role/x")), "iam_role_arn", "arn:aws:iam::123456789012:role/"),
        (role(json!("arn:aws:iam::123456789012:user/x")), "iam_role_arn", "arn:aws:iam::123456789012:role/"),
        (json!({ "access_key_id": null }), "access_key_id", "required"),
        (json!({ "secret_access_key": null }), "secret_access_key", "required"),
        (json!({ "secret_access_key": "hunter2\n" }), "secret_access_key", "copy it again"),
        (json!({ "access_key_id": "A".repeat(129) }), "access_key_id", "128"),
        (json!({ "secret_access_key": "hunter2".repeat(100) }), "secret_access_key", "256"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfit_destination_is_refused_by_field_and_the_saved_one_stays() {
    let rest = saved("bad-place").await;
    let before = visible(&rest, "bad-place").await;
    for (change, field, words) in unfit_places().into_iter().chain(unfit_authentications()) {
        let body = with(&change);
        let reply = rest.put_destination("bad-place", "siem", &body).await;
        assert_problem(&reply, 400, "InvalidField", Some(field), &[field, words]);
        assert!(!reply.body.to_string().contains("hunter2"), "{}", reply.body);
        let dry = rest.check("bad-place", "siem", Some(&body)).await;
        assert_problem(&dry, 400, "InvalidField", Some(field), &[field, words]);
        rest.put_destination("bad-place", "new", &body).await.expect(400);
    }
    let no_keys = with(&json!({ "access_key_id": null, "secret_access_key": null }));
    let reply = rest.put_destination("bad-place", "new", &no_keys).await;
    assert_problem(
        &reply,
        400,
        "InvalidField",
        Some("access_key_id"),
        &["access_key_id", "secret_access_key"],
    );
    for other in ["azure_blob", "gcs"] {
        let reply = rest.put_destination("bad-place", "siem", &with(&json!({ "provider": other }))).await;
        assert_problem(&reply, 403, "UnsupportedProvider", None, &[other, "s3"]);
    }
    assert_eq!(visible(&rest, "bad-place").await, before, "nothing changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_json_or_too_long_is_refused_in_words() {
    let rest = saved("bad-body").await;
    let before = visible(&rest, "bad-body").await;
    let json = [("content-type", "application/json")];
    for path in
        ["exports/bad-body/siem/destination", "exports/bad-body/siem/settings", "exports/bad-body/siem/check"]
    {
        let method = match path.rsplit('/').next() {
            Some("destination") => Method::PUT,
            Some("settings") => Method::PATCH,
            _ => Method::POST,
        };
        let send = async |headers: &[(&str, &str)], body: &[u8]| {
            rest.try_send(method.clone(), path, headers, body.to_vec()).await.expect("an answer")
        };
        let reply = send(&json, b"{\n \"endpoint\": x}").await;
        assert_problem(&reply, 400, "InvalidBody", None, &["line 2 column"]);
        assert_problem(&send(&json, b"{\"bucket\":").await, 400, "InvalidBody", None, &["line 1 column"]);
        assert_problem(&send(&json, b"\xff\xfe").await, 400, "InvalidBody", None, &["line 1"]);
        let deep = format!("{{\"x\":{}", "[".repeat(10_000));
        assert_problem(&send(&json, deep.as_bytes()).await, 400, "InvalidBody", None, &["line 1"]);
        let long = format!("{{\"x\":\"{}\"}}", "a".repeat(70_000));
        assert_problem(&send(&json, long.as_bytes()).await, 413, "BodyTooLarge", None, &["65536 bytes"]);
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_problem(&send(&form, b"a=b").await, 415, "UnsupportedMediaType", None, &["application/json"]);
    }
    let wrong_kind = with(&json!({ "use_ssl": "hunter2" }));
    let reply = rest.put_destination("bad-body", "siem", &wrong_kind).await;
    assert_problem(&reply, 400, "InvalidBody", None, &["expected a boolean"]);
    assert!(!reply.body.to_string().contains("hunter2"), "{}", reply.body);
    assert_eq!(visible(&rest, "bad-body").await, before, "nothing changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_name_is_refused_before_anything_is_looked_up() {
    let rest = controller().await.administrator().await;
    let long = "a".repeat(64);
    for bad in ["Acme", "-a", "a-", "a_b", "a.b", "a%2Fb", "%C3%A9", "%FF", "a%20b", "%00", &long] {
        for call in ["", "/destination", "/status"] {
            let path = format!("exports/{bad}/siem{call}");
            let reply = rest.try_call(Method::GET, &path, None).await.expect("an answer");
            assert_problem(&reply, 400, "InvalidField", Some("organization_id"), &["organization_id", "a-z"]);
            let path = format!("exports/bad-name/{bad}{call}");
            let reply = rest.try_call(Method::GET, &path, None).await.expect("an answer");
            assert_problem(&reply, 400, "InvalidField", Some("name"), &["name", "63 characters"]);
        }
        let path = format!("exports/bad-name/{bad}/destination");
        let put = rest.try_call(Method::PUT, &path, Some(&good())).await.expect("an answer");
        assert_problem(&put, 400, "InvalidField", Some("name"), &["name", "a-z"]);
    }
    assert_eq!(visible(&rest, "bad-name").await[0]["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_destination_is_named_and_not_made() {
    let rest = controller().await.administrator().await;
    let (org, name) = ("bad-unknown", "nowhere");
    let named = ["organization bad-unknown has no destination named nowhere"];
    for reply in [
        rest.export(org, name).await,
        rest.destination(org, name).await,
        rest.status(org, name).await,
        rest.preview(org, name).await,
        rest.patch_settings(org, name, &json!({ "batch_size": 10 })).await,
        rest.pause(org, name).await,
        rest.check(org, name, None).await,
    ] {
        assert_problem(&reply, 404, "NotFound", None, &named);
    }
    let start = rest.start(org, name).await;
    assert_problem(&start, 400, "NoDestination", None, &[named[0], "PUT its destination first"]);
    assert_eq!(visible(&rest, org).await[0]["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn unfit_settings_are_refused_by_field_with_their_bounds() {
    let rest = saved("bad-settings").await;
    let before = visible(&rest, "bad-settings").await;
    for (body, field, words) in [
        (json!({ "batch_size": -1 }), "batch_size", "between 1 and"),
        (json!({ "batch_size": 1_000_001 }), "batch_size", "1000000"),
        (json!({ "flush_interval_seconds": 1_000_000 }), "flush_interval_seconds", "between"),
        (json!({ "max_retries": 1_000 }), "max_retries", "between"),
        (json!({ "max_bytes": 1 }), "max_bytes", "between"),
        (json!({ "included_event_types": vec!["AUDIT"; 65] }), "included_event_types", "64"),
    ] {
        let reply = rest.patch_settings("bad-settings", "siem", &body).await;
        assert_problem(&reply, 400, "InvalidField", Some(field), &[field, words]);
    }
    for (written, nearest) in
        [("TOOLCALL", "TOOL_CALL"), ("audit", "AUDIT"), ("SESSION_CREATE", "SESSION_CREATED")]
    {
        let body = json!({ "batch_size": 7, "included_event_types": ["AUDIT", written] });
        let reply = rest.patch_settings("bad-settings", "siem", &body).await;
        let mut words = vec![written, nearest, "did you mean"];
        words.extend(barndoor_crds::event_type::EventType::ALL.iter().map(|known| known.name()));
        assert_problem(&reply, 400, "InvalidField", Some("included_event_types"), &words);
        assert!(reply.text("message").len() <= 512, "older clients cut it at 512 bytes");
    }
    for kind in [json!({ "batch_size": "ten" }), json!({ "batch_size": 1.5 }), json!({ "format": "xml" })] {
        let reply = rest.patch_settings("bad-settings", "siem", &kind).await;
        assert_problem(&reply, 400, "InvalidBody", None, &["expected"]);
    }
    assert_eq!(visible(&rest, "bad-settings").await, before, "nothing changed");
}
