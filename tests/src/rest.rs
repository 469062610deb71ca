//! A client of the REST contract that hides nothing: every call gives back the status and the body, so that a test
//! can assert on both.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::account::Accepted;
use crate::crypto::install_tls_provider;
use crate::events::{SentEvent, ndjson};

/// What every path of the API begins with.
pub const PREFIX: &str = "/api/system-management/public/v1";

/// What existing clients allow a call.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// An HTTP client without redirects, proxies or patience.
pub fn http_client() -> reqwest::Client {
    install_tls_provider();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(CLIENT_TIMEOUT)
        .build()
        .expect("a client without special wishes")
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; `Null` when empty, a string when not JSON.
    pub body: Value,
    /// The body as it was sent: a parser no longer tells `100` from `100.0`.
    pub raw: String,
}

impl Reply {
    async fn of(answer: reqwest::Response) -> Self {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap_or_default();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.clone()))
        };
        Self { status, headers, body, raw: text }
    }

    /// The body, of an answer that must have this status.
    ///
    /// # Panics
    /// With the whole answer when it has another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The body, of an answer that must be a success.
    ///
    /// # Panics
    /// With the whole answer when it is not.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.body);
        self.body
    }

    /// The text of a field, such as `reason`; empty when it has none.
    pub fn text(&self, field: &str) -> &str {
        self.body.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

/// An OAuth2 client of the controller.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Where tokens are had.
    pub token_url: String,
}

impl std::fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCredentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// The API as one client sees it.
#[derive(Clone, Debug)]
pub struct Rest {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Rest {
    /// Asks for a token, as existing clients do.
    pub async fn token(credentials: &ClientCredentials) -> Reply {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &credentials.client_id),
            ("client_secret", &credentials.client_secret),
        ];
        let answer = http_client().post(&credentials.token_url).form(&form).send().await;
        Reply::of(answer.expect("the controller answers")).await
    }

    /// Signs in at `base`, such as `http://127.0.0.1:8080`.
    ///
    /// # Panics
    /// When there is no token.
    pub async fn sign_in(base: &str, credentials: &ClientCredentials) -> Self {
        let token = Self::token(credentials).await.expect(200);
        let token = token["access_token"].as_str().expect("access_token").to_owned();
        Self { http: http_client(), base: base.to_owned(), token }
    }

    /// The same over connections of its own: those of a client end with the runtime, and so with the test, that
    /// opened them.
    #[must_use]
    pub fn reconnected(&self) -> Self {
        Self { http: http_client(), ..self.clone() }
    }

    /// The same with any token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// A call below the API's prefix, with its token, to be made odd before it is sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{PREFIX}/{path}", self.base)).bearer_auth(&self.token)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn send(request: RequestBuilder) -> Result<Reply, reqwest::Error> {
        Ok(Reply::of(request.send().await?).await)
    }

    /// Any call below the API's prefix.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, reqwest::Error> {
        let request = self.request(method, path);
        Self::send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// Any call below the API's prefix with these very headers and bytes.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Reply, reqwest::Error> {
        let url = format!("{}{PREFIX}/{path}", self.base);
        let mut request = self.http.request(method, url).bearer_auth(&self.token).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(Reply::of(request.send().await?).await)
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let label = format!("{method} {path}");
        self.try_call(method, path, body).await.unwrap_or_else(|error| panic!("{label}: {error}"))
    }

    /// `GET exports/{org}`.
    pub async fn list(&self, org: &str) -> Reply {
        self.call(Method::GET, &format!("exports/{org}"), None).await
    }

    /// `GET exports/{org}/{name}`.
    pub async fn export(&self, org: &str, name: &str) -> Reply {
        self.call(Method::GET, &format!("exports/{org}/{name}"), None).await
    }

    /// `GET …/destination`.
    pub async fn destination(&self, org: &str, name: &str) -> Reply {
        self.call(Method::GET, &format!("exports/{org}/{name}/destination"), None).await
    }

    /// `PUT …/destination`.
    pub async fn put_destination(&self, org: &str, name: &str, body: &Value) -> Reply {
        self.call(Method::PUT, &format!("exports/{org}/{name}/destination"), Some(body)).await
    }

    /// `DELETE …/destination`.
    pub async fn delete_destination(&self, org: &str, name: &str) -> Reply {
        self.call(Method::DELETE, &format!("exports/{org}/{name}/destination"), None).await
    }

    /// `PATCH …/settings`.
    pub async fn patch_settings(&self, org: &str, name: &str, body: &Value) -> Reply {
        self.call(Method::PATCH, &format!("exports/{org}/{name}/settings"), Some(body)).await
    }

    /// `POST …/start`.
    pub async fn start(&self, org: &str, name: &str) -> Reply {
        self.call(Method::POST, &format!("exports/{org}/{name}/start"), None).await
    }

    /// `POST …/pause`.
    pub async fn pause(&self, org: &str, name: &str) -> Reply {
        self.call(Method::POST, &format!("exports/{org}/{name}/pause"), None).await
    }

    /// `POST …/check`; with a body a dry run.
    pub async fn check(&self, org: &str, name: &str, body: Option<&Value>) -> Reply {
        self.call(Method::POST, &format!("exports/{org}/{name}/check"), body).await
    }

    /// `GET …/status`.
    pub async fn status(&self, org: &str, name: &str) -> Reply {
        self.call(Method::GET, &format!("exports/{org}/{name}/status"), None).await
    }

    /// `GET …/preview`.
    pub async fn preview(&self, org: &str, name: &str) -> Reply {
        self.call(Method::GET, &format!("exports/{org}/{name}/preview"), None).await
    }

    /// `GET …/destination/aws-trust-info`.
    pub async fn trust_info(&self, org: &str, name: &str) -> Reply {
        self.call(Method::GET, &format!("exports/{org}/{name}/destination/aws-trust-info"), None).await
    }

    /// `POST events/{org}` with these bytes.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn try_ingest(
        &self,
        org: &str,
        body: Vec<u8>,
        options: &Ingest,
    ) -> Result<Reply, reqwest::Error> {
        let mut request = self
            .request(Method::POST, &format!("events/{org}"))
            .header("content-type", "application/x-ndjson");
        if let Some(key) = &options.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let body = match options.encoding {
            Encoding::Identity => body,
            Encoding::Gzip => {
                request = request.header("content-encoding", "gzip");
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&body).and_then(|()| encoder.finish()).expect("memory takes every write")
            }
        };
        Self::send(request.body(body)).await
    }

    /// Sends events that must all be accepted, and says under which sequences.
    ///
    /// # Panics
    /// When they are not.
    pub async fn accept(&self, org: &str, events: &[SentEvent]) -> Vec<Accepted> {
        let reply =
            self.try_ingest(org, ndjson(events), &Ingest::default()).await.expect("the controller answers");
        let body = reply.expect(200);
        accepted(&body, events)
    }
}

/// The sequences that an answer gave to these events, of which none was rejected.
///
/// # Panics
/// When the answer does not accept every one.
pub fn accepted(answer: &Value, events: &[SentEvent]) -> Vec<Accepted> {
    let number = |field: &str| answer[field].as_str().and_then(|text| text.parse::<u64>().ok());
    let (Some(first), Some(last)) = (number("first"), number("last")) else {
        panic!("first and last expected in {answer}");
    };
    assert_eq!(answer["accepted"].as_u64(), Some(events.len() as u64), "{answer}");
    assert_eq!(last - first + 1, events.len() as u64, "sequences are dense: {answer}");
    events.iter().zip(first..).map(|(event, sequence)| Accepted { sequence, id: event.id.clone() }).collect()
}

/// How events are sent.
#[derive(Clone, Debug, Default)]
pub struct Ingest {
    /// The producer's key.
    pub idempotency_key: Option<String>,
    /// The body's encoding.
    pub encoding: Encoding,
}

/// The encoding of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    #[default]
    Identity,
    /// Compressed.
    Gzip,
}
