//! The data folder: there, ours, and writable, before anything opens a file in it.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It could not be made.
    #[error("the data folder {} cannot be made ({source}): make it yourself, or choose another with --data-dir", .path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something else has its name.
    #[error("{} is not a folder: choose another with --data-dir", .0.display())]
    NotAFolder(PathBuf),
    /// It cannot be written.
    #[error("the data folder {} cannot be written ({source}): give it to the user that runs the controller, or free some space", .path.display())]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes the folder for this user alone when it is missing, and proves that files can be written in it. Returns its
/// absolute path.
pub(super) fn prepare(path: &Path) -> Result<PathBuf, DataDirError> {
    let failed = |source| DataDirError::Create { path: path.to_owned(), source };
    match std::fs::metadata(path) {
        Ok(found) if !found.is_dir() => return Err(DataDirError::NotAFolder(path.to_owned())),
        Ok(found) => {
            if found.permissions().mode() & 0o007 != 0 {
                tracing::warn!(folder = %path.display(), "every user of this machine can enter the data folder: chmod 700 it");
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    let path = path.canonicalize().map_err(failed)?;
    probe(&path).map_err(|source| DataDirError::NotWritable { path: path.clone(), source })?;
    Ok(path)
}

fn probe(folder: &Path) -> io::Result<()> {
    // One name per process, so that a second start does not remove the first one's.
    let file = folder.join(format!(".write-probe-{}", std::process::id()));
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&file)?;
    std::fs::remove_file(&file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_is_made_for_this_user_alone_and_left_empty() {
        let parent = tempfile::tempdir().expect("a folder");
        let path = prepare(&parent.path().join("a/b")).expect("made");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(&path).expect("readable").count(), 0);
        assert_eq!(prepare(&path).expect("again"), path);
    }

    #[test]
    fn a_file_in_its_place_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let refusal = prepare(file.path()).expect_err("a file").to_string();
        assert!(refusal.contains("--data-dir"), "{refusal}");
    }
}
