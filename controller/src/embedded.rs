//! Everything on one machine in one file: destinations, delivery records, the event log, OAuth2 clients.
//!
//! The folder below holds what they share: the database with its one writer thread, the data folder's lock and format,
//! the master key. The ports are implemented beside the ports. It must not know HTTP or S3.
//!
//! ```text
//!   append, declare, compare-and-swap … ─→ bounded queue ─→ writer thread: one transaction, durable ─→ answers to all
//!   read, find, load …                  ─→ snapshots, beside each other and beside the writer
//! ```

mod database;
mod delivery_records;
mod disk;
#[cfg(test)]
pub(crate) mod fixture;
mod keyring;
mod master_key;
mod open;
mod private_file;
pub(crate) mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use barndoor_crds::name::OrganizationUid;
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::destinations::{Change, StorageError};
use crate::event_log::LogError;

pub use self::database::Fault;
pub use self::disk::half_of_disk;
pub use self::keyring::TokenSigningKey;
pub use self::master_key::{InvalidMasterKey, MasterKey};
pub use self::open::OpenError;

/// Changes that a slow receiver may be behind before it misses some.
const CHANGES_KEPT: usize = 1_024;

/// How large the event log may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLogLimits {
    /// Bytes on disk of all organizations' events.
    pub total_bytes: u64,
    /// How much of that one organization may take, 1 to 100.
    pub organization_share_percent: u8,
}

impl EventLogLimits {
    /// One organization's share, in bytes.
    pub fn organization_bytes(self) -> u64 {
        // Divided first: no overflow, and a hundredth of a limit is never near a byte.
        self.total_bytes / 100 * u64::from(self.organization_share_percent.min(100))
    }
}

/// What opening needs.
pub struct EmbeddedConfig {
    /// The folder of all data; created when it is not there.
    pub data_dir: PathBuf,
    /// The master key from the environment; without it `<data_dir>/master.key` is used, and created first.
    pub master_key: Option<MasterKey>,
    /// How large the event log may grow.
    pub limits: EventLogLimits,
    /// Stamps events.
    pub clock: Arc<dyn Clock>,
}

/// The embedded implementation of every storage port. Cheap to clone; the data folder is free for another process
/// once the last clone is gone, or after [`Embedded::close`] and that.
#[derive(Clone)]
pub struct Embedded {
    inner: Arc<Inner>,
}

/// What the ports' implementations work with.
pub(crate) struct Inner {
    pub(crate) database: Database,
    pub(crate) database_file: PathBuf,
    pub(crate) data_dir: PathBuf,
    pub(crate) master_key: Arc<MasterKey>,
    pub(crate) keyring: Box<Keyring>,
    pub(crate) limits: EventLogLimits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log_changes: broadcast::Sender<OrganizationUid>,
    pub(crate) destination_changes: broadcast::Sender<Change>,
    /// Released last, after the writer thread has closed the database.
    _folder: Folder,
}

pub(crate) use self::database::Database;
pub(crate) use self::delivery_records::any as any_delivery_record;
pub(crate) use self::disk::Room;
pub(crate) use self::keyring::Keyring;
pub(crate) use self::master_key::random;
pub(crate) use self::private_file::replace as replace_private_file;
pub(crate) use self::writer::Writing;

use self::keyring::Unlocked;
use self::open::Folder;

impl Embedded {
    /// Opens the data folder, creating what is not there. Reads and writes the disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// In words for the operator, with a remedy.
    pub fn open(config: EmbeddedConfig) -> Result<Self, OpenError> {
        let EmbeddedConfig { data_dir, master_key, limits, clock } = config;
        let folder = Folder::lock(&data_dir)?;
        let database_file = folder.database_file();
        let opener = folder.opener()?;
        let database = opener()?;
        let (master_key, origin) = folder.master_key(master_key, &database)?;
        let keyring = unlock(&database, &master_key).map_err(OpenError::Storage)?;
        let Unlocked::Yes(keyring) = keyring else {
            return Err(OpenError::MasterKeyWrong { origin });
        };
        let inner = Inner {
            database: Database::start(database, opener)?,
            database_file,
            data_dir,
            master_key: Arc::new(master_key),
            keyring,
            limits,
            clock,
            log_changes: broadcast::Sender::new(CHANGES_KEPT),
            destination_changes: broadcast::Sender::new(CHANGES_KEPT),
            _folder: folder,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Finishes the writes that were queued and closes the database. Every later operation fails.
    pub async fn close(&self) {
        self.inner.database.close().await;
    }

    /// Signs access tokens; the same across restarts.
    pub fn token_signing_key(&self) -> TokenSigningKey {
        self.inner.keyring.token_signing.clone()
    }

    /// Durable commits since the start: with the appends, how well they are grouped.
    pub fn commits(&self) -> u64 {
        self.inner.database.commits()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

fn unlock(database: &redb::Database, master_key: &MasterKey) -> Result<Unlocked, Fault> {
    let transaction = database.begin_write()?;
    let unlocked = keyring::unlock(&transaction, master_key)?;
    transaction.commit()?;
    Ok(unlocked)
}

impl From<Fault> for StorageError {
    fn from(fault: Fault) -> Self {
        Self(Arc::new(fault))
    }
}

impl From<Fault> for LogError {
    fn from(fault: Fault) -> Self {
        Self::Storage(Arc::new(fault))
    }
}
