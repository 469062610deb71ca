use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

#[tokio::test]
async fn a_token_is_answered_to_form_and_basic_credentials_alike() {
    let world = World::new().await;
    let body = json!({"organization": "acme", "scopes": ["exports:read"]});
    let made = world.call_as(&world.admin, Method::POST, "clients", Some(body)).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.body["token_url"], "https://export.example/oauth2/token");
    let (id, secret) =
        (made.body["client_id"].as_str().expect("id"), made.body["client_secret"].as_str().expect("secret"));
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let answered = world.ask_for_token(&form).await;
    assert_eq!((answered.status, &answered.body["token_type"]), (StatusCode::OK, &json!("Bearer")));
    assert!(answered.body["expires_in"].as_u64().is_some_and(|seconds| seconds >= 300));
    assert_eq!(answered.header("cache-control"), "no-store");
    let basic = Request::post("/oauth2/token")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(AUTHORIZATION, format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}"))))
        .body(Body::from("grant_type=client_credentials"));
    assert_eq!(world.send(basic.expect("a request")).await.status, StatusCode::OK);
    let listed = world.get("clients").await;
    assert!(listed.text.contains(id) && !listed.text.contains(secret), "the secret is shown once");
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_client_look_the_same() {
    let world = World::new().await;
    let (client, _) = world.client(None, &[Scope::ExportsRead]).await;
    let form = |id: &str| format!("grant_type=client_credentials&client_id={id}&client_secret=wrong");
    let wrong = world.ask_for_token(&form(client.id.as_str())).await;
    let unknown = world.ask_for_token(&form("nobody")).await;
    assert_eq!((wrong.status, &wrong.body), (StatusCode::UNAUTHORIZED, &unknown.body));
    assert_eq!(wrong.body["error"], "invalid_client");
    assert_eq!(world.ask_for_token("grant_type=password").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn without_a_good_token_nothing_is_said() {
    let world = World::new().await;
    let none = Request::get(format!("{PREFIX}/exports/acme")).body(Body::empty()).expect("a request");
    let refused = world.send(none).await;
    assert_eq!(refused.problem(), (401, "Unauthorized"));
    assert!(refused.header("www-authenticate").starts_with("Bearer"));
    assert_eq!(world.call_as("nonsense", Method::GET, "exports/acme", None).await.problem().0, 401);
    world.clock.0.fetch_add(3_600, Ordering::SeqCst);
    assert_eq!(world.get("exports/acme").await.problem().0, 401, "expired");
}

#[tokio::test]
async fn a_removed_clients_token_is_worth_nothing() {
    let world = World::new().await;
    let (client, token) = world.client(None, &[Scope::ExportsRead]).await;
    assert_eq!(world.call_as(&token, Method::GET, "exports/acme", None).await.status, StatusCode::OK);
    assert_eq!(world.delete(&format!("clients/{}", client.id)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.call_as(&token, Method::GET, "exports/acme", None).await.problem().0, 401);
    assert_eq!(world.delete(&format!("clients/{}", client.id)).await.problem(), (404, "NotFound"));
}

#[tokio::test]
async fn another_organizations_things_are_not_there_whatever_the_scope() {
    let world = World::new().await;
    world.put("exports/acme/audit/destination", with_keys()).await;
    let reader = world.token(Some("other"), &[Scope::ExportsRead]).await;
    for (method, path) in [
        (Method::GET, "exports/acme"),
        (Method::GET, "exports/acme/audit"),
        (Method::GET, "exports/acme/audit/destination/aws-trust-info"),
        (Method::DELETE, "exports/acme/audit/destination"),
        (Method::POST, "exports/acme/audit/start"),
        (Method::POST, "events/acme"),
    ] {
        let foreign = world.call_as(&reader, method.clone(), path, None).await;
        assert_eq!(foreign.problem(), (404, "NotFound"), "{path}");
    }
    assert_eq!(world.get("exports/acme/audit").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_missing_scope_is_named_and_admin_holds_them_all() {
    let world = World::new().await;
    let reader = world.token(Some("acme"), &[Scope::ExportsRead]).await;
    let refused = world.call_as(&reader, Method::POST, "exports/acme/audit/pause", None).await;
    assert_eq!(refused.problem(), (403, "MissingScope"));
    assert!(refused.text.contains("exports:write"));
    assert_eq!(world.call_as(&reader, Method::POST, "events/acme", None).await.problem().0, 403);
    assert_eq!(world.call_as(&reader, Method::GET, "clients", None).await.problem().0, 403);
    let admin = world.token(Some("acme"), &[Scope::Admin]).await;
    assert_eq!(world.call_as(&admin, Method::GET, "exports/acme", None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_organizations_admin_sees_and_makes_clients_of_that_organization_only() {
    let world = World::new().await;
    let (elsewhere, _) = world.client(Some("other"), &[Scope::ExportsRead]).await;
    let admin = world.token(Some("acme"), &[Scope::Admin]).await;
    let listed = world.call_as(&admin, Method::GET, "clients", None).await.body;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    let path = format!("clients/{}", elsewhere.id);
    assert_eq!(world.call_as(&admin, Method::DELETE, &path, None).await.problem().0, 404);
    let make = |body: Value| world.call_as(&admin, Method::POST, "clients", Some(body));
    assert_eq!(
        make(json!({"organization": "acme", "scopes": ["events:write"]})).await.status,
        StatusCode::CREATED
    );
    assert_eq!(make(json!({"organization": "other", "scopes": ["events:write"]})).await.problem().0, 404);
    assert_eq!(make(json!({"scopes": ["admin"]})).await.problem().0, 400);
    assert_eq!(make(json!({"organization": "acme", "scopes": []})).await.problem().0, 400);
    assert_eq!(
        make(json!({"organization": "acme", "scopes": ["admin"], "name": "x"})).await.problem().0,
        400
    );
}
