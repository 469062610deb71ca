//! Promise 9: Every accepted event ends in exactly one place: delivered, filtered by type, or dropped by retention; with the
//! backlog the counters add up to what was accepted since Start, at any time and across kill -9.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use barndoor_crds::event_type::EventType;
use barndoor_tests::account::Accepted;
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::events::EventSource;
use barndoor_tests::fault_front::{FaultFront, Weather};
use barndoor_tests::minio::Minio;
use reqwest::Method;
use serde_json::{Value, json};

use crate::e2e::export::{Export, RECOVERY_LIMIT};

/// Kills, and how long the controller lives between them.
const LIVES: [Duration; 5] = [
    Duration::from_millis(2_500),
    Duration::from_millis(1_200),
    Duration::from_millis(4_100),
    Duration::from_millis(1_900),
    Duration::from_millis(3_300),
];

#[tokio::test(flavor = "multi_thread")]
async fn promise_09_every_event_ends_in_one_place_and_the_counters_add_up_across_kill_9() {
    const WANTED: [EventType; 2] = [EventType::ALL[0], EventType::ALL[5]];
    let minio = Minio::shared().await;
    let front = FaultFront::start(minio.endpoint(), 9).await;
    let mut controller = Controller::start(Options::loopback()).await;
    let export = Export::on_minio_through(&controller, "p09-account", front.endpoint()).await;
    export
        .settings(&json!({ "flush_interval_seconds": 1, "batch_size": 40, "included_event_types": WANTED.map(EventType::name) }))
        .await;
    export.start().await.ok();
    front.set(Weather::Rough { answers_lost_percent: 20, slow_down_percent: 20 });

    let done = AtomicBool::new(false);
    let produce = async {
        let mut events = EventSource::new("p09");
        let (mut accepted, mut wanted) = (0, Vec::<Accepted>::new());
        while !done.load(Ordering::Relaxed) {
            let batch = events.take(37);
            let answer = export.accept_stubbornly(&batch[0].id, &batch).await;
            accepted += answer.len();
            let kept = batch.iter().zip(answer).filter(|(event, _)| WANTED.contains(&event.event_type));
            wanted.extend(kept.map(|(_, known)| known));
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        (accepted, wanted)
    };
    let watch = async {
        let mut looks = 0;
        while !done.load(Ordering::Relaxed) {
            let path = "exports/p09-account/siem/status";
            if let Ok(reply) = export.rest.try_call(Method::GET, path, None).await
                && reply.status == 200
            {
                assert_adds_up(&reply.body["delivery"]);
                looks += 1;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        looks
    };
    let crash = async {
        for life in LIVES {
            tokio::time::sleep(life).await;
            controller.kill9();
            controller.restart().await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        done.store(true, Ordering::Relaxed);
    };
    let ((accepted, wanted), looks, ()) = tokio::join!(produce, watch, crash);

    front.set(Weather::Calm);
    let delivery = export.wait_until_drained(RECOVERY_LIMIT).await;
    assert_adds_up(&delivery);
    assert_eq!(delivery["accepted"], json!(accepted), "{delivery}");
    assert_eq!(delivery["delivered"], json!(wanted.len()), "{delivery}");
    assert_eq!(delivery["filtered"], json!(accepted - wanted.len()), "{delivery}");
    let account = export.account(&wanted).await;
    account.assert_clean();
    let tally = front.tally();
    assert!(tally.overwritten_with_other_bytes().is_empty(), "{tally:?}");
    assert!(tally.answers_lost > 0 && looks > 20, "the test tested something: {looks} looks, {tally:?}");
}

#[track_caller]
fn assert_adds_up(delivery: &Value) {
    let count = |field: &str| delivery[field].as_u64().unwrap_or_else(|| panic!("{field} in {delivery}"));
    let sum = count("delivered") + count("filtered") + count("dropped") + count("backlog");
    assert_eq!(sum, count("accepted"), "{delivery}");
}
