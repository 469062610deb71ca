//! An export: its destination, its settings, whether it streams.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::destination::DestinationObject;
use super::patch::Patch;
use crate::event_type::EventType;
use crate::settings::Format;

/// `GET exports/{org}/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportObject {
    /// The organization's name.
    pub organization_id: String,
    /// The destination's name, as in the path.
    pub export_type: String,
    /// Whether streaming is declared.
    pub enabled: bool,
    /// The effective settings.
    pub settings: SettingsObject,
    /// Where events go; null when nothing was declared.
    pub destination: Option<DestinationObject>,
}

/// The effective settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingsObject {
    /// Events an object may hold.
    pub batch_size: u32,
    /// Seconds after a batch's first event when it is sent at the latest.
    pub flush_interval_seconds: u32,
    /// Quick retries inside one attempt.
    pub max_retries: u32,
    /// The wanted types in the order they were sent; null means every type, later ones too.
    pub included_event_types: Option<Vec<EventType>>,
    /// Bytes as uploaded after which an object is closed.
    pub max_bytes: u32,
    /// How one event becomes one line.
    pub format: Format,
    /// The opposite of `enabled`.
    pub paused: bool,
}

/// `PATCH …/settings`: any subset. A number of 0 goes back to the default; null counts as absent but for the types.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatchSettings {
    /// Events an object may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub batch_size: Option<i64>,
    /// Seconds after a batch's first event when it is sent at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 3_600)]
    pub flush_interval_seconds: Option<i64>,
    /// Quick retries inside one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10)]
    pub max_retries: Option<i64>,
    /// Bytes as uploaded after which an object is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 67_108_864)]
    pub max_bytes: Option<i64>,
    /// The wanted types, not parsed yet so that a refusal can list them all; null or an empty list means every type.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<Vec<EventType>>)]
    pub included_event_types: Patch<Vec<String>>,
    /// How one event becomes one line: `json` or `datadog-json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Records the wish without a check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// `GET exports/{org}`, in name order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListResponse {
    /// One page.
    pub items: Vec<ExportObject>,
    /// The `cursor` of the next page; null on the last.
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_tells_absent_from_null_from_a_list() {
        let types = |text: &str| {
            serde_json::from_str::<PatchSettings>(text).expect("a body").included_event_types.into_option()
        };
        assert_eq!(types("{}"), None);
        assert_eq!(types(r#"{"included_event_types":null}"#), Some(None));
        assert_eq!(types(r#"{"included_event_types":[]}"#), Some(Some(vec![])));
        assert_eq!(
            types(r#"{"included_event_types":["AUDIT"],"unheard_of":1}"#),
            Some(Some(vec!["AUDIT".to_owned()]))
        );
    }

    #[test]
    fn an_empty_patch_is_an_empty_object_and_null_types_are_sent() {
        let text = |patch: &PatchSettings| serde_json::to_string(patch).expect("json");
        assert_eq!(text(&PatchSettings::default()), "{}");
        let every = PatchSettings { included_event_types: Patch::Null, ..PatchSettings::default() };
        assert_eq!(text(&every), r#"{"included_event_types":null}"#);
    }

    #[test]
    fn settings_are_answered_as_integers() {
        let settings = SettingsObject {
            batch_size: 50_000,
            flush_interval_seconds: 30,
            max_retries: 3,
            included_event_types: None,
            max_bytes: 8_388_608,
            format: Format::DatadogJson,
            paused: true,
        };
        assert_eq!(
            serde_json::to_string(&settings).expect("json"),
            r#"{"batch_size":50000,"flush_interval_seconds":30,"max_retries":3,"included_event_types":null,"max_bytes":8388608,"format":"datadog-json","paused":true}"#
        );
    }
}
