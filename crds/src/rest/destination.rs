//! The destination's bodies, and what the customer's trust policy must name.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::secret::Secret;
use crate::place::Addressing;

/// The one provider there is; absent means the same.
pub const PROVIDER_S3: &str = "s3";

/// How the store is entered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// With keys stored here.
    #[default]
    AccessKeys,
    /// With a role of the customer's.
    IamRole,
}

/// An `auth_method` that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("auth_method must be access_keys or iam_role")]
pub struct UnknownAuthMethod;

impl AuthMethod {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessKeys => "access_keys",
            Self::IamRole => "iam_role",
        }
    }
}

impl FromStr for AuthMethod {
    type Err = UnknownAuthMethod;

    /// The empty text means access keys.
    fn from_str(text: &str) -> Result<Self, UnknownAuthMethod> {
        match text {
            "" | "access_keys" => Ok(Self::AccessKeys),
            "iam_role" => Ok(Self::IamRole),
            _ => Err(UnknownAuthMethod),
        }
    }
}

/// How the bucket is addressed, in REST's spelling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AddressingName {
    /// Virtual for AWS hosts unless the bucket's name has a dot, else path.
    #[default]
    Auto,
    /// `https://endpoint/bucket/key`.
    Path,
    /// `https://bucket.endpoint/key`.
    Virtual,
}

impl From<Addressing> for AddressingName {
    fn from(addressing: Addressing) -> Self {
        match addressing {
            Addressing::Auto => Self::Auto,
            Addressing::Path => Self::Path,
            Addressing::Virtual => Self::Virtual,
        }
    }
}

impl From<AddressingName> for Addressing {
    fn from(name: AddressingName) -> Self {
        match name {
            AddressingName::Auto => Self::Auto,
            AddressingName::Path => Self::Path,
            AddressingName::Virtual => Self::Virtual,
        }
    }
}

/// `PUT …/destination`. Loosely typed on purpose: `provider` is judged before all else, and every refusal names its
/// field. Unknown fields are ignored; a missing or null text counts as empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PutDestination {
    /// Absent or `s3`; anything else is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "s3")]
    pub provider: Option<String>,
    /// The store, as `https://host[:port]` or `host[:port]`. Required.
    #[serde(default, deserialize_with = "null_is_empty")]
    #[schema(max_length = 512, example = "https://s3.us-east-1.amazonaws.com")]
    pub endpoint: String,
    /// The bucket's name. Required.
    #[serde(default, deserialize_with = "null_is_empty")]
    #[schema(max_length = 63, example = "acme-audit")]
    pub bucket: String,
    /// What requests are signed for; may be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, example = "us-east-1")]
    pub region: Option<String>,
    /// What every key begins with; absent means `audit-events/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200, example = "audit-events/")]
    pub path_prefix: Option<String>,
    /// Decides the scheme of an endpoint without one; true unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_ssl: Option<bool>,
    /// Path addressing, in the older clients' word; false unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_path_style: Option<bool>,
    /// How the bucket is addressed; beats `use_path_style`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addressing: Option<AddressingName>,
    /// `access_keys` (also when absent or empty) or `iam_role`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AuthMethod>)]
    pub auth_method: Option<String>,
    /// The key's id; write-only. May be left out when keys are stored and the mode stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, write_only, max_length = 128)]
    pub access_key_id: Option<Secret>,
    /// The key's secret; write-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, write_only, max_length = 256)]
    pub secret_access_key: Option<Secret>,
    /// The role to assume, in `iam_role` mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048, example = "arn:aws:iam::123456789012:role/barndoor-audit-export")]
    pub iam_role_arn: Option<String>,
}

impl PutDestination {
    /// Every field, as spelled on the wire.
    pub const FIELDS: [&str; 12] = [
        "provider",
        "endpoint",
        "bucket",
        "region",
        "path_prefix",
        "use_ssl",
        "use_path_style",
        "addressing",
        "auth_method",
        "access_key_id",
        "secret_access_key",
        "iam_role_arn",
    ];

    /// How the bucket is addressed: as said, else path when `use_path_style` is true, else automatic.
    pub fn effective_addressing(&self) -> Addressing {
        match (self.addressing, self.use_path_style) {
            (Some(name), _) => name.into(),
            (None, Some(true)) => Addressing::Path,
            (None, Some(false) | None) => Addressing::Auto,
        }
    }
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The optional body of `POST …/check`: a destination that is not saved. Unlike PUT it refuses unknown fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
pub struct DryRun(pub PutDestination);

impl<'de> Deserialize<'de> for DryRun {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let body = serde_json::Map::deserialize(deserializer)?;
        if let Some(unknown) = body.keys().find(|key| !PutDestination::FIELDS.contains(&key.as_str())) {
            let unknown: String = unknown.chars().take(64).collect();
            return Err(D::Error::custom(format_args!(
                "unknown field \"{unknown}\"; the fields are {}",
                PutDestination::FIELDS.join(", ")
            )));
        }
        PutDestination::deserialize(serde_json::Value::Object(body)).map(Self).map_err(D::Error::custom)
    }
}

/// The destination in answers: the client's own spelling, no default filled in, never a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DestinationObject {
    /// Always `s3`.
    #[serde(default = "provider_s3")]
    pub provider: String,
    /// As sent.
    pub endpoint: String,
    /// As sent.
    pub bucket: String,
    /// As sent: `""` stays `""`.
    #[serde(default)]
    pub region: Option<String>,
    /// As sent; null when it was not.
    #[serde(default)]
    pub path_prefix: Option<String>,
    /// Whether an endpoint without a scheme means https.
    #[serde(default = "yes")]
    pub use_ssl: bool,
    /// Path addressing, in the older clients' word.
    #[serde(default)]
    pub use_path_style: bool,
    /// How the bucket is addressed.
    #[serde(default)]
    pub addressing: AddressingName,
    /// How the store is entered.
    #[serde(default)]
    pub auth_method: AuthMethod,
    /// Whether keys are stored.
    #[serde(default)]
    pub has_credentials: bool,
    /// Only in `iam_role` mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam_role_arn: Option<String>,
    /// Only in `iam_role` mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Whether streaming is declared; only in the answer to a PUT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

fn provider_s3() -> String {
    PROVIDER_S3.to_owned()
}

const fn yes() -> bool {
    true
}

/// `GET …/destination/aws-trust-info`: the same values for ever, there before the destination is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AwsTrustInfo {
    /// The ARN that will assume the customer's role.
    pub principal_arn: String,
    /// What the role's trust policy must demand.
    pub external_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> PutDestination {
        PutDestination {
            provider: Some("s3".into()),
            endpoint: "minio.example:9000".into(),
            bucket: "acme".into(),
            region: Some(String::new()),
            path_prefix: Some("a".into()),
            use_ssl: Some(false),
            use_path_style: Some(true),
            addressing: Some(AddressingName::Virtual),
            auth_method: Some("access_keys".into()),
            access_key_id: Some(Secret::new("AKIAEXAMPLE")),
            secret_access_key: Some(Secret::new("hunter2")),
            iam_role_arn: Some(String::new()),
        }
    }

    #[test]
    fn a_put_body_ignores_unknown_fields_and_keeps_the_clients_spelling() {
        let body: PutDestination = serde_json::from_str(
            r#"{"endpoint":"h:1","bucket":null,"region":"","compression":"gzip","auth_method":""}"#,
        )
        .expect("a body");
        assert_eq!(
            (body.endpoint.as_str(), body.bucket.as_str(), body.region.as_deref()),
            ("h:1", "", Some(""))
        );
        assert_eq!(body.auth_method.as_deref().map(str::parse), Some(Ok(AuthMethod::AccessKeys)));
        assert_eq!(body.path_prefix, None);
    }

    #[test]
    fn no_secret_is_in_the_debug_output() {
        let shown = format!("{:?}", full());
        assert!(!shown.contains("hunter2") && !shown.contains("AKIAEXAMPLE"), "{shown}");
    }

    #[test]
    fn a_dry_run_takes_every_field_of_a_put_and_no_other() {
        let text = serde_json::to_string(&full()).expect("json");
        let fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).expect("an object");
        assert_eq!(fields.len(), PutDestination::FIELDS.len());
        assert_eq!(serde_json::from_str::<DryRun>(&text).expect("a dry run"), DryRun(full()));
        let refusal = serde_json::from_str::<DryRun>(r#"{"buckett":"x"}"#).expect_err("unknown").to_string();
        assert!(refusal.contains("\"buckett\""), "{refusal}");
    }

    #[test]
    fn addressing_beats_the_older_word() {
        assert_eq!(full().effective_addressing(), Addressing::Virtual);
        let older = |use_path_style| PutDestination { addressing: None, use_path_style, ..full() };
        assert_eq!(older(Some(true)).effective_addressing(), Addressing::Path);
        assert_eq!(older(None).effective_addressing(), Addressing::Auto);
    }

    #[test]
    fn an_access_key_answer_has_no_role_fields() {
        let answer = serde_json::to_value(DestinationObject { endpoint: "h".into(), ..Default::default() });
        let answer = answer.expect("json");
        assert!(answer.get("iam_role_arn").is_none() && answer.get("external_id").is_none());
        assert!(answer.get("enabled").is_none());
    }
}
