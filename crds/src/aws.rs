//! What AWS calls things: partitions, role ARNs, External IDs.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A role ARN that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "iam_role_arn must look like arn:aws:iam::123456789012:role/barndoor-audit-export; copy it from the role's summary page in IAM"
)]
pub struct InvalidRoleArn;

/// An AWS partition; ARNs of one never work in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Partition {
    /// Commercial regions.
    #[serde(rename = "aws")]
    Aws,
    /// China.
    #[serde(rename = "aws-cn")]
    AwsCn,
    /// US GovCloud.
    #[serde(rename = "aws-us-gov")]
    AwsUsGov,
}

impl Partition {
    /// The second part of an ARN.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
        }
    }

    /// The partition that a region code belongs to.
    pub fn of_region(region: &str) -> Self {
        if region.starts_with("cn-") {
            Self::AwsCn
        } else if region.starts_with("us-gov-") {
            Self::AwsUsGov
        } else {
            Self::Aws
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Aws, Self::AwsCn, Self::AwsUsGov].into_iter().find(|partition| partition.name() == name)
    }
}

/// The ARN of an IAM role, `arn:<partition>:iam::<account>:role/<path and name>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleArn {
    text: String,
    partition: Partition,
}

impl RoleArn {
    /// The ARN as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The partition.
    pub const fn partition(&self) -> Partition {
        self.partition
    }

    /// The 12-digit account.
    pub fn account(&self) -> &str {
        self.text.split(':').nth(4).unwrap_or_default()
    }
}

impl FromStr for RoleArn {
    type Err = InvalidRoleArn;

    fn from_str(text: &str) -> Result<Self, InvalidRoleArn> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [arn, partition, service, region, account, resource] = parts[..] else {
            return Err(InvalidRoleArn);
        };
        let partition = Partition::parse(partition).ok_or(InvalidRoleArn)?;
        let name_fits = resource.strip_prefix("role/").is_some_and(|name| {
            // IAM: a path of at most 512 characters and a name of at most 64.
            let last = name.rsplit('/').next().unwrap_or_default();
            name.len() <= 576
                && (1..=64).contains(&last.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&b))
        });
        let account_fits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        if arn == "arn" && service == "iam" && region.is_empty() && account_fits && name_fits {
            Ok(Self { text: text.to_owned(), partition })
        } else {
            Err(InvalidRoleArn)
        }
    }
}

impl TryFrom<String> for RoleArn {
    type Error = InvalidRoleArn;

    fn try_from(text: String) -> Result<Self, InvalidRoleArn> {
        text.parse()
    }
}

impl From<RoleArn> for String {
    fn from(arn: RoleArn) -> Self {
        arn.text
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The External ID of one destination: 64 hexadecimal characters, the same for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(transparent)]
pub struct ExternalId(String);

impl ExternalId {
    /// The External ID whose 32 bytes these are.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        use fmt::Write;
        let mut text = String::with_capacity(64);
        for byte in bytes {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_arn_has_a_partition_an_account_and_a_role() {
        let role: RoleArn = "arn:aws-cn:iam::123456789012:role/path/barndoor".parse().expect("a role");
        assert_eq!((role.partition(), role.account()), (Partition::AwsCn, "123456789012"));
        for bad in [
            "",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:iam::1234:role/x",
            "arn:aws:iam::123456789012:role/",
            "arn:gcp:iam::123456789012:role/x",
            "arn:aws:iam:us-east-1:123456789012:role/x",
            "arn:aws:iam::123456789012:role/x y",
        ] {
            assert_eq!(bad.parse::<RoleArn>(), Err(InvalidRoleArn), "{bad}");
        }
    }

    #[test]
    fn an_external_id_is_sixty_four_hexadecimal_characters() {
        assert_eq!(ExternalId::from_bytes([0xa5; 32]).as_str(), "a5".repeat(32));
    }
}
