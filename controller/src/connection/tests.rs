//! The connection against small servers that answer badly, slowly or not at all.

use std::sync::Mutex;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use barndoor_crds::name::{DestinationUid, OrganizationUid};
use barndoor_crds::place::{Addressing, Endpoint, PathPrefix, Scheme};
use barndoor_crds::reason::Reason;
use barndoor_crds::settings::{Batch, Format};
use barndoor_crds::status::{StepName, StepResult};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use only_keys::OnlyKeys;

use super::*;
use crate::clock::SystemClock;
use crate::destinations::{AccessKeys, AsSent, Wish};
use crate::exporter::store::{Listing, Object, PutOutcome};

mod only_keys;
mod roles;

fn keys() -> AccessKeys {
    AccessKeys { access_key_id: "AKIDSECRETID".to_owned(), secret_access_key: "verysecret".to_owned() }
}

fn destination(endpoint: &str, auth: Auth) -> Destination {
    let place = Place {
        endpoint: Endpoint::parse(endpoint, Scheme::Https).expect("endpoint"),
        region: "us-east-1".parse().expect("region"),
        bucket: "acme-audit".parse().expect("bucket"),
        prefix: PathPrefix::default(),
        addressing: Addressing::Auto,
    };
    Destination {
        organization: "acme".parse().expect("name"),
        organization_uid: OrganizationUid::new("acme"),
        name: "main".parse().expect("name"),
        uid: DestinationUid::new("uid"),
        generation: 3,
        wish: Wish::Paused,
        as_sent: AsSent {
            endpoint: endpoint.to_owned(),
            bucket: "acme-audit".to_owned(),
            region: None,
            path_prefix: None,
            use_ssl: true,
            use_path_style: false,
        },
        place,
        auth,
        include: None,
        format: Format::Json,
        batch: Batch::default(),
    }
}

fn connection(allowed: &[&str]) -> Connection {
    Connection::new(ConnectionConfig {
        destinations: Arc::new(OnlyKeys),
        clock: Arc::new(SystemClock),
        allowed: allowed.iter().map(|value| value.parse::<AllowedEndpoint>().expect("a value")).collect(),
        principal_arn: Some("arn:aws:iam::111122223333:role/ctl".to_owned()),
        own_account_roles: OwnAccountRoles::Refused,
        ca_certificates_pem: None,
    })
    .expect("no certificates")
}

/// A store made of one function; remembers method, path and If-None-Match of every request.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn all(&self) -> Vec<String> {
        self.0.lock().expect("not poisoned").clone()
    }
}

async fn store(answer: fn(&Request) -> (u16, &'static str)) -> (String, Seen) {
    let seen = Seen::default();
    let log = seen.clone();
    let router = Router::new().fallback(move |request: Request| {
        let log = log.clone();
        async move {
            let condition =
                if request.headers().contains_key("if-none-match") { " if-none-match" } else { "" };
            let line = format!("{} {}{condition}", request.method(), request.uri().path());
            log.0.lock().expect("not poisoned").push(line);
            let (status, body) = answer(&request);
            Response::builder().status(status).body(Body::from(body)).expect("a response")
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    // Ends with the test's runtime.
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), seen)
}

/// A server that treats every connection so.
async fn raw<F, T>(treat: F) -> String
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(treat(stream));
        }
    });
    address.to_string()
}

fn object() -> Object {
    Object {
        key: "audit-events/x.jsonl.gz".to_owned(),
        body: Bytes::from_static(b"body"),
        metadata: vec![("first", "1".to_owned())],
    }
}

async fn put(connection: &Connection, destination: &Destination) -> PutOutcome {
    let session = connection.open(destination, &destination.place).await.expect("a session");
    session.put(object()).await
}

async fn put_to(endpoint: &str) -> PutOutcome {
    put(&connection(&["loopback"]), &destination(endpoint, Auth::AccessKeys)).await
}

const DENIED: &str =
    "<Error><Code>AccessDenied</Code><Message>Access Denied for AKIDSECRETID</Message></Error>";

#[tokio::test]
async fn an_object_is_stored_with_its_headers_and_nothing_else() {
    let (endpoint, seen) = store(|request| {
        let headers = request.headers();
        let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
        let as_promised = is("content-type", "application/gzip")
            && is("content-md5", "hBotaJrYa9FhFEdFPCLG/A==")
            && is("if-none-match", "*")
            && is("x-amz-meta-first", "1")
            && is("content-length", "4")
            && !headers.contains_key("content-encoding")
            && !headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum"))
            && !headers.contains_key("x-amz-sdk-checksum-algorithm");
        if as_promised { (200, "") } else { (400, "<Error><Code>InvalidRequest</Code></Error>") }
    })
    .await;
    assert_eq!(put_to(&endpoint).await, PutOutcome::Stored);
    assert_eq!(seen.all(), ["PUT /acme-audit/audit-events/x.jsonl.gz if-none-match"]);
}

#[tokio::test]
async fn a_taken_key_is_already_there_and_a_conflict_is_undecided() {
    let (endpoint, _) = store(|_| (412, "<Error><Code>PreconditionFailed</Code></Error>")).await;
    assert_eq!(put_to(&endpoint).await, PutOutcome::AlreadyThere);
    let (endpoint, seen) = store(|_| (409, "<Error><Code>ConditionalRequestConflict</Code></Error>")).await;
    assert!(matches!(put_to(&endpoint).await, PutOutcome::Undecided(_)));
    let (busy, _) = store(|_| (503, "<Error><Code>SlowDown</Code><Message>slower</Message></Error>")).await;
    let PutOutcome::Undecided(issue) = put_to(&busy).await else { panic!("undecided") };
    assert_eq!((issue.reason, issue.message.as_str()), (Reason::Throttled, "SlowDown: slower"));
    assert_eq!(seen.all().len(), 1, "one request, no retry");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_stores_words_without_the_keys_id() {
    let (endpoint, _) = store(|_| (403, DENIED)).await;
    let PutOutcome::Refused(issue) = put_to(&endpoint).await else { panic!("refused") };
    assert_eq!((issue.reason, issue.operation), (Reason::WriteDenied, "PutObject"));
    assert_eq!(issue.message, "AccessDenied: Access Denied for ***");
}

#[tokio::test]
async fn a_store_without_conditional_puts_is_asked_once_more_and_remembered() {
    let (endpoint, seen) = store(|request| {
        if request.headers().contains_key("if-none-match") {
            (501, "<Error><Code>NotImplemented</Code></Error>")
        } else {
            (200, "")
        }
    })
    .await;
    let connection = connection(&["loopback"]);
    let destination = destination(&endpoint, Auth::AccessKeys);
    assert_eq!(put(&connection, &destination).await, PutOutcome::Stored);
    assert_eq!(put(&connection, &destination).await, PutOutcome::Stored);
    let path = "PUT /acme-audit/audit-events/x.jsonl.gz";
    assert_eq!(seen.all(), [&format!("{path} if-none-match"), path, path]);
}

#[tokio::test]
async fn nothing_listening_refuses_and_a_reset_after_the_request_leaves_it_unanswered() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    let PutOutcome::Refused(issue) = put_to(&format!("http://{closed}")).await else { panic!("refused") };
    assert_eq!(issue.reason, Reason::EndpointUnreachable);

    let reset = raw(|mut stream| async move {
        let mut first = [0; 64];
        let _ = stream.read(&mut first).await;
        drop(stream);
    })
    .await;
    assert!(matches!(put_to(&format!("http://{reset}")).await, PutOutcome::Unanswered(_)));
}

#[tokio::test]
async fn what_does_not_speak_tls_refuses() {
    let plain = raw(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let mut rest = [0; 1024];
        while matches!(stream.read(&mut rest).await, Ok(1..)) {}
    })
    .await;
    let PutOutcome::Refused(issue) = put_to(&format!("https://{plain}")).await else { panic!("refused") };
    assert_eq!(issue.reason, Reason::TlsFailed, "{issue:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, seen) = store(|_| (200, "")).await;
    let redirect =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {elsewhere}/\r\ncontent-length: 0\r\n\r\n");
    let first = raw(move |mut stream| {
        let redirect = redirect.clone();
        async move {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(redirect.as_bytes()).await;
        }
    })
    .await;
    assert!(matches!(put_to(&format!("http://{first}")).await, PutOutcome::Refused(_)));
    assert!(seen.all().is_empty());
}

#[tokio::test]
async fn a_forbidden_address_is_never_connected_to() {
    let (endpoint, seen) = store(|_| (200, "")).await;
    let port = endpoint.rsplit(':').next().expect("a port").to_owned();
    let guarded = connection(&["10.0.0.0/8"]);
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        for scheme in ["http", "https"] {
            let destination = destination(&format!("{scheme}://{host}:{port}"), Auth::AccessKeys);
            let PutOutcome::Refused(issue) = put(&guarded, &destination).await else { panic!("refused") };
            assert_eq!(issue.reason, Reason::EndpointForbidden, "{scheme}://{host}: {issue:?}");
        }
    }
    assert!(seen.all().is_empty());
}

#[tokio::test]
async fn a_role_outside_aws_is_refused_before_anything_is_minted() {
    let role = || Auth::IamRole("arn:aws:iam::999999999999:role/x".parse().expect("role"));
    let destination = destination("https://127.0.0.1:1", role());
    let guarded = connection(&[]);
    let issue = guarded.open(&destination, &destination.place).await.err().expect("refused");
    assert_eq!(issue.reason, Reason::EndpointForbidden);
    let report = guarded.check(&destination, KeySource::Stored).await;
    assert_eq!((report.reason, report.healthy), (Reason::EndpointForbidden, false));
    assert_eq!(report.steps[0].result, StepResult::Skipped);
}

#[tokio::test]
async fn a_listing_says_whether_exactly_this_key_is_there() {
    let (endpoint, _) = store(|_| {
        (200, "<ListBucketResult><Contents><Key>audit-events/x.jsonl.gz</Key></Contents></ListBucketResult>")
    })
    .await;
    let destination = destination(&endpoint, Auth::AccessKeys);
    let session = connection(&["loopback"]).open(&destination, &destination.place).await.expect("a session");
    assert_eq!(session.list("audit-events/x.jsonl.gz").await, Listing::Present);
    assert_eq!(session.list("audit-events/x").await, Listing::Absent);
}

async fn checked(answer: fn(&Request) -> (u16, &'static str)) -> (CheckReport, Vec<String>) {
    let (endpoint, seen) = store(answer).await;
    let destination = destination(&endpoint, Auth::AccessKeys);
    let report = connection(&["loopback"]).check(&destination, KeySource::Given(keys())).await;
    (report, seen.all())
}

const LOCATION: &str = "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";

#[tokio::test]
async fn a_check_passes_when_the_store_refuses_only_the_wrong_digest() {
    let (report, seen) = checked(|request| match request.method().as_str() {
        "HEAD" => (200, ""),
        "PUT" => (400, "<Error><Code>BadDigest</Code></Error>"),
        _ => (200, LOCATION),
    })
    .await;
    assert_eq!((report.healthy, report.reason, report.generation), (true, Reason::Healthy, 3), "{report:?}");
    let results: Vec<_> = report.steps.iter().map(|step| (step.name, step.result)).collect();
    let expected = [
        (StepName::AssumeRole, StepResult::Skipped),
        (StepName::HeadBucket, StepResult::Passed),
        (StepName::WritePermission, StepResult::Passed),
    ];
    assert_eq!(results, expected);
    assert_eq!(seen.last().map(String::as_str), Some("PUT /acme-audit/audit-events/.barndoor-write-check"));
}

#[tokio::test]
async fn an_object_that_a_store_took_all_the_same_is_deleted_or_named() {
    let (report, seen) = checked(|request| match request.method().as_str() {
        "DELETE" => (204, ""),
        "GET" => (200, LOCATION),
        _ => (200, ""),
    })
    .await;
    assert_eq!(report.steps[2].result, StepResult::Passed, "{report:?}");
    assert_eq!(
        seen.last().map(String::as_str),
        Some("DELETE /acme-audit/audit-events/.barndoor-write-check")
    );
    let (report, _) = checked(|request| match request.method().as_str() {
        "DELETE" => (403, DENIED),
        "GET" => (200, LOCATION),
        _ => (200, ""),
    })
    .await;
    assert_eq!((report.healthy, report.steps[2].result), (true, StepResult::Warning));
    assert!(report.steps[2].message.contains("audit-events/.barndoor-write-check"), "{report:?}");
}

#[tokio::test]
async fn a_bodyless_403_gets_the_words_of_a_listing() {
    let (report, _) = checked(|_| (403, DENIED)).await;
    assert_eq!((report.healthy, report.reason), (false, Reason::HeadBucketDenied));
    assert_eq!(report.message, "HeadBucket: AccessDenied: Access Denied for ***");
    assert!(
        report.remedy.contains("s3:ListBucket and s3:GetBucketLocation on arn:aws:s3:::acme-audit"),
        "{report:?}"
    );
    assert_eq!(report.steps[2].result, StepResult::Skipped);
}

#[tokio::test]
async fn write_permission_is_proved_apart_from_the_bucket() {
    let (report, _) = checked(|request| match request.method().as_str() {
        "PUT" => (403, DENIED),
        "GET" => (200, LOCATION),
        _ => (200, ""),
    })
    .await;
    assert_eq!((report.healthy, report.reason), (false, Reason::WriteDenied));
    assert!(report.remedy.contains("s3:PutObject"), "{report:?}");
}

#[tokio::test]
async fn a_web_server_that_likes_everything_is_not_a_store() {
    let (report, seen) = checked(|_| (200, "<html><body>Welcome</body></html>")).await;
    assert_eq!((report.healthy, report.reason), (false, Reason::StoreError), "{report:?}");
    assert!(!seen.iter().any(|line| line.starts_with("PUT")));
}

#[tokio::test]
async fn a_check_answers_in_time_when_the_store_never_does() {
    let silent = raw(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let started = Instant::now();
    let destination = destination(&format!("http://{silent}"), Auth::AccessKeys);
    let report = connection(&["loopback"]).check(&destination, KeySource::Stored).await;
    assert_eq!(report.reason, Reason::EndpointUnreachable, "{report:?}");
    assert!(started.elapsed().as_secs() < 20);
}

#[tokio::test]
async fn missing_keys_are_named() {
    let mut destination = destination("https://s3.us-east-1.amazonaws.com", Auth::AccessKeys);
    destination.name = "without-keys".parse().expect("name");
    let report = connection(&[]).check(&destination, KeySource::Stored).await;
    assert_eq!((report.healthy, report.reason), (false, Reason::SecretNotFound));
}
