//! The delivery record: all that must be remembered of a destination's deliveries.

use async_trait::async_trait;
use barndoor_crds::event_type::EventTypeSet;
use barndoor_crds::name::{DestinationUid, OrganizationUid};
use barndoor_crds::place::Place;
use barndoor_crds::settings::Format;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::destinations::StorageError;
use crate::event_log::{LogEpoch, Sequence};

/// One destination's place in the log, its counters and its open plan. Written only by compare-and-swap of
/// `revision`, and only with what `decide` returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// Grows by one with every write.
    pub revision: u64,
    /// Grows by one whenever an exporter takes the destination over.
    pub owner_epoch: u64,
    /// Where the first wish to stream found the log.
    pub start: Start,
    /// The first event not yet resolved. Unchanged while a plan is open.
    pub next: Sequence,
    /// The first sequence that the next object's name must cover: the previous object's last + 1.
    pub covered_from: Sequence,
    /// What event `next` - 1 looked like.
    pub anchor: Option<Anchor>,
    /// Where every event went.
    pub counts: Counts,
    /// SHA-256 of the previous object's uncompressed bytes, in hexadecimal.
    pub previous_sha256: Option<String>,
    /// The object that is being delivered.
    pub plan: Option<Plan>,
    /// When the log was found not to be the one remembered, and deliveries began anew at its oldest event.
    #[serde(default)]
    pub log_replaced_at: Option<Timestamp>,
}

impl DeliveryRecord {
    /// A first wish to stream, accepted when the log ended just before `start.sequence`.
    pub fn begin(start: Start, anchor: Option<Anchor>) -> Self {
        Self {
            revision: 1,
            owner_epoch: 0,
            next: start.sequence,
            covered_from: start.sequence,
            start,
            anchor,
            counts: Counts::default(),
            previous_sha256: None,
            plan: None,
            log_replaced_at: None,
        }
    }
}

/// Where a destination's deliveries begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The log it is a place in.
    pub log_epoch: LogEpoch,
    /// The first event that is the destination's.
    pub sequence: Sequence,
    /// When.
    pub at: Timestamp,
}

/// The fingerprint of one event, to notice a log that is not the one it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Which event.
    pub sequence: Sequence,
    /// Its [`crate::event_log::event_crc`].
    pub crc: u32,
}

/// Where events went. With the backlog they add up to what was accepted since Start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In the bucket.
    pub delivered: u64,
    /// Not of a wanted type.
    pub filtered: u64,
    /// Older than the retention before they could be delivered.
    pub dropped_age: u64,
    /// Events whose object was given up without proof that it is not there: they may be there beside what became of
    /// them later.
    pub possibly_duplicated: u64,
}

/// One object on its way. Immutable but for `outcome`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The first sequence in the object's name; at most the record's `next`.
    pub first: Sequence,
    /// The last sequence in the object's name, and the last event it resolves.
    pub last: Sequence,
    /// The fingerprint of event `last`: the anchor once the plan is committed.
    pub last_crc: u32,
    /// Events in the object.
    pub count: u64,
    /// Events of the range left out by the filter.
    pub filtered: u64,
    /// The start of the hour of acceptance, UTC.
    pub hour: Timestamp,
    /// Where the object goes.
    pub place: Place,
    /// The whole key.
    pub key: String,
    /// SHA-256 of the uncompressed bytes, in hexadecimal.
    pub uncompressed_sha256: String,
    /// The filter in force at the cut.
    pub event_types: EventTypeSet,
    /// The format in force at the cut.
    pub format: Format,
    /// The encoder's version, so that a replay makes the same bytes.
    pub encoder: u32,
    /// What is known of the attempts.
    pub outcome: Outcome,
}

/// What is known of a plan's attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// No attempt was made, or every attempt was definitely refused.
    NotSent,
    /// An attempt may have been made, and may still land until this time.
    Unknown {
        /// The end of the last attempt's signature.
        may_land_until: Timestamp,
    },
}

/// Why a delivery record was not written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Somebody else wrote it, or it is gone: this owner must stop.
    #[error("the delivery record was written by another owner, or removed")]
    Lost,
    /// The storage below failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Where delivery records are kept.
#[async_trait]
pub trait DeliveryRecords: Send + Sync + 'static {
    /// The record; `None` when no wish to stream was ever accepted, or the destination is gone.
    async fn load(
        &self,
        organization: &OrganizationUid,
        destination: &DestinationUid,
    ) -> Result<Option<DeliveryRecord>, StorageError>;

    /// Writes the record if the stored one has the revision before it.
    ///
    /// # Errors
    /// [`RecordError::Lost`] when it has another, or there is none.
    async fn compare_and_swap(
        &self,
        organization: &OrganizationUid,
        destination: &DestinationUid,
        record: DeliveryRecord,
    ) -> Result<(), RecordError>;

    /// Every record of an organization: what trimming must look at.
    async fn of_organization(
        &self,
        organization: &OrganizationUid,
    ) -> Result<Vec<(DestinationUid, DeliveryRecord)>, StorageError>;
}
