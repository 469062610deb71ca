//! One export under test: a destination of an organization on a controller, and the bucket it fills.

use std::time::Duration;

use barndoor_tests::account::{Accepted, Account, account};
use barndoor_tests::bucket::Bucket;
use barndoor_tests::controller_process::{Controller, Options};
use barndoor_tests::deadline::eventually;
use barndoor_tests::events::{SentEvent, ndjson};
use barndoor_tests::minio::{Minio, REGION, guide_policy};
use barndoor_tests::rest::{Ingest, Reply, Rest, accepted};
use barndoor_tests::s3_client::Keys;
use serde_json::{Value, json};

/// The prefix of a destination that names none.
pub(crate) const PREFIX: &str = "audit-events/";

/// design.md, promise 3: after Start, events flow within so much.
pub(crate) const FLOW_LIMIT: Duration = Duration::from_secs(30);

/// design.md, promise 4: every event is in the bucket within so much of its acceptance.
pub(crate) const DELIVERY_LIMIT: Duration = Duration::from_mins(1);

/// Two back-offs of a minute with their jitter: after a repair the next attempt comes within this.
pub(crate) const RECOVERY_LIMIT: Duration = Duration::from_secs(150);

/// A destination by name. Cheap to clone; the controller is its owner's.
#[derive(Clone, Debug)]
pub(crate) struct Export {
    pub(crate) rest: Rest,
    pub(crate) organization: String,
    pub(crate) name: String,
    pub(crate) bucket: Bucket,
}

impl Export {
    pub(crate) fn new(controller: &Controller, organization: &str, name: &str, bucket: Bucket) -> Self {
        Self {
            rest: controller.rest().reconnected(),
            organization: organization.to_owned(),
            name: name.to_owned(),
            bucket,
        }
    }

    /// A controller, and an export into a fresh MinIO bucket of the organization's name with the guide's permissions,
    /// saved but not started.
    pub(crate) async fn on_minio(organization: &str) -> (Controller, Self) {
        let controller = Controller::start(Options::loopback()).await;
        let export = Self::on_minio_of(&controller, organization).await;
        (controller, export)
    }

    /// The same on a controller that runs.
    pub(crate) async fn on_minio_of(controller: &Controller, organization: &str) -> Self {
        let minio = Minio::shared().await;
        Self::on_minio_through(controller, organization, minio.endpoint()).await
    }

    /// The same with the store reached through another endpoint.
    pub(crate) async fn on_minio_through(
        controller: &Controller,
        organization: &str,
        endpoint: &str,
    ) -> Self {
        let minio = Minio::shared().await;
        minio.create_bucket(organization).await;
        let keys = minio.create_user(organization, &guide_policy(organization)).await;
        let export = Self::new(controller, organization, "siem", Bucket::new(minio.client(), organization));
        export.put(&with_keys(endpoint, organization, REGION, &keys)).await.expect(200);
        export
    }

    pub(crate) async fn put(&self, destination: &Value) -> Reply {
        self.rest.put_destination(&self.organization, &self.name, destination).await
    }

    pub(crate) async fn start(&self) -> Reply {
        self.rest.start(&self.organization, &self.name).await
    }

    pub(crate) async fn pause(&self) -> Reply {
        self.rest.pause(&self.organization, &self.name).await
    }

    pub(crate) async fn check(&self) -> Value {
        self.rest.check(&self.organization, &self.name, None).await.expect(200)
    }

    pub(crate) async fn settings(&self, settings: &Value) {
        self.rest.patch_settings(&self.organization, &self.name, settings).await.ok();
    }

    /// Batches are cut a second after their first event: for tests about something else than time.
    pub(crate) async fn flush_quickly(&self) {
        self.settings(&json!({ "flush_interval_seconds": 1 })).await;
    }

    pub(crate) async fn enabled(&self) -> bool {
        let export = self.rest.export(&self.organization, &self.name).await.expect(200);
        export["enabled"].as_bool().expect("enabled is always there")
    }

    pub(crate) async fn accept(&self, events: &[SentEvent]) -> Vec<Accepted> {
        self.rest.accept(&self.organization, events).await
    }

    /// Sends the events under one key until an answer accepts them, as a producer does across crashes.
    pub(crate) async fn accept_stubbornly(&self, key: &str, events: &[SentEvent]) -> Vec<Accepted> {
        let options = Ingest { idempotency_key: Some(key.to_owned()), ..Ingest::default() };
        let answer = eventually("an ingest to be answered", Duration::from_mins(1), async || {
            let reply = self.rest.try_ingest(&self.organization, ndjson(events), &options).await.ok()?;
            (reply.status == 200).then_some(reply.body)
        })
        .await;
        accepted(&answer, events)
    }

    /// Sends events that nobody keeps.
    pub(crate) async fn not_kept(&self, events: &[SentEvent]) {
        let reply = self.rest.try_ingest(&self.organization, ndjson(events), &Ingest::default()).await;
        let answer = reply.expect("the controller answers").expect(200);
        assert_eq!((&answer["accepted"], &answer["not_kept"]), (&json!(0), &json!(events.len())), "{answer}");
    }

    pub(crate) async fn status(&self) -> Value {
        self.rest.status(&self.organization, &self.name).await.expect(200)
    }

    /// A field of the status' `delivery`.
    pub(crate) async fn delivery(&self, field: &str) -> Value {
        self.status().await["delivery"][field].clone()
    }

    /// Waits until so many events are in the bucket.
    pub(crate) async fn wait_for(&self, events: usize, limit: Duration) -> Vec<String> {
        let what = format!("{events} events in {}", self.bucket.name());
        eventually(&what, limit, async || {
            let ids = self.bucket.event_ids(PREFIX).await;
            (ids.len() >= events).then_some(ids)
        })
        .await
    }

    /// Waits until the badge says so.
    pub(crate) async fn wait_for_state(&self, state: &str, limit: Duration) -> Value {
        eventually(&format!("the state {state}"), limit, async || {
            let status = self.status().await;
            (status["state"] == state).then_some(status)
        })
        .await
    }

    /// Waits until the banner shows a delivery issue of this operation.
    pub(crate) async fn wait_for_issue(&self, operation: &str) -> Value {
        eventually(&format!("an issue of {operation}"), RECOVERY_LIMIT, async || {
            let issue = self.delivery("last_issue").await;
            (issue["operation"] == operation).then_some(issue)
        })
        .await
    }

    /// Waits until nothing waits any more.
    pub(crate) async fn wait_until_drained(&self, limit: Duration) -> Value {
        eventually("an empty backlog", limit, async || {
            let delivery = self.status().await["delivery"].clone();
            (delivery["backlog"] == 0).then_some(delivery)
        })
        .await
    }

    /// The account of these events against the bucket.
    pub(crate) async fn account(&self, expected: &[Accepted]) -> Account {
        account(expected, &self.bucket.delivered(PREFIX).await)
    }
}

/// The body of a PUT with access keys.
pub(crate) fn with_keys(endpoint: &str, bucket: &str, region: &str, keys: &Keys) -> Value {
    json!({
        "endpoint": endpoint,
        "bucket": bucket,
        "region": region,
        "use_path_style": true,
        "auth_method": "access_keys",
        "access_key_id": keys.access_key_id,
        "secret_access_key": keys.secret_access_key,
    })
}

/// The body of a PUT with a role.
pub(crate) fn with_role(endpoint: &str, bucket: &str, region: &str, role_arn: &str) -> Value {
    json!({
        "endpoint": endpoint,
        "bucket": bucket,
        "region": region,
        "use_path_style": true,
        "auth_method": "iam_role",
        "iam_role_arn": role_arn,
    })
}

/// The step of a check report.
pub(crate) fn step<'a>(report: &'a Value, name: &str) -> &'a Value {
    let steps = report["steps"].as_array().unwrap_or_else(|| panic!("steps in {report}"));
    steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("{name} in {report}"))
}

/// Whether a text of a report or problem names all of these.
#[track_caller]
pub(crate) fn assert_names(text: &Value, words: &[&str]) {
    let text = text.as_str().unwrap_or_default();
    for word in words {
        assert!(text.contains(word), "{word} expected in: {text}");
    }
}
