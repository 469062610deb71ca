//! Names of organizations and destinations, and the uids that everything durable is keyed by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in characters: a Kubernetes label's limit.
pub const NAME_MAX: usize = 63;

/// A name that breaks the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{field} must be 1 to 63 characters of a-z, 0-9 and \"-\", beginning and ending with a letter or digit"
)]
pub struct InvalidName {
    /// Which name: `organization_id` or `name`.
    pub field: &'static str,
}

fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    (1..=NAME_MAX).contains(&bytes.len())
        && bytes.iter().all(|&byte| inner(byte) || byte == b'-')
        && inner(bytes[0])
        && inner(bytes[bytes.len() - 1])
}

macro_rules! name {
    ($type:ident, $field:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if is_name(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName { field: $field }) }
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(OrganizationName, "organization_id", "A tenant's name: a namespace in Kubernetes.");
name!(DestinationName, "name", "A destination's name inside its organization; `{type}` in REST paths.");

macro_rules! uid {
    ($type:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(String);

        impl $type {
            /// Wraps an identifier that its issuer vouches for (a name, a Kubernetes UID, a ULID).
            pub fn new(uid: impl Into<String>) -> Self {
                Self(uid.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

uid!(
    OrganizationUid,
    "What everything durable of a tenant is keyed by, so that a re-used name is another tenant. In embedded mode the name itself."
);
uid!(DestinationUid, "A destination's identity for life: a Kubernetes UID, or a ULID.");

impl From<&OrganizationName> for OrganizationUid {
    fn from(name: &OrganizationName) -> Self {
        Self::new(name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_dns_label() {
        for good in ["a", "acme", "acme-2", "0a", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"] {
            assert!(good.parse::<OrganizationName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Acme", "a_b", "a.b", "a/b", "é", &"a".repeat(64)] {
            let refusal = bad.parse::<OrganizationName>().expect_err(bad);
            assert!(refusal.to_string().starts_with("organization_id must be"), "{refusal}");
        }
    }
}
