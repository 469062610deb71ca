//! `PATCH …/settings`: any subset of the settings, and the wish.

use axum::Json;
use axum::extract::State;
use barndoor_crds::event_type::EventType;
use barndoor_crds::rest::{PatchSettings, Problem, SettingsObject};
use barndoor_crds::settings::{Bounds, MAX_BYTES, MAX_DELAY_SECONDS, MAX_EVENTS, MAX_RETRIES};

use super::AppState;
use super::access::{At, WriteExports};
use super::body::JsonBody;
use super::refusal::{Answer, Refusal};
use super::shown;
use crate::destinations::{SettingsChange, Wish};

/// The most entries of `included_event_types`: each of the 16 a few times over.
const EVENT_TYPES_MAX: usize = 64;

/// Changes any subset of the settings; a number of 0 goes back to the default.
#[utoipa::path(
    patch, path = "/api/system-management/public/v1/exports/{org}/{name}/settings", tag = "exports",
    params(("org" = String, Path, description = "Organization"), ("name" = String, Path, description = "Destination")),
    request_body = PatchSettings,
    responses((status = 200, body = SettingsObject), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(super) async fn patch(
    State(state): State<AppState>,
    at: At<WriteExports>,
    body: JsonBody,
) -> Answer<Json<SettingsObject>> {
    let change = parse(body.parse()?)?;
    let adjusted = state.destinations.adjust(&at.organization, &at.name, change).await?;
    let destination = adjusted.ok_or_else(|| at.not_found())?;
    state.exporters.declare(&destination).await;
    Ok(Json(shown::settings(&destination)))
}

fn parse(body: PatchSettings) -> Answer<SettingsChange> {
    let PatchSettings {
        batch_size,
        flush_interval_seconds,
        max_retries,
        max_bytes,
        included_event_types,
        format,
        paused,
    } = body;
    Ok(SettingsChange {
        max_events: number(MAX_EVENTS, batch_size)?,
        max_delay_seconds: number(MAX_DELAY_SECONDS, flush_interval_seconds)?,
        max_bytes: number(MAX_BYTES, max_bytes)?,
        max_retries: number(MAX_RETRIES, max_retries)?,
        include: included_event_types
            .into_option()
            .map(|types| types.map(|names| event_types(&names)).transpose())
            .transpose()?,
        format,
        wish: paused.map(|paused| if paused { Wish::Paused } else { Wish::Streaming }),
        expected: None,
    })
}

fn number(bounds: Bounds, value: Option<i64>) -> Answer<Option<u32>> {
    let parsed = value.map(|value| bounds.parse(value)).transpose();
    parsed.map_err(|error| Refusal::field(error.field, error.to_string()))
}

/// The types in the order they were sent.
fn event_types(names: &[String]) -> Answer<Vec<EventType>> {
    let field = "included_event_types";
    if names.len() > EVENT_TYPES_MAX {
        return Err(Refusal::field(field, format!("{field} may have at most {EVENT_TYPES_MAX} entries")));
    }
    let parsed: Result<_, _> = names.iter().map(|name| name.parse()).collect();
    parsed.map_err(|error: barndoor_crds::event_type::UnknownEventType| {
        Refusal::field(field, format!("{field}: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> Answer<SettingsChange> {
        parse(serde_json::from_str(text).expect("a body"))
    }

    #[test]
    fn absent_settings_stay_and_zero_goes_back_to_the_default() {
        let nothing = change("{}").expect("valid");
        assert!(nothing.max_events.is_none() && nothing.include.is_none() && nothing.wish.is_none());
        assert_eq!(change(r#"{"batch_size":0}"#).expect("valid").max_events, Some(50_000));
    }

    #[test]
    fn event_types_keep_their_order_and_null_means_every_type() {
        let types = |text| change(text).expect("valid").include;
        assert_eq!(
            types(r#"{"included_event_types":["TOOL_CALL","AUDIT"]}"#),
            Some(Some(vec![EventType::ToolCall, EventType::Audit]))
        );
        assert_eq!(types(r#"{"included_event_types":null}"#), Some(None));
        assert_eq!(types(r#"{"included_event_types":[]}"#), Some(Some(vec![])));
    }

    #[test]
    fn what_is_out_of_bounds_or_unknown_is_refused_by_name() {
        for (text, words) in [
            (r#"{"batch_size":-1}"#, "batch_size must be between 1 and 1000000"),
            (r#"{"max_retries":11}"#, "max_retries must be"),
            (r#"{"included_event_types":["TOOLCALL"]}"#, "did you mean TOOL_CALL"),
        ] {
            let refusal = format!("{:?}", change(text).expect_err("refused"));
            assert!(refusal.contains(words), "{refusal}");
        }
    }
}
