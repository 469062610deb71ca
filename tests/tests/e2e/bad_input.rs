//! Bad input: each gets an answer that names the field and the remedy, and changes nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use barndoor_tests::controller_process::{Controller, Options, program};
use barndoor_tests::rest::{Reply, Rest};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::e2e::export::assert_names;

mod access;
mod declarations;
mod disk;
mod events;
mod flags;
mod folder;

async fn controller() -> &'static Controller {
    static SHARED: OnceCell<Controller> = OnceCell::const_new();
    SHARED.get_or_init(|| Controller::start_for_many("bad-input", Options::loopback())).await
}

/// What an organization's administrator can see. Times of conditions are left out: without any evidence yet they are
/// the time of asking.
async fn visible(rest: &Rest, organization: &str) -> Vec<Value> {
    let mut seen = vec![rest.list(organization).await.expect(200)];
    for item in seen[0]["items"].as_array().cloned().unwrap_or_default() {
        let name = item["export_type"].as_str().expect("export_type is always there");
        seen.push(rest.destination(organization, name).await.expect(200));
        let mut status = rest.status(organization, name).await.expect(200);
        for condition in status["conditions"].as_array_mut().expect("conditions") {
            condition.as_object_mut().expect("an object").remove("last_transition_time");
        }
        seen.push(status);
    }
    seen
}

/// The answer is a problem with this status and reason about this field, in words that help.
#[track_caller]
fn assert_problem(reply: &Reply, status: u16, reason: &str, field: Option<&str>, words: &[&str]) {
    assert_eq!((reply.status, reply.text("reason")), (status, reason), "{}", reply.body);
    assert_eq!(reply.body["field"].as_str(), field, "{}", reply.body);
    let content_type = reply.headers.get("content-type").and_then(|value| value.to_str().ok());
    assert_eq!(content_type, Some("application/problem+json"));
    assert_names(&reply.body["message"], words);
}

/// How long a start that must fail may take.
const REFUSAL_LIMIT: Duration = Duration::from_secs(15);

/// Runs the controller, which must refuse to start, and gives what it says.
fn refused(data: &Path, flags: &[&str], environment: &[(&str, &str)]) -> String {
    refused_at("127.0.0.1:0", data, flags, environment)
}

fn refused_at(address: &str, data: &Path, flags: &[&str], environment: &[(&str, &str)]) -> String {
    let folder = TempDir::new().expect("a temporary folder");
    let log = folder.path().join("log");
    let file =
        || std::fs::File::options().create(true).append(true).open(&log).expect("the folder is writable");
    let mut child = Command::new(program())
        .arg("run")
        .args(["--listen", address, "--data-dir"])
        .arg(data)
        .args(flags)
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(file())
        .stderr(file())
        .spawn()
        .expect("the program starts");
    let started = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status.code();
        }
        if started.elapsed() > REFUSAL_LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let output = std::fs::read_to_string(&log).unwrap_or_default();
    assert!(matches!(code, Some(1 | 2)), "{flags:?} must be refused, but: {code:?}\n{output}");
    assert!(!output.contains("panicked"), "{output}");
    output
}

#[track_caller]
fn assert_says(output: &str, words: &[&str]) {
    for word in words {
        assert!(output.contains(word), "{word} expected in: {output}");
    }
}
