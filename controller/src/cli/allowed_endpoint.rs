//! What `--allow-endpoint` takes: an exception from the endpoint guard.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;

/// Addresses that destinations' endpoints may have although the guard would refuse them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedEndpoint {
    /// This machine: 127.0.0.0/8 and ::1.
    Loopback,
    /// Private networks: RFC 1918 and unique local addresses.
    Private,
    /// One network.
    Network(IpNet),
}

/// Text that is not such an exception.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write loopback, private, or a network such as 10.20.0.0/16 (a single address is 10.20.0.7/32)")]
pub struct InvalidAllowedEndpoint;

impl FromStr for AllowedEndpoint {
    type Err = InvalidAllowedEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidAllowedEndpoint> {
        match text {
            "loopback" => Ok(Self::Loopback),
            "private" => Ok(Self::Private),
            network => network.parse().map(Self::Network).map_err(|_| InvalidAllowedEndpoint),
        }
    }
}

impl fmt::Display for AllowedEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("loopback"),
            Self::Private => f.write_str("private"),
            Self::Network(network) => network.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_is_a_word_or_a_network() {
        for text in ["loopback", "private", "10.20.0.0/16", "fd00::/8"] {
            assert_eq!(text.parse::<AllowedEndpoint>().map(|e| e.to_string()).as_deref(), Ok(text));
        }
        for bad in ["", "Loopback", "10.0.0.1", "10.0.0.0/33", "example.com", "*"] {
            assert_eq!(bad.parse::<AllowedEndpoint>(), Err(InvalidAllowedEndpoint), "{bad}");
        }
    }
}
