//! Role mode against an STS that writes down what it is asked.

use std::collections::HashMap;

use aws_credential_types::Credentials;
use axum::body::to_bytes;

use super::*;
use crate::connection::http::{operators_client, trust};

const DENIED_BY_STS: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: x is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>";
const MINTED: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials><AccessKeyId>ASIAMINTED</AccessKeyId><SecretAccessKey>minted</SecretAccessKey><SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

type Form = HashMap<String, String>;
type Forms = Arc<Mutex<Vec<Form>>>;

async fn sts(answer: fn(&Form) -> (u16, &'static str)) -> (Sts, Forms) {
    let forms = Forms::default();
    let log = Arc::clone(&forms);
    let router = Router::new().fallback(move |request: Request| {
        let log = Arc::clone(&log);
        async move {
            let body = to_bytes(request.into_body(), 64 * 1024).await.expect("a form");
            let form: Form = url::form_urlencoded::parse(&body).into_owned().collect();
            let (status, body) = answer(&form);
            log.lock().expect("not poisoned").push(form);
            Response::builder().status(status).body(Body::from(body)).expect("a response")
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::from_static("us-east-1"))
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(Credentials::new("AKIDOPERATOR", "operator", None, None, "test"))
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .http_client(operators_client(trust(None).expect("no certificates")))
        .build();
    let principal = "arn:aws:iam::111122223333:role/ctl".to_owned();
    (Sts::with_client(aws_sdk_sts::Client::from_conf(config), principal), forms)
}

fn connected(sts: Sts, endpoint: &str) -> (Connection, Destination) {
    let role = Auth::IamRole("arn:aws:iam::999999999999:role/acme".parse().expect("role"));
    (Connection { sts, ..connection(&["loopback"]) }, destination(endpoint, role))
}

fn healthy_store(request: &Request) -> (u16, &'static str) {
    match request.method().as_str() {
        "PUT" if request.uri().path().ends_with(".barndoor-write-check") => {
            (400, "<Error><Code>BadDigest</Code></Error>")
        }
        "GET" => (200, LOCATION),
        _ => (200, ""),
    }
}

#[tokio::test]
async fn every_batch_mints_its_own_credentials_with_the_external_id_and_a_narrow_policy() {
    let (sts, forms) = sts(|_| (200, MINTED)).await;
    let (endpoint, _) = store(|request| {
        let signed_with = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        let minted = signed_with.is_some_and(|text| text.contains("ASIAMINTED/"))
            && request.headers().get("x-amz-security-token").is_some_and(|token| token == "token");
        if minted { (200, "") } else { (403, DENIED) }
    })
    .await;
    let (connection, destination) = connected(sts, &endpoint);
    assert_eq!(put(&connection, &destination).await, PutOutcome::Stored);
    assert_eq!(put(&connection, &destination).await, PutOutcome::Stored);
    let forms = forms.lock().expect("not poisoned").clone();
    assert_eq!(forms.len(), 2, "nothing is cached");
    let form = &forms[0];
    assert_eq!(form["RoleArn"], "arn:aws:iam::999999999999:role/acme");
    assert_eq!(form["ExternalId"], "ab".repeat(32));
    assert_eq!(form["DurationSeconds"], "900");
    // printf uid | sha256sum
    assert_eq!(form["RoleSessionName"], "barndoor-17b788a7");
    assert!(form["Policy"].contains("arn:aws:s3:::acme-audit/audit-events/*"), "{}", form["Policy"]);
}

#[tokio::test]
async fn a_check_tries_without_the_external_id_and_is_content_when_that_is_refused() {
    let (sts, forms) =
        sts(|form| if form.contains_key("ExternalId") { (200, MINTED) } else { (403, DENIED_BY_STS) }).await;
    let (endpoint, _) = store(healthy_store).await;
    let (connection, destination) = connected(sts, &endpoint);
    let report = connection.check(&destination, KeySource::Stored).await;
    assert_eq!((report.healthy, report.reason), (true, Reason::Healthy), "{report:?}");
    assert!(report.steps.iter().all(|step| step.result == StepResult::Passed));
    let forms = forms.lock().expect("not poisoned").clone();
    let probe = forms.iter().find(|form| !form.contains_key("ExternalId")).expect("a probe");
    assert!(probe["Policy"].contains("Deny"), "{}", probe["Policy"]);
}

#[tokio::test]
async fn a_role_that_anybody_may_name_is_a_warning() {
    let (sts, _) = sts(|_| (200, MINTED)).await;
    let (endpoint, _) = store(healthy_store).await;
    let (connection, destination) = connected(sts, &endpoint);
    let report = connection.check(&destination, KeySource::Stored).await;
    assert_eq!((report.healthy, report.reason), (true, Reason::ExternalIdNotEnforced), "{report:?}");
    assert!(report.remedy.contains(&"ab".repeat(32)), "{}", report.remedy);
}

#[tokio::test]
async fn a_refused_role_is_told_with_both_halves_of_the_trust_policy() {
    let (sts, _) = sts(|_| (403, DENIED_BY_STS)).await;
    let (endpoint, seen) = store(healthy_store).await;
    let (connection, destination) = connected(sts, &endpoint);
    let report = connection.check(&destination, KeySource::Stored).await;
    assert_eq!((report.healthy, report.reason), (false, Reason::AssumeRoleDenied));
    assert!(report.message.contains("not authorized to perform: sts:AssumeRole"), "{}", report.message);
    assert!(report.remedy.contains("arn:aws:iam::111122223333:role/ctl"), "{}", report.remedy);
    let issue = connection.open(&destination, &destination.place).await.err().expect("refused");
    assert_eq!((issue.operation, issue.code.as_deref()), ("AssumeRole", Some("AccessDenied")));
    assert!(seen.all().is_empty());
}

#[tokio::test]
async fn an_unreachable_sts_is_not_the_customers_fault() {
    let (sts, _) = sts(|_| (503, "")).await;
    let (connection, destination) = connected(sts, "http://127.0.0.1:1");
    let issue = connection.open(&destination, &destination.place).await.err().expect("refused");
    assert_eq!(issue.reason, Reason::StoreError);
}

#[tokio::test]
async fn an_sts_that_knows_no_kms_gets_a_narrower_policy() {
    let (sts, forms) = sts(|form| {
        if form["Policy"].contains("kms:") {
            (400, "<ErrorResponse><Error><Code>InvalidParameterValue</Code><Message>invalid condition key</Message></Error></ErrorResponse>")
        } else {
            (200, MINTED)
        }
    })
    .await;
    let (endpoint, _) = store(|_| (200, "")).await;
    let (connection, destination) = connected(sts, &endpoint);
    assert_eq!(put(&connection, &destination).await, PutOutcome::Stored);
    let forms = forms.lock().expect("not poisoned").clone();
    assert_eq!(forms.len(), 2);
    assert!(forms[1]["Policy"].contains("s3:PutObject") && forms[1].contains_key("ExternalId"));
}
