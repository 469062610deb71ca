//! The shared database: reads run beside each other, writes go through one thread that commits for all who wait.
//!
//! It knows redb; it must not know what is stored.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Instant;

use redb::{ReadTransaction, ReadableDatabase};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::OpenError;
use super::writer::{self, Job, Operation, Writing};

/// Operations that may wait for the writer thread.
const QUEUE_OPERATIONS: usize = 1_024;
/// Bytes that may wait for the writer thread; more wait outside the queue.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// The storage failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// redb or the disk below it.
    #[error("{0}")]
    Redb(Arc<redb::Error>),
    /// A stored value is not what was written.
    #[error("the stored {what} cannot be read: {why}")]
    Unreadable {
        /// Which kind of value.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// The database could not be opened again after a failure.
    #[error("the database failed and could not be opened again: {0}")]
    NotReopened(Arc<OpenError>),
    /// An operation, or redb on a damaged file, panicked.
    #[error("an operation on the database panicked; the log has the details")]
    Panicked,
    /// The database was closed, or its writer is gone.
    #[error("the database is closed")]
    Closed,
}

impl Fault {
    /// Whether the whole transaction is lost, not only one operation in it.
    pub(super) fn ends_transaction(&self) -> bool {
        match self {
            Self::Redb(_) | Self::NotReopened(_) | Self::Panicked | Self::Closed => true,
            Self::Unreadable { .. } => false,
        }
    }

    /// Whether the disk had no room.
    pub(crate) fn is_disk_full(&self) -> bool {
        match self {
            Self::Redb(error) => match error.as_ref() {
                redb::Error::Io(io) => {
                    matches!(io.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
                }
                _ => false,
            },
            Self::Unreadable { .. } | Self::NotReopened(_) | Self::Panicked | Self::Closed => false,
        }
    }
}

macro_rules! fault_from {
    ($($error:ty),*) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::Redb(Arc::new(error.into()))
            }
        })*
    };
}
fault_from!(redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError);

/// Opens the database file; called again after an I/O error, when redb wants to be closed and opened anew.
pub(super) type Opener = Box<dyn Fn() -> Result<redb::Database, OpenError> + Send>;

/// The database, or why there is none.
pub(super) enum Slot {
    /// Usable.
    Open(redb::Database),
    /// Failed; opened again by the writer's next group.
    Failed {
        /// Why.
        fault: Fault,
        /// When opening it again was last tried.
        tried: Option<Instant>,
    },
    /// Closed for good.
    Closed,
}

impl Slot {
    fn database(&self) -> Result<&redb::Database, Fault> {
        match self {
            Self::Open(database) => Ok(database),
            Self::Failed { fault, tried: _ } => Err(fault.clone()),
            Self::Closed => Err(Fault::Closed),
        }
    }
}

/// What readers and the writer thread share.
pub(super) struct Shared {
    /// Readers and transactions hold it shared, whoever replaces the database exclusively: redb can be opened again
    /// only when nobody uses the old handle.
    pub(super) slot: RwLock<Slot>,
    /// Durable commits since the start.
    pub(super) commits: AtomicU64,
}

impl Shared {
    pub(super) fn with<T>(&self, work: impl FnOnce(&redb::Database) -> Result<T, Fault>) -> Result<T, Fault> {
        // A poisoned lock means that replacing the database panicked half-way; what is in the slot still says which.
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        work(slot.database()?)
    }
}

/// The handle to the database. Dropping it waits for the writer thread, which first finishes what was queued.
pub(crate) struct Database {
    shared: Arc<Shared>,
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    room: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Database {
    /// Starts the writer thread of an opened database.
    pub(super) fn start(database: redb::Database, opener: Opener) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared { slot: RwLock::new(Slot::Open(database)), commits: AtomicU64::new(0) });
        let (queue, jobs) = mpsc::channel(QUEUE_OPERATIONS);
        let thread = std::thread::Builder::new()
            .name("database-writer".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || writer::run(&shared, jobs, &opener)
            })
            .map_err(OpenError::Thread)?;
        Ok(Self {
            shared,
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(QUEUE_BYTES)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Durable commits since the start.
    pub(crate) fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Runs a read on a consistent snapshot, on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || shared.with(|database| work(&database.begin_read()?)))
            .await
            .unwrap_or_else(|ended| Err(if ended.is_panic() { Fault::Panicked } else { Fault::Closed }));
        if read.as_ref().is_err_and(Fault::ends_transaction) {
            // An I/O error latches in redb; a write notices and opens the database again.
            let _ = self.write(0, |_| Ok(()), |()| {}).await;
        }
        read
    }

    /// Runs an operation in the writer's next transaction and answers once that is on disk. `bytes` is about what it
    /// writes. `committed` runs on the writer thread after the commit, in commit order, even when nobody waits any
    /// more. The operation checks first and writes after: one that refuses has written nothing.
    ///
    /// # Errors
    /// The transaction failed, and nothing of it is acknowledged; or the operation met a value that it cannot read.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        operation: impl FnOnce(&Writing<'_>) -> Result<T, Fault> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, Fault> {
        // At most the whole room, so that a huge operation waits for an empty queue instead of for ever.
        let permits = u32::try_from(bytes.min(QUEUE_BYTES)).expect("QUEUE_BYTES fits in u32");
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| Fault::Closed)?;
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Fault::Closed)?;
        let (reply, answer) = oneshot::channel();
        let job = Job { bytes, room, operation: Box::new(Operation::new(operation, committed, reply)) };
        queue.send(job).await.map_err(|_| Fault::Closed)?;
        drop(queue);
        answer.await.unwrap_or(Err(Fault::Closed))
    }

    /// Finishes what was queued, closes the file, and returns when that is done. Later operations fail.
    pub(crate) async fn close(&self) {
        let Some(thread) = self.hang_up() else { return };
        // A panicked writer has nothing left to close.
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }

    fn hang_up(&self) -> Option<JoinHandle<()>> {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(thread) = self.hang_up() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
