//! Destinations, as a port: the one declared state behind REST, Terraform, the page and kubectl.
//!
//! It keeps wishes, identities and credentials; it must not know how objects are delivered.

use async_trait::async_trait;
use barndoor_crds::aws::{ExternalId, RoleArn};
use barndoor_crds::event_type::EventType;
use barndoor_crds::name::{DestinationName, DestinationUid, OrganizationName, OrganizationUid};
use barndoor_crds::place::Place;
use barndoor_crds::settings::{Batch, Format};
use barndoor_crds::status::{CheckReport, DeliveryIssue, LastObject};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

pub mod embedded;

/// A declared destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// The tenant's name.
    pub organization: OrganizationName,
    /// The tenant's identity.
    pub organization_uid: OrganizationUid,
    /// The name inside the organization.
    pub name: DestinationName,
    /// The identity for life.
    pub uid: DestinationUid,
    /// Grows by one with every change of what is declared.
    pub generation: u64,
    /// The wish: paused or streaming.
    pub wish: Wish,
    /// Where objects go.
    pub place: Place,
    /// The REST client's own spelling of the place.
    pub as_sent: AsSent,
    /// How the store is entered.
    pub auth: Auth,
    /// The filter in the order it was sent; absent means every type.
    pub include: Option<Vec<EventType>>,
    /// How one event becomes one line.
    pub format: Format,
    /// How objects are filled.
    pub batch: Batch,
}

impl Destination {
    /// Which version of which destination this is.
    pub fn version(&self) -> Version {
        Version { uid: self.uid.clone(), generation: self.generation }
    }

    /// Whether events go to the same place under the same identity.
    pub fn connects_like(&self, other: &Self) -> bool {
        self.place == other.place && self.auth == other.auth
    }
}

/// Whether events shall flow; never whether they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Wish {
    /// Keep events back.
    Paused,
    /// Send events.
    Streaming,
}

/// The place as a REST client spelled it; echoed byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsSent {
    /// With or without a scheme.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// May be empty.
    pub region: Option<String>,
    /// May be absent.
    pub path_prefix: Option<String>,
    /// Decides the scheme where the endpoint has none.
    pub use_ssl: bool,
    /// Path addressing, in the older clients' word.
    pub use_path_style: bool,
}

/// How the store is entered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Auth {
    /// A role of the customer's, assumed for every batch.
    IamRole(RoleArn),
    /// Access keys in the secret store.
    AccessKeys,
}

/// An access key pair. Its `Debug` shows no secret, and it has no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKeys {
    /// The key's id; shown nowhere either.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: String,
}

impl std::fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessKeys(..)")
    }
}

/// What a PUT declares.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Where objects go.
    pub place: Place,
    /// The client's spelling.
    pub as_sent: AsSent,
    /// How the store is entered.
    pub auth: DeclaredAuth,
}

/// How a declaration says that the store is entered.
#[derive(Clone, Debug)]
pub enum DeclaredAuth {
    /// By role; keys stored before are deleted.
    IamRole(RoleArn),
    /// With these keys, replacing stored ones.
    NewAccessKeys(AccessKeys),
    /// With the keys stored before.
    StoredAccessKeys,
}

/// A change of settings; `None` leaves one as it is.
#[derive(Clone, Debug, Default)]
pub struct SettingsChange {
    /// Events an object may hold.
    pub max_events: Option<u32>,
    /// Seconds after a batch's first event.
    pub max_delay_seconds: Option<u32>,
    /// Bytes as uploaded.
    pub max_bytes: Option<u32>,
    /// Quick retries.
    pub max_retries: Option<u32>,
    /// The filter; the inner `None` means every type.
    pub include: Option<Option<Vec<EventType>>>,
    /// How one event becomes one line.
    pub format: Option<Format>,
    /// The wish. Streaming also fixes the place in the log, in the same write.
    pub wish: Option<Wish>,
    /// Changes nothing unless the destination is still this version: for what was decided by looking at it.
    pub expected: Option<Version>,
}

/// A destination as it was declared at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Which destination; one that is declared again after its removal is another.
    pub uid: DestinationUid,
    /// Its generation.
    pub generation: u64,
}

/// What is known of a destination beside its declaration; saved so that a restart does not forget it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The last check.
    pub check: Option<CheckReport>,
    /// The last delivery that failed; gone after a success.
    pub last_issue: Option<DeliveryIssue>,
    /// The last object delivered.
    pub last_object: Option<LastObject>,
    /// When a delivery or check last succeeded.
    pub healthy_at: Option<Timestamp>,
}

impl Health {
    /// Remembers what a check found.
    pub fn take_check(&mut self, check: CheckReport) {
        if check.healthy {
            self.healthy_at = Some(check.at);
        }
        self.check = Some(check);
    }

    /// What was seen at another place, or under another identity, says nothing of the present one.
    pub fn forget_evidence(&mut self) {
        self.check = None;
        self.last_issue = None;
        self.healthy_at = None;
    }
}

/// What changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// Created, or its declaration or wish changed.
    Declared(Box<Destination>),
    /// Gone, with its delivery record and credentials.
    Removed(DestinationUid),
}

/// Why a declaration was not taken; nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    /// No keys were sent and none are stored.
    #[error("access_key_id and secret_access_key are required: no keys are stored for this destination")]
    KeysRequired,
    /// The organization has as many destinations as it may.
    #[error("the organization has {limit} destinations, which is the most: remove one first")]
    TooMany {
        /// The most.
        limit: usize,
    },
    /// The storage below failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why settings or the wish were not changed.
#[derive(Debug, thiserror::Error)]
pub enum AdjustError {
    /// It is not the version that the change was meant for.
    #[error("the destination was changed meanwhile")]
    OtherVersion,
    /// The storage below failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The storage of destinations failed.
#[derive(Debug, thiserror::Error)]
#[error("the destinations' storage failed: {0}")]
pub struct StorageError(#[source] pub std::sync::Arc<dyn std::error::Error + Send + Sync>);

/// Why there are no access keys.
#[derive(Debug, thiserror::Error)]
pub enum AccessKeysError {
    /// None are stored.
    #[error("no access keys are stored for this destination")]
    NotFound,
    /// They cannot be opened.
    #[error("the stored access keys cannot be used: {0}")]
    NotUsable(String),
    /// The storage below failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Where destinations are declared and kept.
#[async_trait]
pub trait Destinations: Send + Sync + 'static {
    /// The destination of this name.
    async fn find(
        &self,
        organization: &OrganizationName,
        name: &DestinationName,
    ) -> Result<Option<Destination>, StorageError>;

    /// An organization's destinations in name order, after `after`, at most `limit`.
    async fn list(
        &self,
        organization: &OrganizationName,
        after: Option<&DestinationName>,
        limit: usize,
    ) -> Result<Vec<Destination>, StorageError>;

    /// Every destination of every organization.
    async fn all(&self) -> Result<Vec<Destination>, StorageError>;

    /// Creates a destination, paused, or changes place and authentication and keeps the rest. Keys are stored or
    /// deleted in the same write.
    ///
    /// # Errors
    /// Nothing changed.
    async fn declare(
        &self,
        organization: &OrganizationName,
        name: &DestinationName,
        declaration: Declaration,
    ) -> Result<Destination, DeclareError>;

    /// Changes settings or the wish; `None` when there is no such destination. A first wish to stream creates the
    /// delivery record at the log's end in the same write.
    ///
    /// # Errors
    /// Nothing changed.
    async fn adjust(
        &self,
        organization: &OrganizationName,
        name: &DestinationName,
        change: SettingsChange,
    ) -> Result<Option<Destination>, AdjustError>;

    /// Removes the destination, its credentials, its health and its delivery record in one write; the uid that went.
    async fn remove(
        &self,
        organization: &OrganizationName,
        name: &DestinationName,
    ) -> Result<Option<DestinationUid>, StorageError>;

    /// The destination's keys, read anew every time; never cached.
    async fn access_keys(&self, destination: &Destination) -> Result<AccessKeys, AccessKeysError>;

    /// Whether keys are stored.
    async fn has_access_keys(&self, destination: &Destination) -> Result<bool, StorageError>;

    /// The External ID of this organization and name; the same for ever, there before the destination is.
    async fn external_id(
        &self,
        organization: &OrganizationName,
        name: &DestinationName,
    ) -> Result<ExternalId, StorageError>;

    /// What was saved of the destination's health.
    async fn health(&self, uid: &DestinationUid) -> Result<Option<Health>, StorageError>;

    /// Saves the health; of a destination that is gone nothing is saved.
    async fn save_health(&self, uid: &DestinationUid, health: Health) -> Result<(), StorageError>;

    /// Changes of declarations. A lagging receiver has missed some and must look at all.
    fn changes(&self) -> broadcast::Receiver<Change>;
}
