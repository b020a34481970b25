//! The Python of this machine, from which the targets' environments are made.

use std::path::PathBuf;
use std::time::Duration;

use super::command::{Tool, find_program};
use super::error::ProvisionError;
use super::system::{self, Part};

/// The oldest Python that the target runs on.
const OLDEST: (u32, u32) = (3, 10);

const DEADLINE: Duration = Duration::from_secs(30);

/// Says the version, and whether environments can be made: Debian keeps `ensurepip` in a package of
/// its own.
const QUESTION: &str = "import importlib.util, sys
print('.'.join(map(str, sys.version_info[:3])))
print(all(importlib.util.find_spec(name) for name in ('venv', 'ensurepip')))";

/// A Python that is there and new enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPython {
    pub(super) program: PathBuf,
    pub(super) version: String,
    /// Whether it can make environments.
    pub(super) makes_environments: bool,
}

impl HostPython {
    /// What it lacks.
    pub(super) fn missing(&self) -> Option<Part> {
        (!self.makes_environments).then(|| Part {
            what: format!(
                "Python's venv with ensurepip for {}",
                self.program.display()
            ),
            package: Some("python3-venv"),
        })
    }
}

/// What is missing where [`host_python`] finds none.
pub(super) fn missing_python() -> Vec<Part> {
    let part = |what: &str, package| Part {
        what: what.into(),
        package: Some(package),
    };
    vec![
        part("python3", "python3"),
        part("Python's venv", "python3-venv"),
    ]
}

/// The Python that `PYTHON` names, or else `python3`; nothing if there is none.
///
/// # Errors
/// `PYTHON` is set wrong, or the Python is too old or does not answer.
pub(super) fn host_python() -> Result<Option<HostPython>, ProvisionError> {
    let named = system::from_variable("PYTHON", std::env::var_os("PYTHON"))?;
    let Some(program) = named.or_else(|| find_program("python3")) else {
        return Ok(None);
    };
    let tool = Tool::new(&program, DEADLINE).args(["-I", "-c", QUESTION]);
    let command = tool.line();
    let answer = tool.output()?;
    let Some((version, makes_environments)) = understood(&answer) else {
        return Err(ProvisionError::Unexpected {
            command,
            what: format!("it said {answer:?}"),
        });
    };
    if !new_enough(version) {
        return Err(ProvisionError::OldPython {
            program,
            version: version.into(),
        });
    }
    Ok(Some(HostPython {
        program,
        version: version.into(),
        makes_environments,
    }))
}

fn understood(answer: &str) -> Option<(&str, bool)> {
    let (version, makes_environments) = answer.trim().split_once('\n')?;
    Some((version, makes_environments.trim() == "True"))
}

fn new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let major = numbers.next().unwrap_or(0);
    let minor = numbers.next().unwrap_or(0);
    (major, minor) >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(new_enough("3.10.0"));
        assert!(new_enough("3.13.1"));
        assert!(new_enough("4.0.0"));
        assert!(!new_enough("3.9.18"));
        assert!(!new_enough("2.7.18"));
    }

    #[test]
    fn the_page_of_what_is_supported_says_which_python() {
        let page = include_str!("../../../docs/support.md");
        let (major, minor) = OLDEST;
        assert!(page.contains(&format!("| {major}.{minor} and later, with `venv`")));
        assert!(page.contains("| Python | `PYTHON` | `python3` |"));
    }

    #[test]
    fn an_answer_is_understood() {
        assert_eq!(understood("3.11.7\nTrue\n"), Some(("3.11.7", true)));
        assert_eq!(understood("3.11.7\nFalse\n"), Some(("3.11.7", false)));
        assert_eq!(understood(""), None);
    }
}
