//! A REST client of a running controller: signs in with the client file, calls, and says what went wrong in a sentence.
//!
//! It must not know what the answers mean.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use barndoor_crds::rest::{AdminClientFile, PREFIX, Secret};
use clap::Args;
use reqwest::{Certificate, Client, Method, RequestBuilder, Response, StatusCode, redirect};
use serde::Serialize;
use serde_json::Value;
use url::{Host, Url};

use super::output::text_at;
use super::tls_files::{self, TlsFileError};

/// Flags that every command but `run` has, under this heading.
pub(super) const CONNECTION_HEADING: &str = "Connection";
const TOKEN_PATH: &str = "/oauth2/token";
/// How long connecting may take, in seconds.
const CONNECT_TIMEOUT_SECONDS: u64 = 5;
/// How long a call may take, in seconds: a check answers within 20.
const CALL_TIMEOUT_SECONDS: u64 = 30;
/// The longest answer that is read, in bytes.
const ANSWER_MAX_BYTES: usize = 8 * 1024 * 1024;

/// For calls that send nothing.
pub(super) const NO_BODY: Option<&Value> = None;

/// How the running controller is reached.
#[derive(Args, Clone, Debug)]
pub(super) struct ConnectionOptions {
    /// The controller's address; without it, the one in the client file: http://127.0.0.1:8080 unless `run` was told
    /// otherwise.
    #[arg(
        long,
        env = "BARNDOOR_ENDPOINT",
        value_name = "URL",
        help_heading = CONNECTION_HEADING
    )]
    endpoint: Option<Url>,

    /// The OAuth2 client to sign in as: the JSON file that the controller wrote into its data folder.
    #[arg(
        long,
        env = "BARNDOOR_CLIENT_FILE",
        value_name = "FILE",
        default_value = "./barndoor-data/admin-client.json",
        help_heading = CONNECTION_HEADING
    )]
    client_file: PathBuf,

    /// More certificate authorities to trust, as PEM: the one that signed the controller's certificate.
    #[arg(
        long,
        env = "BARNDOOR_CA_CERTIFICATE",
        value_name = "FILE",
        help_heading = CONNECTION_HEADING
    )]
    ca_certificate: Option<PathBuf>,
}

/// Why there is no answer to show.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestError {
    /// The client file cannot be read.
    #[error("the client file {} cannot be read ({source}): a controller writes admin-client.json into its data folder when it starts; give its path with --client-file", .path.display())]
    ClientFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The client file is something else.
    #[error("{} is not a client file: it must be JSON with client_id, client_secret and an absolute token_url", .0.display())]
    NotAClientFile(PathBuf),
    /// The CA file cannot be used.
    #[error(transparent)]
    TlsFile(#[from] TlsFileError),
    /// No request can be made on this machine.
    #[error("no HTTPS client can be made: {0}")]
    Client(String),
    /// No answer.
    #[error(
        "no answer from {origin} ({cause}): is the controller running there? `barndoor-export run` starts one; --endpoint says where it is"
    )]
    Unreachable {
        /// Scheme, host and port.
        origin: String,
        /// The innermost cause.
        cause: String,
    },
    /// The client is unknown or its secret is wrong.
    #[error(
        "the controller at {0} does not know this client: use the client file of its own data folder, or one from `barndoor-export client add`"
    )]
    Unauthorized(String),
    /// A refusal in the controller's own words, remedy included.
    #[error("{message} ({status}{})", .reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default())]
    Refused {
        /// The status.
        status: u16,
        /// The constant, when there is one.
        reason: Option<String>,
        /// The sentence.
        message: String,
    },
    /// An answer that no controller gives.
    #[error(
        "{origin} answered {status} with something else than JSON: is that address a Barndoor controller's? --endpoint says where it is"
    )]
    NotUnderstood {
        /// Scheme, host and port.
        origin: String,
        /// The status.
        status: u16,
    },
}

/// The client file, parsed.
struct ClientFile {
    client_id: String,
    client_secret: Secret,
    token_url: Url,
}

/// A signed-in client.
pub(super) struct RestClient {
    http: Client,
    base: Url,
    token: String,
    token_url: Url,
}

impl RestClient {
    /// Reads the client file and gets a token with it.
    pub(super) async fn sign_in(options: &ConnectionOptions) -> Result<Self, RestError> {
        let file = read_client_file(options)?;
        let base = options.endpoint.clone().unwrap_or_else(|| base_of(&file.token_url));
        let http = http_client(options, [&base, &file.token_url])?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &file.client_id),
            ("client_secret", file.client_secret.expose()),
        ];
        let (status, answer) = send(http.post(file.token_url.clone()).form(&form), &file.token_url).await?;
        let origin = file.token_url.origin().ascii_serialization();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST) {
            return Err(RestError::Unauthorized(origin));
        }
        if !status.is_success() {
            return Err(refusal(&file.token_url, status, answer.as_ref()));
        }
        let token = answer.as_ref().and_then(|answer| answer.get("access_token")).and_then(Value::as_str);
        match token {
            Some(token) => Ok(Self { token: token.to_owned(), http, base, token_url: file.token_url }),
            None => Err(RestError::NotUnderstood { origin, status: status.as_u16() }),
        }
    }

    /// Where tokens come from.
    pub(super) fn token_url(&self) -> &Url {
        &self.token_url
    }

    /// Calls a path below the REST prefix; null when the answer has no body.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Value, RestError> {
        let url = url_of(&self.base, path);
        let request = self.http.request(method, url.clone()).bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let (status, answer) = send(request, &url).await?;
        match (status, answer) {
            (StatusCode::UNAUTHORIZED, _) => Err(RestError::Unauthorized(url.origin().ascii_serialization())),
            (StatusCode::NO_CONTENT, _) => Ok(Value::Null),
            (status, Some(answer)) if status.is_success() => Ok(answer),
            (status, answer) => Err(refusal(&url, status, answer.as_ref())),
        }
    }
}

fn read_client_file(options: &ConnectionOptions) -> Result<ClientFile, RestError> {
    let path = &options.client_file;
    let text = std::fs::read(path).map_err(|source| RestError::ClientFile { path: path.clone(), source })?;
    // Why is not shown: serde's message could repeat the secret.
    let not_one = || RestError::NotAClientFile(path.clone());
    let file: AdminClientFile = serde_json::from_slice(&text).map_err(|_| not_one())?;
    let AdminClientFile { client_id, client_secret, token_url } = file;
    let token_url = token_url.parse().map_err(|_| not_one())?;
    Ok(ClientFile { client_id, client_secret, token_url })
}

/// The controller whose token URL this is.
fn base_of(token_url: &Url) -> Url {
    let mut base = token_url.clone();
    base.set_query(None);
    base.set_path(token_url.path().strip_suffix(TOKEN_PATH).unwrap_or_default());
    base
}

fn url_of(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    // Only URLs such as mailto: have no segments, and no request could be sent there: it stays as it is and fails then.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(PREFIX.split('/').skip(1)).extend(path);
    }
    url
}

fn http_client(options: &ConnectionOptions, urls: [&Url; 2]) -> Result<Client, RestError> {
    let mut builder = Client::builder()
        .connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_SECONDS))
        .timeout(Duration::from_secs(CALL_TIMEOUT_SECONDS))
        .redirect(redirect::Policy::none());
    if urls.iter().all(|url| is_loopback(url)) {
        builder = builder.no_proxy();
    }
    if urls.iter().all(|url| url.scheme() == "http") {
        // Without this a machine that has no certificate authorities could not even speak plain HTTP.
        builder = builder.tls_certs_only([]);
    } else if let Some(path) = &options.ca_certificate {
        let pem = tls_files::certificates("--ca-certificate", path)?;
        let found =
            Certificate::from_pem_bundle(&pem).map_err(|error| RestError::Client(innermost(&error)))?;
        builder = builder.tls_certs_merge(found);
    }
    builder.build().map_err(|error| RestError::Client(innermost(&error)))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The status, and the body when it is JSON.
async fn send(request: RequestBuilder, url: &Url) -> Result<(StatusCode, Option<Value>), RestError> {
    let unreachable = |error: reqwest::Error| RestError::Unreachable {
        origin: url.origin().ascii_serialization(),
        cause: if error.is_timeout() { "no answer in time".to_owned() } else { innermost(&error) },
    };
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let body = read(response).await.map_err(unreachable)?;
    Ok((status, serde_json::from_slice(&body).ok()))
}

/// The body up to the limit; what comes after it makes the JSON invalid.
async fn read(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX_BYTES {
            body.clear();
            break;
        }
    }
    Ok(body)
}

/// What the controller said, from the first of the fields that all its errors have.
fn refusal(url: &Url, status: StatusCode, answer: Option<&Value>) -> RestError {
    let said = |pointer| answer.and_then(|answer| text_at(answer, pointer));
    match said("/message").or_else(|| said("/error_description")).or_else(|| said("/detail")) {
        Some(message) => RestError::Refused { status: status.as_u16(), reason: said("/reason"), message },
        None => {
            RestError::NotUnderstood { origin: url.origin().ascii_serialization(), status: status.as_u16() }
        }
    }
}

fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
