//! The ports that the exporter sees of the simulated world; each step is one at which the process may die.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use barndoor_crds::name::{DestinationUid, OrganizationUid};
use barndoor_crds::place::Place;
use barndoor_crds::reason::Reason;
use jiff::{SignedDuration, Timestamp};
use rand::Rng;
use tokio::sync::broadcast;

use super::world::{BEGAN, Condition, Late, World};
use crate::clock::Clock;
use crate::destinations::{Destination, StorageError, Wish};
use crate::event_log::{
    AppendError, Appended, EventLog, Events, Idempotency, LogError, LogHead, RecordBatch, Sequence, Usage,
};
use crate::exporter::record::{DeliveryRecord, DeliveryRecords, RecordError};
use crate::exporter::store::{
    Issue, Listing, Object, ObjectStores, PutOutcome, SIGNATURE_VALID_SECONDS, Session,
};

fn issue(operation: &'static str, reason: Reason) -> Issue {
    Issue { operation, reason, code: None, message: "simulated".to_owned(), remedy: String::new() }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.steady()).expect("a short run");
        Timestamp::from_second(BEGAN).expect("a time") + elapsed
    }

    fn steady(&self) -> Duration {
        self.state().elapsed
    }

    async fn sleep(&self, duration: Duration) {
        self.pass(duration);
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl EventLog for World {
    async fn append(
        &self,
        _organization: &OrganizationUid,
        _events: Events,
        _idempotency: Option<Idempotency>,
    ) -> Result<Appended, AppendError> {
        unreachable!("the exporter does not append")
    }

    async fn read(
        &self,
        _organization: &OrganizationUid,
        from: Sequence,
        limit_bytes: usize,
    ) -> Result<Vec<RecordBatch>, LogError> {
        self.mortal().await;
        let state = self.state();
        if from < state.trimmed_before {
            return Err(LogError::Damaged { at: from, what: "trimmed".to_owned() });
        }
        let mut bytes = 0;
        let mut batches = Vec::new();
        for batch in state.batches.iter().filter(|batch| batch.last() >= from) {
            batches.push(batch.clone());
            bytes += batch.bytes.len();
            if bytes >= limit_bytes {
                break;
            }
        }
        Ok(batches)
    }

    async fn head(&self, _organization: &OrganizationUid) -> Result<Option<LogHead>, LogError> {
        self.mortal().await;
        let state = self.state();
        Ok(Some(LogHead {
            epoch: state.epoch.clone(),
            first: state.trimmed_before,
            next: state.next,
            appended_bytes: state.next * 12,
        }))
    }

    async fn trim(&self, _organization: &OrganizationUid, before: Sequence) -> Result<(), LogError> {
        let state = &mut *self.state();
        state.batches.retain(|batch| batch.last() >= before);
        state.trimmed_before = state.batches.first().map_or(before, |batch| batch.first);
        Ok(())
    }

    async fn renew_epoch(&self, _organization: &OrganizationUid) -> Result<LogHead, LogError> {
        panic!("this log is never replaced")
    }

    async fn usage(&self, _organization: &OrganizationUid) -> Result<Usage, LogError> {
        unreachable!("the exporter does not ask")
    }

    async fn organizations(&self) -> Result<Vec<OrganizationUid>, LogError> {
        unreachable!("the exporter does not ask")
    }

    fn changes(&self) -> broadcast::Receiver<OrganizationUid> {
        self.changes.subscribe()
    }
}

#[async_trait]
impl DeliveryRecords for World {
    async fn load(
        &self,
        _organization: &OrganizationUid,
        _destination: &DestinationUid,
    ) -> Result<Option<DeliveryRecord>, StorageError> {
        self.mortal().await;
        Ok(Some(self.state().record.clone()))
    }

    async fn compare_and_swap(
        &self,
        _organization: &OrganizationUid,
        _destination: &DestinationUid,
        record: DeliveryRecord,
    ) -> Result<(), RecordError> {
        self.mortal().await;
        {
            let mut state = self.state();
            if state.record.revision + 1 != record.revision {
                return Err(RecordError::Lost);
            }
            // What is durable is what can be read back.
            let bytes = serde_json::to_vec(&record).expect("a record is JSON");
            state.record = serde_json::from_slice(&bytes).expect("a record is read back");
        }
        self.mortal().await;
        Ok(())
    }

    async fn of_organization(
        &self,
        _organization: &OrganizationUid,
    ) -> Result<Vec<(DestinationUid, DeliveryRecord)>, StorageError> {
        Ok(vec![(self.uid(), self.state().record.clone())])
    }
}

struct SimulatedSession {
    world: Arc<World>,
    bucket: String,
}

#[async_trait]
impl ObjectStores for Arc<World> {
    async fn open(&self, _destination: &Destination, place: &Place) -> Result<Box<dyn Session>, Issue> {
        self.mortal().await;
        let refused = {
            let state = &mut *self.state();
            let probability = state.faults.credentials_refused;
            state.strikes(probability)
        };
        if refused {
            return Err(issue("AssumeRole", Reason::AssumeRoleDenied));
        }
        Ok(Box::new(SimulatedSession { world: self.clone(), bucket: place.bucket.to_string() }))
    }
}

#[async_trait]
impl Session for SimulatedSession {
    async fn put(&self, object: Object) -> PutOutcome {
        let world = &self.world;
        world.land();
        {
            let state = &mut *world.state();
            if state.destination.wish == Wish::Paused {
                state.violations.push(format!("{} was put while paused", object.key));
            }
            if state.destination.place.bucket.as_str() != self.bucket {
                state.violations.push(format!("{} was put into the bucket of before", object.key));
            }
        }
        world.mortal().await;
        let outcome = {
            let now = world.now();
            let state = &mut *world.state();
            let faults = state.faults;
            let condition = if state.strikes(faults.condition_ignored) {
                Condition::Ignored
            } else {
                Condition::Honoured
            };
            if state.strikes(faults.put_refused) {
                let reason =
                    if state.strikes(0.5) { Reason::WriteDenied } else { Reason::EndpointUnreachable };
                PutOutcome::Refused(issue("PutObject", reason))
            } else if state.strikes(faults.put_busy) {
                if state.strikes(0.2) {
                    state.store(&self.bucket, object, condition);
                }
                PutOutcome::Undecided(issue("PutObject", Reason::Throttled))
            } else if state.strikes(faults.reply_lost) {
                state.store(&self.bucket, object, condition);
                PutOutcome::Unanswered(issue("PutObject", Reason::EndpointUnreachable))
            } else if state.strikes(faults.request_lost) {
                PutOutcome::Unanswered(issue("PutObject", Reason::EndpointUnreachable))
            } else if state.strikes(faults.request_late) {
                let seconds = state.rng.random_range(1..SIGNATURE_VALID_SECONDS);
                let at = now + SignedDuration::from_secs(seconds);
                state.late.push(Late { at, bucket: self.bucket.clone(), object });
                PutOutcome::Unanswered(issue("PutObject", Reason::EndpointUnreachable))
            } else {
                state.store(&self.bucket, object, condition)
            }
        };
        world.sleep(Duration::from_millis(20)).await;
        world.mortal().await;
        outcome
    }

    async fn reach(&self) -> Result<(), Issue> {
        self.world.mortal().await;
        let state = &mut *self.world.state();
        let probability = state.faults.request_lost;
        if state.strikes(probability) {
            return Err(issue("HeadBucket", Reason::EndpointUnreachable));
        }
        Ok(())
    }

    async fn list(&self, key: &str) -> Listing {
        self.world.land();
        self.world.mortal().await;
        let state = &mut *self.world.state();
        let probability = state.faults.list_refused;
        if state.strikes(probability) {
            return Listing::Unavailable(issue("ListObjectsV2", Reason::HeadBucketDenied));
        }
        let there = state.buckets.get(&self.bucket).is_some_and(|bucket| bucket.contains_key(key));
        if there { Listing::Present } else { Listing::Absent }
    }
}
