//! Endpoints that cannot or may not be reached: the guard, TLS, nobody there.

use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::minio::{Minio, REGION};
use barndoor_tests::s3_client::Keys;
use barndoor_tests::server_process::free_port;
use barndoor_tests::tls_front::TlsFront;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{Finding, check, controller};
use crate::e2e::export::{step, with_keys, with_role};

const HEAD: &str = "HeadBucket";

/// A controller whose operator allowed nothing.
async fn strict_controller() -> &'static Controller {
    static SHARED: OnceCell<Controller> = OnceCell::const_new();
    SHARED.get_or_init(|| Controller::start_for_many("guarded", Options::default())).await
}

fn at(endpoint: &str) -> Value {
    with_keys(endpoint, "acme", REGION, &Keys::new("AKIAEXAMPLE", "secret"))
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_the_operator_did_not_allow_are_refused_in_every_spelling() {
    let rest = strict_controller().await.administrator().await;
    let port = free_port();
    let rows = [
        ("http://169.254.169.254".to_owned(), "metadata"),
        ("https://169.254.169.254".to_owned(), "metadata"),
        ("https://[fd00:ec2::254]".to_owned(), "metadata"),
        (format!("http://127.0.0.1:{port}"), "loopback"),
        (format!("https://127.0.0.1:{port}"), "loopback"),
        (format!("https://[::1]:{port}"), "loopback"),
        (format!("https://localhost:{port}"), "loopback"),
        (format!("https://2130706433:{port}"), "loopback"),
        (format!("https://0x7f.1:{port}"), "loopback"),
        ("https://10.0.0.7".to_owned(), "a private address"),
        ("https://192.168.1.7:9000".to_owned(), "a private address"),
        ("https://100.64.0.1".to_owned(), "carrier-grade"),
        ("https://169.254.7.7".to_owned(), "link-local"),
        ("https://0.0.0.0:9000".to_owned(), "unspecified"),
        ("https://[::ffff:127.0.0.1]".to_owned(), "IPv4-mapped"),
        ("https://[64:ff9b::7f00:1]".to_owned(), "NAT64"),
        ("http://1.1.1.1".to_owned(), "plain http"),
        ("http://s3.us-east-1.amazonaws.com".to_owned(), "plain http"),
    ];
    for (endpoint, words) in rows {
        let report = check(&rest, "t-guard", &at(&endpoint)).await;
        Finding::failed("EndpointForbidden", HEAD)
            .tells(words)
            .advises(&["--allow-endpoint"])
            .assert(&report);
        assert_eq!(step(&report, "AssumeRole")["result"], "skipped");
        assert_eq!(step(&report, "WritePermission")["result"], "skipped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn allowing_loopback_allows_nothing_else_and_a_role_stays_with_aws() {
    let rest = controller().await.administrator().await;
    for (endpoint, words) in [("http://169.254.169.254", "metadata"), ("https://10.0.0.7", "private")] {
        Finding::failed("EndpointForbidden", HEAD)
            .tells(words)
            .advises(&["--allow-endpoint"])
            .assert(&check(&rest, "t-allowed", &at(endpoint)).await);
    }
    let role = with_role("https://1.1.1.1", "acme", REGION, "arn:aws:iam::444455556666:role/audit-export");
    Finding::failed("EndpointForbidden", HEAD)
        .tells("IAM roles work with AWS only")
        .advises(&["amazonaws.com", "access keys"])
        .assert(&check(&rest, "t-allowed", &role).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_where_nobody_answers_or_whose_name_is_none_is_unreachable() {
    let rest = controller().await.administrator().await;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    Finding::failed("EndpointUnreachable", HEAD)
        .tells(&nobody)
        .advises(&["port", "network"])
        .assert(&check(&rest, "t-nobody", &at(&nobody)).await);
    Finding::failed("EndpointUnreachable", HEAD)
        .tells("does not resolve")
        .advises(&["typo"])
        .assert(&check(&rest, "t-nobody", &at("https://no-such-store.invalid")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_nobody_vouches_for_is_refused_until_the_operator_trusts_it() {
    let minio = Minio::shared().await;
    minio.create_bucket("t-tls").await;
    let front = TlsFront::start(minio.endpoint()).await;
    let destination = |endpoint: &str| with_keys(endpoint, "t-tls", REGION, &minio.root());
    let rest = controller().await.administrator().await;
    Finding::failed("TlsFailed", HEAD)
        .tells(&front.endpoint())
        .advises(&["--ca-certificate"])
        .assert(&check(&rest, "t-tls", &destination(&front.endpoint())).await);

    let file = front.certificate();
    let file = file.to_str().expect("a path of ASCII");
    let trusting = Controller::start(Options::loopback().flag("--ca-certificate", file)).await;
    let report = check(trusting.rest(), "t-tls", &destination(&front.endpoint())).await;
    assert_eq!(report["healthy"], true, "{report}");
    // Trusted, and for another name than the one asked for.
    Finding::failed("TlsFailed", HEAD).tells("certificate").advises(&["for this host name"]).assert(
        &check(trusting.rest(), "t-tls", &destination(&format!("https://localhost:{}", front.port()))).await,
    );
    // Plain http spoken to it, and TLS spoken to a store without.
    let report = check(&rest, "t-tls", &destination(&minio.endpoint().replace("http:", "https:"))).await;
    Finding::failed("TlsFailed", HEAD).advises(&["certificate"]).assert(&report);
}
