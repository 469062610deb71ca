//! The REST contract: a test for every row of what existing clients speak and of what this project adds beside it.
//!
//! Every answer is also held against the served OpenAPI description, so none may have a status or a field that is not
//! described. Tests share one controller, and each takes organizations of its own.

use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::rest::{PREFIX, Reply, Rest, http_client};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use description::Description;

mod access;
mod check;
mod description;
mod destination_object;
mod export_object;
mod ingest;
mod lifecycles;
mod list;
mod machinery;
mod put;
mod settings;
mod start_and_pause;
mod status;
mod tokens;
mod transport;
mod trust_info;

/// How much of a message existing clients show, in bytes.
const MESSAGE_SHOWN_BYTES: usize = 512;

/// A controller without AWS identity that all tests share.
async fn shared() -> &'static Controller {
    static SHARED: OnceCell<Controller> = OnceCell::const_new();
    SHARED.get_or_init(|| Controller::start_for_many("contract", Options::loopback())).await
}

/// The API as one client sees it, every answer held against the description.
struct Api {
    rest: Rest,
    description: &'static Description,
}

impl Api {
    /// The shared controller's administrator. The client is the test's own, as each test has its own runtime.
    async fn shared() -> Self {
        Self::of(shared().await).await
    }

    /// The administrator of a controller.
    async fn of(controller: &Controller) -> Self {
        static DESCRIPTION: OnceCell<Description> = OnceCell::const_new();
        let description = DESCRIPTION.get_or_init(|| Description::of(controller)).await;
        let rest = Rest::sign_in(&controller.base(), &controller.admin_client()).await;
        Self { rest, description }
    }

    fn with_token(&self, token: &str) -> Self {
        Self { rest: self.rest.with_token(token), description: self.description }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.rest.request(method, path)
    }

    /// Sends a request to a path of the description.
    async fn send(&self, request: RequestBuilder) -> Reply {
        let sent = request.try_clone().and_then(|copy| copy.build().ok()).expect("a request in memory");
        let reply = Rest::send(request).await.unwrap_or_else(|error| panic!("{}: {error}", sent.url()));
        self.description.assert_describes(sent.method(), sent.url().path(), &reply);
        reply
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let request = self.request(method, path);
        self.send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, None).await
    }

    async fn put(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::PUT, path, Some(body)).await
    }

    async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// POST without a body, as existing clients do: `Content-Length: 0`.
    async fn post(&self, path: &str) -> Reply {
        self.send(self.request(Method::POST, path).header("content-length", "0")).await
    }

    async fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path, None).await
    }

    /// A token of a new client with these scopes, in one organization or in every one.
    async fn token(&self, organization: Option<&str>, scopes: &[&str]) -> String {
        let client =
            self.post_json("clients", &json!({ "organization": organization, "scopes": scopes })).await;
        let client = client.expect(201);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client["client_id"].as_str().expect("client_id")),
            ("client_secret", client["client_secret"].as_str().expect("client_secret")),
        ];
        let url = client["token_url"].as_str().expect("token_url");
        let token = self.send(http_client().post(url).form(&form)).await.expect(200);
        token["access_token"].as_str().expect("access_token").to_owned()
    }
}

/// Demands that an answer is a problem as the contract has it, of this status and reason, and gives back its message.
#[track_caller]
fn problem(reply: &Reply, status: u16, reason: &str) -> String {
    assert_eq!((reply.status, reply.text("reason")), (status, reason), "{}", reply.raw);
    assert_eq!(reply.headers["content-type"], "application/problem+json");
    assert_eq!(reply.body["status"], status);
    for member in ["type", "title", "detail"] {
        assert!(!reply.text(member).trim().is_empty(), "{member} in {}", reply.raw);
    }
    let message = reply.text("message");
    assert!(message.starts_with(reply.text("detail")), "{}", reply.raw);
    assert!(message.len() <= MESSAGE_SHOWN_BYTES, "clients cut {} bytes: {message}", message.len());
    message.to_owned()
}

/// A destination with keys in the oddest spelling that is allowed; nothing answers there.
fn odd() -> Value {
    json!({
        "endpoint": "MinIO.Example:9000",
        "bucket": "acme-audit",
        "region": "",
        "path_prefix": "audit",
        "use_ssl": false,
        "use_path_style": true,
        "auth_method": "access_keys",
        "access_key_id": "AKIAEXAMPLE",
        "secret_access_key": "never/shown+0123456789",
    })
}

/// A destination with a role; nothing is reached.
fn role() -> Value {
    json!({
        "endpoint": "https://s3.us-east-1.amazonaws.com",
        "bucket": "acme-audit",
        "region": "us-east-1",
        "auth_method": "iam_role",
        "iam_role_arn": "arn:aws:iam::123456789012:role/barndoor-audit-export",
        "provider": "s3",
    })
}

/// A body with other members; null takes one away.
fn changed(body: &Value, members: &Value) -> Value {
    let mut body = body.as_object().expect("an object").clone();
    for (name, value) in members.as_object().expect("an object") {
        if value.is_null() {
            body.remove(name);
        } else {
            body.insert(name.clone(), value.clone());
        }
    }
    Value::Object(body)
}

/// An address outside the API's prefix.
fn outside(controller: &Controller, path: &str) -> String {
    format!("{}{path}", controller.base())
}

/// The whole path of a call.
fn whole(path: &str) -> String {
    format!("{PREFIX}/{path}")
}
