//! The folder that a call writes into, which is its own for as long as it goes on.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{ReportError, empty};
use crate::provision::file_lock::{self, Held};

/// The file in it that whoever writes there has locked. The lock goes with its process.
const LOCK: &str = ".gymcheck";

/// How many calls may write at once, each beside the folder that all of them take by default.
const MOST: u32 = 100;

/// The folder that a call writes into. No other call does, until this is dropped.
#[derive(Debug)]
pub struct OutFolder {
    path: PathBuf,
    _lock: File,
}

impl OutFolder {
    /// Takes a folder. It is made, if it is not there.
    ///
    /// # Errors
    /// Another call writes into it, or it cannot be made.
    pub fn take(path: &Path) -> Result<OutFolder, ReportError> {
        let lock = lock(path).map_err(|source| ReportError::Write {
            path: path.to_owned(),
            source,
        })?;
        let lock = lock.ok_or_else(|| ReportError::InUse {
            path: path.to_owned(),
        })?;
        Ok(OutFolder {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Takes a folder, or the first one beside it that no other call writes into: `gymcheck-2`, `gymcheck-3`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn take_or_beside(path: &Path) -> Result<OutFolder, ReportError> {
        let beside = (2..=MOST).map(|number| {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(format!("-{number}"));
            path.with_file_name(name)
        });
        for path in std::iter::once(path.to_owned()).chain(beside) {
            match OutFolder::take(&path) {
                Err(ReportError::InUse { .. }) => {}
                taken => return taken,
            }
        }
        OutFolder::take(path)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what an earlier call left there, and nothing else.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn make_room(&self) -> Result<(), ReportError> {
        empty(&self.path).map_err(|source| ReportError::Write {
            path: self.path.clone(),
            source,
        })
    }
}

impl Drop for OutFolder {
    /// A call that has written nothing leaves nothing.
    fn drop(&mut self) {
        let files = std::fs::read_dir(&self.path)
            .into_iter()
            .flatten()
            .flatten();
        let mut names = files.map(|entry| entry.file_name());
        if names.all(|name| name == LOCK) {
            // Whoever writes there in the same moment makes the lock anew.
            let _ = std::fs::remove_file(self.path.join(LOCK));
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

/// Nothing, if somebody else has it.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let path = folder.join(LOCK);
    loop {
        std::fs::create_dir_all(folder)?;
        match file_lock::hold(file_lock::open(&path)?, &path, File::try_lock)? {
            Held::Ours(file) => return Ok(Some(file)),
            Held::Others => return Ok(None),
            Held::Removed => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_calls_own_until_it_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/out");
        let first = OutFolder::take(&path).expect("it is free");
        let refused = OutFolder::take(&path).expect_err("it is taken").to_string();
        assert!(refused.contains("another gymcheck"), "{refused}");
        let second = OutFolder::take_or_beside(&path).expect("one beside it");
        let third = OutFolder::take_or_beside(&path).expect("one more");
        assert_eq!(second.path(), folder.path().join("deep/out-2"));
        assert_eq!(third.path(), folder.path().join("deep/out-3"));
        drop(second);
        let again = OutFolder::take_or_beside(&path).expect("the first that is free");
        assert_eq!(again.path(), folder.path().join("deep/out-2"));
        std::fs::write(path.join("results.json"), "{}").expect("a file");
        drop(first);
        let again = OutFolder::take_or_beside(&path).expect("the folder itself");
        assert_eq!(again.path(), path);
        drop((again, third));
        // Where nothing was written nothing is left.
        assert!(path.is_dir() && !folder.path().join("deep/out-3").exists());
    }

    #[test]
    fn what_an_earlier_call_left_goes_and_what_it_did_not_make_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, "x").expect("a file");
        };
        for name in ["runs/a/evidence.jsonl", "notes.txt"] {
            write(name);
        }
        let out = OutFolder::take(folder.path()).expect("it is free");
        // Without results, nobody knows whose these are.
        out.make_room().expect("there is nothing to remove");
        assert!(folder.path().join("runs/a/evidence.jsonl").is_file());
        write("results.json");
        out.make_room().expect("it is removed");
        assert!(!folder.path().join("runs/a").exists());
        assert!(folder.path().join("notes.txt").is_file());
    }
}
