//! A destination as it is named on the command line: `ORG/NAME`.

use std::fmt;
use std::str::FromStr;

use barndoor_crds::name::{DestinationName, InvalidName, OrganizationName};

/// An organization and the name of one of its destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationRef {
    /// The tenant.
    pub organization: OrganizationName,
    /// The destination inside it.
    pub name: DestinationName,
}

/// Text that names no destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDestinationRef {
    /// Not two names with a slash between.
    #[error(
        "write the organization and the destination's name with a slash between, such as acme/datadog-json"
    )]
    Shape,
    /// One of the names breaks the rule.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl FromStr for DestinationRef {
    type Err = InvalidDestinationRef;

    fn from_str(text: &str) -> Result<Self, InvalidDestinationRef> {
        let (organization, name) = text.split_once('/').ok_or(InvalidDestinationRef::Shape)?;
        if organization.is_empty() || name.is_empty() || name.contains('/') {
            return Err(InvalidDestinationRef::Shape);
        }
        Ok(Self { organization: organization.parse()?, name: name.parse()? })
    }
}

impl fmt::Display for DestinationRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_an_organization_and_a_name() {
        let parsed: DestinationRef = "acme/datadog-json".parse().expect("a destination");
        assert_eq!((parsed.organization.as_str(), parsed.name.as_str()), ("acme", "datadog-json"));
        assert_eq!(parsed.to_string(), "acme/datadog-json");
    }

    #[test]
    fn a_missing_half_or_a_third_is_refused_with_an_example() {
        for bad in ["", "acme", "acme/", "/x", "a/b/c", "https://a/b"] {
            let refusal = bad.parse::<DestinationRef>().expect_err(bad);
            assert_eq!(refusal, InvalidDestinationRef::Shape, "{bad}");
        }
        let refusal = "Acme/x".parse::<DestinationRef>().expect_err("upper case");
        assert!(refusal.to_string().starts_with("organization_id must be"), "{refusal}");
    }
}
