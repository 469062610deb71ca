//! Tokens that are worth nothing: expired, forged, another controller's, a removed client's.

use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::rest::{ClientCredentials, Reply, Rest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use super::{assert_problem, controller, visible};

#[track_caller]
fn assert_unauthorized(reply: &Reply) {
    assert_problem(reply, 401, "Unauthorized", None, &["/oauth2/token"]);
    assert!(reply.headers.contains_key("www-authenticate"));
}

async fn token_of(client: &ClientCredentials) -> String {
    let token = Rest::token(client).await.expect(200);
    token["access_token"].as_str().expect("access_token").to_owned()
}

/// The token with other claims and the signature it had.
fn with_claims(token: &str, change: impl Fn(&mut Value)) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let decoded = URL_SAFE_NO_PAD.decode(parts[1]).expect("base64");
    let mut claims: Value = serde_json::from_slice(&decoded).expect("claims");
    change(&mut claims);
    format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_ours_changes_nothing() {
    let rest = controller().await.administrator().await;
    let before = visible(&rest, "bad-token").await;
    let own = token_of(&controller().await.admin_client()).await;
    let other = Controller::start(Options::loopback()).await;
    let foreign = token_of(&other.admin_client()).await;
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#),
        own.split('.').nth(1).unwrap_or_default()
    );
    let tokens = [
        foreign,
        unsigned,
        with_claims(&own, |claims| claims["exp"] = json!(1)),
        with_claims(&own, |claims| claims["exp"] = json!(9_999_999_999_u64)),
        with_claims(&own, |claims| claims["sub"] = json!("somebody-else")),
        "garbage".to_owned(),
        "a".repeat(20_000),
    ];
    let destination = json!({ "endpoint": "https://s3.example", "bucket": "acme-audit", "access_key_id": "A", "secret_access_key": "B" });
    for token in tokens {
        let stranger = rest.with_token(&token);
        assert_unauthorized(&stranger.list("bad-token").await);
        assert_unauthorized(&stranger.put_destination("bad-token", "siem", &destination).await);
        // Who may not come in is not told what is wrong with the path.
        assert_unauthorized(&stranger.list("Not-A-Name").await);
    }
    assert_eq!(visible(&rest, "bad-token").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_clients_token_ends_at_once_and_a_missing_scope_is_named() {
    let rest = controller().await.administrator().await;
    let body = json!({ "organization": "bad-scope", "scopes": ["exports:read"] });
    let made = rest.try_call(Method::POST, "clients", Some(&body)).await.expect("an answer").expect(201);
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    let client = ClientCredentials {
        client_id: text("client_id"),
        client_secret: text("client_secret"),
        token_url: text("token_url"),
    };
    let reader = Rest::sign_in(&controller().await.base(), &client).await;
    reader.list("bad-scope").await.expect(200);
    let reply = reader.pause("bad-scope", "siem").await;
    assert_problem(&reply, 403, "MissingScope", None, &["exports:write", "another client"]);
    let path = format!("clients/{}", client.client_id);
    rest.try_call(Method::DELETE, &path, None).await.expect("an answer").expect(204);
    assert_unauthorized(&reader.list("bad-scope").await);
    assert_eq!(Rest::token(&client).await.status, 401);

    for (body, words) in [
        (json!({ "organization": "Bad Name", "scopes": ["exports:read"] }), "a-z"),
        (json!({ "organization": "bad-scope", "scopes": [] }), "at least one scope"),
        (json!({ "organization": "bad-scope", "scopes": ["everything"] }), "exports:read"),
    ] {
        let reply = rest.try_call(Method::POST, "clients", Some(&body)).await.expect("an answer");
        assert_eq!(reply.status, 400, "{}", reply.body);
        assert!(reply.text("message").contains(words), "{}", reply.body);
    }
}
