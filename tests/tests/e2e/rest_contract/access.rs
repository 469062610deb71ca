//! Scopes, organizations and clients: who may do what, and who learns what is there.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, odd, problem};

/// Every route below an organization, with the scope it asks for and what it answers who has it.
const ROUTES: [(&str, &str, &str, u16); 13] = [
    ("GET", "exports/ORG", "exports:read", 200),
    ("GET", "exports/ORG/siem", "exports:read", 200),
    ("GET", "exports/ORG/siem/destination", "exports:read", 200),
    ("GET", "exports/ORG/siem/destination/aws-trust-info", "exports:read", 404),
    ("GET", "exports/ORG/siem/status", "exports:read", 200),
    ("GET", "exports/ORG/siem/preview", "exports:read", 200),
    ("PUT", "exports/ORG/siem/destination", "exports:write", 200),
    ("PATCH", "exports/ORG/siem/settings", "exports:write", 200),
    ("POST", "exports/ORG/siem/check", "exports:write", 200),
    ("POST", "exports/ORG/siem/start", "exports:write", 422),
    ("POST", "exports/ORG/siem/pause", "exports:write", 200),
    ("POST", "events/ORG", "events:write", 200),
    ("DELETE", "exports/ORG/siem/destination", "exports:write", 204),
];

const EVENT: &str = r#"{"id":"1","type":"AUDIT","timestamp":"2026-01-31T12:00:00Z"}"#;

async fn call(api: &Api, method: &str, path: &str) -> barndoor_tests::rest::Reply {
    let request = api.request(method.parse().expect("a method"), path);
    api.send(match method {
        "PUT" => request.json(&odd()),
        "PATCH" => request.json(&json!({})),
        "POST" if path.starts_with("events/") => {
            request.header("content-type", "application/x-ndjson").body(EVENT)
        }
        _ => request,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_takes_its_scope_or_admin_and_names_the_one_that_is_missing() {
    let api = Api::shared().await;
    api.put("exports/x-scopes/siem/destination", &odd()).await.expect(200);
    for scope in ["exports:read", "exports:write", "events:write", "admin"] {
        let caller = api.with_token(&api.token(Some("x-scopes"), &[scope]).await);
        for (method, path, wanted, status) in ROUTES {
            let reply = call(&caller, method, &path.replace("ORG", "x-scopes")).await;
            if scope == wanted || scope == "admin" {
                assert_eq!(reply.status, status, "{scope}: {method} {path}: {}", reply.raw);
                if method == "DELETE" {
                    api.put("exports/x-scopes/siem/destination", &odd()).await.expect(200);
                }
            } else {
                assert!(problem(&reply, 403, "MissingScope").contains(wanted), "{}", reply.raw);
            }
        }
        let clients = caller.get("clients").await;
        assert_eq!(clients.status, if scope == "admin" { 200 } else { 403 }, "{scope}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organizations_things_are_404_whatever_the_scope_and_whether_or_not_they_are_there() {
    let api = Api::shared().await;
    api.put("exports/x-owner/siem/destination", &odd()).await.expect(200);
    for scopes in [["exports:read", "admin"], ["exports:read", "exports:read"]] {
        let stranger = api.with_token(&api.token(Some("x-stranger"), &scopes).await);
        for (method, path, _, _) in ROUTES {
            let there = call(&stranger, method, &path.replace("ORG", "x-owner")).await;
            let message = problem(&there, 404, "NotFound");
            let not_there = call(&stranger, method, &path.replace("ORG", "x-absent")).await;
            problem(&not_there, 404, "NotFound");
            assert_eq!(message.replace("x-owner", "x-absent"), not_there.text("message"), "{method} {path}");
        }
        // A broken body or name tells no more.
        let broken = stranger.request(Method::PUT, "exports/x-owner/siem/destination").body("{");
        problem(&stranger.send(broken).await, 404, "NotFound");
        problem(&stranger.get("exports/x-owner/NO").await, 404, "NotFound");
        problem(&stranger.get("exports/x-owner?cursor=%21").await, 404, "NotFound");
    }
    api.get("exports/x-owner/siem").await.expect(200);
    assert_eq!(api.get("exports/x-stranger").await.expect(200)["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_made_listed_and_removed_and_its_secret_shown_once() {
    let api = Api::shared().await;
    let body = json!({"organization": "x-clients", "scopes": ["events:write", "exports:read"]});
    let made = api.post_json("clients", &body).await.expect(201);
    let (id, secret) =
        (made["client_id"].as_str().expect("an id"), made["client_secret"].as_str().expect("a secret"));
    assert!(made["token_url"].as_str().is_some_and(|url| url.starts_with("http://127.0.0.1:")));
    let listed = api.get("clients").await;
    assert!(!listed.raw.contains(secret) && !listed.raw.contains("client_secret"));
    let items = listed.body["items"].as_array().expect("items").clone();
    let item =
        items.iter().find(|item| item["client_id"] == id).unwrap_or_else(|| panic!("{id} in {}", listed.raw));
    assert_eq!(item["organization"], "x-clients");
    let mut scopes: Vec<&str> =
        item["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    scopes.sort_unstable();
    assert_eq!(scopes, ["events:write", "exports:read"]);

    assert_eq!(api.delete(&format!("clients/{id}")).await.status, 204);
    problem(&api.delete(&format!("clients/{id}")).await, 404, "NotFound");
    assert!(!api.get("clients").await.raw.contains(id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_clients_tokens_are_worth_nothing_at_once() {
    let api = Api::shared().await;
    let before: Vec<Value> = api.get("clients").await.body["items"].as_array().expect("items").clone();
    let token = api.token(Some("x-removed"), &["exports:read"]).await;
    let caller = api.with_token(&token);
    caller.get("exports/x-removed").await.expect(200);
    let after: Vec<Value> = api.get("clients").await.body["items"].as_array().expect("items").clone();
    let made = after.iter().find(|client| !before.contains(client) && client["organization"] == "x-removed");
    let id = made.expect("the new client")["client_id"].as_str().expect("an id").to_owned();
    assert_eq!(api.delete(&format!("clients/{id}")).await.status, 204);
    problem(&caller.get("exports/x-removed").await, 401, "Unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organizations_admin_sees_makes_and_removes_its_own_clients_only() {
    let api = Api::shared().await;
    let elsewhere =
        api.post_json("clients", &json!({"organization": "x-other", "scopes": ["admin"]})).await.expect(201);
    let admin = api.with_token(&api.token(Some("x-admin"), &["admin"]).await);
    let items = admin.get("clients").await.expect(200)["items"].as_array().expect("items").clone();
    assert!(items.iter().all(|client| client["organization"] == "x-admin"), "{items:?}");
    let foreign = format!("clients/{}", elsewhere["client_id"].as_str().expect("an id"));
    problem(&admin.delete(&foreign).await, 404, "NotFound");
    let make = async |organization: Value| {
        admin.post_json("clients", &json!({"organization": organization, "scopes": ["admin"]})).await
    };
    make(json!("x-admin")).await.expect(201);
    problem(&make(json!("x-other")).await, 404, "NotFound");
    problem(&make(Value::Null).await, 400, "InvalidField");
    problem(&admin.get("exports/x-other").await, 404, "NotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_client_is_refused_and_so_are_unknown_fields() {
    let api = Api::shared().await;
    for (body, reason) in [
        (json!({}), "InvalidBody"),
        (json!({"scopes": []}), "InvalidField"),
        (json!({"scopes": ["exports:delete"]}), "InvalidBody"),
        (json!({"scopes": ["admin"], "organization": "Not A Name"}), "InvalidField"),
        (json!({"scopes": ["admin"], "note": "x"}), "InvalidBody"),
    ] {
        problem(&api.post_json("clients", &body).await, 400, reason);
    }
}
