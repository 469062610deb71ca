//! `POST events/{org}`.

use std::io::Write;

use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::events::{EventSource, ndjson};
use barndoor_tests::rest::{Ingest, Reply, Rest};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, odd, problem};

const EVENT_MAX_BYTES: usize = 256 * 1024;
const WIRE_MAX_BYTES: usize = 8 * 1024 * 1024;
const DECODED_MAX_BYTES: usize = 32 * 1024 * 1024;

/// The API, and an organization whose events are kept.
async fn kept(organization: &str) -> Api {
    let api = Api::shared().await;
    keep(&api, organization).await;
    api
}

async fn keep(api: &Api, organization: &str) {
    api.put(&format!("exports/{organization}/siem/destination"), &odd()).await.expect(200);
    api.patch(&format!("exports/{organization}/siem/settings"), &json!({"paused": false})).await.ok();
    api.post(&format!("exports/{organization}/siem/pause")).await.expect(200);
}

async fn send(api: &Api, organization: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Reply {
    let mut request = api.request(Method::POST, &format!("events/{organization}"));
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/x-ndjson");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.send(request.body(body.into())).await
}

async fn accepted_so_far(api: &Api, organization: &str) -> u64 {
    let status = api.get(&format!("exports/{organization}/siem/status")).await.expect(200);
    status["delivery"]["accepted"].as_u64().expect("a count")
}

fn event(members: &str) -> String {
    format!(r#"{{"id":"1","type":"AUDIT","timestamp":"2026-01-31T12:00:00Z"{members}}}"#)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_events_get_dense_sequences_as_text() {
    let api = kept("i-dense").await;
    let mut events = EventSource::new("i-dense");
    let first = send(&api, "i-dense", &[], ndjson(&events.take(98))).await.expect(200);
    let second = send(&api, "i-dense", &[], ndjson(&events.take(2))).await.expect(200);
    let number =
        |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok()).expect("digits in text");
    assert_eq!(
        (&first["accepted"], &first["not_kept"], &first["rejected"]),
        (&json!(98), &json!(0), &json!([]))
    );
    assert_eq!(number(&first["last"]), number(&first["first"]) + 97);
    assert_eq!(number(&second["first"]), number(&first["last"]) + 1);
    assert_eq!(accepted_so_far(&api, "i-dense").await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_an_organization_without_a_wish_to_stream_are_counted_and_not_kept() {
    let api = Api::shared().await;
    let nobody = send(&api, "i-unkept", &[], format!("{}\n{}\n", event(""), event(""))).await.expect(200);
    assert_eq!((&nobody["accepted"], &nobody["not_kept"]), (&json!(0), &json!(2)));
    assert!(nobody.get("first").is_none_or(Value::is_null) && nobody.get("last").is_none_or(Value::is_null));
    api.put("exports/i-unkept/siem/destination", &odd()).await.expect(200);
    let saved = send(&api, "i-unkept", &[], event("")).await.expect(200);
    assert_eq!(
        (&saved["accepted"], &saved["not_kept"]),
        (&json!(0), &json!(1)),
        "saved paused, never started"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_lines_are_listed_with_number_reason_and_words_and_the_others_taken() {
    let api = kept("i-rejected").await;
    let deep = event(&format!(r#","x":{}{}"#, "[".repeat(64), "]".repeat(64)));
    let just_deep = event(&format!(r#","x":{}{}"#, "[".repeat(63), "]".repeat(63)));
    let large = event(&format!(r#","x":"{}""#, "x".repeat(EVENT_MAX_BYTES)));
    let fill = EVENT_MAX_BYTES - event(r#","x":"""#).len();
    let just_large = event(&format!(r#","x":"{}""#, "x".repeat(fill)));
    let lines: [(&[u8], Option<&str>); 17] = [
        (event("").as_bytes().to_vec().leak(), None),
        (large.as_bytes(), Some("TooLarge")),
        (just_large.as_bytes(), None),
        (deep.as_bytes(), Some("TooDeep")),
        (just_deep.as_bytes(), None),
        (b"", None),
        (b"{\"id\":\"\xff\"}", Some("InvalidUtf8")),
        (b"{\"id\":", Some("InvalidJson")),
        (b"[1]", Some("NotAnObject")),
        (br#"{"type":"AUDIT","timestamp":"2026-01-31T12:00:00Z"}"#, Some("InvalidId")),
        (br#"{"id":7,"type":"AUDIT","timestamp":"2026-01-31T12:00:00Z"}"#, Some("InvalidId")),
        (br#"{"id":"1","type":"AUDITS","timestamp":"2026-01-31T12:00:00Z"}"#, Some("UnknownType")),
        (br#"{"id":"1","timestamp":"2026-01-31T12:00:00Z"}"#, Some("UnknownType")),
        (br#"{"id":"1","type":"AUDIT","timestamp":"yesterday"}"#, Some("InvalidTimestamp")),
        (br#"{"id":"1","type":"AUDIT"}"#, Some("InvalidTimestamp")),
        (br#"{"id":"1","id":"2","type":"AUDIT","timestamp":"2026-01-31T12:00:00Z"}"#, Some("DuplicateField")),
        (br#"{"id":"2","type":"AUDIT","timestamp":"2026-01-31T12:00:00+02:00"}"#, None),
    ];
    let body: Vec<u8> = lines.iter().flat_map(|(line, _)| [line, b"\n".as_slice()].concat()).collect();
    let answer = send(&api, "i-rejected", &[], body).await.expect(200);
    let found: Vec<(u64, String)> = answer["rejected"]
        .as_array()
        .expect("rejected")
        .iter()
        .map(|line| {
            assert!(line["message"].as_str().is_some_and(|text| !text.is_empty()), "{line}");
            (line["line"].as_u64().expect("a number"), line["reason"].as_str().expect("a reason").to_owned())
        })
        .collect();
    let expected: Vec<(u64, String)> = (1..)
        .zip(&lines)
        .filter_map(|(number, (_, reason))| reason.map(|reason| (number, reason.to_owned())))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(answer["accepted"], 4, "an empty line is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rejected_is_422_with_the_lines_and_no_lines_is_400() {
    let api = kept("i-all").await;
    let reply = send(&api, "i-all", &[], "nonsense\n[]\n").await;
    problem(&reply, 422, "AllRejected");
    let lines: Vec<&Value> =
        reply.body["rejected"].as_array().expect("rejected").iter().map(|line| &line["line"]).collect();
    assert_eq!(lines, [1, 2]);
    problem(&send(&api, "i-all", &[], "").await, 400, "EmptyBody");
    problem(&send(&api, "i-all", &[], "\n\n").await, 400, "EmptyBody");
    assert_eq!(accepted_so_far(&api, "i-all").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_is_taken_and_what_is_not_ndjson_or_whole_gzip_refused() {
    let api = kept("i-gzip").await;
    let body = ndjson(&EventSource::new("i-gzip").take(50));
    let answer = send(&api, "i-gzip", &[("content-encoding", "gzip")], gzip(&body)).await.expect(200);
    assert_eq!(answer["accepted"], 50);
    let charset =
        send(&api, "i-gzip", &[("content-type", "application/x-ndjson; charset=utf-8")], event("")).await;
    charset.expect(200);
    let (br, json) = (&[("content-encoding", "br")], &[("content-type", "application/json")]);
    problem(&send(&api, "i-gzip", br, event("")).await, 415, "UnsupportedEncoding");
    problem(&send(&api, "i-gzip", json, event("")).await, 415, "UnsupportedMediaType");
    let compressed = gzip(&body);
    let cut = &compressed[..compressed.len() - 5];
    problem(&send(&api, "i-gzip", &[("content-encoding", "gzip")], cut).await, 400, "InvalidEncoding");
    assert_eq!(accepted_so_far(&api, "i-gzip").await, 51, "nothing of a broken body is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_8_mib_on_the_wire_or_32_decoded_is_413() {
    let api = kept("i-large").await;
    let line = format!("{}\n", event(&format!(r#","x":"{}""#, "x".repeat(100_000))));
    let fits = line.repeat(WIRE_MAX_BYTES / line.len());
    let many = send(&api, "i-large", &[], fits.clone()).await.expect(200);
    assert_eq!(many["accepted"], WIRE_MAX_BYTES / line.len());
    problem(&send(&api, "i-large", &[], fits + &line).await, 413, "BodyTooLarge");
    let decoded = line.repeat(DECODED_MAX_BYTES / line.len());
    let zipped = [("content-encoding", "gzip")];
    send(&api, "i-large", &zipped, gzip(decoded.as_bytes())).await.expect(200);
    problem(&send(&api, "i-large", &zipped, gzip((decoded + &line).as_bytes())).await, 413, "BodyTooLarge");
    // Without a length the limit holds as well.
    let pieces = (0..90).map(move |_| Ok::<_, std::io::Error>(Bytes::from(vec![b'\n'; 100 * 1024])));
    let stream = api
        .request(Method::POST, "events/i-large")
        .header("content-type", "application/x-ndjson")
        .body(reqwest::Body::wrap_stream(futures_util::stream::iter(pieces)));
    match Rest::send(stream).await {
        Ok(reply) => drop(problem(&reply, 413, "BodyTooLarge")),
        // The connection may end before a client that only writes looks for the answer.
        Err(error) => assert!(error.is_request() || error.is_body(), "{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_the_first_answer_and_the_key_with_another_body_is_409() {
    let api = kept("i-repeat").await;
    let key = [("idempotency-key", "batch-1")];
    let body = format!("{}\nnonsense\n", event(""));
    let first = send(&api, "i-repeat", &key, body.clone()).await;
    assert_eq!(
        (first.status, &first.body["accepted"], &first.body["rejected"][0]["line"]),
        (200, &json!(1), &json!(2))
    );
    assert_eq!(send(&api, "i-repeat", &key, body.clone()).await.raw, first.raw);
    let zipped = [("idempotency-key", "batch-1"), ("content-encoding", "gzip")];
    assert_eq!(send(&api, "i-repeat", &zipped, gzip(body.as_bytes())).await.raw, first.raw);
    problem(&send(&api, "i-repeat", &key, event("")).await, 409, "IdempotencyKeyReused");
    assert_eq!(accepted_so_far(&api, "i-repeat").await, 1);
    // A key is one organization's own.
    keep(&api, "i-repeat-other").await;
    send(&api, "i-repeat-other", &key, event("")).await.expect(200);
    for bad in ["", " ", &"k".repeat(129), "two words"] {
        problem(&send(&api, "i-repeat", &[("idempotency-key", bad)], event("")).await, 400, "InvalidField");
    }
    send(&api, "i-repeat", &[("idempotency-key", &"k".repeat(128))], event("")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_that_arrive_while_the_first_is_in_progress_wait_and_get_its_answer() {
    let api = kept("i-meanwhile").await;
    let body = ndjson(&EventSource::new("i-meanwhile").take(2_000));
    let options = Ingest { idempotency_key: Some("meanwhile".to_owned()), ..Ingest::default() };
    let sending = (0..12).map(|_| api.rest.try_ingest("i-meanwhile", body.clone(), &options));
    let replies = futures_util::future::join_all(sending).await;
    let mut answers: Vec<String> =
        replies.into_iter().map(|reply| reply.expect("an answer").expect(200).to_string()).collect();
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(accepted_so_far(&api, "i-meanwhile").await, 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_that_overtakes_a_slow_first_one_shares_its_answer() {
    let api = kept("i-overtake").await;
    let body = ndjson(&EventSource::new("i-overtake").take(100));
    let (begun, rest) = (Bytes::copy_from_slice(&body[..500]), Bytes::copy_from_slice(&body[500..]));
    let (go_on, gone_on) = tokio::sync::oneshot::channel::<()>();
    let stream = futures_util::stream::unfold((Some(begun), Some((rest, gone_on))), |(now, later)| async {
        match (now, later) {
            (Some(piece), later) => Some((Ok::<_, std::io::Error>(piece), (None, later))),
            (None, Some((piece, wait))) => {
                let _ = wait.await;
                Some((Ok(piece), (None, None)))
            }
            (None, None) => None,
        }
    });
    let slow = api
        .request(Method::POST, "events/i-overtake")
        .header("content-type", "application/x-ndjson")
        .header("idempotency-key", "overtaken")
        .body(reqwest::Body::wrap_stream(stream));
    let slow = tokio::spawn(Rest::send(slow));
    let quick = send(&api, "i-overtake", &[("idempotency-key", "overtaken")], body).await;
    go_on.send(()).expect("the slow one still sends");
    let slow = slow.await.expect("no panic").expect("an answer");
    assert_eq!((slow.status, quick.status, &slow.raw), (200, 200, &quick.raw));
    assert_eq!(accepted_so_far(&api, "i-overtake").await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_event_log_answers_503_with_retry_after_and_takes_other_organizations_events() {
    let options = Options::loopback().flag("--event-log-limit", "64MiB").flag("--organization-share", "10%");
    let controller = Controller::start(options).await;
    let api = Api::of(&controller).await;
    keep(&api, "i-full").await;
    keep(&api, "i-roomy").await;
    let mut taken = 0;
    let full = loop {
        let line = |index: usize| {
            format!("{}\n", event(&format!(r#","x":"{}""#, noise(taken * 64 + index, 60_000))))
        };
        let body: String = (0..64).map(line).collect();
        let reply = send(&api, "i-full", &[], body).await;
        if reply.status != 200 {
            break reply;
        }
        taken += 1;
        assert!(taken < 30, "a tenth of 64 MiB is full after a few MiB");
    };
    problem(&full, 503, "BufferFull");
    assert!(
        full.headers["retry-after"]
            .to_str()
            .is_ok_and(|text| text.parse::<u32>().is_ok_and(|after| after > 0))
    );
    assert_eq!(
        accepted_so_far(&api, "i-full").await,
        64 * taken as u64,
        "nothing of it was dropped or taken"
    );
    send(&api, "i-roomy", &[], event("")).await.expect(200);
    let status = api.get("exports/i-full/siem/status").await.raw;
    assert!(status.contains("BufferFull"), "the status warns: {status}");
}

/// Text that does not compress.
fn noise(seed: usize, length: usize) -> String {
    let mut state = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let letter = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + u8::try_from(state >> 32 & 0x3f).expect("6 bits"))
    };
    (0..length).map(letter).map(|letter| if letter == '\\' { '~' } else { letter }).collect()
}
