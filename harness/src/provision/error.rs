//! Why something that a run needs could not be found or got.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use thiserror::Error;

use super::cdn::CdnError;
use crate::spec::BrowserKind;
use crate::target::TargetError;

/// Why something that a run needs could not be found or got.
#[derive(Debug, Error)]
pub enum ProvisionError {
    /// Nobody said where to keep things, and the user has no cache folder.
    #[error("there is no folder to keep things in; set GYMCHECK_HOME to one")]
    NoHome,
    /// A file or folder could not be read, made or changed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A lock file does not follow its format.
    #[error("the lock {name} is not well-formed")]
    Lock {
        /// Its name.
        name: &'static str,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
    /// The lock in the user's own folder does not follow its format.
    #[error("the lock {} is not well-formed; remove it, and what it names is got anew", path.display())]
    UserLock {
        /// Its path.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
    /// A lock file contradicts itself.
    #[error("the lock {name} contradicts itself: {what}")]
    Inconsistent {
        /// Its name.
        name: &'static str,
        /// How.
        what: String,
    },
    /// Another setup holds the home folder and does not end.
    #[error(
        "another setup has been working in {} for {} minutes; end it, then try again", path.display(), waited.as_secs() / 60
    )]
    Busy {
        /// The home folder.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Things are to be removed that are needed now.
    #[error(
        "{who} is using {} now, and so nothing was removed from it; wait until it has ended, then try again", path.display()
    )]
    InUse {
        /// What is needed.
        path: PathBuf,
        /// Who needs it.
        who: String,
    },
    /// A run needs what would have to be made anew.
    #[error(
        "{} is not as this gymcheck wants it, and a run needs it as it is now; wait until that has ended, then try \
         again", path.display()
    )]
    NeededAsItIs {
        /// What is needed.
        path: PathBuf,
    },
    /// An external command could not be started.
    #[error("cannot start `{command}`")]
    Start {
        /// The command line.
        command: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// An external command failed.
    #[error("`{command}` {outcome}{}{}", log_line(log), last_lines(tail))]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        outcome: Outcome,
        /// The file with all that it said, where one was kept.
        log: Option<PathBuf>,
        /// Its last lines.
        tail: String,
    },
    /// An external command ended well, but did not leave or say what it should have.
    #[error("`{command}` succeeded, but {what}")]
    Unexpected {
        /// The command line.
        command: String,
        /// What is amiss.
        what: String,
    },
    /// Something is not what the lock pins.
    #[error(
        "{what} has sha256 {found}, but {expected} is pinned, and so nothing of it was used; look at which registries or mirrors npm and pip are configured to use, then run: gymcheck setup"
    )]
    Hash {
        /// What was checked.
        what: String,
        /// The pinned digest.
        expected: String,
        /// The digest found.
        found: String,
    },
    /// An archive lacks a file that the lock names.
    #[error("{} holds no {member}", archive.display())]
    NoMember {
        /// The archive.
        archive: PathBuf,
        /// The file's path in it.
        member: String,
    },
    /// Things that a run or setup needs are not on this machine.
    #[error("missing on this machine: {}; {mend}", what.join(", "))]
    Missing {
        /// What is missing.
        what: Vec<String>,
        /// How to mend it.
        mend: String,
    },
    /// An environment variable leads to something that is not there or does not work.
    #[error("{variable} is set to {value}, {why}; set it right or unset it")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// The Python at hand is too old.
    #[error(
        "{} is Python {version}, but 3.10 or later is needed; set PYTHON to a later one", program.display()
    )]
    OldPython {
        /// The program.
        program: PathBuf,
        /// Its version.
        version: String,
    },
    /// A browser and its driver do not fit.
    #[error(
        "{} is version {driver_version}, which does not drive {} version {version}; install the same major version of both, or set the variables {} and {}",
        driver.display(), program.display(), kind.program_variable(), kind.driver_variable()
    )]
    DriverVersion {
        /// Which browser.
        kind: BrowserKind,
        /// The browser's program.
        program: PathBuf,
        /// Its version.
        version: String,
        /// The driver's program.
        driver: PathBuf,
        /// Its version.
        driver_version: String,
    },
    /// A public host does not give what is asked of it.
    #[error(transparent)]
    Cdn(#[from] Box<CdnError>),
    /// There is no such target, or it serves no page.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Something has not been got yet, or is no longer whole.
    #[error("{what}; run: gymcheck setup")]
    NotSetUp {
        /// What is missing or not whole.
        what: String,
    },
}

impl ProvisionError {
    /// For `map_err`: a failure to do something with a file or folder.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> ProvisionError {
        let path = path.into();
        move |source| ProvisionError::Io {
            action,
            path,
            source,
        }
    }
}

/// How an external command that failed came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It ended by itself, with this status.
    Status(ExitStatus),
    /// It was ended because it took longer than this.
    Deadline(Duration),
    /// It was ended because gymcheck was told to end.
    Interrupted,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Status(status) => write!(f, "failed with {status}"),
            Outcome::Deadline(deadline) => {
                write!(f, "was ended: it took longer than {} s", deadline.as_secs())
            }
            Outcome::Interrupted => f.write_str("was ended by an interruption"),
        }
    }
}

fn log_line(log: &Option<PathBuf>) -> String {
    log.as_ref()
        .map(|log| format!(" (all that it said: {})", log.display()))
        .unwrap_or_default()
}

fn last_lines(tail: &str) -> String {
    if tail.is_empty() {
        return String::new();
    }
    let indented: String = tail.lines().map(|line| format!("\n    {line}")).collect();
    format!("; its last lines:{indented}")
}
