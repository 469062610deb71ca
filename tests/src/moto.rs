//! moto with IAM enforced: keys, identity policies, role policies, exact principals and wrong External IDs are real.
//!
//! It does not enforce a *missing* External ID, session policies or that a role exists: those are
//! [`crate::strict_aws`]'s. Everything lives in moto's one account, so the controller must be started with
//! `--allow-own-account-roles`. Changes of trust and permissions hold from the next request.

use std::process::Command;
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::crypto::{install_tls_provider, sha256_hex};
use crate::minio::installed;
use crate::s3_client::{Keys, client};
use crate::server_process::{ServerProcess, free_port};
use crate::sigv4;

/// moto's default region.
pub const REGION: &str = "us-east-1";

/// moto's account.
pub const ACCOUNT: &str = "123456789012";

/// Creating the administrator takes so many calls, which nobody could sign yet; all later ones are judged.
const CALLS_BEFORE_AUTHENTICATION: u32 = 3;

/// Python on a busy machine; alone it takes 3 to 19 s.
const READY_LIMIT: Duration = Duration::from_mins(2);

/// A running moto.
#[derive(Debug)]
pub struct Moto {
    _process: ServerProcess,
    endpoint: String,
    administrator: Keys,
}

/// A role of a customer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MotoRole {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
}

impl Moto {
    /// The one that all tests of this binary share; each takes names of its own.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Moto> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        install_tls_provider();
        let port = free_port();
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(installed("MOTO_SERVER"));
        command
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("INITIAL_NO_AUTH_ACTION_COUNT", CALLS_BEFORE_AUTHENTICATION.to_string());
        let mut process = ServerProcess::start("moto", &command, None);
        process.wait_until_ready(&format!("{endpoint}/moto-api/data.json"), READY_LIMIT).await;
        let mut moto =
            Self { _process: process, endpoint, administrator: Keys::new("AKIANOBODYYETNOBODYY", "x") };
        let everything = json!({
            "Version": "2012-10-17",
            "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" },
        });
        moto.administrator = moto.create_user("administrator", &everything).await;
        moto
    }

    /// The endpoint of IAM, STS and S3.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A client that may do everything.
    pub fn client(&self) -> aws_sdk_s3::Client {
        client(&self.endpoint, REGION, &self.administrator)
    }

    /// Creates a bucket.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn create_bucket(&self, bucket: &str) {
        self.client().create_bucket().bucket(bucket).send().await.expect("the administrator creates buckets");
    }

    /// Creates a user with this policy: three calls.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn create_user(&self, name: &str, policy: &Value) -> Keys {
        self.iam(&[("Action", "CreateUser"), ("UserName", name)]).await;
        let answer = self.iam(&[("Action", "CreateAccessKey"), ("UserName", name)]).await;
        self.put_user_policy(name, policy).await;
        let field = |tag: &str| {
            let (_, rest) =
                answer.split_once(&format!("<{tag}>")).unwrap_or_else(|| panic!("{tag} in {answer}"));
            rest.split_once('<').map_or(rest, |(text, _)| text).to_owned()
        };
        Keys::new(&field("AccessKeyId"), &field("SecretAccessKey"))
    }

    /// Changes what a user may do.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn put_user_policy(&self, name: &str, policy: &Value) {
        let policy = policy.to_string();
        self.iam(&[
            ("Action", "PutUserPolicy"),
            ("UserName", name),
            ("PolicyName", "permissions"),
            ("PolicyDocument", &policy),
        ])
        .await;
    }

    /// The identity of a controller: it may assume roles and nothing else. Its ARN is the principal to trust.
    ///
    /// # Panics
    /// When it cannot be created.
    pub async fn create_controller(&self, name: &str) -> (Keys, String) {
        let may_assume = json!({
            "Version": "2012-10-17",
            "Statement": { "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*" },
        });
        (self.create_user(name, &may_assume).await, format!("arn:aws:iam::{ACCOUNT}:user/{name}"))
    }

    /// Creates a role with a trust policy and permissions.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn create_role(&self, name: &str, trust: &Value, permissions: &Value) -> MotoRole {
        let document = trust.to_string();
        self.iam(&[("Action", "CreateRole"), ("RoleName", name), ("AssumeRolePolicyDocument", &document)])
            .await;
        let role = MotoRole { name: name.to_owned(), arn: format!("arn:aws:iam::{ACCOUNT}:role/{name}") };
        self.set_permissions(&role, permissions).await;
        role
    }

    /// Changes the role's trust policy.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn set_trust(&self, role: &MotoRole, trust: &Value) {
        let document = trust.to_string();
        self.iam(&[
            ("Action", "UpdateAssumeRolePolicy"),
            ("RoleName", &role.name),
            ("PolicyDocument", &document),
        ])
        .await;
    }

    /// Changes the role's inline permissions.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn set_permissions(&self, role: &MotoRole, permissions: &Value) {
        let document = permissions.to_string();
        self.iam(&[
            ("Action", "PutRolePolicy"),
            ("RoleName", &role.name),
            ("PolicyName", "permissions"),
            ("PolicyDocument", &document),
        ])
        .await;
    }

    async fn iam(&self, fields: &[(&str, &str)]) -> String {
        let fields: Vec<String> = [("Version", "2010-05-08")]
            .iter()
            .chain(fields)
            .map(|(name, value)| format!("{name}={}", sigv4::encode(value, "")))
            .collect();
        let body = fields.join("&");
        let mut headers = HeaderMap::new();
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        for (name, value) in [
            ("host", self.endpoint.trim_start_matches("http://")),
            ("x-amz-date", &now),
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ] {
            headers.insert(name, value.parse().expect("a header value"));
        }
        let payload = sha256_hex(body.as_bytes());
        let request =
            sigv4::Request { method: "POST", path: "/", query: "", headers: &headers, payload: &payload };
        let Keys { access_key_id, secret_access_key, session_token: _ } = &self.administrator;
        let authorization = sigv4::authorize(access_key_id, secret_access_key, REGION, "iam", request);
        let answer = crate::rest::http_client()
            .post(&self.endpoint)
            .headers(headers)
            .header("authorization", authorization)
            .body(body.clone())
            .send()
            .await
            .expect("moto answers");
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        assert!(status.is_success(), "{body}: {status}: {text}");
        text
    }
}

/// The guide's trust policy.
pub fn trust_policy(principal: &str, external_id: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": { "AWS": principal },
            "Action": "sts:AssumeRole",
            "Condition": { "StringEquals": { "sts:ExternalId": external_id } },
        },
    })
}
