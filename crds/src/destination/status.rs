//! The object's status. Texts are bounded by cutting them here, so that the API server never refuses a status.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{ConditionStatus, ConditionType};
use crate::reason::Reason;
use crate::status::{CheckReport, CheckStep, DeliveryIssue, LastObject, StepName, StepResult};

/// The longest message or remedy, in characters; a remedy may hold a whole policy.
pub const TEXT_MAX: usize = 4_096;
/// The longest code, operation or constant, in characters.
pub const WORD_MAX: usize = 256;

fn cut(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}

/// What the controller sees. Live figures come by REST and metrics; this is written on transitions and otherwise at
/// most once in 5 minutes.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportDestinationStatus {
    /// The generation that this status is about; -1 before the first look.
    #[serde(default = "unobserved")]
    pub observed_generation: i64,
    /// The value of the annotation `export.barndoor.ai/requestedAt` whose check has run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_requested_at: Option<String>,
    /// Ready, ConnectionHealthy and Streaming; Reconciling and Stalled only while true.
    #[serde(default)]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// What the customer's AWS account must trust and allow, ready to paste.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustStatus>,
    /// The last check of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckStatus>,
    /// Where every event went, since the first wish to stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryStatus>,
}

const fn unobserved() -> i64 {
    -1
}

impl Default for ExportDestinationStatus {
    fn default() -> Self {
        Self {
            observed_generation: unobserved(),
            last_handled_requested_at: None,
            conditions: Vec::new(),
            trust: None,
            check: None,
            delivery: None,
        }
    }
}

/// One condition, in the shape that Kubernetes tools know. Type and reason are text, so that an older controller can
/// read what a newer one wrote.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What about.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 64))]
    pub condition_type: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, as a constant.
    #[schemars(length(min = 1, max = 64))]
    pub reason: String,
    /// Why, in one sentence.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// The generation it is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// When status last changed.
    #[schemars(with = "Time")]
    pub last_transition_time: Timestamp,
}

impl Condition {
    /// A condition as of `at`, which is kept from `previous` when the status is the same.
    pub fn new(
        condition_type: ConditionType,
        status: ConditionStatus,
        reason: Reason,
        message: &str,
        generation: i64,
        at: Timestamp,
        previous: &[Self],
    ) -> Self {
        let condition_type = format!("{condition_type:?}");
        let unchanged = previous
            .iter()
            .find(|earlier| earlier.condition_type == condition_type && earlier.status == status);
        Self {
            status,
            reason: reason.name().to_owned(),
            message: cut(message, TEXT_MAX),
            observed_generation: generation,
            last_transition_time: unchanged.map_or(at, |earlier| earlier.last_transition_time),
            condition_type,
        }
    }
}

/// What the customer's AWS account must trust and allow.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustStatus {
    /// The ARN that assumes the customer's role.
    #[schemars(length(max = 640))]
    pub principal_arn: String,
    /// What the role's trust policy must demand; the same for ever.
    #[schemars(length(max = 64))]
    pub external_id: String,
    /// The role's trust policy.
    #[schemars(length(max = 4096))]
    pub trust_policy: String,
    /// The role's or user's permissions policy.
    #[schemars(length(max = 4096))]
    pub permissions_policy: String,
}

/// The last check of the connection.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckStatus {
    /// When it ran.
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// The generation that was checked.
    pub generation: i64,
    /// Whether events can be delivered.
    pub healthy: bool,
    /// The steps in order.
    #[schemars(length(max = 8))]
    pub steps: Vec<StepStatus>,
}

/// One step of a check.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// Which step.
    pub name: StepName,
    /// How it went.
    pub result: StepResult,
    /// Why, as a constant.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// The store's own code, when it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub code: Option<String>,
    /// What happened, with the store's own words.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// What to do; empty when there is nothing to do.
    #[schemars(length(max = 4096))]
    pub remedy: String,
}

impl From<&CheckReport> for CheckStatus {
    fn from(report: &CheckReport) -> Self {
        // Reason, message and remedy of the whole are the condition's and the steps'.
        let CheckReport { at, generation, healthy, reason: _, message: _, remedy: _, steps } = report;
        Self {
            at: *at,
            generation: i64::try_from(*generation).unwrap_or(i64::MAX),
            healthy: *healthy,
            steps: steps.iter().map(StepStatus::from).collect(),
        }
    }
}

impl From<&CheckStep> for StepStatus {
    fn from(step: &CheckStep) -> Self {
        let CheckStep { name, result, reason, code, message, remedy } = step;
        Self {
            name: *name,
            result: *result,
            reason: reason.name().to_owned(),
            code: code.as_deref().map(|code| cut(code, WORD_MAX)),
            message: cut(message, TEXT_MAX),
            remedy: cut(remedy, TEXT_MAX),
        }
    }
}

/// Where every accepted event went.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryStatus {
    /// When the first wish to stream was accepted.
    #[schemars(with = "Time")]
    pub started_at: Timestamp,
    /// In the bucket.
    pub delivered: i64,
    /// Not of a wanted type.
    pub filtered: i64,
    /// Older than the retention before they could be delivered.
    pub dropped: i64,
    /// Of the delivered: sent again without proof that the first time failed.
    pub possibly_duplicated: i64,
    /// Waiting.
    pub backlog: i64,
    /// When the oldest waiting event was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub oldest_pending_at: Option<Timestamp>,
    /// The last object delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_object: Option<LastObjectStatus>,
    /// The last delivery that failed; gone after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_issue: Option<LastIssueStatus>,
}

/// The last object delivered.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastObjectStatus {
    /// Its key in the bucket.
    #[schemars(length(max = 1024))]
    pub key: String,
    /// When it was committed.
    #[schemars(with = "Time")]
    pub at: Timestamp,
}

impl From<&LastObject> for LastObjectStatus {
    fn from(object: &LastObject) -> Self {
        let LastObject { key, at } = object;
        Self { key: key.clone(), at: *at }
    }
}

/// The last delivery that failed.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastIssueStatus {
    /// When it was seen last.
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// The S3 or STS operation, such as `PutObject`.
    #[schemars(length(max = 256))]
    pub operation: String,
    /// Why, as a constant.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// The store's own code, when it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub code: Option<String>,
    /// The store's own words.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// What to do.
    #[schemars(length(max = 4096))]
    pub remedy: String,
    /// How often in a row.
    pub count: i64,
}

impl From<&DeliveryIssue> for LastIssueStatus {
    fn from(issue: &DeliveryIssue) -> Self {
        let DeliveryIssue { at, operation, reason, code, message, remedy, count } = issue;
        Self {
            at: *at,
            operation: cut(operation, WORD_MAX),
            reason: reason.name().to_owned(),
            code: code.as_deref().map(|code| cut(code, WORD_MAX)),
            message: cut(message, TEXT_MAX),
            remedy: cut(remedy, TEXT_MAX),
            count: i64::try_from(*count).unwrap_or(i64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_transition_time_until_its_status_changes() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let condition = |status, second, previous: &[Condition]| {
            Condition::new(ConditionType::Ready, status, Reason::Healthy, "ok", 1, at(second), previous)
        };
        let first = condition(ConditionStatus::True, 1, &[]);
        let same = condition(ConditionStatus::True, 2, std::slice::from_ref(&first));
        let other = condition(ConditionStatus::False, 3, std::slice::from_ref(&same));
        assert_eq!((same.last_transition_time, other.last_transition_time), (at(1), at(3)));
        assert_eq!(first.condition_type, "Ready");
    }

    #[test]
    fn texts_are_cut_at_characters_to_what_the_schema_allows() {
        let step = CheckStep {
            name: StepName::HeadBucket,
            result: StepResult::Failed,
            reason: Reason::StoreError,
            code: Some("c".repeat(1_000)),
            message: "ü".repeat(5_000),
            remedy: String::new(),
        };
        let step = StepStatus::from(&step);
        assert_eq!(
            (step.message.chars().count(), step.code.map(|code| code.len())),
            (TEXT_MAX, Some(WORD_MAX))
        );
    }
}
