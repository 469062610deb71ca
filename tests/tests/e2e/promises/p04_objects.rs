//! Promise 4: An object is one gzip member of JSON Lines under the hour of acceptance; every event is in the bucket within a
//! minute of acceptance; names sort in delivery order inside an hour.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use barndoor_tests::events::EventSource;

use crate::e2e::export::{DELIVERY_LIMIT, Export, PREFIX};

/// Long enough for several flushes of the default 30 s.
const PRODUCTION: Duration = Duration::from_secs(70);

#[tokio::test(flavor = "multi_thread")]
async fn promise_04_every_event_is_in_the_bucket_within_a_minute_under_its_hour_of_acceptance() {
    let (_controller, export) = Export::on_minio("p04-objects").await;
    export.start().await.ok();
    let mut events = EventSource::new("p04").padded_by(500);
    let mut accepted = Vec::new();
    let mut answered_at = HashMap::new();
    let mut seen_at: HashMap<String, Instant> = HashMap::new();
    let mut lines = HashMap::new();
    let mut hours = BTreeSet::new();
    let started = Instant::now();
    loop {
        let producing = started.elapsed() < PRODUCTION;
        let all_seen = seen_at.len() == accepted.len();
        if (!producing && all_seen) || started.elapsed() > PRODUCTION + DELIVERY_LIMIT {
            break;
        }
        if producing {
            hours.insert(jiff::Timestamp::now().strftime("date=%Y-%m-%d/hour=%H").to_string());
            let batch = events.take(20);
            let answer = export.accept(&batch).await;
            let now = Instant::now();
            for (event, known) in batch.into_iter().zip(&answer) {
                answered_at.insert(known.id.clone(), now);
                lines.insert(event.id, event.line);
            }
            accepted.extend(answer);
            hours.insert(jiff::Timestamp::now().strftime("date=%Y-%m-%d/hour=%H").to_string());
        }
        for id in export.bucket.event_ids(PREFIX).await {
            seen_at.entry(id).or_insert_with(Instant::now);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    export.account(&accepted).await.assert_clean();
    let slowest = answered_at.iter().map(|(id, at)| seen_at[id].duration_since(*at)).max();
    assert!(slowest <= Some(DELIVERY_LIMIT), "the slowest event took {slowest:?}");

    let delivered = export.bucket.delivered(PREFIX).await;
    assert!(delivered.len() >= 3, "several flushes: {}", delivered.len());
    for object in &delivered {
        let hour = format!("date={}/hour={}", object.name.date, object.name.hour);
        assert!(hours.contains(&hour), "{hour} is no hour of acceptance: {hours:?}");
        for (id, line) in object.event_ids().expect("every line is an event").iter().zip(&object.lines) {
            assert_eq!(line, &lines[id], "bytes are delivered unchanged");
        }
    }
    let in_delivery_order: Vec<&str> = delivered.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(export.bucket.keys(PREFIX).await, in_delivery_order, "a listing is in delivery order");
}
