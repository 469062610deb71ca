//! `check ORG/NAME`: Check Connection, step by step.

use std::fmt::Write;

use anstyle::Style;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::Verdict;
use super::destination_ref::DestinationRef;
use super::output::{
    BAD, GOOD, OutputFormat, WARNING, list_at, print_answer, print_progress, styled, text_at,
};
use super::rest_client::{ConnectionOptions, NO_BODY, RestClient, RestError};

/// Checks a destination now: may its role be assumed, is the bucket there, may objects be written?
///
/// Shows each step with the store's own words and what to do. It leaves no object in the bucket and changes nothing,
/// but that a destination in back-off is tried again at once when it turns out healthy. Exit code 1 when it is not.
///
/// Example: barndoor-export check acme/datadog-json
#[derive(Args, Debug)]
pub(super) struct CheckOptions {
    /// The organization and the destination's name.
    #[arg(value_name = "ORG/NAME")]
    destination: DestinationRef,

    /// How to print the answer.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Human)]
    output: OutputFormat,

    #[command(flatten)]
    connection: ConnectionOptions,
}

pub(super) async fn execute(options: CheckOptions) -> Result<Verdict, RestError> {
    let DestinationRef { organization, name } = &options.destination;
    let client = RestClient::sign_in(&options.connection).await?;
    let path = ["exports", organization.as_str(), name.as_str(), "check"];
    print_progress(&format!("Checking {}: at most 20 seconds", options.destination));
    let report = client.call(Method::POST, &path, NO_BODY).await?;
    print_answer(options.output, &report, || render(&options.destination, &report));
    Ok(verdict(&report))
}

fn verdict(report: &Value) -> Verdict {
    if report.get("healthy") == Some(&Value::Bool(true)) { Verdict::Well } else { Verdict::NotWell }
}

fn render(destination: &DestinationRef, report: &Value) -> String {
    let headline = match verdict(report) {
        Verdict::Well => styled(GOOD.bold(), "healthy"),
        Verdict::NotWell => styled(BAD.bold(), "unhealthy"),
    };
    let mut text = format!("{destination}: {headline}\n");
    for step in list_at(report, "/steps") {
        text.push_str(&render_step(step));
    }
    text
}

fn render_step(step: &Value) -> String {
    let name = text_at(step, "/name").unwrap_or_default();
    let result = text_at(step, "/result").unwrap_or_default();
    let (mark, style) = mark(&result);
    let mut text = format!("  {style}{mark}{style:#} {name:<15}  {style}{result}{style:#}");
    if matches!(result.as_str(), "failed" | "warning") {
        let reason = text_at(step, "/reason").unwrap_or_default();
        let code = text_at(step, "/code").map(|code| format!(" ({code})")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(text, "  {reason}{code}");
        for (label, pointer) in [("", "/message"), ("To do: ", "/remedy")] {
            if let Some(words) = text_at(step, pointer) {
                let _ = write!(text, "\n      {label}{}", words.replace('\n', "\n      "));
            }
        }
    }
    text.push('\n');
    text
}

fn mark(result: &str) -> (char, Style) {
    match result {
        "passed" => ('✓', GOOD),
        "failed" => ('✗', BAD),
        "warning" => ('!', WARNING),
        _ => ('-', Style::new()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(report: &Value) -> String {
        let destination = "acme/audit".parse().expect("a destination");
        anstream::adapter::strip_str(&render(&destination, report)).to_string()
    }

    #[test]
    fn a_failed_step_shows_the_stores_words_and_the_remedy() {
        let report = json!({ "healthy": false, "reason": "HeadBucketDenied", "steps": [
            { "name": "AssumeRole", "result": "passed", "reason": "Healthy", "message": "ok", "remedy": "" },
            { "name": "HeadBucket", "result": "failed", "reason": "HeadBucketDenied", "code": "AccessDenied",
              "message": "HeadBucket: AccessDenied", "remedy": "Grant s3:ListBucket on arn:aws:s3:::acme." },
            { "name": "WritePermission", "result": "skipped", "reason": "NotChecked", "message": "", "remedy": "" },
        ]});
        assert_eq!(
            shown(&report),
            "acme/audit: unhealthy\n\
            \x20 ✓ AssumeRole       passed\n\
            \x20 ✗ HeadBucket       failed  HeadBucketDenied (AccessDenied)\n\
            \x20     HeadBucket: AccessDenied\n\
            \x20     To do: Grant s3:ListBucket on arn:aws:s3:::acme.\n\
            \x20 - WritePermission  skipped\n"
        );
        assert_eq!(verdict(&report), Verdict::NotWell);
    }

    #[test]
    fn a_warning_leaves_it_healthy() {
        let report = json!({ "healthy": true, "steps": [
            { "name": "AssumeRole", "result": "warning", "reason": "ExternalIdNotEnforced", "message": "m", "remedy": "r" },
        ]});
        assert!(
            shown(&report)
                .contains("! AssumeRole       warning  ExternalIdNotEnforced\n      m\n      To do: r\n")
        );
        assert_eq!(verdict(&report), Verdict::Well);
    }

    #[test]
    fn an_answer_without_health_is_not_taken_for_healthy() {
        assert_eq!(verdict(&json!({})), Verdict::NotWell);
    }
}
