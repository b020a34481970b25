//! Files that are locked, so that others know that somebody is there. A lock goes with its process.

use std::fs::{File, OpenOptions, TryLockError, metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Opens a file to be locked, and makes it if it is not there.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let own = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path);
    // In a folder that another user fills, a lock can still be had.
    own.or_else(|error| File::open(path).map_err(|_| error))
}

/// What came of locking a file.
#[derive(Debug)]
pub(crate) enum Held {
    /// It is locked.
    Ours(File),
    /// Somebody else has it.
    Others,
    /// Whoever had it has removed it: a lock on it excludes nobody.
    Removed,
}

/// Locks a file that was opened at a path.
///
/// # Errors
/// It cannot be locked.
pub(crate) fn hold(
    file: File,
    path: &Path,
    lock: fn(&File) -> Result<(), TryLockError>,
) -> io::Result<Held> {
    match lock(&file) {
        Ok(()) if is_at(&file, path) => Ok(Held::Ours(file)),
        Ok(()) => Ok(Held::Removed),
        Err(TryLockError::WouldBlock) => Ok(Held::Others),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether a file that was opened still is the one at a path.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(opened), Ok(there)) = (file.metadata(), metadata(path)) else {
        return false;
    };
    (opened.dev(), opened.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_on_a_file_that_was_removed_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let old = open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let hold = |file: File| hold(file, &path, File::try_lock).unwrap();
        assert!(matches!(hold(old), Held::Removed));
        let held = hold(open(&path).unwrap());
        let other = hold(open(&path).unwrap());
        assert!(matches!(held, Held::Ours(_)) && matches!(other, Held::Others));
    }
}
