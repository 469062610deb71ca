//! Rows "token" and "expiry".

use std::sync::Arc;

use barndoor_controller::clock::SystemClock;
use barndoor_controller::embedded::{Embedded, EmbeddedConfig, EventLogLimits};
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::crypto::hmac_sha256;
use barndoor_tests::rest::{ClientCredentials, Reply, http_client};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{Api, problem, shared};

fn form(client: &ClientCredentials) -> RequestBuilder {
    http_client().post(&client.token_url).form(&[
        ("grant_type", "client_credentials"),
        ("client_id", &client.client_id),
        ("client_secret", &client.client_secret),
    ])
}

fn assert_is_a_token(reply: &Reply) {
    assert_eq!(reply.status, 200, "{}", reply.raw);
    assert_eq!(reply.text("token_type"), "Bearer");
    assert!(!reply.text("access_token").is_empty());
    assert!(reply.body["expires_in"].as_u64() >= Some(300), "an integer of 5 minutes or more: {}", reply.raw);
    assert_eq!(reply.headers["cache-control"], "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_answered_200_to_a_form_without_scope_and_to_basic_authentication() {
    let (api, client) = (Api::shared().await, shared().await.admin_client());
    assert_is_a_token(&api.send(form(&client)).await);
    let basic = http_client()
        .post(&client.token_url)
        .basic_auth(&client.client_id, Some(&client.client_secret))
        .form(&[("grant_type", "client_credentials")]);
    assert_is_a_token(&api.send(basic).await);
    // What a client sends beside it makes no difference.
    let more = http_client().post(&client.token_url).form(&[
        ("client_secret", client.client_secret.as_str()),
        ("client_id", &client.client_id),
        ("grant_type", "client_credentials"),
        ("scope", "exports:read"),
        ("audience", "https://api.example"),
    ]);
    assert_is_a_token(&api.send(more).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_and_an_unknown_client_are_answered_401_alike() {
    let (api, client) = (Api::shared().await, shared().await.admin_client());
    let wrong = ClientCredentials { client_secret: "wrong".to_owned(), ..client.clone() };
    let unknown = ClientCredentials { client_id: "nobody".to_owned(), ..client.clone() };
    let (wrong, unknown) = (api.send(form(&wrong)).await, api.send(form(&unknown)).await);
    for reply in [&wrong, &unknown] {
        assert_eq!(reply.status, 401, "{}", reply.raw);
        assert_eq!(reply.text("error"), "invalid_client");
        assert!(!reply.text("message").trim().is_empty());
        assert!(!reply.raw.contains(&client.client_secret));
    }
    assert_eq!(wrong.body, unknown.body, "nobody learns which clients there are");
    let password = http_client().post(&client.token_url).form(&[("grant_type", "password")]);
    let refused = api.send(password).await;
    assert_eq!((refused.status, refused.text("error")), (400, "unsupported_grant_type"), "{}", refused.raw);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_token_url_is_for_oauth2_clients_and_for_readers_of_problems() {
    let (api, client) = (Api::shared().await, shared().await.admin_client());
    let wrong = ClientCredentials { client_secret: "wrong".to_owned(), ..client };
    let reply = api.send(form(&wrong)).await;
    for member in ["error", "error_description", "type", "title", "reason", "detail", "message"] {
        assert!(!reply.text(member).trim().is_empty(), "{member} in {}", reply.raw);
    }
    assert_eq!(reply.body["status"], 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_before_expiry_leaves_the_old_token_valid() {
    let (api, client) = (Api::shared().await, shared().await.admin_client());
    let fresh = api.send(form(&client)).await.expect(200);
    let fresh = api.with_token(fresh["access_token"].as_str().expect("access_token"));
    fresh.get("exports/k-refresh").await.expect(200);
    api.get("exports/k-refresh").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_a_forged_one_and_another_controllers_are_answered_401() {
    let api = Api::shared().await;
    let other = Controller::start(Options::loopback()).await;
    let foreign = other.rest().request(reqwest::Method::GET, "exports/k-foreign").build().expect("a request");
    let foreign = foreign.headers()["authorization"].to_str().expect("text").trim_start_matches("Bearer ");
    for token in ["forged", "", foreign] {
        let reply = api.with_token(token).get("exports/k-foreign").await;
        problem(&reply, 401, "Unauthorized");
        assert!(reply.headers["www-authenticate"].to_str().is_ok_and(|text| text.starts_with("Bearer")));
    }
    let bare = http_client().get(super::outside(shared().await, &super::whole("exports/k-foreign")));
    problem(&api.send(bare).await, 401, "Unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_outlives_a_restart_and_kill_9_but_not_its_expiry() {
    let mut controller = Controller::start(Options::loopback()).await;
    let (api, client) = (Api::of(&controller).await, controller.admin_client());
    api.get("exports/k-restart").await.expect(200);
    controller.kill9();
    controller.restart().await;
    api.get("exports/k-restart").await.expect(200);
    assert_eq!(controller.admin_client(), client, "the administrator's client stays the same");
    let (code, _) = controller.terminate();
    assert_eq!(code, Some(0));

    let key = signing_key(&controller).await;
    controller.restart().await;
    api.get("exports/k-restart").await.expect(200);
    let now = jiff::Timestamp::now().as_second();
    let valid = token(&key, &client.client_id, now - 3_000, now + 600);
    api.with_token(&valid).get("exports/k-restart").await.expect(200);
    let expired = token(&key, &client.client_id, now - 3_600, now - 1);
    problem(&api.with_token(&expired).get("exports/k-restart").await, 401, "Unauthorized");
    let somebody = token(&key, "nobody", now - 10, now + 600);
    problem(&api.with_token(&somebody).get("exports/k-restart").await, 401, "Unauthorized");
}

/// The key that the stopped controller signs with, from its data folder.
async fn signing_key(controller: &Controller) -> Vec<u8> {
    let storage = Embedded::open(EmbeddedConfig {
        data_dir: controller.data().to_owned(),
        master_key: None,
        limits: EventLogLimits { total_bytes: 1 << 30, organization_share_percent: 50 },
        clock: Arc::new(SystemClock),
    })
    .expect("the folder of a stopped controller");
    let key = storage.token_signing_key().as_bytes().to_vec();
    storage.close().await;
    key
}

/// A token as the controller makes them.
fn token(key: &[u8], client_id: &str, issued: i64, expires: i64) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({ "typ": "JWT", "alg": "HS256" }));
    let claims = part(&json!({ "iss": "barndoor-export", "sub": client_id, "iat": issued, "exp": expires }));
    let signed = format!("{header}.{claims}");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256(key, signed.as_bytes()));
    format!("{signed}.{signature}")
}
