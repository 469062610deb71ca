//! Datadog's log-intake attributes around an event; the mapping is in docs/formats.md.

use barndoor_crds::event_type::{Category, EventType};
use barndoor_crds::name::OrganizationName;
use serde_json::Value;

/// One line, its line feed included. The event's own bytes stand unchanged under `event`.
pub fn datadog_line(organization: &OrganizationName, event_type: EventType, event: &[u8]) -> Vec<u8> {
    // Ingest accepts JSON objects only; were one damaged all the same, it is still delivered, without attributes.
    let parsed: Value = serde_json::from_slice(event).unwrap_or_default();
    let text = |name: &str| parsed.get(name).and_then(Value::as_str);
    let written = |name: &str| text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let attributes = [
        ("ddsource", "barndoor".to_owned()),
        ("service", "barndoor".to_owned()),
        ("hostname", written("hostname").unwrap_or_else(|| organization.to_string())),
        ("status", status(text("outcome")).to_owned()),
        ("date", text("timestamp").unwrap_or_default().to_owned()),
        (
            "message",
            written("message").unwrap_or_else(|| format!("{event_type} {}", text("id").unwrap_or_default())),
        ),
        (
            "ddtags",
            format!(
                "organization:{organization},type:{},category:{}",
                event_type.name().to_ascii_lowercase(),
                category_tag(event_type.category())
            ),
        ),
    ];
    let mut line = Vec::with_capacity(event.len() + 512);
    line.push(b'{');
    for (name, value) in attributes {
        // A string as JSON: quoted and escaped.
        line.extend_from_slice(format!("\"{name}\":{},", Value::String(value)).as_bytes());
    }
    line.extend_from_slice(b"\"event\":");
    line.extend_from_slice(event);
    line.extend_from_slice(b"}\n");
    line
}

const fn category_tag(category: Category) -> &'static str {
    match category {
        Category::Policy => "policy",
        Category::Identity => "identity",
        Category::AiAgentAndData => "ai_agent_data",
        Category::PlatformAndActivity => "platform_activity",
    }
}

/// Outcomes, in lower case, that are somebody's defect.
const ERRORS: [&str; 3] = ["error", "fault", "crashed"];

/// Outcomes, in lower case, that somebody may want to look at.
const WARNINGS: [&str; 8] =
    ["failure", "failed", "fail", "deny", "denied", "forbidden", "rejected", "blocked"];

fn status(outcome: Option<&str>) -> &'static str {
    let is_one_of = |words: &[&str]| {
        outcome.is_some_and(|outcome| words.iter().any(|word| word.eq_ignore_ascii_case(outcome)))
    };
    if is_one_of(&ERRORS) {
        "error"
    } else if is_one_of(&WARNINGS) {
        "warn"
    } else {
        "info"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_wrapped_in_datadogs_attributes_and_itself_unchanged() {
        let event = br#"{"id":"e-1","type":"AUTHORIZATION", "timestamp":"2026-11-05T12:00:00Z","outcome":"DENY","n":1.0}"#;
        let organization = "acme".parse().expect("a name");
        let line = datadog_line(&organization, EventType::Authorization, event);
        assert_eq!(
            String::from_utf8_lossy(&line),
            concat!(
                r#"{"ddsource":"barndoor","service":"barndoor","hostname":"acme","status":"warn","#,
                r#""date":"2026-11-05T12:00:00Z","message":"AUTHORIZATION e-1","#,
                r#""ddtags":"organization:acme,type:authorization,category:policy","#,
                r#""event":{"id":"e-1","type":"AUTHORIZATION", "timestamp":"2026-11-05T12:00:00Z","outcome":"DENY","n":1.0}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn the_status_follows_the_outcome() {
        assert_eq!(
            [Some("Denied"), Some("ERROR"), Some("success"), None].map(status),
            ["warn", "error", "info", "info"]
        );
    }

    #[test]
    fn the_formats_page_says_which_outcomes_are_which() {
        const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/formats.md"));
        for (words, status) in [(&ERRORS[..], "error"), (&WARNINGS[..], "warn")] {
            let row = format!("| `{}` | `{status}` |", words.join("`, `"));
            assert!(PAGE.contains(&row), "docs/formats.md has no row {row}");
        }
    }
}
