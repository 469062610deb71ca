//! What an operator's machinery asks and does: probes, metrics, start and stop.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use barndoor_tests::bucket::Bucket;
use barndoor_tests::controller_process::{Controller, Options, READY_LIMIT, STOP_LIMIT};
use barndoor_tests::deadline::eventually;
use barndoor_tests::events::{EventSource, ndjson};
use barndoor_tests::rest::{Reply, Rest, http_client};
use barndoor_tests::strict_aws::{Dialect, Fault, Operation, Policy, REGION, StrictAws};
use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, outside, problem, shared};
use crate::e2e::export::{Export, with_keys};

async fn ask(controller: &Controller, path: &str) -> Reply {
    Rest::send(http_client().get(outside(controller, path))).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn livez_readyz_metrics_and_openapi_need_no_token() {
    let controller = shared().await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(ask(controller, path).await.status, 200, "{path}");
    }
    let metrics = ask(controller, "/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(
        metrics.headers["content-type"]
            .to_str()
            .is_ok_and(|text| text.starts_with("application/openmetrics-text"))
    );
    assert!(metrics.raw.contains("export_oldest_pending_seconds") && metrics.raw.ends_with("# EOF\n"));
    let openapi = ask(controller, "/openapi.json").await;
    assert_eq!(
        (openapi.status, &openapi.headers["content-type"]),
        (200, &"application/json".parse().expect("text"))
    );
    assert_eq!(openapi.raw, include_str!("../../../../controller/openapi.json"), "the committed one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_hides_the_metrics_and_nothing_else() {
    let controller = Controller::start(Options::loopback().switch("--hide-metrics")).await;
    problem(&ask(&controller, "/metrics").await, 404, "NotFound");
    for path in ["/livez", "/readyz", "/openapi.json"] {
        assert_eq!(ask(&controller, path).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_client_json_is_private_absolute_and_there_before_readyz_answers() {
    let controller = shared().await;
    let file = controller.data().join("admin-client.json");
    let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text: Value = serde_json::from_slice(&std::fs::read(&file).expect("readable")).expect("JSON");
    assert_eq!(text["token_url"], outside(controller, "/oauth2/token"));
    assert!(
        ["client_id", "client_secret"]
            .iter()
            .all(|name| text[name].as_str().is_some_and(|text| !text.is_empty()))
    );

    let public = Options::loopback().flag("--public-url", "https://audit.example.com/");
    let folder = tempfile::TempDir::new().expect("a folder");
    // Its token_url leads elsewhere, so the harness's own sign-in would too.
    let started = tokio::spawn({
        let data = folder.path().to_owned();
        async move { Controller::start_on(public, &data).await }
    });
    let text = eventually("admin-client.json", READY_LIMIT, async || {
        std::fs::read_to_string(folder.path().join("admin-client.json")).ok()
    })
    .await;
    started.abort();
    let text: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(text["token_url"], "https://audit.example.com/oauth2/token");
}

/// A controller whose AWS and whose customer's store never answer, with a destination that streams and a backlog.
async fn beset(organization: &str) -> (StrictAws, Controller, Api) {
    let aws = StrictAws::start(Dialect::Aws).await;
    aws.create_bucket("acme", REGION);
    let identity = aws.create_identity("arn:aws:iam::111122223333:user/barndoor", Policy::nothing());
    let keys = aws.create_identity("arn:aws:iam::444455556666:user/export", Policy::everything());
    let controller = Controller::start(Options::loopback().aws(aws.endpoint(), REGION, &identity)).await;
    let export = Export::new(&controller, organization, "siem", Bucket::new(aws.client(), "acme"));
    export.put(&with_keys(aws.endpoint(), "acme", REGION, &keys)).await.expect(200);
    export.flush_quickly().await;
    export.start().await.ok();
    for operation in [
        Operation::PutObject,
        Operation::HeadBucket,
        Operation::ListObjects,
        Operation::GetCallerIdentity,
        Operation::AssumeRole,
    ] {
        aws.fail(operation, Fault::Hang);
    }
    let puts = aws.recorded_of(Operation::PutObject).len();
    export.accept(&EventSource::new(organization).take(100)).await;
    eventually("a PUT under way", Duration::from_secs(30), async || {
        (aws.recorded_of(Operation::PutObject).len() > puts).then_some(())
    })
    .await;
    let api = Api::of(&controller).await;
    (aws, controller, api)
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_within_10_s_also_after_kill_9_while_aws_and_the_store_hang() {
    let (_aws, mut controller, api) = beset("m-ready").await;
    controller.kill9();
    let took = controller.restart().await;
    assert!(took < READY_LIMIT, "{took:?}");
    let status = api.get("exports/m-ready/siem/status").await.expect(200);
    assert_eq!(status["delivery"]["backlog"], 100, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_exits_0_within_20_s_while_requests_and_a_put_hang() {
    let (aws, mut controller, api) = beset("m-stop").await;
    // A body that never ends, a check that never hears from the store, and producers that go on.
    let body = ndjson(&EventSource::new("m-stop-slow").take(1));
    let endless = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(body))])
        .chain(futures_util::stream::pending());
    let request = api
        .request(Method::POST, "events/m-stop")
        .header("content-type", "application/x-ndjson")
        .body(reqwest::Body::wrap_stream(endless));
    let endless = tokio::spawn(Rest::send(request));
    let check = tokio::spawn(Rest::send(api.request(Method::POST, "exports/m-stop/siem/check")));
    let rest = api.rest.clone();
    let producer = tokio::spawn(async move {
        let mut events = EventSource::new("m-stop-producer");
        let mut accepted = 0_u64;
        while let Ok(reply) = rest
            .try_ingest("m-stop", ndjson(&events.take(10)), &barndoor_tests::rest::Ingest::default())
            .await
        {
            if reply.status == 200 {
                accepted += 10;
            }
        }
        accepted
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (code, took) = tokio::task::block_in_place(|| controller.terminate());
    assert_eq!(code, Some(0), "after {took:?}:\n{}", controller.output());
    assert!(took < STOP_LIMIT, "{took:?}");
    endless.abort();
    let _ = check.await;
    let accepted = producer.await.expect("no panic");

    aws.heal();
    let took = controller.restart().await;
    assert!(took < READY_LIMIT, "{took:?}");
    let status = api.get("exports/m-stop/siem/status").await.expect(200);
    assert!(
        accepted > 0 && status["delivery"]["accepted"].as_u64() >= Some(100 + accepted),
        "{accepted}: {status}"
    );
    assert_eq!(status["paused"], json!(false));
}
