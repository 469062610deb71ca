//! The front does to uploads what the weather says, and nothing to the rest.

use aws_sdk_s3::primitives::ByteStream;
use barndoor_tests::bucket::Bucket;
use barndoor_tests::fault_front::{FaultFront, Weather};
use barndoor_tests::minio::{Minio, REGION};
use barndoor_tests::s3_client::{client, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn uploads_meet_the_weather_and_what_was_stored_is_known() {
    let minio = Minio::shared().await;
    minio.create_bucket("harness-weather").await;
    let front = FaultFront::start(minio.endpoint(), 7).await;
    let through = client(front.endpoint(), REGION, &minio.root());
    let put = |key: String, body: Vec<u8>| {
        through.put_object().bucket("harness-weather").key(key).body(ByteStream::from(body)).send()
    };
    put("calm/a=b c".to_owned(), b"one".to_vec()).await.expect("signatures survive the front");

    front.set(Weather::Rough { answers_lost_percent: 30, slow_down_percent: 30 });
    let mut answers = Vec::new();
    for number in 0..40 {
        let answer = put(format!("rough/{number}"), b"body".to_vec()).await;
        answers.push(answer.as_ref().err().map(refusal));
    }
    let tally = front.tally();
    let count = |wanted: &Option<(u16, String)>| answers.iter().filter(|answer| *answer == wanted).count();
    assert_eq!(count(&None), tally.passed - 1);
    assert_eq!(count(&Some((503, "SlowDown".to_owned()))), tally.slowed_down);
    assert_eq!(count(&Some((0, String::new()))), tally.answers_lost);
    assert!(tally.slowed_down > 4 && tally.answers_lost > 4, "{tally:?}");
    let stored = Bucket::new(minio.client(), "harness-weather").keys("rough/").await;
    assert_eq!(stored.len(), 40 - tally.slowed_down, "a lost answer is a stored object");

    front.set(Weather::Outage);
    assert_eq!(refusal(&put("x".to_owned(), Vec::new()).await.expect_err("an outage")).0, 0);
    front.set(Weather::Calm);
    assert!(front.tally().overwritten_with_other_bytes().is_empty());
    put("calm/a=b c".to_owned(), b"two".to_vec()).await.expect("calm again");
    assert_eq!(front.tally().overwritten_with_other_bytes(), ["/harness-weather/calm/a=b c"]);
}
