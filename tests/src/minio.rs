//! MinIO: preconditions, session policies, versioned and locked buckets are real here; roles are not.
//!
//! MinIO's AssumeRole asks for neither RoleArn nor ExternalId, so trust is tested elsewhere ([`crate::moto`],
//! [`crate::strict_aws`]). Restricted permissions are real users with real policies, made through its admin API,
//! whose bodies are encrypted: key by PBKDF2 from the root secret, then AES-256-GCM in one frame of the STREAM
//! construction (format 2 of madmin's `EncryptData`).

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{pbkdf2, rand};
use http::HeaderMap;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::crypto::{install_tls_provider, sha256_hex};
use crate::deadline::eventually;
use crate::s3_client::{Keys, client};
use crate::server_process::{ServerProcess, free_port, read_small, target_folder};
use crate::sigv4;

/// What MinIO calls itself unless told otherwise.
pub const REGION: &str = "us-east-1";

const ROOT_USER: &str = "harness-root";
const ROOT_SECRET: &str = "harness-root-secret";

/// Readiness on a busy machine; alone it takes a second.
const READY_LIMIT: Duration = Duration::from_mins(1);

/// A running MinIO.
#[derive(Debug)]
pub struct Minio {
    process: ServerProcess,
    endpoint: String,
    port: u16,
    data: PathBuf,
    _folder: Option<TempDir>,
}

impl Minio {
    /// The one that all tests of this binary share; each takes buckets of its own.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Minio> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                let data = target_folder().join(format!("e2e-minio-{}", std::process::id()));
                std::fs::create_dir_all(&data).expect("the target folder is writable");
                Self::launch(data, free_port(), None).await
            })
            .await
    }

    /// One for a test that stops or kills it.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self::launch(folder.path().to_owned(), free_port(), Some(folder)).await
    }

    async fn launch(data: PathBuf, port: u16, folder: Option<TempDir>) -> Self {
        install_tls_provider();
        let endpoint = format!("http://127.0.0.1:{port}");
        let sweep = folder.is_none().then(|| data.clone());
        let mut process = ServerProcess::start("minio", &Self::command(&data, port), sweep.as_deref());
        process.wait_until_ready(&format!("{endpoint}/minio/health/ready"), READY_LIMIT).await;
        let minio = Self { process, endpoint, port, data, _folder: folder };
        minio.wait_until_initialized().await;
        minio
    }

    /// On a busy machine it answers that it is ready some time before it knows buckets (XMinioServerNotInitialized).
    async fn wait_until_initialized(&self) {
        let client = self.client();
        eventually("MinIO to know its buckets", READY_LIMIT, async || {
            client.list_buckets().send().await.ok()
        })
        .await;
    }

    fn command(data: &std::path::Path, port: u16) -> Command {
        let mut command = Command::new(installed("MINIO"));
        command
            .arg("server")
            .arg("--quiet")
            .args(["--address", &format!("127.0.0.1:{port}")])
            .args(["--console-address", &format!("127.0.0.1:{}", free_port())])
            .arg(data.join("disk"))
            .env("HOME", data)
            .env("MINIO_ROOT_USER", ROOT_USER)
            .env("MINIO_ROOT_PASSWORD", ROOT_SECRET)
            .env("MINIO_BROWSER", "off")
            .env("MINIO_UPDATE", "off");
        command
    }

    /// Kills it with everything it holds in memory.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same data and port.
    pub async fn restart(&mut self) {
        self.process = ServerProcess::start("minio", &Self::command(&self.data, self.port), None);
        self.process.wait_until_ready(&format!("{}/minio/health/ready", self.endpoint), READY_LIMIT).await;
        self.wait_until_initialized().await;
    }

    /// Holds it still, connections open, or lets it go on.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// `http://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The keys that may do everything.
    pub fn root(&self) -> Keys {
        Keys::new(ROOT_USER, ROOT_SECRET)
    }

    /// A client that may do everything.
    pub fn client(&self) -> aws_sdk_s3::Client {
        client(&self.endpoint, REGION, &self.root())
    }

    /// Creates a bucket.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn create_bucket(&self, bucket: &str) {
        self.client().create_bucket().bucket(bucket).send().await.expect("root creates buckets");
    }

    /// Creates a bucket whose objects cannot be deleted for a day.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn create_locked_bucket(&self, bucket: &str) {
        use aws_sdk_s3::types::{
            DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode,
            ObjectLockRule,
        };
        let client = self.client();
        client
            .create_bucket()
            .bucket(bucket)
            .object_lock_enabled_for_bucket(true)
            .send()
            .await
            .expect("root creates locked buckets");
        let retention = DefaultRetention::builder().mode(ObjectLockRetentionMode::Compliance).days(1).build();
        let configuration = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .rule(ObjectLockRule::builder().default_retention(retention).build())
            .build();
        client
            .put_object_lock_configuration()
            .bucket(bucket)
            .object_lock_configuration(configuration)
            .send()
            .await
            .expect("a locked bucket takes a default retention");
    }

    /// Creates a user who may do what the policy says and nothing else; or changes that user's policy.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn create_user(&self, name: &str, policy: &Value) -> Keys {
        let secret = format!("{name}-secret");
        let user = json!({ "secretKey": secret, "status": "enabled" }).to_string();
        self.admin(&format!("add-user?accessKey={name}"), encrypt(ROOT_SECRET, user.as_bytes())).await;
        self.set_user_policy(name, policy).await;
        Keys::new(name, &secret)
    }

    /// Changes what a user may do, from now on.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn set_user_policy(&self, name: &str, policy: &Value) {
        self.admin(&format!("add-canned-policy?name={name}"), policy.to_string().into_bytes()).await;
        let query = format!("set-user-or-group-policy?isGroup=false&policyName={name}&userOrGroup={name}");
        self.admin(&query, Vec::new()).await;
    }

    /// Removes a user; the keys are unknown from then on.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn remove_user(&self, name: &str) {
        self.admin_call(reqwest::Method::DELETE, &format!("remove-user?accessKey={name}"), Vec::new()).await;
    }

    async fn admin(&self, call: &str, body: Vec<u8>) {
        self.admin_call(reqwest::Method::PUT, call, body).await;
    }

    async fn admin_call(&self, method: reqwest::Method, call: &str, body: Vec<u8>) {
        let (path, query) = call.split_once('?').unwrap_or((call, ""));
        let path = format!("/minio/admin/v3/{path}");
        let payload = sha256_hex(&body);
        let mut headers = HeaderMap::new();
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        for (name, value) in [
            ("host", self.endpoint.trim_start_matches("http://")),
            ("x-amz-content-sha256", &payload),
            ("x-amz-date", &now),
        ] {
            headers.insert(name, value.parse().expect("a header value"));
        }
        let request = sigv4::Request {
            method: method.as_str(),
            path: &path,
            query,
            headers: &headers,
            payload: &payload,
        };
        let authorization = sigv4::authorize(ROOT_USER, ROOT_SECRET, REGION, "s3", request);
        let answer = crate::rest::http_client()
            .request(method, format!("{}{path}?{query}", self.endpoint))
            .headers(headers)
            .header("authorization", authorization)
            .body(body)
            .send()
            .await
            .expect("MinIO answers");
        let status = answer.status();
        assert!(status.is_success(), "{call}: {status}: {}", answer.text().await.unwrap_or_default());
    }
}

/// The guide's permissions: upload everywhere in the bucket, see the bucket.
pub fn guide_policy(bucket: &str) -> Value {
    policy(bucket, &["s3:PutObject"], &["s3:ListBucket", "s3:GetBucketLocation"])
}

/// A policy of some actions on the bucket's objects and some on the bucket.
pub fn policy(bucket: &str, on_objects: &[&str], on_bucket: &[&str]) -> Value {
    let statement = |actions: &[&str], resource: String| {
        (!actions.is_empty()).then(|| json!({ "Effect": "Allow", "Action": actions, "Resource": resource }))
    };
    let statements: Vec<Value> = [
        statement(on_objects, format!("arn:aws:s3:::{bucket}/*")),
        statement(on_bucket, format!("arn:aws:s3:::{bucket}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// A program of `servers.env`, or of the environment.
///
/// # Panics
/// When neither names it.
pub(crate) fn installed(variable: &str) -> String {
    if let Ok(path) = std::env::var(variable) {
        return path;
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .expect("HOME is set");
    let list = cache.join("barndoor-export/servers.env");
    assert!(list.exists(), "run `make tools` first, or name {variable} in the environment");
    read_small(&list)
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{variable}=")).map(str::to_owned))
        .unwrap_or_else(|| panic!("{} does not name {variable}: run `make tools`", list.display()))
}

/// `salt (32) | 2 | nonce (8) | one sealed frame`.
fn encrypt(password: &str, plain: &[u8]) -> Vec<u8> {
    const ITERATIONS: std::num::NonZeroU32 = std::num::NonZeroU32::new(8192).expect("not zero");
    const FRAME_BYTES: usize = 16 * 1024;
    const LAST_FRAME: u8 = 0x80;
    assert!(plain.len() <= FRAME_BYTES, "admin bodies of the harness fit into one frame");
    let mut salt = [0; 32];
    let mut nonce = [0; 8];
    rand::fill(&mut salt).and_then(|()| rand::fill(&mut nonce)).expect("the machine has randomness");
    let mut key = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &salt, password.as_bytes(), &mut key);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("32 bytes are a key"));
    let numbered = |frame: u32| {
        let mut full = [0; 12];
        full[..8].copy_from_slice(&nonce);
        full[8..].copy_from_slice(&frame.to_le_bytes());
        Nonce::assume_unique_for_key(full)
    };
    // Frame 0 seals nothing; its tag, behind a flag for the last frame, is what the others are bound to.
    let mut nothing = Vec::new();
    key.seal_in_place_append_tag(numbered(0), Aad::empty(), &mut nothing).expect("sealing is total");
    let mut bound = vec![LAST_FRAME];
    bound.extend_from_slice(&nothing);
    let mut frame = plain.to_vec();
    key.seal_in_place_append_tag(numbered(1), Aad::from(&bound), &mut frame).expect("sealing is total");
    [&salt[..], &[2], &nonce, &frame].concat()
}
