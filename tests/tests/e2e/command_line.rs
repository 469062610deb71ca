//! The program as a user runs it: what it teaches, what it prints, and how it ends.

use std::path::PathBuf;

use barndoor_tests::command::{self, Ended};
use barndoor_tests::controller_process::{Controller, Options, program};
use barndoor_tests::events::{EventSource, ndjson};
use barndoor_tests::minio::{Minio, policy};
use barndoor_tests::rest::{ClientCredentials, Ingest, Rest};
use barndoor_tests::server_process::free_port;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::e2e::export::{DELIVERY_LIMIT, Export};

/// A user's shell: a folder, and the client file that every command there uses.
struct Shell {
    folder: TempDir,
    client_file: PathBuf,
}

impl Shell {
    /// In a folder where nothing is.
    fn alone() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let client_file = folder.path().join("barndoor-data/admin-client.json");
        Self { folder, client_file }
    }

    /// With the administrator's client file of this controller.
    fn at(controller: &Controller) -> Self {
        Self { client_file: controller.data().join("admin-client.json"), ..Self::alone() }
    }

    /// With another client file, which says this.
    fn with_client_file(client: &Value) -> Self {
        let shell = Self::alone();
        std::fs::create_dir_all(shell.client_file.parent().expect("a folder"))
            .expect("the folder is writable");
        std::fs::write(&shell.client_file, client.to_string()).expect("the folder is writable");
        shell
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = command::command(&program(), self.folder.path(), arguments);
        let ended = command::run(command.env("BARNDOOR_CLIENT_FILE", &self.client_file)).await;
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains('\u{1b}'), "a colour where there is no terminal: {text:?}");
        }
        ended
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_help_teaches_with_an_example() {
    let shell = Shell::alone();
    let main = shell.run(&["--help"]).await.expect(0);
    for word in ["run", "client", "check", "status", "crds", "completions", "Exit codes", "Begin with"] {
        assert!(main.contains(word), "{word} in:\n{main}");
    }
    assert!(shell.run(&[]).await.expect_error(2).contains("Usage: barndoor-export <COMMAND>"));
    assert!(shell.run(&["--version"]).await.expect(0).starts_with("barndoor-export "));
    for (arguments, taught) in [
        (&["run"][..], &["admin-client.json", "--allow-endpoint", "[env: BARNDOOR_RETENTION=]", "30d"][..]),
        (&["client"], &["add", "list", "remove", "admin-client.json"]),
        (&["client", "add"], &["--organization", "--every-organization", "events:write", "--client-file"]),
        (&["client", "list"], &["--output"]),
        (&["client", "remove"], &["<CLIENT_ID>", "client list"]),
        (&["check"], &["<ORG/NAME>", "Exit code 1", "--output"]),
        (&["status"], &["<ORG/NAME>", "delivered", "Exit code 1"]),
        (&["crds"], &["ExportDestination"]),
        (&["completions"], &["bash", "zsh", "fish"]),
    ] {
        let help = shell.run(&[arguments, &["--help"]].concat()).await.expect(0);
        for word in taught.iter().chain(&["Usage: barndoor-export", "Example:", "barndoor-export "]) {
            assert!(help.contains(word), "{word} in the help of {arguments:?}:\n{help}");
        }
    }
    let mistyped = shell.run(&["chekc", "acme/audit"]).await.expect_error(2);
    assert!(mistyped.contains("a similar subcommand exists: 'check'"), "{mistyped}");
    let nameless = shell.run(&["check", "acme"]).await.expect_error(2);
    assert!(nameless.contains("ORG/NAME"), "{nameless}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_client_has_its_secret_once_and_its_scopes_only() {
    let controller = Controller::start(Options::loopback()).await;
    let shell = Shell::at(&controller);
    let add =
        ["client", "add", "--organization", "cl-acme", "--scope", "events:write", "--scope", "exports:read"];
    let added = parsed(&shell.run(&[&add[..], &["--output", "json"]].concat()).await.expect(0));
    let text = |field: &str| added[field].as_str().unwrap_or_else(|| panic!("{field} in {added}")).to_owned();
    let credentials = ClientCredentials {
        client_id: text("client_id"),
        client_secret: text("client_secret"),
        token_url: text("token_url"),
    };

    let rest = Rest::sign_in(&controller.base(), &credentials).await;
    let events = ndjson(&EventSource::new("cl-acme").take(1));
    let ingest = async |organization| {
        rest.try_ingest(organization, events.clone(), &Ingest::default()).await.expect("an answer").status
    };
    assert_eq!(ingest("cl-acme").await, 200);
    assert_eq!(ingest("cl-other").await, 404, "another organization's things are not there");
    rest.list("cl-acme").await.expect(200);
    rest.list("cl-other").await.expect(404);
    let refused = rest.patch_settings("cl-acme", "siem", &json!({})).await;
    assert_eq!(refused.status, 403, "{}", refused.body);

    // The answer is a client file; what it may not do is said in a sentence.
    let limited = Shell::with_client_file(&added);
    let forbidden = limited.run(&["client", "list"]).await.expect_error(1);
    assert!(forbidden.contains("403") && forbidden.contains("admin"), "{forbidden}");

    let human = shell.run(&add).await.expect(0);
    let secret =
        human.lines().find_map(|line| line.trim().strip_prefix("client_secret")).expect("a secret").trim();
    assert_eq!(human.matches(secret).count(), 1, "{human}");
    assert!(human.contains("store it now") && human.contains("/oauth2/token"), "{human}");

    let list = shell.run(&["client", "list"]).await.expect(0);
    let row = list.lines().find(|line| line.contains(&credentials.client_id)).expect("the new client's row");
    assert!(row.contains("cl-acme") && row.contains("exports:read events:write"), "{list}");
    let admin = list.lines().find(|line| line.contains(&controller.admin_client().client_id));
    assert!(admin.is_some_and(|row| row.contains("(every one)")), "{list}");
    let json_list = shell.run(&["client", "list", "--output", "json"]).await.expect(0);
    assert_eq!(parsed(&json_list)["items"].as_array().map(Vec::len), Some(3), "{json_list}");
    for secret in [secret, &credentials.client_secret] {
        assert!(
            !list.contains(secret) && !json_list.contains(secret) && !controller.output().contains(secret)
        );
    }

    shell.run(&["client", "remove", &credentials.client_id]).await.expect(0);
    assert_eq!(rest.list("cl-acme").await.status, 401, "its tokens are worth nothing");
    assert_eq!(Rest::token(&credentials).await.status, 401);
    let gone = shell.run(&["client", "remove", &credentials.client_id]).await.expect_error(1);
    assert!(gone.contains("there is no such client"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_shows_each_step_and_its_exit_code_is_the_verdict() {
    let (controller, _export) = Export::on_minio("cl-check").await;
    let shell = Shell::at(&controller);
    let healthy = shell.run(&["check", "cl-check/siem"]).await.expect(0);
    let expected = "cl-check/siem: healthy
  - AssumeRole       skipped
  ✓ HeadBucket       passed
  ✓ WritePermission  passed
";
    assert_eq!(healthy, expected);

    let read_only = policy("cl-check", &[], &["s3:ListBucket", "s3:GetBucketLocation"]);
    Minio::shared().await.set_user_policy("cl-check", &read_only).await;
    let unhealthy = shell.run(&["check", "cl-check/siem"]).await.expect(1);
    for words in [
        "cl-check/siem: unhealthy\n",
        "✗ WritePermission  failed  WriteDenied (AccessDenied)\n",
        "To do: ",
        "s3:PutObject",
    ] {
        assert!(unhealthy.contains(words), "{words} in:\n{unhealthy}");
    }
    let report = parsed(&shell.run(&["check", "cl-check/siem", "--output", "json"]).await.expect(1));
    assert_eq!((&report["healthy"], &report["reason"]), (&json!(false), &json!("WriteDenied")), "{report}");

    let unknown = shell.run(&["check", "cl-check/nothing"]).await.expect_error(1);
    assert!(unknown.contains("404") && unknown.contains("nothing"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_a_page_for_people_and_json_for_scripts() {
    let (controller, export) = Export::on_minio("cl-status").await;
    let shell = Shell::at(&controller);
    export.check().await;
    let paused = shell.run(&["status", "cl-status/siem"]).await.expect(0);
    assert!(paused.starts_with("cl-status/siem: Paused\n"), "{paused}");

    export.flush_quickly().await;
    export.start().await.ok();
    export.accept(&EventSource::new("cl-status").take(7)).await;
    export.wait_for(7, DELIVERY_LIMIT).await;
    export.wait_until_drained(DELIVERY_LIMIT).await;
    let page = shell.run(&["status", "cl-status/siem"]).await.expect(0);
    let words: Vec<&str> = page.split_whitespace().collect();
    for expected in [
        &["cl-status/siem:", "Streaming", "Active"][..],
        &["Condition", "Status", "Reason", "Message"],
        &["ConnectionHealthy", "True", "Healthy"],
        &["accepted", "7", "delivered", "7", "filtered", "0", "dropped", "0", "backlog", "0"],
    ] {
        assert!(words.windows(expected.len()).any(|window| window == expected), "{expected:?} in:\n{page}");
    }
    assert!(page.contains("last object          audit-events/date="), "{page}");

    let json = parsed(&shell.run(&["status", "cl-status/siem", "--output", "json"]).await.expect(0));
    assert_eq!(json["delivery"], export.status().await["delivery"]);
    assert_eq!((&json["state"], &json["delivery"]["delivered"]), (&json!("StreamingActive"), &json!(7)));

    let unknown = shell.run(&["status", "cl-status/nothing"]).await.expect_error(1);
    assert!(unknown.contains("404"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_said_with_what_to_do() {
    let controller = Controller::start(Options::loopback()).await;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let admin = controller.admin_client();
    let secret = "wrong-secret-0123456789";
    let client = |secret: &str, base: &str| json!({ "client_id": admin.client_id, "client_secret": secret, "token_url": format!("{base}/oauth2/token") });

    let missing = Shell::alone().run(&["status", "acme/audit"]).await.expect_error(1);
    assert!(missing.starts_with("error: the client file") && missing.contains("--client-file"), "{missing}");

    let no_file = Shell::with_client_file(&json!({ "client_secret": secret }));
    let no_file = no_file.run(&["status", "acme/audit"]).await.expect_error(1);
    assert!(no_file.contains("is not a client file") && !no_file.contains(secret), "{no_file}");

    let wrong = Shell::with_client_file(&client(secret, &controller.base()));
    let wrong = wrong.run(&["status", "acme/audit"]).await.expect_error(1);
    assert!(wrong.contains("does not know this client") && !wrong.contains(secret), "{wrong}");

    let unreachable = Shell::with_client_file(&client(secret, &nobody));
    let unreachable = unreachable.run(&["check", "acme/audit"]).await.expect_error(1);
    assert!(unreachable.contains(&format!("no answer from {nobody}")), "{unreachable}");
    assert!(unreachable.contains("barndoor-export run") && !unreachable.contains(secret), "{unreachable}");

    let store = Minio::shared().await.endpoint().to_owned();
    let stranger =
        Shell::at(&controller).run(&["client", "list", "--endpoint", &store]).await.expect_error(1);
    assert!(stranger.contains(&store) && stranger.contains("--endpoint says where it is"), "{stranger}");

    let data = controller.data().to_str().expect("a temporary folder's name is text");
    let listen = format!("127.0.0.1:{}", free_port());
    let in_use = Shell::alone().run(&["run", "--data-dir", data, "--listen", &listen]).await;
    assert!(
        in_use.code == Some(1) && in_use.stderr.contains("already in use by another process"),
        "{in_use:?}"
    );
    let taken = controller.base().replace("http://", "");
    let taken = Shell::alone().run(&["run", "--listen", &taken]).await;
    assert!(taken.code == Some(1) && taken.stderr.contains("choose another with --listen"), "{taken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_definition_and_the_completions_are_ready_to_use() {
    let shell = Shell::alone();
    let committed =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/yaml/exportdestinations.export.barndoor.ai.yaml");
    let committed = std::fs::read_to_string(committed).expect("the committed definition");
    assert_eq!(shell.run(&["crds"]).await.expect(0), committed);

    let script = shell.folder.path().join("completions.bash");
    std::fs::write(&script, shell.run(&["completions", "bash"]).await.expect(0))
        .expect("the folder is writable");
    let script = script.to_str().expect("a temporary folder's name is text");
    let mut bash = command::command("bash".as_ref(), shell.folder.path(), &["-n", script]);
    assert_eq!(command::run(&mut bash).await.expect_error(0), "");
}
