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

/// Locks a file that was opened at a path; nothing if somebody else has it now, or had it until now.
///
/// # Errors
/// It cannot be locked.
pub(crate) fn hold(
    file: File,
    path: &Path,
    lock: fn(&File) -> Result<(), TryLockError>,
) -> io::Result<Option<File>> {
    match lock(&file) {
        // Whoever had it before may have removed it: then a lock on it excludes nobody.
        Ok(()) => Ok(is_at(&file, path).then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
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
        assert!(hold(old, &path, File::try_lock).unwrap().is_none());
        let held = hold(open(&path).unwrap(), &path, File::try_lock).unwrap();
        let other = hold(open(&path).unwrap(), &path, File::try_lock).unwrap();
        assert!(held.is_some() && other.is_none());
    }
}
