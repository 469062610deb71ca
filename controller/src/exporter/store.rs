//! The customer's store, as a port: a session per batch, and what a PUT or a listing can come to.

use std::time::Duration;

use async_trait::async_trait;
use barndoor_crds::place::Place;
use barndoor_crds::reason::Reason;
use bytes::Bytes;

use crate::destinations::Destination;

/// Why an operation on the customer's side failed, in words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The operation, such as `PutObject` or `AssumeRole`.
    pub operation: &'static str,
    /// Why, as a constant.
    pub reason: Reason,
    /// The store's own code, when it gave one.
    pub code: Option<String>,
    /// The store's own words; at most 1 KiB, no control characters.
    pub message: String,
    /// What to do; empty when there is nothing to do but wait.
    pub remedy: String,
}

/// One object to store.
#[derive(Clone, Debug)]
pub struct Object {
    /// The key in the bucket.
    pub key: String,
    /// One gzip member.
    pub body: Bytes,
    /// User metadata, names without `x-amz-meta-`.
    pub metadata: Vec<(&'static str, String)>,
}

/// What a PUT came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// The store acknowledged it.
    Stored,
    /// The key is taken (412); the key carries the content's hash, so these bytes are there.
    AlreadyThere,
    /// The store, having answered or never having been reached, definitely did not take it.
    Refused(Issue),
    /// The store answered with an error that does not say whether it took it (409, 5xx); nothing is on its way.
    Undecided(Issue),
    /// No answer came; the request may still be on its way and land later.
    Unanswered(Issue),
}

/// What a listing of one key came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// The key is there.
    Present,
    /// The key is not there now.
    Absent,
    /// The listing is not allowed or did not work.
    Unavailable(Issue),
}

/// Access to one place with credentials minted for one batch.
#[async_trait]
pub trait Session: Send + Sync {
    /// Stores the object unless its key is taken, where the store can tell. One request, no retry, bounded in time
    /// by [`put_timeout`].
    async fn put(&self, object: Object) -> PutOutcome;

    /// Whether anybody answers at all, in a few seconds: asked before memory is spent on a destination that failed.
    ///
    /// # Errors
    /// Nobody does.
    async fn reach(&self) -> Result<(), Issue>;

    /// Whether this key is there.
    async fn list(&self, key: &str) -> Listing;
}

/// Opens sessions.
#[async_trait]
pub trait ObjectStores: Send + Sync + 'static {
    /// Mints or reads credentials for the destination, now, and binds them to the place, which may be an older one
    /// than the destination's.
    ///
    /// # Errors
    /// The step that was refused.
    async fn open(&self, destination: &Destination, place: &Place) -> Result<Box<dyn Session>, Issue>;
}

/// How long one PUT of so many bytes may take: half a minute, and what a link of 256 KiB/s needs.
pub fn put_timeout(bytes: usize) -> Duration {
    const BASE: Duration = Duration::from_secs(30);
    const LEAST_BYTES_PER_SECOND: u64 = 256 * 1024;
    BASE + Duration::from_secs(bytes as u64 / LEAST_BYTES_PER_SECOND)
}

/// How long after its start a PUT may still land, in seconds: a SigV4 signature is valid for 15 minutes, and clocks
/// may differ by as much as 15 (Amazon S3 answers RequestTimeTooSkewed beyond).
pub const SIGNATURE_VALID_SECONDS: i64 = 30 * 60;
