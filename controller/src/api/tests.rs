//! The API as its clients see it: a real router over the embedded storage, the customer's side played.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use barndoor_crds::reason::Reason;
use barndoor_crds::rest::{PREFIX, Scope};
use barndoor_crds::status::CheckReport;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::{AppState, Checks, IngestBudget, MetricsExposure, Readiness, Tokens, router};
use crate::clients::{Client, Clients, NewClient};
use crate::clock::Clock;
use crate::connection::{KeySource, PrincipalError};
use crate::destinations::Destination;
use crate::embedded::{Embedded, EmbeddedConfig, EventLogLimits};
use crate::exporter::run::Exporters;
use crate::organizations::EveryName;
use crate::telemetry::Telemetry;

mod access;
mod errors;
mod ingest;
mod lifecycle;

/// A clock that stands still until it is moved.
struct StillClock(AtomicI64);

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).expect("a time")
    }
}

/// The customer's side: finds what it is told to find, and remembers what it was asked.
struct PlayedChecks {
    finding: Mutex<Reason>,
    asked: Mutex<Vec<(u64, KeySource)>>,
    principal: Mutex<Result<String, PrincipalError>>,
    /// What others do while a check runs, once.
    meanwhile: Mutex<Option<BoxFuture<'static, ()>>>,
}

#[async_trait]
impl Checks for PlayedChecks {
    async fn check(&self, destination: &Destination, keys: KeySource) -> CheckReport {
        let reason = *self.finding.lock().unwrap_or_else(PoisonError::into_inner);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push((destination.generation, keys));
        let meanwhile = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        CheckReport {
            at: Timestamp::from_second(2_000_000).expect("a time"),
            generation: destination.generation,
            healthy: reason == Reason::Healthy,
            reason,
            message: "the store said so".to_owned(),
            remedy: "grant s3:ListBucket".to_owned(),
            steps: Vec::new(),
        }
    }

    async fn principal_arn(&self) -> Result<String, PrincipalError> {
        self.principal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An answer, its body parsed where it is JSON.
#[derive(Debug)]
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
    text: String,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Status and reason of a problem.
    fn problem(&self) -> (u16, &str) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        assert_eq!(self.body["status"], self.status.as_u16(), "{}", self.text);
        assert!(["type", "title", "detail", "message"].iter().all(|word| self.body[word].is_string()));
        (self.status.as_u16(), self.body["reason"].as_str().unwrap_or_default())
    }
}

struct World {
    router: Router,
    clock: Arc<StillClock>,
    checks: Arc<PlayedChecks>,
    storage: Embedded,
    readiness: Readiness,
    admin: String,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        Self::with_ingest_bytes(64 * 1024 * 1024).await
    }

    async fn with_ingest_bytes(ingest_bytes: usize) -> Self {
        let folder = TempDir::new().expect("a folder");
        let clock = Arc::new(StillClock(AtomicI64::new(1_900_000_000)));
        let storage = Embedded::open(EmbeddedConfig {
            data_dir: folder.path().to_owned(),
            master_key: None,
            limits: EventLogLimits { total_bytes: 1 << 30, organization_share_percent: 50 },
            clock: clock.clone(),
        })
        .expect("opens");
        let checks = Arc::new(PlayedChecks {
            finding: Mutex::new(Reason::Healthy),
            asked: Mutex::default(),
            principal: Mutex::new(Ok("arn:aws:iam::111122223333:role/controller".to_owned())),
            meanwhile: Mutex::new(None),
        });
        let readiness = Readiness::default();
        let router = router(AppState {
            destinations: Arc::new(storage.clone()),
            organizations: Arc::new(EveryName),
            records: Arc::new(storage.clone()),
            log: Arc::new(storage.clone()),
            clients: Arc::new(storage.clone()),
            checks: checks.clone(),
            exporters: Exporters::default(),
            clock: clock.clone(),
            telemetry: Arc::new(Telemetry::new(clock.clone())),
            tokens: Arc::new(Tokens::new(storage.token_signing_key().as_bytes())),
            ingest_budget: IngestBudget::new(ingest_bytes),
            readiness: readiness.clone(),
            metrics: MetricsExposure::Public,
            public_url: "https://export.example".to_owned(),
        });
        let mut world =
            Self { router, clock, checks, storage, readiness, admin: String::new(), _folder: folder };
        world.admin = world.token(None, &Scope::ALL).await;
        world
    }

    /// A token of a new client.
    async fn token(&self, organization: Option<&str>, scopes: &[Scope]) -> String {
        self.client(organization, scopes).await.1
    }

    async fn client(&self, organization: Option<&str>, scopes: &[Scope]) -> (Client, String) {
        let client = NewClient {
            organization: organization.map(|name| name.parse().expect("a name")),
            scopes: scopes.iter().copied().collect(),
            description: String::new(),
        };
        let (client, secret) = self.storage.add(client).await.expect("added");
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            client.id,
            secret.reveal()
        );
        let answered = self.ask_for_token(&form).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.text);
        (client, answered.body["access_token"].as_str().expect("a token").to_owned())
    }

    async fn ask_for_token(&self, form: &str) -> Answered {
        let request = Request::post("/oauth2/token")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()));
        self.send(request.expect("a request")).await
    }

    async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answered { status: parts.status, headers: parts.headers, body, text }
    }

    async fn call_as(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Answered {
        let request = Request::builder()
            .method(method)
            .uri(format!("{PREFIX}/{path}"))
            .header(AUTHORIZATION, format!("Bearer {token}"));
        let request = match body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.send(request.expect("a request")).await
    }

    async fn get(&self, path: &str) -> Answered {
        self.call_as(&self.admin, Method::GET, path, None).await
    }

    async fn post(&self, path: &str) -> Answered {
        self.call_as(&self.admin, Method::POST, path, None).await
    }

    async fn put(&self, path: &str, body: Value) -> Answered {
        self.call_as(&self.admin, Method::PUT, path, Some(body)).await
    }

    async fn patch(&self, path: &str, body: Value) -> Answered {
        self.call_as(&self.admin, Method::PATCH, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Answered {
        self.call_as(&self.admin, Method::DELETE, path, None).await
    }

    fn finds(&self, reason: Reason) {
        *self.checks.finding.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn meanwhile(&self, others: impl Future<Output = ()> + Send + 'static) {
        *self.checks.meanwhile.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(others));
    }

    fn principal(&self, principal: Result<String, PrincipalError>) {
        *self.checks.principal.lock().unwrap_or_else(PoisonError::into_inner) = principal;
    }
}

/// A destination body with keys.
fn with_keys() -> Value {
    json!({
        "endpoint": "minio.example:9000",
        "bucket": "acme-audit",
        "region": "",
        "path_prefix": "audit",
        "use_ssl": false,
        "access_key_id": "AKIAEXAMPLE",
        "secret_access_key": "hunter2",
        "compression": "gzip",
    })
}

/// A destination body with a role.
fn with_role() -> Value {
    json!({
        "endpoint": "https://s3.us-east-1.amazonaws.com",
        "bucket": "acme-audit",
        "region": "us-east-1",
        "auth_method": "iam_role",
        "iam_role_arn": "arn:aws:iam::123456789012:role/barndoor-audit-export",
        "provider": "s3",
    })
}
