//! Where objects go: endpoint, bucket, region, path prefix, addressing; each parsed once at the edge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::aws::Partition;

/// The longest endpoint, in characters.
pub const ENDPOINT_MAX: usize = 512;
/// The longest path prefix, in bytes; leaves room for the rest of S3's 1,024-byte key.
pub const PATH_PREFIX_MAX: usize = 200;
/// The prefix used when none was declared.
pub const DEFAULT_PATH_PREFIX: &str = "audit-events/";

/// A field of the place that cannot be used, with the remedy in its message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidPlace {
    /// The field's name in REST.
    pub field: &'static str,
    /// What is wrong and what to write instead.
    pub problem: String,
}

fn invalid(field: &'static str, problem: impl Into<String>) -> InvalidPlace {
    InvalidPlace { field, problem: problem.into() }
}

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain text; only where the operator allows it.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// What REST's `use_ssl` says for an endpoint without a scheme.
    pub const fn from_use_ssl(use_ssl: bool) -> Self {
        if use_ssl { Self::Https } else { Self::Http }
    }
}

/// An S3 endpoint: scheme, host and optional port, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    scheme: Scheme,
    host: Host<String>,
    port: Option<u16>,
}

impl Endpoint {
    /// Parses `https://host[:port]` or `host[:port]`; a written scheme beats `default_scheme`.
    ///
    /// # Errors
    /// Names the field `endpoint` and the part that may not be there.
    pub fn parse(text: &str, default_scheme: Scheme) -> Result<Self, InvalidPlace> {
        let field = "endpoint";
        let hint = "write it like https://s3.us-east-1.amazonaws.com";
        if text.is_empty() {
            return Err(invalid(field, format!("is required: {hint}")));
        }
        if text.len() > ENDPOINT_MAX {
            return Err(invalid(field, format!("is longer than {ENDPOINT_MAX} characters: {hint}")));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(invalid(field, format!("may not contain spaces or control characters: {hint}")));
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some(_) => return Err(invalid(field, format!("must begin with https:// or http://: {hint}"))),
            None => (default_scheme, text),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('@') {
            return Err(invalid(field, format!("may not contain a user name or password: {hint}")));
        }
        if authority.contains(['/', '?', '#']) {
            return Err(invalid(
                field,
                format!("may not contain a path, query or fragment; the bucket has its own field: {hint}"),
            ));
        }
        let url = Url::parse(&format!("https://{authority}/"))
            .map_err(|error| invalid(field, format!("is not a host name ({error}): {hint}")))?;
        let host = match url.host() {
            Some(host) => host.to_owned(),
            None => return Err(invalid(field, format!("has no host name: {hint}"))),
        };
        // The url crate drops https's default port; on plain http 443 was meant as written.
        let port = match (scheme, url.port()) {
            (Scheme::Http, Some(80)) => None,
            (Scheme::Http, None) if authority.ends_with(":443") => Some(443),
            (Scheme::Https | Scheme::Http, port) => port,
        };
        Ok(Self { scheme, host, port })
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, lower case; an address or a name.
    pub const fn host(&self) -> &Host<String> {
        &self.host
    }

    /// The port in force.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }

    /// Whether the host is one of AWS's own (any partition), where IAM roles work.
    pub fn is_aws(&self) -> bool {
        self.aws_partition().is_some()
    }

    /// The AWS partition the host belongs to; bucket names are unique inside one.
    pub fn aws_partition(&self) -> Option<Partition> {
        let Host::Domain(name) = &self.host else { return None };
        if name.ends_with(".amazonaws.com.cn") {
            Some(Partition::AwsCn)
        } else if ![".amazonaws.com", ".api.aws"].iter().any(|suffix| name.ends_with(suffix)) {
            None
        } else if name.contains(".us-gov-") || name.contains("-us-gov-") {
            Some(Partition::AwsUsGov)
        } else {
            Some(Partition::Aws)
        }
    }

    /// Whether the host is Google Cloud Storage's interoperability endpoint, which knows no conditional PUT.
    pub fn is_google(&self) -> bool {
        matches!(&self.host, Host::Domain(name)
            if name == "storage.googleapis.com" || name.ends_with(".storage.googleapis.com"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl TryFrom<String> for Endpoint {
    type Error = InvalidPlace;

    fn try_from(text: String) -> Result<Self, InvalidPlace> {
        Self::parse(&text, Scheme::Https)
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

macro_rules! text_newtype {
    ($type:ident, $doc:literal) => {
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

        impl TryFrom<String> for $type {
            type Error = InvalidPlace;

            fn try_from(text: String) -> Result<Self, InvalidPlace> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_newtype!(BucketName, "A bucket's name under S3's naming rules: 3 to 63 characters.");
text_newtype!(Region, "A region such as `us-east-1` or `auto`; empty when the store has none.");
text_newtype!(
    PathPrefix,
    "The effective prefix of every key: empty, or ending with `/`; what was declared is kept elsewhere."
);

impl FromStr for BucketName {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let field = "bucket";
        let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let bytes = text.as_bytes();
        if text.is_empty() {
            return Err(invalid(field, "is required: the bucket's name, such as acme-audit"));
        }
        let fits = (3..=63).contains(&bytes.len())
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(b))
            && !text.contains("..")
            && text.parse::<std::net::Ipv4Addr>().is_err();
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(invalid(
            field,
            "must be 3 to 63 characters of a-z, 0-9, \".\" and \"-\", beginning and ending with a letter or digit, not an IP address; write the name alone, without s3:// or an ARN",
        ))
    }
}

impl FromStr for Region {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let fits = text.len() <= 64
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(invalid("region", "must be a region's code such as us-east-1, or auto for Google Cloud Storage"))
    }
}

impl Region {
    /// The region that requests are signed for; stores without regions accept AWS's first.
    pub fn for_signing(&self) -> &str {
        if self.0.is_empty() { "us-east-1" } else { &self.0 }
    }
}

impl FromStr for PathPrefix {
    type Err = InvalidPlace;

    /// Adds the missing final slash. The empty text is the bucket's root; an absent prefix is [`PathPrefix::default`].
    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let field = "path_prefix";
        if text.len() > PATH_PREFIX_MAX {
            return Err(invalid(
                field,
                format!("is longer than {PATH_PREFIX_MAX} bytes: choose a shorter one"),
            ));
        }
        if text.starts_with('/') {
            return Err(invalid(field, "may not begin with \"/\": write it like audit-events/"));
        }
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_.=/!*'(),+@:".contains(c);
        if let Some(c) = text.chars().find(|&c| !safe(c)) {
            return Err(invalid(
                field,
                format!("may not contain {c:?}: use letters, digits and - _ . = / ! * ' ( ) , + @ :"),
            ));
        }
        let segments = text.strip_suffix('/').unwrap_or(text);
        if !text.is_empty() && segments.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(invalid(field, "may not contain empty, \".\" or \"..\" segments"));
        }
        Ok(Self(if text.is_empty() || text.ends_with('/') { text.to_owned() } else { format!("{text}/") }))
    }
}

impl Default for PathPrefix {
    fn default() -> Self {
        Self(DEFAULT_PATH_PREFIX.to_owned())
    }
}

/// How the bucket is written into the address, as declared.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    utoipa::ToSchema,
)]
pub enum Addressing {
    /// Virtual for AWS hosts unless the bucket's name has a dot, else path.
    #[default]
    Auto,
    /// `https://endpoint/bucket/key`.
    Path,
    /// `https://bucket.endpoint/key`.
    Virtual,
}

/// Where objects go. Part of an open plan, so it never changes under one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The store.
    pub endpoint: Endpoint,
    /// What requests are signed for.
    pub region: Region,
    /// The bucket.
    pub bucket: BucketName,
    /// The effective prefix.
    pub prefix: PathPrefix,
    /// How the bucket is addressed.
    pub addressing: Addressing,
}

impl Place {
    /// Whether requests put the bucket into the path rather than the host name.
    pub fn uses_path_style(&self) -> bool {
        match self.addressing {
            Addressing::Path => true,
            Addressing::Virtual => false,
            Addressing::Auto => !self.endpoint.is_aws() || self.bucket.as_str().contains('.'),
        }
    }

    /// Whether a key means the same object in both places, only reached another way: AWS's bucket names are global.
    pub fn holds_the_same_objects_as(&self, other: &Self) -> bool {
        let partition = self.endpoint.aws_partition();
        let same_store = self.endpoint == other.endpoint
            || (partition.is_some() && partition == other.endpoint.aws_partition());
        same_store && self.bucket == other.bucket && self.prefix == other.prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Result<String, InvalidPlace> {
        Endpoint::parse(text, Scheme::Https).map(|endpoint| endpoint.to_string())
    }

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_a_port() {
        assert_eq!(
            endpoint("https://s3.us-east-1.amazonaws.com").as_deref(),
            Ok("https://s3.us-east-1.amazonaws.com")
        );
        assert_eq!(endpoint("minio.example:9000").as_deref(), Ok("https://minio.example:9000"));
        assert_eq!(endpoint("http://127.0.0.1:9000/").as_deref(), Ok("http://127.0.0.1:9000"));
        assert_eq!(endpoint("http://[::1]:9000").as_deref(), Ok("http://[::1]:9000"));
        assert_eq!(Endpoint::parse("h:80", Scheme::Http).map(|e| e.port_or_default()), Ok(80));
    }

    #[test]
    fn an_endpoint_with_anything_else_is_refused_by_name() {
        for bad in [
            "",
            "ftp://h",
            "https://u:p@h",
            "https://h/bucket",
            "https://h?x",
            "https://",
            "h h",
            "https://h:99999",
        ] {
            let refusal = endpoint(bad).expect_err(bad);
            assert!(refusal.to_string().starts_with("endpoint "), "{refusal}");
        }
    }

    #[test]
    fn a_prefix_gets_its_final_slash_and_stays_inside_the_bucket() {
        assert_eq!("a/b".parse::<PathPrefix>().map(String::from).as_deref(), Ok("a/b/"));
        assert_eq!("".parse::<PathPrefix>().map(String::from).as_deref(), Ok(""));
        for bad in ["/a", "a//b", "a/../b", "..", "a b", "a\n", "ü", &"a".repeat(201)] {
            assert!(bad.parse::<PathPrefix>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn buckets_and_regions_follow_the_stores_rules() {
        assert!("acme-audit.logs".parse::<BucketName>().is_ok());
        for bad in ["", "ab", "Acme", "s3://acme", "a..b", "192.168.0.1", "acme_audit", "arn:aws:s3:::acme"] {
            assert!(bad.parse::<BucketName>().is_err(), "{bad}");
        }
        assert!("".parse::<Region>().is_ok() && "auto".parse::<Region>().is_ok());
        assert!("US East".parse::<Region>().is_err());
    }

    #[test]
    fn automatic_addressing_is_virtual_only_where_it_works() {
        let place = |endpoint: &str, bucket: &str| Place {
            endpoint: Endpoint::parse(endpoint, Scheme::Https).expect("endpoint"),
            region: "us-east-1".parse().expect("region"),
            bucket: bucket.parse().expect("bucket"),
            prefix: PathPrefix::default(),
            addressing: Addressing::Auto,
        };
        assert!(!place("s3.us-east-1.amazonaws.com", "acme").uses_path_style());
        assert!(place("s3.us-east-1.amazonaws.com", "acme.logs").uses_path_style());
        assert!(place("minio.example", "acme").uses_path_style());
    }
}
