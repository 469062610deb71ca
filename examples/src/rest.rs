//! A small client of the product's REST API, as any customer could write it.

use std::io::Write;
use std::time::Duration;

use barndoor_crds::rest::{
    AdminClientFile, DestinationObject, IngestAnswer, PREFIX, PatchSettings, Problem, PutDestination, Secret,
    StatusResponse, TokenAnswer,
};
use barndoor_crds::status::CheckReport;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};

/// What existing clients wait at most.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a batch is sent when the product asks to come back later.
const SEND_ATTEMPTS: u32 = 10;
/// The longest pause between two attempts.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// Why a call did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No answer.
    #[error("{call}: no answer: {source}")]
    NoAnswer {
        /// Which call.
        call: String,
        /// Why.
        source: reqwest::Error,
    },
    /// An error, in the product's words.
    #[error("{call}: {status}: {message}")]
    Refused {
        /// Which call.
        call: String,
        /// The HTTP status.
        status: StatusCode,
        /// The product's words.
        message: String,
    },
    /// A batch could not be packed.
    #[error("a batch cannot be packed: {0}")]
    Pack(#[from] std::io::Error),
}

/// Makes rustls use the one crypto library this project has. Call it once before the first request; again is harmless.
pub fn install_tls_provider() {
    // Fails only when one is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Calls about one destination of one organization.
pub struct Api {
    client: Client,
    base: String,
    organization: String,
    name: String,
    token: Secret,
}

impl Api {
    /// Signs in.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn sign_in(
        url: &str,
        admin: &AdminClientFile,
        organization: &str,
        name: &str,
    ) -> Result<Self, ApiError> {
        install_tls_provider();
        let call = "POST /oauth2/token";
        let no_answer = |source| ApiError::NoAnswer { call: call.to_owned(), source };
        let client = Client::builder().timeout(REQUEST_TIMEOUT).build().map_err(no_answer)?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", admin.client_id.as_str()),
            ("client_secret", admin.client_secret.expose()),
        ];
        let request = client.post(&admin.token_url).form(&form);
        let answer: TokenAnswer = judged(call, request).await?.json().await.map_err(no_answer)?;
        Ok(Self {
            client,
            base: format!("{url}{PREFIX}"),
            organization: organization.to_owned(),
            name: name.to_owned(),
            token: answer.access_token,
        })
    }

    /// The absolute URL of one of the destination's paths.
    pub fn url(&self, path: &str) -> String {
        format!("{}/exports/{}/{}/{path}", self.base, self.organization, self.name)
    }

    /// The bearer token.
    pub const fn token(&self) -> &Secret {
        &self.token
    }

    fn request(&self, method: Method, path: &str) -> (String, RequestBuilder) {
        let call = format!("{method} …/{path}");
        (call, self.client.request(method, self.url(path)).bearer_auth(self.token.expose()))
    }

    /// Declares the destination.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn put_destination(&self, body: &PutDestination) -> Result<DestinationObject, ApiError> {
        let (call, request) = self.request(Method::PUT, "destination");
        let answer = judged(&call, request.json(body)).await?;
        answer.json().await.map_err(|source| ApiError::NoAnswer { call, source })
    }

    /// Changes settings.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn patch_settings(&self, body: &PatchSettings) -> Result<(), ApiError> {
        let (call, request) = self.request(Method::PATCH, "settings");
        judged(&call, request.json(body)).await.map(drop)
    }

    /// Checks the connection.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn check(&self) -> Result<CheckReport, ApiError> {
        let (call, request) = self.request(Method::POST, "check");
        let answer = judged(&call, request.header(CONTENT_LENGTH, 0)).await?;
        answer.json().await.map_err(|source| ApiError::NoAnswer { call, source })
    }

    /// Starts streaming.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn start(&self) -> Result<(), ApiError> {
        let (call, request) = self.request(Method::POST, "start");
        judged(&call, request.header(CONTENT_LENGTH, 0)).await.map(drop)
    }

    /// Pauses streaming.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn pause(&self) -> Result<(), ApiError> {
        let (call, request) = self.request(Method::POST, "pause");
        judged(&call, request.header(CONTENT_LENGTH, 0)).await.map(drop)
    }

    /// What is said of the destination.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn status(&self) -> Result<StatusResponse, ApiError> {
        let (call, request) = self.request(Method::GET, "status");
        let answer = judged(&call, request).await?;
        answer.json().await.map_err(|source| ApiError::NoAnswer { call, source })
    }

    /// Sends a batch of lines, packed, under a key that makes a repeat harmless; comes back when asked to.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn send_events(&self, lines: &str, idempotency_key: &str) -> Result<IngestAnswer, ApiError> {
        let call = format!("POST events/{}", self.organization);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(lines.as_bytes())?;
        let body = encoder.finish()?;
        let mut attempt = 1;
        loop {
            let answer = self
                .client
                .post(format!("{}/events/{}", self.base, self.organization))
                .bearer_auth(self.token.expose())
                .header(CONTENT_TYPE, "application/x-ndjson")
                .header(CONTENT_ENCODING, "gzip")
                .header("Idempotency-Key", idempotency_key)
                .body(body.clone())
                .send()
                .await
                .map_err(|source| ApiError::NoAnswer { call: call.clone(), source })?;
            let later =
                matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            if !later || attempt == SEND_ATTEMPTS {
                let answer = accepted(&call, answer).await?;
                return answer.json().await.map_err(|source| ApiError::NoAnswer { call, source });
            }
            attempt += 1;
            tokio::time::sleep(retry_after(&answer)).await;
        }
    }
}

fn retry_after(answer: &Response) -> Duration {
    let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1)).min(RETRY_AFTER_MAX)
}

async fn judged(call: &str, request: RequestBuilder) -> Result<Response, ApiError> {
    let answer =
        request.send().await.map_err(|source| ApiError::NoAnswer { call: call.to_owned(), source })?;
    accepted(call, answer).await
}

async fn accepted(call: &str, answer: Response) -> Result<Response, ApiError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let message = match answer.json::<Problem>().await {
        Ok(problem) if !problem.message.is_empty() => problem.message,
        Ok(problem) => problem.detail,
        Err(_) => "the answer is no problem+json".to_owned(),
    };
    Err(ApiError::Refused { call: call.to_owned(), status, message })
}
