//! An STS and S3 of our own that is as strict as the documents say AWS is, where the servers at hand are lax.
//!
//! Why it exists: MinIO's AssumeRole ignores RoleArn and ExternalId; moto lets a missing ExternalId and unknown
//! roles pass and ignores session policies. Here, after the STS API reference, the IAM user guide ("Policy
//! evaluation logic", "Session policies") and the S3 API reference:
//! - every request's Signature Version 4 is recomputed: wrong secret → `SignatureDoesNotMatch`, unknown key →
//!   `InvalidAccessKeyId` (S3) or `InvalidClientTokenId` (STS), wrong service or region in the scope is refused,
//!   a clock more than 15 minutes off → `RequestTimeTooSkewed`, an over-age session → `ExpiredToken`;
//! - AssumeRole: an unknown role, a principal that is not trusted and a missing or wrong External ID all give the
//!   one `AccessDenied` in AWS's words; session name, duration and policy must have their documented forms;
//! - a session may do what the role's policy **and** the session policy allow, judged anew for every request;
//! - S3 checks permission before Content-MD5, gives HEAD answers no body, and says another region's bucket is
//!   elsewhere with 301 and `x-amz-bucket-region`.
//!
//! [`Dialect::Gcs`] refuses what Google's interoperability mode refuses (its XML API reference: no `x-amz-checksum-*`,
//! no `aws-chunked`, preconditions only as `x-goog-if-generation-match`). [`Dialect::IgnoresPreconditions`] stores
//! over what is there, as older compatible stores do, and remembers all it ever stored.
//!
//! It answers only on loopback and only the calls that an export makes; anything else is 501.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;

use crate::loopback_server::{Answer, HangUp, LoopbackServer};
use crate::s3_client::{Keys, client};
use crate::sigv4;

mod account;
mod answer;
mod authenticate;
mod fault;
mod policy;
mod s3;
mod sts;

pub use account::{Role, StoredVersion};
pub use fault::{Fault, Operation};
pub use policy::{MalformedPolicy, Policy};

use account::Account;
use answer::Refusal;
use fault::Script;

/// The region that the stub's endpoint is in.
pub const REGION: &str = "us-east-1";

/// Which store is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Amazon S3.
    Aws,
    /// Google Cloud Storage with HMAC keys.
    Gcs,
    /// A store that knows no preconditions and overwrites.
    IgnoresPreconditions,
}

/// A request as it arrived and what it was answered.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What it asked for.
    pub operation: Operation,
    /// The HTTP method.
    pub method: String,
    /// The decoded path.
    pub path: String,
    /// The query as sent.
    pub query: String,
    /// Every header but `authorization`.
    pub headers: HeaderMap,
    /// The fields of an STS form.
    pub form: BTreeMap<String, String>,
    /// Whose key signed it.
    pub access_key_id: String,
    /// When it arrived.
    pub at: Timestamp,
    /// The status answered; 0 when the connection was closed instead.
    pub status: u16,
}

#[derive(Debug)]
struct State {
    dialect: Dialect,
    account: Account,
    script: Script,
    recorded: Vec<Recorded>,
}

/// A running stub: one per test, with its own keys, roles and buckets.
#[derive(Debug)]
pub struct StrictAws {
    server: LoopbackServer,
    state: Arc<Mutex<State>>,
}

impl StrictAws {
    /// Starts an empty one.
    pub async fn start(dialect: Dialect) -> Self {
        let state = Arc::new(Mutex::new(State {
            dialect,
            account: Account::default(),
            script: Script::default(),
            recorded: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let server = LoopbackServer::start(move |request| serve(Arc::clone(&shared), request)).await;
        Self { server, state }
    }

    /// The endpoint of both STS and S3.
    pub fn endpoint(&self) -> &str {
        self.server.endpoint()
    }

    /// Keys of an identity with this ARN that may do what the policy says.
    pub fn create_identity(&self, arn: &str, policy: Policy) -> Keys {
        self.state().account.create_identity(arn, policy)
    }

    /// Forgets a key.
    pub fn remove_identity(&self, keys: &Keys) {
        self.state().account.remove_identity(&keys.access_key_id);
    }

    /// Creates a role, or changes its trust and permissions from now on, for sessions that exist too.
    pub fn put_role(&self, role: Role) {
        self.state().account.put_role(role);
    }

    /// Removes a role.
    pub fn remove_role(&self, arn: &str) {
        self.state().account.remove_role(arn);
    }

    /// Creates a bucket in a region.
    pub fn create_bucket(&self, name: &str, region: &str) {
        self.state().account.create_bucket(name, region, None);
    }

    /// Creates a bucket encrypted with a KMS key.
    pub fn create_kms_bucket(&self, name: &str, region: &str, kms_key_arn: &str) {
        self.state().account.create_bucket(name, region, Some(kms_key_arn.to_owned()));
    }

    /// The next `times` requests of this kind meet the fault; earlier wishes come first.
    pub fn fail_next(&self, operation: Operation, times: usize, fault: &Fault) {
        self.state().script.next(operation, times, fault);
    }

    /// All requests of this kind meet the fault until [`Self::heal`].
    pub fn fail(&self, operation: Operation, fault: Fault) {
        self.state().script.always(operation, fault);
    }

    /// No faults any more.
    pub fn heal(&self) {
        self.state().script = Script::default();
    }

    /// Every request so far, oldest first.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.state().recorded.clone()
    }

    /// The requests of one kind, oldest first.
    pub fn recorded_of(&self, operation: Operation) -> Vec<Recorded> {
        self.state().recorded.iter().filter(|record| record.operation == operation).cloned().collect()
    }

    /// Everything that was ever stored in a bucket, oldest first, overwritten versions too.
    pub fn versions(&self, bucket: &str) -> Vec<StoredVersion> {
        self.state().account.versions(bucket)
    }

    /// Keys under which other bytes were stored over existing ones.
    pub fn overwritten(&self, bucket: &str) -> Vec<String> {
        let mut first: BTreeMap<String, String> = BTreeMap::new();
        let mut overwritten = Vec::new();
        for version in self.versions(bucket) {
            let known = first.entry(version.key.clone()).or_insert_with(|| version.sha256.clone());
            if *known != version.sha256 {
                overwritten.push(version.key);
            }
        }
        overwritten
    }

    /// A client that may do everything in every bucket, and is recorded like any other.
    pub fn client(&self) -> aws_sdk_s3::Client {
        let keys =
            self.create_identity("arn:aws:iam::999999999999:user/harness-reader", Policy::everything());
        client(self.endpoint(), REGION, &keys)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A test that panicked with the lock held has failed already; the others may go on.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A request with what is known of it before any judgement.
struct Call {
    operation: Operation,
    bucket: String,
    key: String,
    form: BTreeMap<String, String>,
    request: Request<Bytes>,
}

impl Call {
    fn of(request: Request<Bytes>) -> Self {
        let path = sigv4::decode(request.uri().path());
        let (bucket, key) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        let form = if path == "/" && request.method() == http::Method::POST {
            let text = String::from_utf8_lossy(request.body()).replace('+', "%20");
            sigv4::query_pairs(&text).into_iter().collect()
        } else {
            BTreeMap::new()
        };
        let query = request.uri().query().unwrap_or_default();
        let operation =
            Operation::of(request.method(), bucket, key, query, form.get("Action").map(String::as_str));
        Self { operation, bucket: bucket.to_owned(), key: key.to_owned(), form, request }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name).and_then(|value| value.to_str().ok())
    }

    fn query(&self, name: &str) -> Option<String> {
        sigv4::query_pairs(self.request.uri().query().unwrap_or_default())
            .into_iter()
            .find_map(|(found, value)| (found == name).then_some(value))
    }
}

async fn serve(state: Arc<Mutex<State>>, request: Request<Bytes>) -> Answer {
    let call = Call::of(request);
    let (index, fault) = {
        let mut state = lock(&state);
        let fault = state.script.take(call.operation);
        state.recorded.push(record(&call));
        (state.recorded.len() - 1, fault)
    };
    let answer = match fault {
        None => Ok(judge(&state, &call)),
        Some(Fault::Answer { status, code, message }) => {
            Ok(Refusal::new(status, code, message).response(call.operation, call.request.method()))
        }
        Some(Fault::Garbage) => {
            Ok(answer::response(StatusCode::OK, "text/html", "<html>not what you asked for".to_owned()))
        }
        Some(Fault::Elsewhere { region }) => {
            Ok(Refusal::elsewhere(&region).response(call.operation, call.request.method()))
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Delay(span)) => {
            tokio::time::sleep(span).await;
            Ok(judge(&state, &call))
        }
        Some(Fault::HangUp) => Err(HangUp),
        Some(Fault::DoAndHangUp) => {
            judge(&state, &call);
            Err(HangUp)
        }
    };
    lock(&state).recorded[index].status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
    answer
}

fn judge(state: &Mutex<State>, call: &Call) -> Response<Full<Bytes>> {
    let mut state = lock(state);
    let State { dialect, account, script: _, recorded: _ } = &mut *state;
    let judged = match call.operation {
        Operation::AssumeRole => sts::assume_role(account, call),
        Operation::GetCallerIdentity => sts::get_caller_identity(account, call),
        Operation::PutObject
        | Operation::GetObject
        | Operation::DeleteObject
        | Operation::HeadBucket
        | Operation::GetBucketLocation
        | Operation::ListObjects => s3::answer(account, *dialect, call),
        Operation::Unknown => Err(Refusal::new(501, "NotImplemented", "the stub does not know this call")),
    };
    judged.unwrap_or_else(|refusal| refusal.response(call.operation, call.request.method()))
}

fn record(call: &Call) -> Recorded {
    let mut headers = call.request.headers().clone();
    let authorization = headers.remove("authorization");
    let authorization = authorization.as_ref().and_then(|value| value.to_str().ok());
    Recorded {
        operation: call.operation,
        method: call.request.method().to_string(),
        path: sigv4::decode(call.request.uri().path()),
        query: call.request.uri().query().unwrap_or_default().to_owned(),
        headers,
        form: call.form.clone(),
        access_key_id: authorization
            .and_then(sigv4::Authorization::parse)
            .map(|parsed| parsed.access_key_id)
            .unwrap_or_default(),
        at: Timestamp::now(),
        status: 0,
    }
}
