//! The conditions of a destination: which there are, and what they can say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a condition is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, ToSchema,
)]
pub enum ConditionType {
    /// The destination does what was declared; a healthy paused one is ready.
    Ready,
    /// What the last check or delivery saw of the customer's side.
    ConnectionHealthy,
    /// Whether events flow; its reason is the badge.
    Streaming,
    /// A declaration is being taken up; only there while true.
    Reconciling,
    /// A declaration cannot be taken up; only there while true.
    Stalled,
}

/// Whether a condition holds.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, ToSchema,
)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Not known yet.
    Unknown,
}
