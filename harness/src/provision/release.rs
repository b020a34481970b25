//! The target's releases: a Python environment for each. The pinned one's whole dependency set is
//! locked; the others take the locked versions where they can.

use std::path::{Path, PathBuf};

use super::environment::{self, Environment, pip_install};
use super::error::ProvisionError;
use super::files;
use super::home::{Home, HomeLock};
use super::progress::Step;
use crate::target::{PINNED_RELEASE, Release, TargetError};

/// The lock of the pinned release.
const LOCK: &str = include_str!("../../../fixtures/targets/mug-0.1.3.txt");

/// The Python of the environment in which the pinned release is installed.
///
/// # Errors
/// Its environment has not been made, or not from this build's lock.
pub(super) fn pinned_python(home: &Home) -> Result<PathBuf, ProvisionError> {
    let environment = environment_of(home, &PINNED_RELEASE);
    environment
        .python()
        .ok_or_else(|| ProvisionError::NotSetUp {
            what: format!(
                "{PINNED_RELEASE} is not installed in {}, or not as this gymcheck pins it, or for another Python",
                environment.folder.display()
            ),
        })
}

/// The folder of the pinned release's environment.
pub(super) fn pinned_folder(home: &Home) -> PathBuf {
    environment_of(home, &PINNED_RELEASE).folder
}

/// Makes the environment of the pinned release anew with this Python.
pub(super) fn install_pinned(
    home: &Home,
    host_python: &Path,
    guard: &HomeLock,
) -> Result<PathBuf, ProvisionError> {
    let environment = environment_of(home, &PINNED_RELEASE);
    let step = Step::begin(format!(
        "installing {PINNED_RELEASE} into {}",
        environment.folder.display()
    ));
    let python = environment.make(home, host_python, guard, |python| {
        let requirements = environment.folder.join("requirements.txt");
        files::write_whole(&requirements, LOCK.as_bytes())?;
        pip_install(python)
            .args(["--require-hashes", "--requirement"])
            .args([&requirements])
            .run(&environment::log(home), Some(guard))
    })?;
    step.done();
    Ok(python)
}

/// The environment of any release.
pub(super) fn environment_of(home: &Home, release: &Release) -> Environment {
    let made_from = if *release == PINNED_RELEASE {
        LOCK.to_owned()
    } else {
        format!("{release}\n{}", constraints())
    };
    Environment {
        folder: home
            .targets()
            .join(format!("{}-{}", release.package.name(), release.version)),
        made_from: files::sha256(made_from.as_bytes()),
    }
}

/// Makes the environment of a release that has no lock.
pub(super) fn install(
    home: &Home,
    release: &Release,
    host_python: &Path,
    guard: &HomeLock,
) -> Result<PathBuf, ProvisionError> {
    let environment = environment_of(home, release);
    let step = Step::begin(format!(
        "installing {release} into {}",
        environment.folder.display()
    ));
    let wanted = format!(
        "{}[server]=={}",
        release.package.distribution(),
        release.version
    );
    let python = environment.make(home, host_python, guard, |python| {
        let folder = &environment.folder;
        constrained(home, python, folder, folder, guard, &[wanted.into()])
            .map_err(|error| unpublished(release, error))
    })?;
    step.done();
    Ok(python)
}

/// Installs these, called `within` a folder, with the versions that the pinned release is locked to. If they do
/// not go together, without them.
pub(super) fn constrained(
    home: &Home,
    python: &Path,
    folder: &Path,
    within: &Path,
    guard: &HomeLock,
    wanted: &[std::ffi::OsString],
) -> Result<(), ProvisionError> {
    let file = folder.join("constraints.txt");
    files::write_whole(&file, constraints().as_bytes())?;
    let log = environment::log(home);
    let install = |more: &[&std::ffi::OsStr]| {
        pip_install(python)
            .args(more)
            .args(wanted)
            .within(within)
            .run(&log, Some(guard))
    };
    match install(&["--constraint".as_ref(), file.as_os_str()]) {
        Err(ProvisionError::Command { tail, .. }) if tail.contains("ResolutionImpossible") => {
            install(&[])
        }
        done => done,
    }
}

/// What the pinned release is locked to, but for itself, as pip's constraints.
pub(super) fn constraints() -> String {
    let own = format!("{}==", PINNED_RELEASE.package.distribution());
    let pins = LOCK
        .lines()
        .filter(|line| !line.starts_with(['#', ' ']) && !line.starts_with(&own))
        .map(|line| line.trim_end_matches('\\').trim_end());
    pins.fold(String::new(), |text, pin| text + pin + "\n")
}

/// pip's words for a version that nobody published, as a mistake of the call.
fn unpublished(release: &Release, error: ProvisionError) -> ProvisionError {
    let ProvisionError::Command { tail, .. } = &error else {
        return error;
    };
    let published = tail
        .split_once("(from versions: ")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(versions, _)| versions.to_owned());
    match published {
        // Without any version the index may be out of reach: then pip's own words say more.
        Some(published) if published != "none" => TargetError::NoVersion {
            release: release.to_string(),
            published,
        }
        .into(),
        Some(_) | None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provision::error::Outcome;

    #[test]
    fn a_lock_pins_every_line_by_hash_and_names_no_index() {
        let lines = || LOCK.lines().filter(|line| !line.starts_with('#'));
        assert!(!lines().any(|line| line.contains("://") || line.starts_with("--")));
        let joined = lines().collect::<Vec<_>>().join("\n").replace("\\\n", " ");
        for requirement in joined.lines() {
            assert!(requirement.contains("=="), "{requirement}");
            assert!(requirement.contains("--hash=sha256:"), "{requirement}");
        }
        assert!(joined.contains(&format!("multi-user-gymnasium=={}", PINNED_RELEASE.version)));
    }

    #[test]
    fn constraints_are_the_lock_without_hashes_and_without_the_target() {
        let constraints = constraints();
        assert!(
            constraints
                .lines()
                .any(|line| line.starts_with("eventlet=="))
        );
        assert!(constraints.lines().all(|line| line.contains("==")));
        assert!(!constraints.contains("sha256") && !constraints.contains('\\'));
        assert!(!constraints.contains("multi-user-gymnasium"));
    }

    #[test]
    fn a_release_that_is_not_installed_asks_for_a_setup() {
        let folder = tempfile::tempdir().unwrap();
        let error = pinned_python(&Home::at(folder.path())).unwrap_err();
        assert!(
            error.to_string().ends_with("run: gymcheck setup"),
            "{error}"
        );
    }

    #[test]
    fn a_version_that_nobody_published_is_a_mistake_of_the_call() {
        let failed = |tail: &str| ProvisionError::Command {
            command: "pip".into(),
            outcome: Outcome::Interrupted,
            log: None,
            tail: tail.into(),
        };
        let release = "mug@9".parse().unwrap();
        let said = "ERROR: Could not find a version that satisfies the requirement x==9 (from versions: 0.1.0, 0.1.3)\nERROR: No matching distribution found for x==9";
        assert_eq!(
            unpublished(&release, failed(said)).to_string(),
            "there is no release mug@9 that can be installed here; published: 0.1.0, 0.1.3"
        );
        let unreachable = said.replace("0.1.0, 0.1.3", "none");
        let error = unpublished(&release, failed(&unreachable));
        assert!(matches!(error, ProvisionError::Command { .. }), "{error}");
    }
}
