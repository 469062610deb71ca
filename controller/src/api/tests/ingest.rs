use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::event_log::EventLog;

fn event(id: usize) -> String {
    format!(r#"{{"id":"{id}","type":"AUDIT","timestamp":"2026-01-31T12:00:00Z"}}"#)
}

fn events(count: usize) -> String {
    (0..count).map(|id| event(id) + "\n").collect()
}

async fn send(world: &World, headers: &[(&str, &str)], body: impl Into<Body>) -> Answered {
    let mut request = Request::post(format!("{PREFIX}/events/acme"))
        .header(AUTHORIZATION, format!("Bearer {}", world.admin))
        .header(CONTENT_TYPE, "application/x-ndjson");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(body.into()).expect("a request")).await
}

async fn streaming() -> World {
    let world = World::new().await;
    world.put("exports/acme/audit/destination", with_keys()).await;
    world.post("exports/acme/audit/start").await;
    world
}

#[tokio::test]
async fn events_are_kept_once_a_destination_wishes_to_stream() {
    let world = World::new().await;
    let answered = send(&world, &[], events(2)).await;
    assert_eq!((answered.status, &answered.body["not_kept"]), (StatusCode::OK, &json!(2)));
    assert_eq!((&answered.body["accepted"], answered.body.get("first")), (&json!(0), None));
    let world = streaming().await;
    let answered = send(&world, &[], format!("{}nonsense\n{}", events(1), event(2))).await;
    assert_eq!((&answered.body["accepted"], &answered.body["rejected_count"]), (&json!(2), &json!(1)));
    assert_eq!((&answered.body["first"], &answered.body["last"]), (&json!("1"), &json!("2")));
    assert_eq!(
        (&answered.body["rejected"][0]["line"], &answered.body["rejected"][0]["reason"]),
        (&json!(2), &json!("InvalidJson"))
    );
    let status = world.get("exports/acme/audit/status").await.body;
    assert_eq!((&status["delivery"]["accepted"], &status["delivery"]["backlog"]), (&json!(2), &json!(2)));
    assert!(status["delivery"]["oldest_pending_at"].is_string());
}

#[tokio::test]
async fn the_bytes_of_an_event_are_stored_unchanged() {
    let world = streaming().await;
    let odd =
        " {\"timestamp\":\"2026-01-31T12:00:00Z\",\"type\":\"AUDIT\", \"id\":\"\\u00e9\",\"n\":1e999}\t";
    assert_eq!(send(&world, &[], format!("{odd}\r\n")).await.status, StatusCode::OK);
    let batches = world
        .storage
        .read(
            &"acme"
                .parse::<barndoor_crds::name::OrganizationName>()
                .as_ref()
                .map(Into::into)
                .expect("a name"),
            1,
            1,
        )
        .await
        .expect("readable");
    assert_eq!(batches[0].event(0), odd.as_bytes());
}

#[tokio::test]
async fn a_body_without_events_is_refused() {
    let world = streaming().await;
    let refused = send(&world, &[], "x\n[]\n").await;
    assert_eq!(refused.problem(), (422, "AllRejected"));
    assert_eq!(refused.body["rejected"].as_array().map(Vec::len), Some(2));
    assert_eq!(send(&world, &[], "\n \r\n").await.problem(), (400, "EmptyBody"));
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_another_body_is_refused() {
    let world = streaming().await;
    let key = [("idempotency-key", "batch-1")];
    let body = format!("{}nonsense\n", events(3));
    let first = send(&world, &key, body.clone()).await;
    let again = send(&world, &key, body).await;
    assert_eq!((first.status, &first.text), (StatusCode::OK, &again.text));
    assert_eq!(send(&world, &key, events(4)).await.problem(), (409, "IdempotencyKeyReused"));
    assert_eq!(send(&world, &[], events(1)).await.body["first"], "4", "nothing was stored twice");
    let metrics = world.send(Request::get("/metrics").body(Body::empty()).expect("a request")).await;
    assert!(metrics.text.contains("ingest_accepted_events_total 4\n"), "{}", metrics.text);
    for bad in ["", "a b", &"x".repeat(129)] {
        let refused = send(&world, &[("idempotency-key", bad)], events(1)).await;
        assert_eq!((refused.problem().0, &refused.body["field"]), (400, &json!("Idempotency-Key")));
    }
}

#[tokio::test]
async fn a_repeat_of_much_nonsense_gets_the_first_of_the_list_and_the_whole_count() {
    let world = streaming().await;
    let key = [("idempotency-key", "batch-1")];
    let body = format!("{}{}", events(1), "nonsense\n".repeat(900));
    let first = send(&world, &key, body.clone()).await;
    let again = send(&world, &key, body).await;
    let listed = |answered: &Answered| answered.body["rejected"].as_array().expect("a list").clone();
    assert_eq!((listed(&first).len(), &first.body["rejected_count"]), (900, &json!(900)));
    assert_eq!((&again.body["first"], &again.body["rejected_count"]), (&json!("1"), &json!(900)));
    let (first, again) = (listed(&first), listed(&again));
    assert!((50..900).contains(&again.len()), "{}", again.len());
    assert_eq!(first[..again.len()], again);
}

#[tokio::test]
async fn gzip_is_decoded_and_its_plain_form_is_the_same_batch() {
    let world = streaming().await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(events(5_000).as_bytes()).expect("memory");
    let gzip = encoder.finish().expect("memory");
    let headers = [("content-encoding", "gzip"), ("idempotency-key", "k")];
    let answered = send(&world, &headers, gzip.clone()).await;
    assert_eq!(answered.body["accepted"], 5_000, "{}", answered.text);
    let plain = send(&world, &[("idempotency-key", "k")], events(5_000)).await;
    assert_eq!(plain.body, answered.body);
    let cut = send(&world, &[("content-encoding", "gzip")], gzip[..gzip.len() / 2].to_vec()).await;
    assert_eq!(cut.problem(), (400, "InvalidEncoding"));
}

#[tokio::test]
async fn what_is_too_long_or_of_another_kind_is_refused() {
    let world = streaming().await;
    let long = "\n".repeat(8 * 1024 * 1024 + 1);
    let refused = send(&world, &[], long.clone()).await;
    assert_eq!(refused.problem(), (413, "BodyTooLarge"));
    assert!(refused.text.contains("8388608"));
    let streamed = Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(long)]));
    assert_eq!(send(&world, &[], streamed).await.problem(), (413, "BodyTooLarge"));
    assert_eq!(
        send(&world, &[("content-encoding", "zstd")], "x").await.problem(),
        (415, "UnsupportedEncoding")
    );
    let json = Request::post(format!("{PREFIX}/events/acme"))
        .header(AUTHORIZATION, format!("Bearer {}", world.admin))
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(events(1)));
    assert_eq!(world.send(json.expect("a request")).await.problem(), (415, "UnsupportedMediaType"));
}

#[tokio::test]
async fn a_large_plain_body_is_taken_in_pieces() {
    let world = streaming().await;
    let body = events(40_000);
    assert!(body.len() > 2 * 1024 * 1024);
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> =
        body.as_bytes().chunks(10_007).map(|chunk| Ok(chunk.to_vec())).collect();
    let answered = send(&world, &[], Body::from_stream(futures_util::stream::iter(chunks))).await;
    assert_eq!((&answered.body["accepted"], &answered.body["last"]), (&json!(40_000), &json!("40000")));
}

#[tokio::test]
async fn too_much_at_once_is_put_off() {
    let world = World::with_ingest_bytes(512 * 1024).await;
    assert_eq!(send(&world, &[], events(10)).await.status, StatusCode::OK);
    let busy = send(&world, &[], events(20_000)).await;
    assert_eq!(busy.problem(), (503, "Busy"));
    assert_eq!(busy.header("retry-after"), "1");
    assert_eq!(send(&world, &[], events(10)).await.status, StatusCode::OK, "the budget was given back");
}

#[tokio::test]
async fn a_small_body_that_decodes_to_more_than_there_is_memory_for_is_put_off() {
    let world = World::with_ingest_bytes(1024 * 1024).await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let event = event(1) + "\n";
    encoder.write_all(event.repeat(4 * 1024 * 1024 / event.len()).as_bytes()).expect("memory");
    let gzip = encoder.finish().expect("memory");
    assert!(gzip.len() < 128 * 1024, "{}", gzip.len());
    let headers = [("content-encoding", "gzip")];
    let busy = send(&world, &headers, gzip.clone()).await;
    assert_eq!(busy.problem(), (503, "Busy"));
    assert_eq!(busy.header("retry-after"), "1");
    let plain = send(&world, &[], events(10)).await;
    assert_eq!(plain.status, StatusCode::OK, "the budget was given back: {}", plain.text);
    let world = World::with_ingest_bytes(8 * 1024 * 1024).await;
    assert_eq!(send(&world, &headers, gzip).await.status, StatusCode::OK);
}
