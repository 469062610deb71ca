//! The event log, as a port: where accepted events wait, in order, per organization.
//!
//! It knows organizations and bytes; it must not know destinations beyond "somebody has a place", nor S3.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use barndoor_crds::event_type::EventType;
use barndoor_crds::name::OrganizationUid;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

#[cfg(test)]
pub(crate) mod conformance;
pub mod embedded;

/// A dense per-organization number, given when an event is accepted. The first is 1.
pub type Sequence = u64;

/// Most decoded bytes of events in one stored record batch; longer appends are stored as several.
pub const RECORD_BATCH_BYTES: usize = 1024 * 1024;

/// Most bytes of the note that is stored with an idempotency key: 15 KiB, so that with its key it stays below 16.
pub const NOTE_MAX_BYTES: usize = 15 * 1024;

/// The identity of an organization's log; a new one sorts after every older one (26 characters, ULID).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogEpoch(String);

impl LogEpoch {
    /// Wraps a ULID, lower case.
    pub fn new(ulid: ulid::Ulid) -> Self {
        Self(ulid.to_string().to_ascii_lowercase())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where an organization's log begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// The log's identity.
    pub epoch: LogEpoch,
    /// The oldest sequence still kept; equals `next` when nothing is kept.
    pub first: Sequence,
    /// The sequence that the next accepted event gets.
    pub next: Sequence,
    /// Decoded bytes of all events ever appended.
    pub appended_bytes: u64,
}

/// Valid events in the order they arrived, not numbered yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The events' bytes, each followed by a line feed: JSON Lines.
    pub bytes: Vec<u8>,
    /// Where each event's line ends in `bytes`, its line feed included.
    pub ends: Vec<u32>,
    /// Each event's type.
    pub types: Vec<EventType>,
}

impl Events {
    /// Adds one event; its bytes hold no line feed.
    pub fn push(&mut self, event_type: EventType, event: &[u8]) {
        self.bytes.extend_from_slice(event);
        self.bytes.push(b'\n');
        // Ingest's decoded limit of 32 MiB is far below u32::MAX.
        self.ends.push(u32::try_from(self.bytes.len()).expect("ingest bounds a batch to 32 MiB"));
        self.types.push(event_type);
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// A numbered run of events that were accepted together: the unit of storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBatch {
    /// The first event's sequence; the others follow densely.
    pub first: Sequence,
    /// When they were accepted (wall clock, millisecond precision).
    pub accepted_at: Timestamp,
    /// Decoded bytes of all events appended before this batch.
    pub bytes_before: u64,
    /// The events' bytes, each followed by a line feed: JSON Lines, copied as they are into an object.
    pub bytes: Bytes,
    /// Where each event's line ends in `bytes`, its line feed included; never empty.
    pub ends: Vec<u32>,
    /// Each event's type.
    pub types: Vec<EventType>,
}

impl RecordBatch {
    /// The last event's sequence.
    pub fn last(&self) -> Sequence {
        self.first + self.ends.len() as u64 - 1
    }

    /// The bytes of the event at this index, counted from 0, without its line feed.
    pub fn event(&self, index: usize) -> &[u8] {
        let line = self.lines(index..index + 1);
        line.strip_suffix(b"\n").unwrap_or(line)
    }

    /// The lines of the events at these indexes, line feeds included.
    pub fn lines(&self, indexes: Range<usize>) -> &[u8] {
        let start = if indexes.start == 0 { 0 } else { self.ends[indexes.start - 1] as usize };
        let end = if indexes.end == 0 { 0 } else { self.ends[indexes.end - 1] as usize };
        &self.bytes[start..end]
    }
}

/// The fingerprint of one event: CRC-32 (IEEE) over its big-endian sequence, then its bytes.
pub fn event_crc(sequence: Sequence, event: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_be_bytes());
    hasher.update(event);
    hasher.finalize()
}

/// A producer's promise that a repeat with the same key is the same batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The producer's key, 1 to 128 visible ASCII characters.
    pub key: String,
    /// SHA-256 of the decoded body.
    pub body_sha256: [u8; 32],
    /// What else belongs to the first answer (the rejected lines), at most [`NOTE_MAX_BYTES`]; given back unread.
    pub note: Vec<u8>,
}

/// What became of an append, now or when its key was first seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Whether the events are in the log.
    pub fate: Fate,
    /// The note stored with the idempotency key; empty without one.
    pub note: Vec<u8>,
}

/// Whether events were kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// On disk under these sequences.
    Kept {
        /// The first event's sequence.
        first: Sequence,
        /// The last event's sequence.
        last: Sequence,
    },
    /// No destination of the organization has a place in the log: counted, not stored.
    NotKept {
        /// How many events.
        count: u64,
    },
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The same key came with another body before.
    #[error("Idempotency-Key was used before with another body: use a new key for new events")]
    KeyReused,
    /// A size limit is reached.
    #[error("{0}")]
    Full(FullScope),
    /// The disk failed or is full.
    #[error(transparent)]
    Storage(#[from] LogError),
}

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FullScope {
    /// The organization's share.
    #[error(
        "the organization's share of the event log is full: repair or resume its destinations, or ask the operator to raise --organization-share"
    )]
    Organization,
    /// The whole log.
    #[error("the event log is full: repair or resume destinations, or raise --event-log-limit")]
    Log,
    /// The disk below it.
    #[error("the disk of the data folder is full: free some space; events are accepted again by themselves")]
    Disk,
}

/// The log could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The storage below failed.
    #[error("the event log's storage failed: {0}")]
    Storage(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// What was read is not what was written.
    #[error("the event log is damaged at sequence {at}: {what}")]
    Damaged {
        /// Where.
        at: Sequence,
        /// What is wrong with it.
        what: String,
    },
}

/// How full the log is for one organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on disk of the organization's batches, and of its idempotency keys with their answers.
    pub organization_bytes: u64,
    /// The organization's share, in bytes.
    pub organization_limit_bytes: u64,
    /// The same of all organizations.
    pub total_bytes: u64,
    /// The log's limit, in bytes.
    pub total_limit_bytes: u64,
}

/// How full the log is, whichever organization fills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotalUsage {
    /// Bytes on disk of all batches, and of all idempotency keys with their answers.
    pub bytes: u64,
    /// The log's limit, in bytes.
    pub limit_bytes: u64,
}

/// Durable, ordered, per-organization storage of accepted events.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Numbers the events, stamps them and answers once they (and the idempotency key with its answer) are on disk.
    /// A key seen before with the same body gets its first answer again and appends nothing.
    ///
    /// # Errors
    /// Nothing was stored.
    async fn append(
        &self,
        organization: &OrganizationUid,
        events: Events,
        idempotency: Option<Idempotency>,
    ) -> Result<Appended, AppendError>;

    /// Whole record batches in order, beginning with the one that holds `from`, until `limit_bytes` of decoded
    /// events are reached; always at least one if there is any. Empty at the end of the log.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when `from` was trimmed, or a number is missing.
    async fn read(
        &self,
        organization: &OrganizationUid,
        from: Sequence,
        limit_bytes: usize,
    ) -> Result<Vec<RecordBatch>, LogError>;

    /// Where the log begins and ends; `None` when the organization never had one.
    async fn head(&self, organization: &OrganizationUid) -> Result<Option<LogHead>, LogError>;

    /// Frees batches whose events all come before this sequence. May keep more.
    async fn trim(&self, organization: &OrganizationUid, before: Sequence) -> Result<(), LogError>;

    /// Gives the organization's log a new identity, because its content is not what a delivery record remembers.
    async fn renew_epoch(&self, organization: &OrganizationUid) -> Result<LogHead, LogError>;

    /// How full the log is.
    async fn usage(&self, organization: &OrganizationUid) -> Result<Usage, LogError>;

    /// Every organization that has a log.
    async fn organizations(&self) -> Result<Vec<OrganizationUid>, LogError>;

    /// Organizations whose log grew. A lagging receiver has missed some and must look at all.
    fn changes(&self) -> broadcast::Receiver<OrganizationUid>;
}
