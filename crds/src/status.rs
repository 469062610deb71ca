//! What can be said of a destination: check reports, delivery issues, counters. The same data in REST and in the
//! object's status; REST spells it in snake_case.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::reason::Reason;

/// A step of Check Connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
pub enum StepName {
    /// Assume the customer's role with the External ID.
    AssumeRole,
    /// See the bucket.
    HeadBucket,
    /// May objects be written under the prefix?
    WritePermission,
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepResult {
    /// It works.
    Passed,
    /// It does not work.
    Failed,
    /// It works, and something should be changed all the same.
    Warning,
    /// Not tried, because an earlier step failed or the mode has no such step.
    Skipped,
}

/// One step's result with the store's own words and a remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
pub struct CheckStep {
    /// Which step.
    pub name: StepName,
    /// How it went.
    pub result: StepResult,
    /// Why, as a constant.
    pub reason: Reason,
    /// The store's own code, when it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What happened, with the store's own words.
    pub message: String,
    /// What to do, ready to paste; empty when there is nothing to do.
    pub remedy: String,
}

/// The answer of Check Connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckReport {
    /// When it ran.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The destination's generation that was checked; 0 for an unsaved one.
    pub generation: u64,
    /// Whether events can be delivered.
    pub healthy: bool,
    /// The most important reason.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
    /// What to do; empty when there is nothing to do.
    pub remedy: String,
    /// The steps in order.
    pub steps: Vec<CheckStep>,
}

/// The last delivery that failed, in words for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryIssue {
    /// When it was seen last.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The S3 or STS operation, such as `PutObject`.
    pub operation: String,
    /// Why, as a constant.
    pub reason: Reason,
    /// The store's own code, when it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The store's own words.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// How often in a row.
    pub count: u64,
}

/// The last object delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastObject {
    /// Its key in the bucket.
    pub key: String,
    /// When it was committed.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}
