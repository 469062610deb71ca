//! The real aws-sdk-s3, pointed at a store on loopback.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// The longest any call of the harness may take.
const OPERATION_LIMIT: Duration = Duration::from_secs(30);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The access key's id.
    pub access_key_id: String,
    /// Its secret; of a throw-away server.
    pub secret_access_key: String,
    /// With temporary credentials.
    pub session_token: Option<String>,
}

impl Keys {
    /// Long-lived keys.
    pub fn new(access_key_id: &str, secret_access_key: &str) -> Self {
        Self {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret_access_key.to_owned(),
            session_token: None,
        }
    }

    /// As the SDK takes them.
    pub fn credentials(&self) -> Credentials {
        Credentials::new(
            &self.access_key_id,
            &self.secret_access_key,
            self.session_token.clone(),
            None,
            "harness",
        )
    }
}

/// A client with path addressing and no retries, so that one call is one request.
pub fn client(endpoint: &str, region: &str, keys: &Keys) -> Client {
    client_with_checksums(endpoint, region, keys, RequestChecksumCalculation::WhenRequired)
}

/// The same, choosing the SDK's checksums.
pub fn client_with_checksums(
    endpoint: &str,
    region: &str,
    keys: &Keys,
    checksums: RequestChecksumCalculation,
) -> Client {
    crate::crypto::install_tls_provider();
    Client::from_conf(
        aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(Region::new(region.to_owned()))
            .credentials_provider(keys.credentials())
            .force_path_style(true)
            .request_checksum_calculation(checksums)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(OPERATION_LIMIT).build())
            .build(),
    )
}

/// An STS client of the same kind.
pub fn sts_client(endpoint: &str, region: &str, keys: &Keys) -> aws_sdk_sts::Client {
    crate::crypto::install_tls_provider();
    aws_sdk_sts::Client::from_conf(
        aws_sdk_sts::Config::builder()
            .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(aws_sdk_sts::config::Region::new(region.to_owned()))
            .credentials_provider(keys.credentials())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(OPERATION_LIMIT).build())
            .build(),
    )
}

/// The status and code of a refusal; the status is 0 when no answer came.
pub fn refusal<E: ProvideErrorMetadata>(
    error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>,
) -> (u16, String) {
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    (status, error.code().unwrap_or_default().to_owned())
}
