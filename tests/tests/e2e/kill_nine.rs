//! kill -9 at random moments while events arrive and the store loses answers; afterwards a full account by event id.
//!
//! `BARNDOOR_KILLS=200` makes it longer, `BARNDOOR_SEED=7` repeats the moments and the weather of one run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use barndoor_tests::account::{Accepted, account};
use barndoor_tests::bucket::Bucket;
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::deadline::eventually;
use barndoor_tests::events::{EventSource, ndjson};
use barndoor_tests::fault_front::{FaultFront, Weather};
use barndoor_tests::minio::{Minio, guide_policy};
use barndoor_tests::rest::{Encoding, Ingest, Rest, accepted};
use barndoor_tests::s3_client::Keys;
use barndoor_tests::strict_aws::{Dialect, Policy, StrictAws};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokio::task::JoinSet;

const KILLS: u64 = 20;
const PRODUCERS: usize = 4;
/// Together more than 2,000 events/s.
const BATCH_EVENTS: usize = 100;
const BATCH_EVERY: Duration = Duration::from_millis(100);
const ORG: &str = "kill-nine";
const NAME: &str = "audit";

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// Sends batches, each under its own key and again until it is answered, and collects what was accepted.
async fn produce(rest: Rest, label: String, stop: Arc<AtomicBool>) -> Vec<Accepted> {
    let mut source = EventSource::new(&label).padded_by(500);
    let mut all = Vec::new();
    let mut tick = tokio::time::interval(BATCH_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for batch in 0.. {
        if stop.load(Ordering::Relaxed) {
            return all;
        }
        tick.tick().await;
        let events = source.take(BATCH_EVENTS);
        let options =
            Ingest { idempotency_key: Some(format!("{label}-{batch}")), encoding: Encoding::Identity };
        loop {
            match rest.try_ingest(ORG, ndjson(&events), &options).await {
                Ok(reply) if reply.status == 200 => {
                    all.extend(accepted(&reply.body, &events));
                    break;
                }
                Ok(reply) => assert_eq!(reply.status, 503, "{reply:?}"),
                Err(_killed) => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    unreachable!("batches are counted for ever")
}

struct Run {
    expected: Vec<Accepted>,
    seed: u64,
}

/// Streams to the endpoint, kills and restarts, and comes to rest with calm weather.
async fn run(endpoint: &str, bucket: &str, keys: &Keys, kills: u64, front: Option<&FaultFront>) -> Run {
    let seed = number("BARNDOOR_SEED").unwrap_or_else(|| rand::rng().random());
    println!("BARNDOOR_SEED={seed} repeats this run");
    let mut dice = StdRng::seed_from_u64(seed);
    let mut controller = Controller::start(Options::loopback()).await;
    let rest = controller.rest().clone();
    let destination = json!({
        "endpoint": endpoint, "bucket": bucket, "region": "us-east-1",
        "access_key_id": keys.access_key_id, "secret_access_key": keys.secret_access_key,
    });
    rest.put_destination(ORG, NAME, &destination).await.ok();
    let settings = json!({ "flush_interval_seconds": 1, "batch_size": 1_000 });
    rest.patch_settings(ORG, NAME, &settings).await.ok();
    rest.start(ORG, NAME).await.ok();
    if let Some(front) = front {
        front.set(Weather::Rough { answers_lost_percent: 10, slow_down_percent: 10 });
    }

    let stop = Arc::new(AtomicBool::new(false));
    let mut producers = JoinSet::new();
    for producer in 0..PRODUCERS {
        producers.spawn(produce(rest.clone(), format!("{seed:x}-{producer}"), stop.clone()));
    }
    let (mut up, began) = (Duration::ZERO, Instant::now());
    for _ in 0..kills {
        let life = Duration::from_millis(dice.random_range(300..3_000));
        tokio::time::sleep(life).await;
        controller.kill9();
        up += life;
        controller.restart().await;
    }
    stop.store(true, Ordering::Relaxed);
    let expected: Vec<Accepted> = producers.join_all().await.into_iter().flatten().collect();
    println!(
        "{kills} kills, {} events accepted in {:.0} s, of which it was up {:.0} s",
        expected.len(),
        began.elapsed().as_secs_f64(),
        up.as_secs_f64(),
    );
    if let Some(front) = front {
        front.set(Weather::Calm);
    }
    let total = expected.len() as u64;
    let delivery = eventually("the backlog to be drained", Duration::from_mins(2), async || {
        let delivery = rest.status(ORG, NAME).await.ok()["delivery"].take();
        (delivery["backlog"] == 0).then_some(delivery)
    })
    .await;
    assert_eq!(delivery["accepted"], total, "{delivery}");
    assert_eq!(delivery["delivered"], total, "{delivery}");
    assert_eq!(delivery["possibly_duplicated"], 0, "{delivery}");
    Run { expected, seed }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_load_behind_a_store_that_loses_answers_lose_nothing_and_double_nothing() {
    let minio = Minio::shared().await;
    let bucket = "kill-nine";
    minio.create_bucket(bucket).await;
    let keys = minio.create_user("kill-nine", &guide_policy(bucket)).await;
    let front = FaultFront::start(minio.endpoint(), number("BARNDOOR_SEED").unwrap_or(1)).await;
    let kills = number("BARNDOOR_KILLS").unwrap_or(KILLS);
    let Run { expected, seed } = run(front.endpoint(), bucket, &keys, kills, Some(&front)).await;

    let objects = Bucket::new(minio.client(), bucket).delivered("audit-events/").await;
    let found = account(&expected, &objects);
    println!("seed {seed}: {} objects, account {found:?}", objects.len());
    found.assert_clean();
    let tally = front.tally();
    assert_eq!(tally.overwritten_with_other_bytes(), Vec::<&str>::new());
    assert!(tally.answers_lost > 0 && tally.slowed_down > 0, "the weather was rough");
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_before_a_store_that_ignores_preconditions_overwrite_objects_only_with_themselves() {
    let store = StrictAws::start(Dialect::IgnoresPreconditions).await;
    let bucket = "kill-nine-overwrites";
    store.create_bucket(bucket, "us-east-1");
    let policy = Policy::of(&guide_policy(bucket)).expect("the guide's policy");
    let keys = store.create_identity("arn:aws:iam::111122223333:user/kill-nine", policy);
    let front = FaultFront::start(store.endpoint(), 2).await;
    let Run { expected, .. } = run(front.endpoint(), bucket, &keys, KILLS / 2, Some(&front)).await;

    let objects = Bucket::new(store.client(), bucket).delivered("audit-events/").await;
    account(&expected, &objects).assert_clean();
    assert_eq!(store.overwritten(bucket), Vec::<String>::new());
    assert_eq!(front.tally().overwritten_with_other_bytes(), Vec::<&str>::new());
}
