//! What the system's package manager provides.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::command::{Tool, find_program};
use super::error::ProvisionError;
use super::home::Home;
use super::progress::Step;

/// How long reading the package lists, and an installation, may take.
const UPDATE_DEADLINE: Duration = Duration::from_secs(5 * 60);
const INSTALL_DEADLINE: Duration = Duration::from_secs(20 * 60);

/// Something that is missing on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// What it is.
    pub(super) what: String,
    /// The Debian package that has it, if one has.
    pub(super) package: Option<&'static str>,
}

/// The error that says what is missing and how to mend it.
pub(super) fn missing(parts: &[Part]) -> ProvisionError {
    ProvisionError::Missing {
        what: parts.iter().map(|part| part.what.clone()).collect(),
        mend: match install_line(parts) {
            Some(line) => format!("run: gymcheck setup --yes (which does: {line})"),
            None => {
                "install them with the system's package manager, then run: gymcheck setup".into()
            }
        },
    }
}

/// The command line that installs these parts; none where `apt-get` is not at hand.
pub(super) fn install_line(parts: &[Part]) -> Option<String> {
    find_program("apt-get")?;
    let prefix = if nix::unistd::geteuid().is_root() {
        ""
    } else {
        "sudo "
    };
    let packages = packages(parts)?.join(" ");
    Some(format!(
        "{prefix}apt-get update && {prefix}apt-get install -y --no-install-recommends {packages}"
    ))
}

/// Installs these parts.
pub(super) fn install(home: &Home, parts: &[Part]) -> Result<(), ProvisionError> {
    let (Some(apt), Some(packages)) = (find_program("apt-get"), packages(parts)) else {
        return Err(missing(parts));
    };
    let step = Step::begin(format!("installing {}", packages.join(", ")));
    let log = home.log("system");
    step.part("reading the package lists");
    apt_get(apt.clone(), UPDATE_DEADLINE)
        .args(["update"])
        .run(&log, None)?;
    step.part("apt-get install");
    apt_get(apt, INSTALL_DEADLINE)
        .args(["install", "-y", "--no-install-recommends"])
        .args(packages)
        .run(&log, None)?;
    step.done();
    Ok(())
}

/// The program that an environment variable names: a path, or a name on the `PATH`; nothing if it is
/// not set.
///
/// # Errors
/// It names nothing that can be executed.
pub(super) fn from_variable(
    variable: &'static str,
    value: Option<OsString>,
) -> Result<Option<PathBuf>, ProvisionError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    find_program(&value)
        .map(Some)
        .ok_or_else(|| ProvisionError::Variable {
            variable,
            value: value.to_string_lossy().into_owned(),
            why: "which is no program that can be executed".into(),
        })
}

/// The packages of these parts, each once; nothing if one of the parts has none.
fn packages(parts: &[Part]) -> Option<Vec<&'static str>> {
    let mut packages = Vec::new();
    for part in parts {
        let package = part.package?;
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    Some(packages)
}

/// `apt-get` with the rights that it needs, and without questions: it would ask a terminal that its
/// process group does not own.
fn apt_get(apt: PathBuf, deadline: Duration) -> Tool {
    match find_program("sudo") {
        Some(sudo) if !nix::unistd::geteuid().is_root() => Tool::new(sudo, deadline)
            .args(["-n", "DEBIAN_FRONTEND=noninteractive"])
            .args([apt]),
        _ => Tool::new(apt, deadline).env("DEBIAN_FRONTEND", "noninteractive"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_variable_is_an_error_that_names_it() {
        let error = from_variable("CHROME", Some("/no/such/chrome".into())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "CHROME is set to /no/such/chrome, which is no program that can be executed; set it right or unset it"
        );
        assert!(from_variable("CHROME", Some("/etc".into())).is_err());
        assert!(from_variable("CHROME", Some("no-such-program-anywhere".into())).is_err());
    }

    #[test]
    fn a_variable_may_be_unset_empty_a_path_or_a_name() {
        assert_eq!(from_variable("CHROME", None).unwrap(), None);
        assert_eq!(from_variable("CHROME", Some("".into())).unwrap(), None);
        let path = from_variable("CHROME", Some("/bin/sh".into())).unwrap();
        assert_eq!(path, Some("/bin/sh".into()));
        assert!(
            from_variable("CHROME", Some("sh".into()))
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn packages_are_named_once_and_only_if_all_are_known() {
        let part = |package| Part {
            what: "something".into(),
            package,
        };
        let known = [part(Some("chromium")), part(Some("npm")), part(Some("npm"))];
        assert_eq!(packages(&known), Some(vec!["chromium", "npm"]));
        assert_eq!(packages(&[part(Some("npm")), part(None)]), None);
    }
}
