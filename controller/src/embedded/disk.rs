//! How much room the disk below the data folder has.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes of the disk that appends leave free, so that declarations, delivery records and trims still find room.
pub(crate) const DISK_RESERVE_BYTES: u64 = 64 * 1024 * 1024;
/// Below this not even room inside the file lets an append in: a commit may need fresh pages first.
const DISK_FLOOR_BYTES: u64 = 16 * 1024 * 1024;

/// What an append must know of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Bytes of the disk that anybody may still take.
    pub(crate) free: u64,
    /// Bytes of the disk that the database file has taken.
    pub(crate) file: u64,
}

impl Room {
    /// Looks at the disk and the file.
    pub(crate) fn look(file: &Path) -> io::Result<Self> {
        let disk = rustix::fs::statvfs(file)?;
        // st_blocks counts 512 bytes whatever the file system's block is (POSIX).
        let taken = std::fs::metadata(file)?.blocks().saturating_mul(512);
        Ok(Self { free: disk.f_bavail.saturating_mul(disk.f_frsize), file: taken })
    }

    /// Whether `bytes` more fit, when `used` bytes of the file are in use. Room inside the file counts: it does not
    /// shrink after a drain, and a disk that this log has filled must accept events again once they are delivered.
    pub(crate) fn fits(self, bytes: u64, used: u64) -> bool {
        let inside = self.file.saturating_sub(used);
        self.free >= DISK_FLOOR_BYTES
            && self.free.saturating_add(inside) >= DISK_RESERVE_BYTES.saturating_add(bytes)
            && (self.free >= DISK_RESERVE_BYTES || inside >= DISK_RESERVE_BYTES)
    }
}

/// Half of the disk that holds the folder, in bytes: the event log's limit unless told otherwise. The folder, or at
/// least one of its parents, must exist.
///
/// # Errors
/// When the file system cannot be asked.
pub fn half_of_disk(folder: &Path) -> io::Result<u64> {
    let existing = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let disk = rustix::fs::statvfs(existing)?;
    Ok(disk.f_blocks.saturating_mul(disk.f_frsize) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn a_disk_at_its_reserve_takes_nothing_more() {
        assert!(Room { free: 65 * MIB, file: 0 }.fits(MIB, 0));
        assert!(!Room { free: 64 * MIB, file: 0 }.fits(MIB, 0));
    }

    #[test]
    fn a_full_disk_takes_events_again_once_the_file_is_drained() {
        let full = Room { free: 63 * MIB, file: 1_000 * MIB };
        assert!(!full.fits(MIB, 990 * MIB));
        assert!(full.fits(MIB, 100 * MIB));
    }

    #[test]
    fn a_disk_that_others_filled_takes_nothing_at_all() {
        assert!(!Room { free: MIB, file: 1_000 * MIB }.fits(MIB, 0));
    }
}
