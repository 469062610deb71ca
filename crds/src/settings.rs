//! How objects are filled: format, batch limits, quick retries; defaults and bounds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How one event becomes one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
pub enum Format {
    /// The event's bytes, unchanged.
    #[default]
    #[serde(rename = "json")]
    Json,
    /// The event inside Datadog's log-intake attributes.
    #[serde(rename = "datadog-json")]
    DatadogJson,
}

impl Format {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::DatadogJson => "datadog-json",
        }
    }

    /// The format of a destination that said nothing: the one name that clients default to means Datadog's.
    pub fn default_for(name: &crate::name::DestinationName) -> Self {
        if name.as_str() == Self::DatadogJson.name() { Self::DatadogJson } else { Self::Json }
    }
}

/// One batch setting: its REST and manifest names, default and bounds, all inclusive.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The name in REST.
    pub field: &'static str,
    /// Used when unset or 0.
    pub default: u32,
    /// The least allowed.
    pub min: u32,
    /// The most allowed.
    pub max: u32,
}

/// Events an object may hold.
pub const MAX_EVENTS: Bounds = Bounds { field: "batch_size", default: 50_000, min: 1, max: 1_000_000 };
/// Seconds after a batch's first event when it is cut at the latest.
pub const MAX_DELAY_SECONDS: Bounds =
    Bounds { field: "flush_interval_seconds", default: 30, min: 1, max: 3_600 };
/// Bytes as uploaded after which an object is closed.
pub const MAX_BYTES: Bounds =
    Bounds { field: "max_bytes", default: 8 * 1024 * 1024, min: 64 * 1024, max: 64 * 1024 * 1024 };
/// Quick retries inside one attempt.
pub const MAX_RETRIES: Bounds = Bounds { field: "max_retries", default: 3, min: 1, max: 10 };

/// A number outside its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be between {min} and {max}, or 0 for the default of {default}; it was {value}")]
pub struct OutOfBounds {
    /// The field's name in REST.
    pub field: &'static str,
    /// What was sent.
    pub value: i64,
    /// The least allowed.
    pub min: u32,
    /// The most allowed.
    pub max: u32,
    /// What 0 means.
    pub default: u32,
}

impl Bounds {
    /// The setting that a client's integer asks for; 0 goes back to the default.
    ///
    /// # Errors
    /// When the value is outside the bounds.
    pub fn parse(self, value: i64) -> Result<u32, OutOfBounds> {
        match u32::try_from(value) {
            Ok(0) => Ok(self.default),
            Ok(fits) if (self.min..=self.max).contains(&fits) => Ok(fits),
            Ok(_) | Err(_) => Err(OutOfBounds {
                field: self.field,
                value,
                min: self.min,
                max: self.max,
                default: self.default,
            }),
        }
    }
}

/// The effective batch settings of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Batch {
    /// Events an object may hold.
    pub max_events: u32,
    /// Seconds after a batch's first event when it is cut at the latest.
    pub max_delay_seconds: u32,
    /// Bytes as uploaded after which an object is closed.
    pub max_bytes: u32,
    /// Quick retries inside one attempt.
    pub max_retries: u32,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            max_events: MAX_EVENTS.default,
            max_delay_seconds: MAX_DELAY_SECONDS.default,
            max_bytes: MAX_BYTES.default,
            max_retries: MAX_RETRIES.default,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_means_the_default_and_nonsense_is_refused_by_name() {
        assert_eq!(MAX_EVENTS.parse(0), Ok(50_000));
        assert_eq!(MAX_EVENTS.parse(100), Ok(100));
        for bad in [-1, 1_000_001, i64::MAX] {
            let refusal = MAX_EVENTS.parse(bad).expect_err("out of bounds");
            assert!(refusal.to_string().starts_with("batch_size must be between 1 and 1000000"), "{refusal}");
        }
    }
}
