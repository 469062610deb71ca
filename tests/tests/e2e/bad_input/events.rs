//! Lines that are no events, and bodies, headers and keys that are too long.

use barndoor_crds::event_type::EventType;
use barndoor_tests::events::EventSource;
use barndoor_tests::rest::{Encoding, Ingest, Reply, Rest};
use reqwest::Method;
use serde_json::{Value, json};

use super::{assert_problem, controller};
use crate::e2e::export::assert_names;

const TAIL: &str = r#""type":"AUDIT","timestamp":"2026-01-31T12:00:00Z""#;

/// A destination whose place is fixed, so that what is accepted is kept and counted.
async fn kept(organization: &str) -> Rest {
    let rest = controller().await.administrator().await;
    let destination = json!({
        "endpoint": "http://127.0.0.1:9", "bucket": "acme-audit", "region": "us-east-1",
        "access_key_id": "AKIAEXAMPLE", "secret_access_key": "a-secret",
    });
    rest.put_destination(organization, "siem", &destination).await.expect(200);
    for paused in [false, true] {
        rest.patch_settings(organization, "siem", &json!({ "paused": paused })).await.ok();
    }
    rest
}

async fn accepted(rest: &Rest, organization: &str) -> Value {
    rest.status(organization, "siem").await.expect(200)["delivery"]["accepted"].clone()
}

async fn send(rest: &Rest, organization: &str, body: impl Into<Vec<u8>>) -> Reply {
    rest.try_ingest(organization, body.into(), &Ingest::default()).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_no_event_is_listed_with_what_it_lacks() {
    let rest = kept("bad-lines").await;
    let large = format!(r#"{{"id":"1",{TAIL},"x":"{}"}}"#, "x".repeat(256 * 1024));
    let deep = format!(r#"{{"id":"1",{TAIL},"x":{}{}}}"#, "[".repeat(64), "]".repeat(64));
    let long_id = format!(r#"{{"id":"{}",{TAIL}}}"#, "i".repeat(129));
    let rows: Vec<(&str, &str, &str)> = vec![
        (r#"{"type":"AUDIT","timestamp":"2026-01-31T12:00:00Z"}"#, "InvalidId", "\"id\""),
        (&long_id, "InvalidId", "128"),
        (r#"{"id":"1","timestamp":"2026-01-31T12:00:00Z"}"#, "UnknownType", "\"type\""),
        (r#"{"id":"1","type":"AUDIT"}"#, "InvalidTimestamp", "RFC 3339"),
        (r#"{"id":"1","type":"AUDIT","timestamp":"yesterday"}"#, "InvalidTimestamp", "\"timestamp\""),
        (r#"{"id":"1","type":"TOOLCALL","timestamp":"2026-01-31T12:00:00Z"}"#, "UnknownType", "TOOL_CALL?"),
        ("[]", "NotAnObject", "object"),
        ("{\"id\":", "InvalidJson", "column"),
        (&large, "TooLarge", "262144"),
        (&deep, "TooDeep", "64"),
    ];
    for (line, reason, words) in &rows {
        let reply = send(&rest, "bad-lines", *line).await;
        assert_eq!(reply.status, 422, "{}", reply.body);
        let rejected = &reply.body["rejected"][0];
        assert_eq!((&rejected["line"], &rejected["reason"]), (&json!(1), &json!(reason)), "{}", reply.body);
        assert_names(&rejected["message"], &[words]);
        assert!(!reply.text("message").is_empty(), "{}", reply.body);
    }
    let unknown = send(&rest, "bad-lines", rows[5].0).await;
    let names: Vec<&str> = EventType::ALL.iter().map(|known| known.name()).collect();
    assert_names(&unknown.body["rejected"][0]["message"], &names);
    let not_utf8 = send(&rest, "bad-lines", b"{\"id\":\"\xff\"}".to_vec()).await;
    assert_eq!(not_utf8.body["rejected"][0]["reason"], "InvalidUtf8", "{}", not_utf8.body);
    assert_eq!(accepted(&rest, "bad-lines").await, 0, "nothing was kept");

    // Among good ones only the bad ones are refused, by their lines.
    let good = EventSource::new("bad-lines").take(2);
    let body = format!("{}\nnonsense\n{}\n", good[0].line, good[1].line);
    let mixed = send(&rest, "bad-lines", body).await.expect(200);
    assert_eq!((&mixed["accepted"], &mixed["rejected"][0]["line"]), (&json!(2), &json!(2)), "{mixed}");
    assert_eq!(accepted(&rest, "bad-lines").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_a_header_or_a_key_that_is_too_long_is_refused_with_the_limit() {
    let rest = kept("bad-sizes").await;
    let line = format!("{}\n", EventSource::new("bad-sizes").padded_by(100_000).take(1)[0].line);
    let too_many = send(&rest, "bad-sizes", line.repeat(90)).await;
    assert_problem(&too_many, 413, "BodyTooLarge", None, &["8388608", "fewer events"]);
    let gzip = Ingest { encoding: Encoding::Gzip, ..Ingest::default() };
    let bomb = rest.try_ingest("bad-sizes", line.repeat(400).into_bytes(), &gzip).await.expect("an answer");
    assert_problem(&bomb, 413, "BodyTooLarge", None, &["33554432", "fewer events"]);

    let ndjson = ("content-type", "application/x-ndjson");
    let small = EventSource::new("bad-sizes").take(1)[0].line.clone();
    let send_with = async |name: &str, value: &str| {
        let headers = [ndjson, (name, value)];
        let body = small.clone().into_bytes();
        rest.try_send(Method::POST, "events/bad-sizes", &headers, body).await.expect("an answer")
    };
    for key in ["k".repeat(129), String::new(), "a b".to_owned()] {
        let reply = send_with("idempotency-key", &key).await;
        assert_problem(&reply, 400, "InvalidField", Some("Idempotency-Key"), &["128 visible ASCII"]);
    }
    let header = send_with("x-padding", &"p".repeat(64 * 1024)).await;
    assert_eq!(header.status, 431, "{}", header.body);
    let encoding = send_with("content-encoding", "br").await;
    assert_problem(&encoding, 415, "UnsupportedEncoding", None, &["gzip"]);
    let not_gzip = send_with("content-encoding", "gzip").await;
    assert_problem(&not_gzip, 400, "InvalidEncoding", None, &["gzip"]);
    let plain = [("content-type", "text/plain")];
    let reply = rest.try_send(Method::POST, "events/bad-sizes", &plain, small.clone().into_bytes()).await;
    assert_problem(&reply.expect("an answer"), 415, "UnsupportedMediaType", None, &["application/x-ndjson"]);
    assert_eq!(accepted(&rest, "bad-sizes").await, 0, "nothing was kept");

    // A path has its limit too, and a long query does no harm.
    let path = format!("exports/{}", "a".repeat(20_000));
    let reply = rest.try_call(Method::GET, &path, None).await.expect("an answer");
    assert_problem(&reply, 400, "InvalidField", Some("organization_id"), &["63 characters"]);
    for query in ["limit=0", "limit=501", "limit=x", "cursor=%21", "page=2"] {
        let path = format!("exports/bad-sizes?{query}");
        let reply = rest.try_call(Method::GET, &path, None).await.expect("an answer");
        assert_eq!((reply.status, reply.text("reason")), (400, "InvalidField"), "{query}: {}", reply.body);
    }
}
