//! The one folder in which everything that is got lives.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::error::ProvisionError;
use super::file_lock::{self, Held};
use super::{files, progress};

/// How long a setup waits for another one to end: longer than the slowest step may take.
const LOCK_DEADLINE: Duration = Duration::from_secs(45 * 60);

/// How often it looks.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// The file that whoever changes the folder has for itself, and the one that whoever needs what is
/// in it shares.
pub(super) const LOCK: &str = "lock";
pub(super) const IN_USE: &str = "in-use";

/// The folder of the files that runs lock, so many at once.
pub(super) const SLOTS: &str = "slots";

/// The one folder in which everything that is got lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The folder that `GYMCHECK_HOME` names, or else `gymcheck` in the user's cache folder. It
    /// need not exist.
    ///
    /// # Errors
    /// The variable is not set and the user has no cache folder.
    pub fn locate() -> Result<Home, ProvisionError> {
        if let Some(root) = std::env::var_os("GYMCHECK_HOME").filter(|root| !root.is_empty()) {
            let root = PathBuf::from(root);
            return std::path::absolute(&root)
                .map(Home::at)
                .map_err(ProvisionError::io("find", root));
        }
        directories::BaseDirs::new()
            .map(|folders| Home::at(folders.cache_dir().join("gymcheck")))
            .ok_or(ProvisionError::NoHome)
    }

    /// This folder, an absolute path. It need not exist.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Home {
        Home { root: root.into() }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the targets' Python environments are.
    pub(super) fn targets(&self) -> PathBuf {
        self.root.join("targets")
    }

    /// Where the page's third-party assets are.
    pub(super) fn assets(&self) -> PathBuf {
        self.root.join("assets")
    }

    /// Where programs are that were built for gymcheck.
    pub(super) fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// Where archives are between their download and their unpacking.
    pub(super) fn downloads(&self) -> PathBuf {
        self.root.join("downloads")
    }

    /// Where the files are that runs lock.
    pub(crate) fn slots(&self) -> PathBuf {
        self.root.join(SLOTS)
    }

    /// Where that is what external commands said.
    pub(super) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The file that takes what an external command says.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// Makes the folder and takes it for oneself, after whoever has it now.
    pub(super) fn lock(&self) -> Result<HomeLock, ProvisionError> {
        let take = || {
            files::create_folder(&self.root)?;
            let path = self.root.join(LOCK);
            self.wait_for(&path, File::try_lock, "waiting for another setup to end")
        };
        let file = match take() {
            // Whoever had it removed the folder.
            Err(error) if is_gone(&error) => take()?,
            taken => taken?,
        };
        Ok(HomeLock { file })
    }

    /// Says that what is in the folder is needed, until this is dropped: `gymcheck clean` leaves it
    /// alone for as long. Where there is no such folder, or none that this user can lock, it goes without.
    ///
    /// # Errors
    /// Somebody has been removing things for very long.
    pub fn in_use(&self) -> Result<HomeUse, ProvisionError> {
        let path = self.root.join(IN_USE);
        let told = "waiting for another gymcheck to remove things";
        match self.wait_for(&path, File::try_lock_shared, told) {
            Ok(file) => Ok(HomeUse { _file: Some(file) }),
            Err(ProvisionError::Io { .. }) => Ok(HomeUse { _file: None }),
            Err(error) => Err(error),
        }
    }

    /// Keeps runs from beginning while this, which is there already, is made anew; nothing where it is not there.
    ///
    /// # Errors
    /// A run needs it as it is.
    pub(super) fn alone_where_there_is(&self, path: &Path) -> Result<Option<File>, ProvisionError> {
        if !path.exists() {
            return Ok(None);
        }
        let alone = take(&self.root.join(IN_USE), File::try_lock)?;
        alone.map(Some).ok_or_else(|| ProvisionError::NeededAsItIs {
            path: path.to_owned(),
        })
    }

    /// Takes the folder for removing things in it, if no setup works in it and no run needs it.
    ///
    /// # Errors
    /// A setup or a run is going on.
    pub(super) fn for_removal(&self) -> Result<HomeRemoval, ProvisionError> {
        let take = |name: &str, who| {
            let path = self.root.join(name);
            take(&path, File::try_lock)?.ok_or_else(|| ProvisionError::InUse {
                path: self.root.clone(),
                who,
            })
        };
        // In the order in which a run takes them: it may begin a setup of its own.
        Ok(HomeRemoval {
            _in_use: take(IN_USE, "a run".to_owned())?,
            _lock: take(LOCK, "a setup".to_owned())?,
        })
    }

    fn wait_for(
        &self,
        path: &Path,
        lock: fn(&File) -> Result<(), TryLockError>,
        told: &str,
    ) -> Result<File, ProvisionError> {
        let begun = Instant::now();
        let mut is_told = false;
        loop {
            if let Some(file) = take(path, lock)? {
                return Ok(file);
            }
            if begun.elapsed() > LOCK_DEADLINE {
                return Err(ProvisionError::Busy {
                    path: self.root.clone(),
                    waited: LOCK_DEADLINE,
                });
            }
            if !is_told {
                progress::line(told);
                is_told = true;
            }
            thread::sleep(LOCK_POLL);
        }
    }
}

/// Locks a file; nothing if somebody else has it now, or had it until now.
fn take(
    path: &Path,
    lock: fn(&File) -> Result<(), TryLockError>,
) -> Result<Option<File>, ProvisionError> {
    let file = file_lock::open(path).map_err(ProvisionError::io("open", path))?;
    match file_lock::hold(file, path, lock).map_err(ProvisionError::io("lock", path))? {
        Held::Ours(file) => Ok(Some(file)),
        Held::Others | Held::Removed => Ok(None),
    }
}

fn is_gone(error: &ProvisionError) -> bool {
    matches!(error, ProvisionError::Io { source, .. } if source.kind() == ErrorKind::NotFound)
}

/// Nothing is removed from the home folder while this lives.
#[derive(Debug)]
pub struct HomeUse {
    _file: Option<File>,
}

/// No setup begins in the home folder, and no run, while this lives.
#[derive(Debug)]
pub(super) struct HomeRemoval {
    _in_use: File,
    _lock: File,
}

/// The home folder is ours alone while this lives.
#[derive(Debug)]
pub(super) struct HomeLock {
    file: File,
}

impl HomeLock {
    /// The standard input for a command that works in the home folder: the lock's own, empty file.
    /// The command then holds the lock as well. Should gymcheck be killed outright, the next setup
    /// still waits until the command has ended, and finds the folder at rest.
    pub(super) fn as_input(&self) -> std::io::Result<Stdio> {
        self.file.try_clone().map(Stdio::from)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_lock_excludes_until_its_last_holder_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let lock = home.lock().unwrap();
        let other = File::open(home.root().join("lock")).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        let mut command = std::process::Command::new("tail")
            .args(["-f", "/dev/null"])
            .stdin(lock.as_input().unwrap())
            .spawn()
            .unwrap();
        drop(lock);
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        command.kill().unwrap();
        command.wait().unwrap();
        other.try_lock().unwrap();
    }

    #[test]
    fn a_home_that_a_run_needs_or_a_setup_changes_is_not_for_removal() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let refused = || home.for_removal().unwrap_err().to_string();
        let runs = [home.in_use().unwrap(), home.in_use().unwrap()];
        assert!(refused().starts_with("a run "), "{}", refused());
        drop(runs);
        let setup = home.lock().unwrap();
        assert!(refused().starts_with("a setup "), "{}", refused());
        drop(setup);
        home.for_removal().unwrap();
    }

    #[test]
    fn what_a_run_needs_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let assets = home.assets();
        let run = home.in_use().unwrap();
        assert!(home.alone_where_there_is(&assets).unwrap().is_none());
        fs::create_dir(&assets).unwrap();
        let error = home.alone_where_there_is(&assets).unwrap_err().to_string();
        assert!(error.contains("a run needs it"), "{error}");
        drop(run);
        assert!(home.alone_where_there_is(&assets).unwrap().is_some());
    }

    #[test]
    fn a_lock_on_a_file_that_was_removed_is_taken_again() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let path = home.root().join(LOCK);
        let old = file_lock::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!file_lock::is_at(&old, &path));
        let lock = home.lock().unwrap();
        assert!(file_lock::is_at(&lock.file, &path));
    }

    #[test]
    fn a_home_that_is_not_there_is_not_made_by_using_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        home.in_use().unwrap();
        assert!(!home.root().exists());
    }
}
