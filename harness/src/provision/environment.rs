//! Python environments, each made once and kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::command::{Tool, is_program};
use super::error::ProvisionError;
use super::files;
use super::home::{Home, HomeLock};

/// How long making an empty environment, and filling it, may take.
const VENV_DEADLINE: Duration = Duration::from_secs(3 * 60);
const INSTALL_DEADLINE: Duration = Duration::from_secs(15 * 60);

/// How long a Python may take to say its version, and how it is asked.
const VERSION_DEADLINE: Duration = Duration::from_secs(30);
const VERSION: &str = "import sys; print('{}.{}'.format(*sys.version_info))";

/// The file in an environment that says from what it was made, whole; and the one whose time says
/// when a run last asked for it.
pub(super) const STAMP: &str = "complete.sha256";
pub(super) const LAST_USED: &str = "last-used";

/// A Python environment in the home. It is either whole or does not count.
#[derive(Debug)]
pub(super) struct Environment {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// The SHA-256 of all that decides about what is in it.
    pub(super) made_from: String,
}

impl Environment {
    /// Its Python, if it is there, whole, made from this, and still the one that it was made with.
    pub(super) fn python(&self) -> Option<PathBuf> {
        let python = self.interpreter();
        let stamp = fs::read_to_string(self.stamp()).unwrap_or_default();
        let is_whole = stamp.trim() == self.made_from && is_program(&python);
        (is_whole && self.is_for(&python)).then_some(python)
    }

    /// Whether this Python, which is a link to one of the machine, finds what was installed: each version has a
    /// folder of its own, and the machine may have got another one meanwhile.
    fn is_for(&self, python: &Path) -> bool {
        let asked = Tool::new(python, VERSION_DEADLINE).args(["-I", "-S", "-c", VERSION]);
        match asked.output() {
            Ok(version) => self.packages_for(version.trim()).is_dir(),
            // That nobody can be asked now says nothing of it.
            Err(ProvisionError::Io { .. }) => true,
            Err(_) => false,
        }
    }

    /// Where a Python of this version, as 3.11, keeps what was installed.
    fn packages_for(&self, version: &str) -> PathBuf {
        let library = self.folder.join("lib");
        library.join(format!("python{version}/site-packages"))
    }

    /// Its Python; if it is not there, `install` makes it, once for all who ask at the same time.
    pub(super) fn python_or(
        &self,
        home: &Home,
        install: impl FnOnce(&HomeLock) -> Result<PathBuf, ProvisionError>,
    ) -> Result<PathBuf, ProvisionError> {
        if let Some(python) = self.python() {
            return Ok(python);
        }
        let guard = home.lock()?;
        // Who held the lock may have made it, and is using it by now.
        self.python().map_or_else(|| install(&guard), Ok)
    }

    /// Notes that somebody asked for it now. It works without the note, too.
    pub(super) fn note_use(&self) {
        if let Ok(file) = fs::File::create(self.folder.join(LAST_USED)) {
            let _ = file.set_modified(SystemTime::now());
        }
    }

    /// Makes it anew with this Python; `fill` installs what belongs into it.
    pub(super) fn make(
        &self,
        home: &Home,
        host_python: &Path,
        guard: &HomeLock,
        fill: impl FnOnce(&Path) -> Result<(), ProvisionError>,
    ) -> Result<PathBuf, ProvisionError> {
        files::remove_folder(&self.folder)?;
        files::create_folder(&home.targets())?;
        let make = || {
            Tool::new(host_python, VENV_DEADLINE)
                .args(["-I", "-m", "venv"])
                .args([&self.folder])
                .run(&log(home), Some(guard))?;
            let python = self.interpreter();
            fill(&python)?;
            // Without this file the environment does not count, so it comes last.
            files::write_whole(&self.stamp(), format!("{}\n", self.made_from).as_bytes())?;
            Ok(python)
        };
        make().inspect_err(|_| {
            // It would not count anyway. What the error says matters more than a folder that stays.
            let _ = files::remove_folder(&self.folder);
        })
    }

    /// Where Python keeps what was installed.
    pub(super) fn site_packages(&self) -> Result<PathBuf, ProvisionError> {
        let library = self.folder.join("lib");
        let failed = || ProvisionError::io("look into", &library);
        for entry in fs::read_dir(&library).map_err(failed())? {
            let packages = entry.map_err(failed())?.path().join("site-packages");
            if packages.is_dir() {
                return Ok(packages);
            }
        }
        Err(failed()(std::io::ErrorKind::NotFound.into()))
    }

    fn interpreter(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// The file that says from what the environment was made, whole.
    fn stamp(&self) -> PathBuf {
        self.folder.join(STAMP)
    }
}

/// pip's `install` in an environment.
pub(super) fn pip_install(python: &Path) -> Tool {
    Tool::new(python, INSTALL_DEADLINE)
        .args(["-I", "-m", "pip", "install"])
        .args(["--no-input", "--disable-pip-version-check"])
}

/// The file that takes what pip says.
pub(super) fn log(home: &Home) -> PathBuf {
    home.log("target")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts a program into an environment that says that it is a Python of this version.
    fn put_python(environment: &Environment, version: &str) {
        let python = environment.interpreter();
        fs::create_dir_all(python.parent().unwrap()).unwrap();
        // A file that is being written cannot be executed, also not by who inherits it from another test.
        let script = format!("#!/bin/sh\necho {version}\n");
        let written = Tool::new("sh", VERSION_DEADLINE)
            .args(["-c", "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"", "sh"])
            .args([script.as_ref(), python.as_os_str()])
            .output();
        written.unwrap();
    }

    #[test]
    fn an_environment_counts_only_for_the_python_that_it_was_made_with() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment {
            folder: folder.path().to_owned(),
            made_from: "this".to_owned(),
        };
        fs::create_dir_all(environment.packages_for("3.11")).unwrap();
        fs::write(environment.stamp(), "this\n").unwrap();
        put_python(&environment, "3.11");
        assert_eq!(environment.python(), Some(environment.interpreter()));
        put_python(&environment, "3.13");
        assert_eq!(environment.python(), None);
        put_python(&environment, "3.11; exit 1");
        assert_eq!(environment.python(), None);
    }

    #[test]
    fn an_environment_that_another_process_has_made_meanwhile_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let environment = Environment {
            folder: folder.path().join("environment"),
            made_from: "this".to_owned(),
        };
        let python = environment.interpreter();
        let make = || {
            fs::create_dir_all(environment.packages_for("3.11")).unwrap();
            put_python(&environment, "3.11");
            fs::write(environment.stamp(), "this\n").unwrap();
        };
        std::thread::scope(|scope| {
            let guard = home.lock().unwrap();
            let asked =
                scope.spawn(|| environment.python_or(&home, |_| panic!("it is there by now")));
            make();
            drop(guard);
            assert_eq!(asked.join().unwrap().unwrap(), python);
        });
    }

    #[test]
    fn an_environment_counts_only_with_the_stamp_of_what_it_is_made_from() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment {
            folder: folder.path().to_owned(),
            made_from: "this".to_owned(),
        };
        fs::create_dir_all(environment.packages_for("3.11")).unwrap();
        put_python(&environment, "3.11");
        assert_eq!(environment.python(), None);
        fs::write(environment.stamp(), "that\n").unwrap();
        assert_eq!(environment.python(), None);
        fs::write(environment.stamp(), "this\n").unwrap();
        assert_eq!(environment.python(), Some(environment.interpreter()));
        fs::remove_file(environment.interpreter()).unwrap();
        assert_eq!(environment.python(), None);
    }
}
