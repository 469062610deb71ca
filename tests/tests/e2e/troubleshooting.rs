//! The guide's troubleshooting table: each trouble is made, and the check or the banner must name its cause and remedy.

use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::rest::Rest;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::e2e::export::{assert_names, step};

mod banner;
mod endpoint;
mod store;
mod trust;

/// A controller that may reach stores on loopback and has no AWS identity.
async fn controller() -> &'static Controller {
    static SHARED: OnceCell<Controller> = OnceCell::const_new();
    SHARED.get_or_init(|| Controller::start_for_many("troubleshooting", Options::loopback())).await
}

/// What a check must find.
struct Finding {
    reason: &'static str,
    step: &'static str,
    result: &'static str,
    code: Option<&'static str>,
    message: Vec<String>,
    remedy: Vec<String>,
}

impl Finding {
    fn failed(reason: &'static str, step: &'static str) -> Self {
        Self { reason, step, result: "failed", code: None, message: Vec::new(), remedy: Vec::new() }
    }

    fn warned(reason: &'static str, step: &'static str) -> Self {
        Self { result: "warning", ..Self::failed(reason, step) }
    }

    /// The store's own words.
    fn says(mut self, code: &'static str, message: &str) -> Self {
        self.code = Some(code);
        self.message.push(message.to_owned());
        self
    }

    fn tells(mut self, message: &str) -> Self {
        self.message.push(message.to_owned());
        self
    }

    fn advises(mut self, words: &[&str]) -> Self {
        self.remedy.extend(words.iter().map(|&word| word.to_owned()));
        self
    }

    #[track_caller]
    fn assert(&self, report: &Value) {
        let Self { reason, step: name, result, code, message, remedy } = self;
        let found = step(report, name);
        assert_eq!((&report["reason"], &found["reason"]), (&(*reason).into(), &(*reason).into()), "{report}");
        assert_eq!(found["result"], *result, "{report}");
        assert_eq!(report["healthy"], *result == "warning", "{report}");
        if let Some(code) = code {
            assert_eq!(found["code"], *code, "{report}");
        }
        for text in [&found["message"], &report["message"]] {
            assert_names(text, &message.iter().map(String::as_str).collect::<Vec<_>>());
        }
        for text in [&found["remedy"], &report["remedy"]] {
            assert_names(text, &remedy.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}

/// Checks a destination that is not saved.
async fn check(rest: &Rest, organization: &str, destination: &Value) -> Value {
    rest.check(organization, "siem", Some(destination)).await.expect(200)
}
