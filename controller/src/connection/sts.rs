//! The controller's own STS client: the operator's environment decides where it goes and who signs.
//!
//! It is not guarded and not a tenant's; it must not know destinations.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use barndoor_crds::aws::{ExternalId, RoleArn};
use tokio::sync::OnceCell;

use super::failure::{Failure, NotSendable};
use super::principal::{PrincipalError, trusted_arn};
use super::token_bucket::{Rate, TokenBucket};

/// AssumeRole calls for batches. AWS's quota is 600 a second for an account and region; the rest is the operator's.
const BATCH_RATE: Rate = Rate { per_second: 300, burst: 600 };
/// AssumeRole calls for checks: apart, so that a person does not wait behind ten thousand batches.
const CHECK_RATE: Rate = Rate { per_second: 10, burst: 20 };
/// How long one call to STS may take, in seconds; fetching the controller's own credentials included.
const CALL_TIMEOUT_SECONDS: u64 = 10;
/// How long the controller's own credentials may take: EC2's metadata service answers in milliseconds or not at all.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);
/// The metadata service sometimes drops a first request.
const METADATA_ATTEMPTS: u32 = 2;
/// The shortest that AWS allows, in seconds; a batch needs less.
const SESSION_SECONDS: i32 = 900;

/// What AssumeRole is called for; each has a quota of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// An exporter's batch.
    Batch,
    /// A person's check.
    Check,
}

/// One AssumeRole call.
#[derive(Clone, Debug)]
pub(crate) struct AssumeRole<'a> {
    pub(crate) role: &'a RoleArn,
    pub(crate) external_id: Option<&'a ExternalId>,
    pub(crate) session_name: String,
    pub(crate) session_policy: String,
}

/// The client, made when first needed: a start must not wait for metadata services.
#[derive(Debug)]
pub(crate) struct Sts {
    http: Option<SharedHttpClient>,
    client: OnceCell<aws_sdk_sts::Client>,
    principal: OnceCell<String>,
    batches: TokenBucket,
    checks: TokenBucket,
}

impl Sts {
    /// With an HTTP client of the caller's, or the SDK's own; a known principal is never asked for.
    pub(crate) fn new(http: Option<SharedHttpClient>, principal_arn: Option<String>) -> Self {
        Self {
            http,
            client: OnceCell::new(),
            principal: OnceCell::new_with(principal_arn),
            batches: TokenBucket::new(BATCH_RATE),
            checks: TokenBucket::new(CHECK_RATE),
        }
    }

    /// With a client that knows where to go.
    #[cfg(test)]
    pub(super) fn with_client(client: aws_sdk_sts::Client, principal_arn: String) -> Self {
        Self { client: OnceCell::new_with(Some(client)), ..Self::new(None, Some(principal_arn)) }
    }

    /// The principal's ARN; asked once, since it identifies the controller and not a batch.
    ///
    /// # Errors
    /// The next call asks again.
    pub(crate) async fn principal_arn(&self) -> Result<&str, PrincipalError> {
        self.principal.get_or_try_init(|| self.caller()).await.map(String::as_str)
    }

    async fn caller(&self) -> Result<String, PrincipalError> {
        let call = async { self.client().await.get_caller_identity().send().await };
        match within(call).await {
            Ok(Ok(output)) => output.arn().map(trusted_arn).ok_or_else(|| {
                PrincipalError::Unreachable("GetCallerIdentity answered without an ARN".to_owned())
            }),
            Ok(Err(error)) => Err(principal_error(Failure::from_sdk(&error))),
            Err(late) => Err(principal_error(late)),
        }
    }

    /// Mints credentials; never cached.
    ///
    /// # Errors
    /// What STS answered, or that it did not.
    pub(crate) async fn assume_role(
        &self,
        request: AssumeRole<'_>,
        turn: Turn,
    ) -> Result<Credentials, Failure> {
        match turn {
            Turn::Batch => self.batches.turn().await,
            Turn::Check => self.checks.turn().await,
        }
        let AssumeRole { role, external_id, session_name, session_policy } = request;
        let call = async {
            self.client()
                .await
                .assume_role()
                .role_arn(role.as_str())
                .set_external_id(external_id.map(ToString::to_string))
                .role_session_name(session_name)
                .policy(session_policy)
                .duration_seconds(SESSION_SECONDS)
                .send()
                .await
        };
        let output = within(call).await?.map_err(|error| Failure::from_sdk(&error))?;
        let minted = output.credentials().ok_or_else(|| {
            Failure::NotSendable(NotSendable::IdentityUnavailable(
                "STS answered without credentials".to_owned(),
            ))
        })?;
        Ok(Credentials::new(
            minted.access_key_id(),
            minted.secret_access_key(),
            Some(minted.session_token().to_owned()),
            None,
            "barndoor-assume-role",
        ))
    }

    async fn client(&self) -> &aws_sdk_sts::Client {
        self.client.get_or_init(|| Box::pin(load(self.http.clone()))).await
    }
}

async fn within<T>(call: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout(Duration::from_secs(CALL_TIMEOUT_SECONDS), call)
        .await
        .map_err(|_| Failure::timed_out(CALL_TIMEOUT_SECONDS))
}

fn principal_error(failure: Failure) -> PrincipalError {
    match failure {
        Failure::NotSendable(NotSendable::NoIdentity) => PrincipalError::NoControllerIdentity,
        Failure::NotSendable(NotSendable::IdentityUnavailable(words) | NotSendable::Malformed(words)) => {
            PrincipalError::Unreachable(words)
        }
        Failure::Transport(transport) => PrincipalError::Unreachable(transport.words),
        Failure::Answered(answer) => PrincipalError::Unreachable(match (answer.code, answer.message) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => format!("HTTP status {}", answer.status),
        }),
    }
}

/// AWS's default chain, with metadata services given little time: most machines have none.
async fn load(http: Option<SharedHttpClient>) -> aws_sdk_sts::Client {
    let metadata = aws_config::imds::Client::builder()
        .max_attempts(METADATA_ATTEMPTS)
        .connect_timeout(METADATA_TIMEOUT)
        .read_timeout(METADATA_TIMEOUT)
        .build();
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(ImdsRegionProvider::builder().imds_client(metadata.clone()).build())
        .region()
        .await
        // A variable that is set to nothing is as good as unset.
        .filter(|region| !region.as_ref().is_empty())
        .unwrap_or_else(|| Region::from_static("us-east-1"));
    let mut environment = ProviderConfig::default().with_region(Some(region.clone()));
    let mut config = aws_config::defaults(BehaviorVersion::latest());
    if let Some(http) = http {
        environment = environment.with_http_client(http.clone());
        config = config.http_client(http);
    }
    let credentials =
        DefaultCredentialsChain::builder().configure(environment).imds_client(metadata).build().await;
    // The exporter's back-off and a person's click are the retries.
    let config = config
        .region(region)
        .credentials_provider(credentials)
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder().operation_timeout(Duration::from_secs(CALL_TIMEOUT_SECONDS)).build(),
        )
        .load()
        .await;
    aws_sdk_sts::Client::new(&config)
}
