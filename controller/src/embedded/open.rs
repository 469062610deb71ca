//! Opens the data folder: one process, one format, the right master key; and says in plain words why not.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::ReadableDatabase;

use super::database::{Fault, Opener};
use super::keyring;
use super::master_key::MasterKey;
use super::private_file::{self, PRIVATE_FILE};
use super::tables::{self, FORMAT, KEYRING, META, META_FORMAT};

const DATABASE_FILE: &str = "barndoor.redb";
const LOCK_FILE: &str = "barndoor.lock";
const MASTER_KEY_FILE: &str = "master.key";
/// Bytes of pages kept in memory. Events are read once, in order, soon after they were written.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{} is already in use by another process: stop that one, or give this one its own --data-dir",
        folder.display()
    )]
    InUse {
        /// The data folder.
        folder: PathBuf,
    },
    /// Written by a newer release.
    #[error(
        "{} has format {found}, and this release reads up to {supported}: run the release that wrote it, or a newer one",
        file.display()
    )]
    NewerFormat {
        /// The database.
        file: PathBuf,
        /// Its format.
        found: u64,
        /// The newest that is read.
        supported: u64,
    },
    /// Something else lies there.
    #[error(
        "{} is not a Barndoor database: move it away, or give another --data-dir",
        file.display()
    )]
    NotADatabase {
        /// The file.
        file: PathBuf,
    },
    /// The file is damaged.
    #[error("{} is damaged ({what}): restore the data folder from a backup", file.display())]
    Damaged {
        /// The database.
        file: PathBuf,
        /// What redb says.
        what: String,
    },
    /// The operating system does not let this user in.
    #[error(
        "no permission for {}: give its owner, mode and mount read and write access for the user that runs this process",
        path.display()
    )]
    Permission {
        /// The file or folder.
        path: PathBuf,
    },
    /// No room.
    #[error("the disk of {} is full: free some space and start again", path.display())]
    DiskFull {
        /// The file or folder.
        path: PathBuf,
    },
    /// Another failure of the file system.
    #[error("{} cannot be used: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// The database is sealed, and its key is gone.
    #[error(
        "{} is missing, and the database is sealed with it: restore it from the backup, or set BARNDOOR_MASTER_KEY to its content",
        file.display()
    )]
    MasterKeyMissing {
        /// The key file.
        file: PathBuf,
    },
    /// The key is another one.
    #[error(
        "the database was sealed with another master key than {origin}: restore the data folder and its master.key from the same backup, or set BARNDOOR_MASTER_KEY to the key of before"
    )]
    MasterKeyWrong {
        /// Where the key that was tried comes from.
        origin: String,
    },
    /// The key file holds no key.
    #[error("{} holds no master key: restore it from the backup", file.display())]
    MasterKeyInvalid {
        /// The key file.
        file: PathBuf,
    },
    /// redb failed in another way.
    #[error("the database cannot be used: {0}")]
    Storage(Fault),
    /// No thread for the writer.
    #[error("the database's writer thread cannot be started: {0}")]
    Thread(#[source] io::Error),
}

impl OpenError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Permission { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { path, source },
        }
    }

    fn redb(file: &Path, error: redb::Error) -> Self {
        let file = file.to_owned();
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                Self::InUse { folder: file }
            }
            redb::Error::Io(io) if io.kind() == io::ErrorKind::InvalidData => Self::NotADatabase { file },
            redb::Error::Io(io) => Self::io(&file, io),
            redb::Error::Corrupted(what) => Self::Damaged { file, what },
            other => Self::Storage(Fault::Redb(std::sync::Arc::new(other))),
        }
    }
}

/// The folder, held by this process for as long as this lives.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Creates the folder if need be and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self, OpenError> {
        private_file::create_folder(path).map_err(|error| OpenError::io(path, error))?;
        let lock_file = path.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE_FILE)
            .open(&lock_file)
            .map_err(|error| OpenError::io(&lock_file, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { folder: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(OpenError::io(&lock_file, error)),
        }
    }

    /// Where the database lies.
    pub(super) fn database_file(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }

    /// Makes sure that there is a database of a known format, and gives what opens it.
    pub(super) fn opener(&self) -> Result<Opener, OpenError> {
        let file = self.database_file();
        if !file.try_exists().map_err(|error| OpenError::io(&file, error))? {
            create(&file)?;
        }
        Ok(Box::new(move || open(&file)))
    }

    /// The master key: the one given, else the file's, else a new one if nothing is sealed yet.
    pub(super) fn master_key(
        &self,
        given: Option<MasterKey>,
        database: &redb::Database,
    ) -> Result<(MasterKey, String), OpenError> {
        if let Some(key) = given {
            return Ok((key, "BARNDOOR_MASTER_KEY".to_owned()));
        }
        let file = self.path.join(MASTER_KEY_FILE);
        let origin = file.display().to_string();
        match MasterKey::read(&file).map_err(|error| OpenError::io(&file, error))? {
            Some(key) => Ok((key.map_err(|_| OpenError::MasterKeyInvalid { file })?, origin)),
            None if sealed(database).map_err(OpenError::Storage)? => {
                Err(OpenError::MasterKeyMissing { file })
            }
            None => Ok((MasterKey::create(&file).map_err(|error| OpenError::io(&file, error))?, origin)),
        }
    }
}

fn sealed(database: &redb::Database) -> Result<bool, Fault> {
    keyring::is_sealed(&database.begin_read()?.open_table(KEYRING)?)
}

/// Makes the database beside its place and moves it there when it is whole, so that a kill leaves none or a good one.
fn create(file: &Path) -> Result<(), OpenError> {
    let beside = file.with_extension("redb.new");
    if let Err(error) = fs::remove_file(&beside)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(OpenError::io(&beside, error));
    }
    // redb fills an empty file, which this way is never readable for others.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE_FILE)
        .open(&beside)
        .map_err(|error| OpenError::io(&beside, error))?;
    let written = || -> Result<(), redb::Error> {
        let database = redb::Builder::new().create(&beside)?;
        let transaction = database.begin_write()?;
        tables::create_all(&transaction)?;
        transaction.open_table(META)?.insert(META_FORMAT, FORMAT)?;
        transaction.commit()?;
        database.close()?;
        Ok(())
    };
    written().map_err(|error| OpenError::redb(&beside, error))?;
    private_file::move_durably(&beside, file).map_err(|error| OpenError::io(file, error))
}

/// Looks at the format without writing: opening for writing changes the file even when nothing is written.
fn look(file: &Path) -> Result<(), OpenError> {
    // What cannot be read this way, after an unclean end above all, is judged when it is opened for writing.
    let Ok(database) = redb::Builder::new().open_read_only(file) else { return Ok(()) };
    let Ok(transaction) = database.begin_read() else { return Ok(()) };
    require_known_format(file, &transaction)
}

fn require_known_format(file: &Path, transaction: &redb::ReadTransaction) -> Result<(), OpenError> {
    let file = file.to_owned();
    match tables::format_of(transaction) {
        Some(FORMAT) => Ok(()),
        Some(found) if found > FORMAT => Err(OpenError::NewerFormat { file, found, supported: FORMAT }),
        Some(_) | None => Err(OpenError::NotADatabase { file }),
    }
}

fn open(file: &Path) -> Result<redb::Database, OpenError> {
    look(file)?;
    let database = redb::Builder::new()
        .set_cache_size(CACHE_BYTES)
        .set_repair_callback(|repair| {
            tracing::info!(progress = repair.progress(), "checking the database after an unclean end");
        })
        .open(file)
        .map_err(|error| OpenError::redb(file, error.into()))?;
    let transaction = database.begin_read().map_err(|error| OpenError::redb(file, error.into()))?;
    require_known_format(file, &transaction)?;
    drop(transaction);
    Ok(database)
}
