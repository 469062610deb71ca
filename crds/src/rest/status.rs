//! What is said of a destination: the object's status in snake_case, with live figures.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::condition::{ConditionStatus, ConditionType};
use crate::reason::Reason;
use crate::status::{CheckReport, DeliveryIssue, LastObject};

/// `GET …/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusResponse {
    /// The organization's name.
    pub organization_id: String,
    /// The destination's name.
    pub name: String,
    /// The wish.
    pub paused: bool,
    /// The badge: the reason of the condition `Streaming`.
    pub state: Reason,
    /// The declaration that this status is about.
    pub observed_generation: i64,
    /// The last on-demand check that was asked for by annotation and has run; only in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_requested_at: Option<String>,
    /// Ready, ConnectionHealthy, Streaming; Reconciling and Stalled only while true.
    pub conditions: Vec<ConditionObject>,
    /// What the customer's AWS account must trust; null when the controller has no AWS identity.
    pub trust: Option<TrustObject>,
    /// The last check; null when none has run.
    pub check: Option<CheckReport>,
    /// Where every event went; null before the first wish to stream.
    pub delivery: Option<DeliveryObject>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConditionObject {
    /// What about.
    #[serde(rename = "type")]
    pub condition_type: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, as a constant.
    pub reason: Reason,
    /// Why, in one sentence.
    pub message: String,
    /// The declaration it is about.
    pub observed_generation: i64,
    /// When `status` last changed.
    #[schema(value_type = String, format = DateTime)]
    pub last_transition_time: Timestamp,
}

/// What the customer's AWS account must trust and allow, ready to paste.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrustObject {
    /// The ARN that assumes the customer's role.
    pub principal_arn: String,
    /// What the role's trust policy must demand.
    pub external_id: String,
    /// The role's trust policy, as JSON text.
    pub trust_policy: String,
    /// The role's or user's permissions policy, as JSON text.
    pub permissions_policy: String,
}

/// Where every accepted event went:
/// `accepted` = `delivered` + `filtered` + `dropped` + `backlog`, at any time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryObject {
    /// When the first wish to stream was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// Accepted since then.
    pub accepted: u64,
    /// In the bucket.
    pub delivered: u64,
    /// Not of a wanted type.
    pub filtered: u64,
    /// Older than the retention before they could be delivered.
    pub dropped: u64,
    /// Of the delivered: sent again without proof that the first time failed.
    pub possibly_duplicated: u64,
    /// Waiting.
    pub backlog: u64,
    /// When the oldest waiting event was accepted; null when none waits.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest_pending_at: Option<Timestamp>,
    /// The last object delivered.
    pub last_object: Option<LastObject>,
    /// The last delivery that failed; null after a success.
    pub last_issue: Option<DeliveryIssue>,
}

/// `GET …/preview`: what keys will look like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewResponse {
    /// The bucket.
    pub bucket: String,
    /// The effective prefix.
    pub prefix: String,
    /// The whole key, with `<…>` where it varies.
    pub key_pattern: String,
}
