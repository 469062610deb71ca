//! Starting, stopping, crashing and starting again: what an operator and a producer may rely on.

use std::time::Duration;

use barndoor_tests::controller_process::{Controller, Options, READY_LIMIT, STOP_LIMIT};
use barndoor_tests::events::{EventSource, ndjson};
use barndoor_tests::rest::{ClientCredentials, Encoding, Ingest, Rest};
use serde_json::json;

use crate::e2e::export::{Export, RECOVERY_LIMIT};

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_controller_exits_cleanly_and_goes_on_where_it_was() {
    let (mut controller, export) = Export::on_minio("l-stop").await;
    export.flush_quickly().await;
    export.start().await.ok();
    let mut events = EventSource::new("l-stop");
    let mut accepted = Vec::new();
    for _ in 0..3 {
        accepted.extend(export.accept(&events.take(200)).await);
        let (code, took) = controller.terminate();
        assert_eq!(code, Some(0), "after {took:?}:\n{}", controller.output());
        assert!(took < STOP_LIMIT);
        assert!(controller.restart().await < READY_LIMIT);
    }
    export.wait_until_drained(RECOVERY_LIMIT).await;
    export.account(&accepted).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_and_their_tokens_outlive_a_crash() {
    let mut controller = Controller::start(Options::loopback()).await;
    let client = controller.admin_client();
    controller.kill9();
    assert!(controller.restart().await < READY_LIMIT);
    assert_eq!(controller.admin_client(), client, "the administrator's client stays the same");
    controller.rest().list("l-tokens").await.expect(200);

    let token = Rest::token(&client).await;
    assert_eq!(token.text("token_type"), "Bearer");
    assert!(token.body["expires_in"].as_u64() >= Some(300), "{}", token.status);
    let wrong = ClientCredentials { client_secret: "wrong".to_owned(), ..client };
    assert_eq!(Rest::token(&wrong).await.status, 401);
    assert_eq!(controller.rest().with_token("forged").list("l-tokens").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_batch_is_accepted_once_also_across_a_crash() {
    let (mut controller, export) = Export::on_minio("l-repeat").await;
    export.flush_quickly().await;
    export.start().await.ok();
    let mut events = EventSource::new("l-repeat");
    let batch = events.take(10);
    let accepted = export.accept_stubbornly("key-1", &batch).await;
    assert_eq!(export.accept_stubbornly("key-1", &batch).await, accepted);
    controller.kill9();
    controller.restart().await;
    assert_eq!(export.accept_stubbornly("key-1", &batch).await, accepted);
    // The same batch in another encoding is the same batch; another one under its key is refused.
    let gzip = Ingest { idempotency_key: Some("key-1".to_owned()), encoding: Encoding::Gzip };
    let again =
        export.rest.try_ingest("l-repeat", ndjson(&batch), &gzip).await.expect("an answer").expect(200);
    assert_eq!(again["first"], json!(accepted[0].sequence.to_string()));
    let other = export.rest.try_ingest("l-repeat", ndjson(&events.take(1)), &gzip).await.expect("an answer");
    assert_eq!(other.status, 409, "{}", other.body);

    export.wait_until_drained(RECOVERY_LIMIT).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    export.account(&accepted).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_log_metric_or_file_shows_a_secret() {
    const SECRET: &str = "Canary+Secret/0123456789abcdefghijklmnop";
    let (controller, export) = Export::on_minio("l-secret").await;
    let mut body = export.rest.destination("l-secret", "siem").await.expect(200);
    let fields = body.as_object_mut().expect("an object");
    fields.retain(|name, _| {
        ["endpoint", "bucket", "region", "use_path_style", "auth_method"].contains(&name.as_str())
    });
    fields.insert("access_key_id".to_owned(), json!("CANARYKEYID"));
    fields.insert("secret_access_key".to_owned(), json!(SECRET));
    let mut shown = vec![export.put(&body).await.expect(200).to_string()];
    shown.push(export.check().await.to_string());
    shown.push(export.start().await.body.to_string());
    shown.push(export.status().await.to_string());
    shown.push(export.rest.export("l-secret", "siem").await.body.to_string());
    shown.push(controller.metrics().await);
    shown.push(controller.output());
    for entry in std::fs::read_dir(controller.data()).expect("the data folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            shown.push(String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned());
        }
    }
    for text in shown {
        let beginning: String = text.chars().take(300).collect();
        assert!(!text.contains(SECRET), "the secret shows in: {beginning}");
    }
}
