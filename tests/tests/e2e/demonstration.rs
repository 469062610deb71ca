//! `make demo`: its last word is the account, and `--keep` leaves something to try.

use std::path::PathBuf;
use std::time::Duration;

use barndoor_tests::command::{Running, command, run};
use barndoor_tests::controller_process::{STOP_LIMIT, program};
use barndoor_tests::object_name::ObjectName;
use barndoor_tests::rest::http_client;
use barndoor_tests::server_process::target_folder;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command;

use crate::e2e::export::PREFIX;

const ACCOUNT: &str = "accepted 12000 = delivered 11800 + filtered 200 + dropped 0 + backlog 0";

/// The demonstration gives its child 20 s, and then removes its folder.
const END_LIMIT: Duration = STOP_LIMIT.saturating_add(Duration::from_secs(5));

/// `DEMO_BIN`, or the one built beside the tests.
fn demonstration(folder: &TempDir, arguments: &[&str]) -> Command {
    let demo = std::env::var_os("DEMO_BIN").map_or_else(|| target_folder().join("demo"), PathBuf::from);
    assert!(demo.exists(), "{} is not there: cargo build --workspace", demo.display());
    let mut command = command(&demo, folder.path(), arguments);
    command.env("BARNDOOR_EXPORT_BIN", program()).env("TMPDIR", folder.path());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_accounts_for_every_event_and_leaves_nothing() {
    let folder = TempDir::new().expect("a temporary folder");
    let shown = run(&mut demonstration(&folder, &[])).await.expect(0);
    assert!(!shown.contains('\u{1b}'), "a colour where there is no terminal: {shown:?}");
    assert!(shown.lines().any(|line| line == ACCOUNT), "{shown}");
    let keys: Vec<&str> = shown.lines().filter(|line| line.starts_with(PREFIX)).collect();
    assert!(keys.len() >= 2, "an object before the pause and one after:\n{shown}");
    let mut covered = 0;
    for key in keys {
        let name = ObjectName::parse(PREFIX, key).expect("a key and nothing else on the line");
        assert_eq!(name.first, covered + 1, "the ranges tile the sequence:\n{shown}");
        covered = name.last;
    }
    assert_eq!(covered, 12_000, "{shown}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_demonstration_can_be_tried_and_ends_at_ctrl_c() {
    keep_until(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_demonstration_ends_when_it_is_told_to() {
    keep_until(Signal::TERM).await;
}

async fn keep_until(signal: Signal) {
    let folder = TempDir::new().expect("a temporary folder");
    let mut demo = Running::start(&mut demonstration(&folder, &["--keep"]));
    demo.line_with(ACCOUNT).await;
    let address = demo.line_with("address:").await.replace("address:", "").trim().to_owned();
    let client_file = demo.line_with("client file:").await.replace("client file:", "").trim().to_owned();
    assert!(std::fs::read_to_string(client_file).expect("the client file").contains("client_secret"));

    let line = demo.line_with("curl -K ").await;
    let (_, curl) = line.split_once("curl -K ").expect("the words that were waited for");
    let (configuration, url) = curl.split_once(' ').expect("a file and a URL");
    let configuration = std::fs::read_to_string(configuration).expect("curl's configuration");
    let token = configuration.trim().strip_prefix("header = \"Authorization: Bearer ").expect("a header");
    assert!(!line.contains(token.trim_end_matches('"')), "the token is not on the screen");
    let answer = http_client().get(url).bearer_auth(token.trim_end_matches('"')).send().await;
    assert_eq!(answer.expect("the controller answers").status().as_u16(), 200);

    assert_eq!(demo.end(signal, END_LIMIT).await, Some(0));
    assert!(http_client().get(format!("{address}/livez")).send().await.is_err(), "the controller has ended");
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing is left");
}
