//! The target's releases: a Python environment for each, whose whole dependency set is locked.

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use super::command::{Tool, is_program};
use super::error::ProvisionError;
use super::files;
use super::home::{Home, HomeLock};
use super::progress::Step;

/// The release that is tested unless something else is asked for.
pub const PINNED_RELEASE: Release = Release {
    name: Cow::Borrowed("mug"),
    version: Cow::Borrowed("0.1.3"),
};

/// The releases that have a lock, and their locks.
const LOCKS: &[(Release, &str)] = &[(
    PINNED_RELEASE,
    include_str!("../../../fixtures/targets/mug-0.1.3.txt"),
)];

/// The same, for errors.
const KNOWN: &str = "mug@0.1.3";

/// How long making an empty environment, and filling it, may take.
const VENV_DEADLINE: Duration = Duration::from_secs(3 * 60);
const INSTALL_DEADLINE: Duration = Duration::from_secs(15 * 60);

/// A release of the target: `mug@0.1.3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Release {
    /// The name by which Python imports it: `mug`.
    pub name: Cow<'static, str>,
    /// Its version: `0.1.3`.
    pub version: Cow<'static, str>,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// A text that names no release.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} names no release; write NAME@VERSION, as in mug@0.1.3")]
pub struct UnknownRelease(pub String);

impl FromStr for Release {
    type Err = UnknownRelease;

    fn from_str(text: &str) -> Result<Release, UnknownRelease> {
        match text.split_once('@') {
            Some((name, version)) if !name.is_empty() && !version.is_empty() => Ok(Release {
                name: name.to_owned().into(),
                version: version.to_owned().into(),
            }),
            _ => Err(UnknownRelease(text.into())),
        }
    }
}

/// The Python of the environment in which a release is installed.
///
/// # Errors
/// No lock is known for the release, or its environment has not been made, or not from this build's
/// lock.
pub fn python(home: &Home, release: &Release) -> Result<PathBuf, ProvisionError> {
    let lock = lock_of(release)?;
    let folder = folder(home, release);
    let python = interpreter(&folder);
    let stamp = fs::read_to_string(stamp(&folder)).unwrap_or_default();
    if stamp.trim() == files::sha256(lock.as_bytes()) && is_program(&python) {
        return Ok(python);
    }
    Err(ProvisionError::NotSetUp {
        what: format!(
            "{release} is not installed in {}, or not as this gymcheck pins it",
            folder.display()
        ),
    })
}

/// Makes the environment of a release anew with this Python, and installs the release.
pub(super) fn install(
    home: &Home,
    release: &Release,
    host_python: &Path,
    guard: &HomeLock,
) -> Result<PathBuf, ProvisionError> {
    let lock = lock_of(release)?;
    let folder = folder(home, release);
    let step = Step::begin(format!("installing {release} into {}", folder.display()));
    files::remove_folder(&folder)?;
    files::create_folder(&home.targets())?;
    let log = home.log("target");
    Tool::new(host_python, VENV_DEADLINE)
        .args(["-I", "-m", "venv"])
        .args([&folder])
        .run(&log, Some(guard))?;
    let requirements = folder.join("requirements.txt");
    files::write_whole(&requirements, lock.as_bytes())?;
    Tool::new(interpreter(&folder), INSTALL_DEADLINE)
        .args(["-I", "-m", "pip", "install", "--require-hashes"])
        .args(["--no-input", "--disable-pip-version-check", "--requirement"])
        .args([&requirements])
        .run(&log, Some(guard))?;
    // Without this file the environment does not count, so it comes last.
    let digest = files::sha256(lock.as_bytes());
    files::write_whole(&stamp(&folder), format!("{digest}\n").as_bytes())?;
    step.done();
    python(home, release)
}

fn lock_of(release: &Release) -> Result<&'static str, ProvisionError> {
    let known = LOCKS.iter().find(|(known, _)| known == release);
    known
        .map(|(_, lock)| *lock)
        .ok_or_else(|| ProvisionError::UnknownRelease {
            release: release.to_string(),
            known: KNOWN,
        })
}

fn folder(home: &Home, release: &Release) -> PathBuf {
    home.targets()
        .join(format!("{}-{}", release.name, release.version))
}

fn interpreter(folder: &Path) -> PathBuf {
    folder.join("bin/python")
}

/// The file that says from which lock an environment was made, whole.
fn stamp(folder: &Path) -> PathBuf {
    folder.join("complete.sha256")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_reads_as_it_is_written() {
        assert_eq!("mug@0.1.3".parse(), Ok(PINNED_RELEASE));
        assert_eq!(PINNED_RELEASE.to_string(), "mug@0.1.3");
        for wrong in ["mug", "mug@", "@0.1.3", ""] {
            assert!(wrong.parse::<Release>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_known_releases_are_those_with_a_lock() {
        let names: Vec<String> = LOCKS.iter().map(|(known, _)| known.to_string()).collect();
        assert_eq!(names.join(", "), KNOWN);
    }

    #[test]
    fn a_lock_pins_every_line_by_hash_and_names_no_index() {
        for (release, lock) in LOCKS {
            let lines = || lock.lines().filter(|line| !line.starts_with('#'));
            assert!(!lines().any(|line| line.contains("://") || line.starts_with("--")));
            let joined = lines().collect::<Vec<_>>().join("\n").replace("\\\n", " ");
            for requirement in joined.lines() {
                assert!(requirement.contains("=="), "{release}: {requirement}");
                assert!(
                    requirement.contains("--hash=sha256:"),
                    "{release}: {requirement}"
                );
            }
            assert!(joined.contains(&format!("multi-user-gymnasium=={}", release.version)));
        }
    }

    #[test]
    fn an_environment_counts_only_with_the_stamp_of_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let environment = super::folder(&home, &PINNED_RELEASE);
        fs::create_dir_all(environment.join("bin")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", interpreter(&environment)).unwrap();
        let asked = || python(&home, &PINNED_RELEASE);
        assert!(
            asked()
                .unwrap_err()
                .to_string()
                .ends_with("run: gymcheck setup")
        );
        fs::write(stamp(&environment), "of another lock\n").unwrap();
        assert!(asked().is_err());
        fs::write(stamp(&environment), files::sha256(LOCKS[0].1.as_bytes())).unwrap();
        assert_eq!(asked().unwrap(), interpreter(&environment));
        fs::remove_file(interpreter(&environment)).unwrap();
        assert!(asked().is_err());
    }

    #[test]
    fn an_unknown_release_is_refused_by_its_name() {
        let error = python(&Home::at("/nowhere"), &"mug@9.9.9".parse().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no release mug@9.9.9 is known; known: mug@0.1.3"
        );
    }
}
