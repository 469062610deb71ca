//! `status ORG/NAME`: what a destination is doing, in a page.

use anstyle::Style;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::Verdict;
use super::destination_ref::DestinationRef;
use super::output::{
    BAD, GOOD, HEADING, OutputFormat, WARNING, facts, list_at, print_answer, styled, table, text_at,
};
use super::rest_client::{ConnectionOptions, NO_BODY, RestClient, RestError};

/// Shows a destination: its conditions, counters, last object, last delivery issue, and what its role must trust.
///
/// The counters cover everything accepted since Start: delivered, filtered and dropped, with the backlog, add up to
/// accepted. Exit code 1 when it is not ready or its connection is unhealthy.
///
/// Example: barndoor-export status acme/datadog-json --output json
#[derive(Args, Debug)]
pub(super) struct StatusOptions {
    /// The organization and the destination's name.
    #[arg(value_name = "ORG/NAME")]
    destination: DestinationRef,

    /// How to print the answer.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Human)]
    output: OutputFormat,

    #[command(flatten)]
    connection: ConnectionOptions,
}

pub(super) async fn execute(options: StatusOptions) -> Result<Verdict, RestError> {
    let DestinationRef { organization, name } = &options.destination;
    let client = RestClient::sign_in(&options.connection).await?;
    let path = ["exports", organization.as_str(), name.as_str(), "status"];
    let status = client.call(Method::GET, &path, NO_BODY).await?;
    print_answer(options.output, &status, || render(&options.destination, &status));
    Ok(verdict(&status))
}

fn verdict(status: &Value) -> Verdict {
    let unwell = list_at(status, "/conditions").iter().any(|condition| {
        let is = |pointer, expected: &str| text_at(condition, pointer).as_deref() == Some(expected);
        (is("/type", "Ready") || is("/type", "ConnectionHealthy")) && is("/status", "False")
    });
    if unwell { Verdict::NotWell } else { Verdict::Well }
}

fn render(destination: &DestinationRef, status: &Value) -> String {
    let state = text_at(status, "/state").map_or_else(|| "unknown".to_owned(), |state| words(&state));
    let paused = status.get("paused") == Some(&Value::Bool(true));
    let style = match (verdict(status), paused) {
        (Verdict::NotWell, _) => BAD,
        (Verdict::Well, true) => WARNING,
        (Verdict::Well, false) => GOOD,
    };
    let mut text = format!("{destination}: {}\n", styled(style.bold(), &state));
    let conditions: Vec<[String; 4]> = list_at(status, "/conditions")
        .iter()
        .map(|condition| {
            ["/type", "/status", "/reason", "/message"].map(|at| text_at(condition, at).unwrap_or_default())
        })
        .collect();
    if !conditions.is_empty() {
        text.push('\n');
        text.push_str(&table(["Condition", "Status", "Reason", "Message"], &conditions));
    }
    for (heading, body) in [
        ("Delivery", delivery(status)),
        ("Last delivery issue", issue(status)),
        ("Last check", check(status)),
        ("Trust", trust(status)),
    ] {
        if !body.is_empty() {
            text.push_str(&section(HEADING, heading, &body));
        }
    }
    text
}

/// A constant such as `StreamingActive` as the badge spells it: `Streaming Active`.
fn words(constant: &str) -> String {
    let mut words = String::new();
    for c in constant.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c);
    }
    words
}

fn section(style: Style, heading: &str, body: &str) -> String {
    format!("\n{}\n{body}", styled(style, heading))
}

fn delivery(status: &Value) -> String {
    let at = |pointer| text_at(status, pointer);
    facts(&[
        ("started", at("/delivery/started_at")),
        ("accepted", at("/delivery/accepted")),
        ("delivered", at("/delivery/delivered")),
        ("filtered", at("/delivery/filtered")),
        ("dropped", at("/delivery/dropped")),
        ("possibly duplicated", at("/delivery/possibly_duplicated").filter(|count| count != "0")),
        ("backlog", at("/delivery/backlog")),
        ("oldest pending", at("/delivery/oldest_pending_at")),
        ("last object", at("/delivery/last_object/key")),
        ("last object at", at("/delivery/last_object/at")),
    ])
}

fn issue(status: &Value) -> String {
    let at = |field: &str| text_at(status, &format!("/delivery/last_issue/{field}"));
    let what = at("operation").map(|operation| {
        [Some(operation), at("code"), at("message")].into_iter().flatten().collect::<Vec<_>>().join(": ")
    });
    facts(&[("what", what), ("to do", at("remedy")), ("seen", at("at")), ("times in a row", at("count"))])
}

fn check(status: &Value) -> String {
    let result = match status.pointer("/check/healthy") {
        Some(Value::Bool(true)) => Some("healthy".to_owned()),
        Some(Value::Bool(false)) => Some("unhealthy: see `barndoor-export check`".to_owned()),
        Some(_) | None => None,
    };
    facts(&[("result", result), ("at", text_at(status, "/check/at"))])
}

fn trust(status: &Value) -> String {
    let at = |pointer| text_at(status, pointer);
    facts(&[("principal", at("/trust/principal_arn")), ("external id", at("/trust/external_id"))])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(status: &Value) -> String {
        let destination = "acme/audit".parse().expect("a destination");
        anstream::adapter::strip_str(&render(&destination, status)).to_string()
    }

    #[test]
    fn a_streaming_destination_shows_its_counters() {
        let status = json!({
            "state": "StreamingActive", "paused": false,
            "conditions": [
                { "type": "Ready", "status": "True", "reason": "StreamingActive", "message": "Streaming." },
                { "type": "ConnectionHealthy", "status": "True", "reason": "Healthy", "message": "" },
            ],
            "delivery": { "started_at": "2026-01-02T03:04:05Z", "accepted": 12, "delivered": 9, "filtered": 2, "dropped": 0,
                "possibly_duplicated": 0, "backlog": 1, "last_object": { "key": "audit-events/x", "at": "2026-01-02T03:05:00Z" } },
            "trust": { "principal_arn": "arn:aws:iam::123456789012:role/b", "external_id": "ab" },
        });
        assert_eq!(
            shown(&status),
            "acme/audit: Streaming Active\n\
            \n\
            Condition          Status  Reason           Message\n\
            Ready              True    StreamingActive  Streaming.\n\
            ConnectionHealthy  True    Healthy\n\
            \n\
            Delivery\n\
            \x20 started              2026-01-02T03:04:05Z\n\
            \x20 accepted             12\n\
            \x20 delivered            9\n\
            \x20 filtered             2\n\
            \x20 dropped              0\n\
            \x20 backlog              1\n\
            \x20 last object          audit-events/x\n\
            \x20 last object at       2026-01-02T03:05:00Z\n\
            \n\
            Trust\n\
            \x20 principal    arn:aws:iam::123456789012:role/b\n\
            \x20 external id  ab\n"
        );
        assert_eq!(verdict(&status), Verdict::Well);
    }

    #[test]
    fn a_delivery_issue_is_shown_with_its_remedy_and_makes_it_unwell() {
        let status = json!({
            "state": "Retrying",
            "conditions": [{ "type": "ConnectionHealthy", "status": "False", "reason": "WriteDenied", "message": "m" }],
            "delivery": { "last_issue": { "at": "2026-01-02T03:05:00Z", "operation": "PutObject", "code": "AccessDenied",
                "message": "Access Denied", "remedy": "Grant s3:PutObject.", "count": 3 } },
        });
        let text = shown(&status);
        assert!(text.contains("what            PutObject: AccessDenied: Access Denied\n"), "{text}");
        assert!(text.contains("to do           Grant s3:PutObject.\n"), "{text}");
        assert_eq!(verdict(&status), Verdict::NotWell);
    }

    #[test]
    fn a_paused_destination_that_is_healthy_is_well() {
        let ready = json!({ "type": "Ready", "status": "True", "reason": "Paused", "message": "" });
        let status = json!({ "state": "Paused", "paused": true, "conditions": [ready] });
        assert_eq!(verdict(&status), Verdict::Well);
        assert!(shown(&status).starts_with("acme/audit: Paused\n"));
    }
}
