//! `ExportDestination`, the Kubernetes object: what may be declared, with the API server's own checks beside it.
//!
//! Rules stand here twice on purpose, as CEL for a friendly refusal at `kubectl apply` and in [`crate::place`] and
//! [`crate::aws`] for everything else: an object may be older than its rules. It must not know a client or a cluster.

#![allow(unreachable_pub, reason = "the KubeSchema derive repeats each public struct inside a function")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event_type::EventType;
use crate::place::{Addressing, Endpoint, InvalidPlace, Place, Scheme};
use crate::settings::{Batch, Format, MAX_BYTES, MAX_DELAY_SECONDS, MAX_EVENTS, MAX_RETRIES, OutOfBounds};

pub mod status;

pub use status::ExportDestinationStatus;

/// The API group.
pub const GROUP: &str = "export.barndoor.ai";
/// The type of Secret that a destination may name; others are refused.
pub const SECRET_TYPE: &str = "export.barndoor.ai/s3-credentials";
/// Set this annotation to a new value to have the connection checked; the status repeats it when it was.
pub const REQUESTED_AT_ANNOTATION: &str = "export.barndoor.ai/requestedAt";

/// Where an organization's audit events go, and whether they flow.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "export.barndoor.ai",
    version = "v1",
    kind = "ExportDestination",
    plural = "exportdestinations",
    singular = "exportdestination",
    shortname = "exd",
    category = "barndoor",
    namespaced,
    status = "ExportDestinationStatus",
    derive = "PartialEq",
    doc = "An S3-compatible bucket that the namespace's audit events are delivered to, exactly once and in order.",
    validation = Rule::new("size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')")
        .message("metadata.name must be 1 to 63 characters of a-z, 0-9 and \"-\", beginning and ending with a letter or digit"),
    printcolumn(name = "Status", type_ = "string", description = "What streaming is doing.", json_path = ".status.conditions[?(@.type==\"Streaming\")].reason"),
    printcolumn(name = "Ready", type_ = "string", description = "Whether what was declared is in force.", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Bucket", type_ = "string", description = "The bucket.", json_path = ".spec.s3.bucket"),
    printcolumn(name = "Backlog", type_ = "integer", description = "Events that wait; refreshed at most every 5 minutes.", json_path = ".status.delivery.backlog"),
    printcolumn(name = "Oldest", type_ = "date", description = "Since when the oldest event has waited.", json_path = ".status.delivery.oldestPendingAt"),
    printcolumn(name = "Age", type_ = "date", description = "Since when the object exists.", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ExportDestinationSpec {
    /// The wish: true keeps accepted events back (for 30 days), false streams them. A destination begins paused, and
    /// nothing accepted before the first `false` is ever sent.
    #[serde(default = "yes")]
    pub paused: bool,
    /// Where objects go.
    pub s3: S3Spec,
    /// How the store is entered: exactly one of iamRole and accessKeys.
    pub auth: AuthSpec,
    /// Which events are wanted; absent means every type, later ones too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<EventsSpec>,
    /// How one event becomes one line: `json` leaves it as it is, `datadog-json` wraps it into Datadog's attributes.
    #[serde(default)]
    pub format: Format,
    /// When an object is closed and sent.
    #[serde(default)]
    pub batch: BatchSpec,
}

const fn yes() -> bool {
    true
}

/// A place in an S3-compatible store.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Spec {
    /// The store: scheme, host and optional port, such as `https://s3.us-east-1.amazonaws.com`. Plain http works only
    /// where the operator allows it.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(
        validation = Rule::new("self.startsWith('https://') || self.startsWith('http://')")
            .message("endpoint must begin with https:// (or http://): write it like https://s3.us-east-1.amazonaws.com"),
        validation = Rule::new("!self.contains('@')")
            .message("endpoint may not contain a user name or password: keys belong into the Secret that auth.accessKeys names"),
        validation = Rule::new("!self.matches('^[a-z]+://[^/?#]*(/.|[?#])')")
            .message("endpoint may not contain a path, query or fragment; the bucket has its own field"),
        validation = Rule::new("!self.matches('[^!-~]|[\\\\\\\\]') && !self.matches('^https?://([/:?#]|$)')")
            .message("endpoint must name a host, without spaces: write it like https://s3.us-east-1.amazonaws.com"),
    )]
    pub endpoint: String,
    /// The bucket's name alone, without `s3://` or an ARN.
    #[schemars(length(min = 3, max = 63))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9][a-z0-9.-]*[a-z0-9]$') && !self.contains('..') && !self.matches('^[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+$')")
            .message("bucket must be 3 to 63 characters of a-z, 0-9, \".\" and \"-\", beginning and ending with a letter or digit, not an IP address; write the name alone, without s3:// or an ARN"),
    )]
    pub bucket: String,
    /// What requests are signed for, such as `us-east-1`; `auto` for Google Cloud Storage, empty where the store has
    /// no regions.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = Rule::new("self == '' || self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')")
            .message("region must be a region's code such as us-east-1, or auto for Google Cloud Storage"),
    )]
    pub region: String,
    /// What every key begins with; a missing final slash is added. Empty is the bucket's root.
    #[serde(default = "default_path_prefix")]
    #[schemars(length(max = 200))]
    #[x_kube(
        validation = Rule::new("self.matches('^[-A-Za-z0-9_.=/!*\\'(),+@:]*$')")
            .message("pathPrefix may contain letters, digits and - _ . = / ! * ' ( ) , + @ :"),
        validation = Rule::new("!self.matches('(^|/)[.]{0,2}/|(^|/)[.]{1,2}$')")
            .message("pathPrefix may not begin with \"/\" and may not contain empty, \".\" or \"..\" segments: write it like audit-events/"),
    )]
    pub path_prefix: String,
    /// How the bucket is written into the address: Auto is virtual for AWS hosts unless the bucket's name has a dot,
    /// else path.
    #[serde(default)]
    pub addressing: Addressing,
}

fn default_path_prefix() -> String {
    crate::place::DEFAULT_PATH_PREFIX.to_owned()
}

impl S3Spec {
    /// The place this declares.
    ///
    /// # Errors
    /// Names the field, in REST's spelling, and what to write instead.
    pub fn place(&self) -> Result<Place, InvalidPlace> {
        let Self { endpoint, bucket, region, path_prefix, addressing } = self;
        Ok(Place {
            endpoint: Endpoint::parse(endpoint, Scheme::Https)?,
            region: region.parse()?,
            bucket: bucket.parse()?,
            prefix: path_prefix.parse()?,
            addressing: *addressing,
        })
    }
}

/// How the store is entered.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.iamRole) != has(self.accessKeys)")
        .message("set exactly one of auth.iamRole and auth.accessKeys")
)]
pub struct AuthSpec {
    /// With a role of the customer's, assumed anew for every batch; AWS only, and nothing is stored here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam_role: Option<IamRoleSpec>,
    /// With an access key pair in a Secret; any S3-compatible store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_keys: Option<AccessKeysSpec>,
}

/// A role of the customer's.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IamRoleSpec {
    /// The role's ARN; its trust policy must be the one that status.trust shows.
    #[schemars(length(min = 1, max = 640))]
    #[x_kube(
        validation = Rule::new("self.matches('^arn:(aws|aws-cn|aws-us-gov):iam::[0-9]{12}:role/([A-Za-z0-9+=,.@_-]*/)*[A-Za-z0-9+=,.@_-]{1,64}$')")
            .message("roleArn must look like arn:aws:iam::123456789012:role/barndoor-audit-export; copy it from the role's summary page in IAM"),
    )]
    pub role_arn: String,
}

/// An access key pair in a Secret.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessKeysSpec {
    /// A Secret of the same namespace, of type `export.barndoor.ai/s3-credentials`, with the keys `access_key_id` and
    /// `secret_access_key`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')")
            .message("secretName must be a Secret's name: a-z, 0-9, \"-\" and \".\""),
    )]
    pub secret_name: String,
}

/// Which events are wanted.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventsSpec {
    /// The wanted types; absent or empty means every type, later ones too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub include: Option<Vec<EventType>>,
}

/// When an object is closed and sent: at whichever limit is reached first.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchSpec {
    /// Events an object may hold.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_events: i32,
    /// Seconds after a batch's first event when it is sent at the latest.
    #[schemars(range(min = 1, max = 3_600))]
    pub max_delay_seconds: i32,
    /// Bytes as uploaded (compressed) after which an object is closed.
    #[schemars(range(min = 65_536, max = 67_108_864))]
    pub max_bytes: i32,
    /// Quick retries inside one attempt; after them attempts go on for ever with growing pauses, and nothing is
    /// dropped.
    #[schemars(range(min = 1, max = 10))]
    pub max_retries: i32,
}

impl Default for BatchSpec {
    fn default() -> Self {
        Batch::default().into()
    }
}

impl From<Batch> for BatchSpec {
    fn from(batch: Batch) -> Self {
        let Batch { max_events, max_delay_seconds, max_bytes, max_retries } = batch;
        // Every bound of `settings` is far below i32::MAX.
        let narrow = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        Self {
            max_events: narrow(max_events),
            max_delay_seconds: narrow(max_delay_seconds),
            max_bytes: narrow(max_bytes),
            max_retries: narrow(max_retries),
        }
    }
}

impl TryFrom<&BatchSpec> for Batch {
    type Error = OutOfBounds;

    fn try_from(spec: &BatchSpec) -> Result<Self, OutOfBounds> {
        let BatchSpec { max_events, max_delay_seconds, max_bytes, max_retries } = *spec;
        Ok(Self {
            max_events: MAX_EVENTS.parse(max_events.into())?,
            max_delay_seconds: MAX_DELAY_SECONDS.parse(max_delay_seconds.into())?,
            max_bytes: MAX_BYTES.parse(max_bytes.into())?,
            max_retries: MAX_RETRIES.parse(max_retries.into())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_manifest_gets_the_documented_defaults() {
        let spec: ExportDestinationSpec = serde_json::from_value(serde_json::json!({
            "s3": {"endpoint": "https://s3.us-east-1.amazonaws.com", "bucket": "acme-audit"},
            "auth": {"accessKeys": {"secretName": "acme-s3"}},
        }))
        .expect("a spec");
        assert!(spec.paused);
        assert_eq!(spec.s3.path_prefix, "audit-events/");
        assert_eq!(Batch::try_from(&spec.batch), Ok(Batch::default()));
        assert_eq!((spec.format, spec.events), (Format::Json, None));
        assert_eq!(spec.s3.place().map(|place| place.prefix.to_string()).as_deref(), Ok("audit-events/"));
    }

    #[test]
    fn the_schemas_ranges_are_the_settings_bounds() {
        let schema = serde_json::to_value(schemars::schema_for!(BatchSpec)).expect("json");
        for (field, bounds) in [
            ("maxEvents", MAX_EVENTS),
            ("maxDelaySeconds", MAX_DELAY_SECONDS),
            ("maxBytes", MAX_BYTES),
            ("maxRetries", MAX_RETRIES),
        ] {
            let property = &schema["properties"][field];
            assert_eq!(property["minimum"].as_u64(), Some(bounds.min.into()), "{field}");
            assert_eq!(property["maximum"].as_u64(), Some(bounds.max.into()), "{field}");
            assert_eq!(property["default"].as_u64(), Some(bounds.default.into()), "{field}");
        }
    }
}
