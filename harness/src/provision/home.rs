//! The one folder in which everything that is got lives.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::error::ProvisionError;
use super::{files, progress};

/// How long a setup waits for another one to end: longer than the slowest step may take.
const LOCK_DEADLINE: Duration = Duration::from_secs(45 * 60);

/// How often it looks.
const LOCK_POLL: Duration = Duration::from_millis(100);

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

    /// The file that takes what an external command says.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// Makes the folder and takes it for oneself, after whoever has it now.
    pub(super) fn lock(&self) -> Result<HomeLock, ProvisionError> {
        files::create_folder(&self.root)?;
        let path = self.root.join("lock");
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(ProvisionError::io("open", &path))?;
        let begun = Instant::now();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(HomeLock { file }),
                Err(TryLockError::Error(error)) => {
                    return Err(ProvisionError::io("lock", path)(error));
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if begun.elapsed() > LOCK_DEADLINE {
                return Err(ProvisionError::Busy {
                    path: self.root.clone(),
                    waited: LOCK_DEADLINE,
                });
            }
            if !told {
                progress::line("waiting for another setup to end");
                told = true;
            }
            thread::sleep(LOCK_POLL);
        }
    }
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
}
