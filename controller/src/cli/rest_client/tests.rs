//! Against a little server that behaves as controllers and as strangers do.

use std::collections::HashMap;

use axum::routing::{delete, get, post};
use axum::{Form, Json, Router};
use http::HeaderMap;
use serde_json::json;

use super::*;

fn url(text: &str) -> Url {
    text.parse().expect("a URL")
}

#[test]
fn the_controllers_address_is_where_its_tokens_come_from() {
    assert_eq!(base_of(&url("http://127.0.0.1:8080/oauth2/token")).as_str(), "http://127.0.0.1:8080/");
    assert_eq!(base_of(&url("https://x.example/audit/oauth2/token")).as_str(), "https://x.example/audit");
}

#[test]
fn paths_go_below_the_prefix_and_names_cannot_leave_it() {
    let path = ["clients", "../x?y"];
    let expected = "https://h/audit/api/system-management/public/v1/clients/..%2Fx%3Fy";
    assert_eq!(url_of(&url("https://h/audit/"), &path).as_str(), expected);
    assert_eq!(url_of(&url("https://h/audit"), &path).as_str(), expected);
}

#[test]
fn a_problem_is_shown_as_its_sentence_and_reason() {
    let problem = json!({ "status": 422, "reason": "BucketNotFound", "detail": "d", "message": "No bucket. Create it." });
    let error = refusal(&url("http://h"), StatusCode::UNPROCESSABLE_ENTITY, Some(&problem));
    assert_eq!(error.to_string(), "No bucket. Create it. (422 BucketNotFound)");
    let other = refusal(&url("http://h"), StatusCode::BAD_GATEWAY, None).to_string();
    assert!(other.starts_with("http://h answered 502"), "{other}");
}

/// A folder with a client file for the server at this port.
fn client_of(port: u16, secret: &str) -> (tempfile::TempDir, ConnectionOptions) {
    // Only a second installation fails.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    let client_file = folder.path().join("admin-client.json");
    let file = json!({ "client_id": "c", "client_secret": secret,
        "token_url": format!("http://127.0.0.1:{port}/oauth2/token") });
    std::fs::write(&client_file, file.to_string()).expect("written");
    (folder, ConnectionOptions { endpoint: None, client_file, ca_certificate: None })
}

async fn refused(options: &ConnectionOptions) -> String {
    RestClient::sign_in(options).await.err().expect("a refusal").to_string()
}

async fn token(Form(form): Form<HashMap<String, String>>) -> (StatusCode, Json<Value>) {
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    match (field("grant_type"), field("client_id"), field("client_secret")) {
        ("client_credentials", "c", "right") => {
            (StatusCode::OK, Json(json!({ "access_token": "t", "expires_in": 3600, "token_type": "Bearer" })))
        }
        _ => (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" }))),
    }
}

async fn status(headers: HeaderMap) -> Json<Value> {
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok());
    Json(json!({ "state": "Paused", "bearer": bearer }))
}

async fn nothing_there() -> (StatusCode, Json<Value>) {
    let message = "There is no destination acme/none: declare it with PUT.";
    (StatusCode::NOT_FOUND, Json(json!({ "reason": "NotFound", "message": message })))
}

/// The port of a server that lives as long as the test's runtime.
async fn serve(router: Router) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

async fn controller() -> u16 {
    let under_prefix = Router::new()
        .route("/exports/acme/audit/status", get(status))
        .route("/exports/acme/none/status", get(nothing_there))
        .route("/exports/acme/proxy/status", get(|| async { "<html>" }))
        .route("/clients/c1", delete(|| async { StatusCode::NO_CONTENT }));
    serve(Router::new().route("/oauth2/token", post(token)).nest(PREFIX, under_prefix)).await
}

#[tokio::test]
async fn it_signs_in_with_the_client_file_and_calls_with_the_token() {
    let (_folder, options) = client_of(controller().await, "right");
    let client = RestClient::sign_in(&options).await.expect("signed in");
    let answer = client.call(Method::GET, &["exports", "acme", "audit", "status"], NO_BODY).await;
    assert_eq!(answer.expect("an answer"), json!({ "state": "Paused", "bearer": "Bearer t" }));
    let removed = client.call(Method::DELETE, &["clients", "c1"], NO_BODY).await;
    assert_eq!(removed.expect("no body is an answer too"), Value::Null);
}

#[tokio::test]
async fn what_the_controller_refuses_is_said_in_its_own_words() {
    let (_folder, options) = client_of(controller().await, "right");
    let client = RestClient::sign_in(&options).await.expect("signed in");
    let said = async |name: &str| {
        let answer = client.call(Method::GET, &["exports", "acme", name, "status"], NO_BODY).await;
        answer.expect_err("a refusal").to_string()
    };
    assert_eq!(said("none").await, "There is no destination acme/none: declare it with PUT. (404 NotFound)");
    assert!(said("proxy").await.contains("answered 200 with something else than JSON"));
}

#[tokio::test]
async fn a_client_that_the_controller_does_not_know_is_sent_to_the_right_file() {
    let (_folder, options) = client_of(controller().await, "wr0ng");
    let message = refused(&options).await;
    assert!(message.contains("does not know this client") && !message.contains("wr0ng"), "{message}");
}

#[tokio::test]
async fn an_address_that_is_somebody_elses_is_recognized() {
    let elsewhere = Router::new().fallback(|| async { "hello" });
    let (_folder, options) = client_of(serve(elsewhere).await, "right");
    let message = refused(&options).await;
    assert!(message.contains("is that address a Barndoor controller's?"), "{message}");
}

#[tokio::test]
async fn a_controller_that_is_not_there_is_named_with_what_to_do() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = free.expect("a port").port();
    let (_folder, mut options) = client_of(port, "s3cr3t");
    let message = refused(&options).await;
    assert!(
        message.contains(&format!("http://127.0.0.1:{port}")) && message.contains("--endpoint"),
        "{message}"
    );
    assert!(!message.contains("s3cr3t"), "{message}");

    std::fs::write(&options.client_file, r#"{"client_secret":"s3cr3t","token_url":7}"#).expect("written");
    let message = refused(&options).await;
    assert!(message.contains("is not a client file") && !message.contains("s3cr3t"), "{message}");

    options.client_file.set_extension("missing");
    assert!(refused(&options).await.contains("--client-file"));
}
