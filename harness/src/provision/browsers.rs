//! The browsers and their drivers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::{Tool, find_program, is_program};
use super::error::ProvisionError;
use super::home::{Home, HomeLock};
use super::progress::Step;
use super::system::{self, Part};
use crate::spec::BrowserKind;

/// The version of geckodriver that `setup` builds where none is found.
pub(super) const GECKODRIVER: &str = "0.37.1";

/// How long a program may take to say its version; a browser's first start is slow.
const VERSION_DEADLINE: Duration = Duration::from_secs(60);

/// How long building geckodriver may take.
const BUILD_DEADLINE: Duration = Duration::from_secs(40 * 60);

/// What must be known of one program, a browser or a driver, to find it.
struct Program {
    /// The environment variable that names it.
    variable: &'static str,
    /// Its names on the `PATH`, the best first.
    names: &'static [&'static str],
    /// The Debian package that has it, if one has.
    package: Option<&'static str>,
    /// What its answer to `--version` holds.
    says: &'static str,
}

const CHROME: Program = Program {
    variable: "CHROME",
    names: &[
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
        "chrome",
    ],
    package: Some("chromium"),
    says: "Chrom",
};

const CHROMEDRIVER: Program = Program {
    variable: "CHROMEDRIVER",
    names: &["chromedriver"],
    package: Some("chromium-driver"),
    says: "ChromeDriver",
};

const FIREFOX: Program = Program {
    variable: "FIREFOX",
    names: &["firefox-esr", "firefox"],
    package: Some("firefox-esr"),
    says: "Firefox",
};

const GECKODRIVER_PROGRAM: Program = Program {
    variable: "GECKODRIVER",
    names: &["geckodriver"],
    package: None,
    says: "geckodriver",
};

impl BrowserKind {
    /// The environment variable that names the browser's program.
    #[must_use]
    pub fn program_variable(self) -> &'static str {
        self.program().variable
    }

    /// The environment variable that names the driver's program.
    #[must_use]
    pub fn driver_variable(self) -> &'static str {
        self.driver().variable
    }

    fn program(self) -> &'static Program {
        match self {
            BrowserKind::Chrome => &CHROME,
            BrowserKind::Firefox => &FIREFOX,
        }
    }

    fn driver(self) -> &'static Program {
        match self {
            BrowserKind::Chrome => &CHROMEDRIVER,
            BrowserKind::Firefox => &GECKODRIVER_PROGRAM,
        }
    }
}

/// A browser with its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Browser {
    /// Which it is.
    pub kind: BrowserKind,
    /// The browser's program.
    pub program: PathBuf,
    /// The driver's program.
    pub driver: PathBuf,
    /// The browser's version, numbers only: `156.0.8078.79`.
    pub version: String,
    /// The driver's version.
    pub driver_version: String,
}

/// Finds a browser and its driver: by the variables `CHROME`, `CHROMEDRIVER`, `FIREFOX` and
/// `GECKODRIVER`, or else on the `PATH`; geckodriver also among the programs in the home folder and
/// those that Cargo installed. Asks both for their versions.
///
/// # Errors
/// One of the two is not there, a variable leads astray, a program does not say its version, or the
/// driver is not for this browser.
pub fn find_browser(home: &Home, kind: BrowserKind) -> Result<Browser, ProvisionError> {
    let (program, driver) = (locate(home, kind.program())?, locate(home, kind.driver())?);
    let (Some(program), Some(driver)) = (program, driver) else {
        let parts = missing(home, kind)?;
        if parts.iter().all(|part| part.package.is_none()) {
            // The driver alone, which setup builds.
            return Err(ProvisionError::NotSetUp {
                what: "geckodriver is missing on this machine".into(),
            });
        }
        return Err(system::missing(&installable(&parts)));
    };
    let version = version(kind.program(), &program)?;
    let driver_version = self::version(kind.driver(), &driver)?;
    // Chrome's driver follows the browser's numbers; Firefox's has its own and drives them all.
    if kind == BrowserKind::Chrome && major(&version) != major(&driver_version) {
        return Err(ProvisionError::DriverVersion {
            kind,
            program,
            version,
            driver,
            driver_version,
        });
    }
    Ok(Browser {
        kind,
        program,
        driver,
        version,
        driver_version,
    })
}

/// What is missing of a browser and its driver.
///
/// # Errors
/// A variable leads astray.
pub(super) fn missing(home: &Home, kind: BrowserKind) -> Result<Vec<Part>, ProvisionError> {
    let mut parts = Vec::new();
    for wanted in [kind.program(), kind.driver()] {
        if locate(home, wanted)?.is_none() {
            parts.push(Part {
                what: wanted.names[0].into(),
                package: wanted.package,
            });
        }
    }
    Ok(parts)
}

/// Those parts that a system package has.
pub(super) fn installable(parts: &[Part]) -> Vec<Part> {
    let installable = parts.iter().filter(|part| part.package.is_some());
    installable.cloned().collect()
}

/// The system packages of all browsers and drivers.
#[cfg(test)]
pub(super) fn packages() -> impl Iterator<Item = &'static str> {
    let programs = BrowserKind::ALL.map(|kind| [kind.program(), kind.driver()]);
    programs
        .into_iter()
        .flatten()
        .filter_map(|program| program.package)
}

/// Builds geckodriver into the home folder.
pub(super) fn build_geckodriver(home: &Home, guard: &HomeLock) -> Result<(), ProvisionError> {
    let cargo = find_program("cargo")
        .or_else(|| cargo_programs().map(|folder| folder.join("cargo")))
        .filter(|cargo| is_program(cargo))
        .ok_or_else(|| ProvisionError::Missing {
            what: vec!["geckodriver".into(), "cargo, which would build it".into()],
            mend: "install Rust, or set GECKODRIVER".into(),
        })?;
    let step = Step::begin(format!("building geckodriver {GECKODRIVER}"));
    Tool::new(cargo, BUILD_DEADLINE)
        .args([
            "install",
            "geckodriver",
            "--locked",
            "--version",
            GECKODRIVER,
        ])
        .args(["--root".as_ref(), home.root().as_os_str()])
        // A project's own settings for Cargo are not for this build.
        .within(home.root())
        .run(&home.log("geckodriver"), Some(guard))?;
    step.done();
    Ok(())
}

fn locate(home: &Home, wanted: &Program) -> Result<Option<PathBuf>, ProvisionError> {
    let named = system::from_variable(wanted.variable, std::env::var_os(wanted.variable))?;
    let on_path = || wanted.names.iter().find_map(find_program);
    let built = || {
        let folders = std::iter::once(home.bin()).chain(cargo_programs());
        let paths = folders.map(|folder| folder.join(wanted.names[0]));
        paths.into_iter().find(|path| is_program(path))
    };
    Ok(named
        .or_else(on_path)
        .or_else(|| wanted.package.is_none().then(built).flatten()))
}

/// The folder into which Cargo installs programs.
fn cargo_programs() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from);
    home.or_else(|| directories::BaseDirs::new().map(|folders| folders.home_dir().join(".cargo")))
        .map(|home| home.join("bin"))
}

/// The version that a program says it has.
fn version(wanted: &Program, program: &Path) -> Result<String, ProvisionError> {
    let tool = Tool::new(program, VERSION_DEADLINE).args(["--version"]);
    let command = tool.line();
    let said = tool.output()?;
    let line = said.lines().find(|line| line.contains(wanted.says));
    line.and_then(numbers)
        .ok_or_else(|| match std::env::var_os(wanted.variable) {
            Some(value) if !value.is_empty() => ProvisionError::Variable {
                variable: wanted.variable,
                value: value.to_string_lossy().into_owned(),
                why: format!("which is no {}: it says {:?}", wanted.names[0], said.trim()),
            },
            _ => ProvisionError::Unexpected {
                command,
                what: format!(
                    "it said {:?}, no version of {}",
                    said.trim(),
                    wanted.names[0]
                ),
            },
        })
}

/// The first version number in a line, without what a distributor hangs on it.
fn numbers(line: &str) -> Option<String> {
    let digit_or_dot = |c: char| c.is_ascii_digit() || c == '.';
    line.split_ascii_whitespace()
        .map(|word| word.split(|c| !digit_or_dot(c)).next().unwrap_or_default())
        .find(|number| number.contains('.') && number.starts_with(|c: char| c.is_ascii_digit()))
        .map(|number| number.trim_end_matches('.').to_owned())
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_programs_say() {
        let said = [
            (
                "Chromium 156.0.8078.79 built on Debian GNU/Linux 12 (bookworm)",
                "156.0.8078.79",
            ),
            ("Google Chrome 156.0.8078.79 ", "156.0.8078.79"),
            ("Mozilla Firefox 153.7.0esr", "153.7.0"),
            ("Mozilla Firefox 156.0", "156.0"),
            (
                "geckodriver 0.37.1 (a1b2c3d4e5f6 2026-08-01 12:00 +0000)",
                "0.37.1",
            ),
            (
                "ChromeDriver 156.0.8078.79 (a21ce95c-refs/branch-heads/8078@{#1704})",
                "156.0.8078.79",
            ),
        ];
        for (line, version) in said {
            assert_eq!(numbers(line).as_deref(), Some(version), "{line}");
        }
        assert_eq!(numbers("no numbers here"), None);
    }

    #[test]
    fn the_page_of_what_is_supported_names_each_variable_and_program() {
        let page = include_str!("../../../docs/support.md");
        for wanted in [CHROME, CHROMEDRIVER, FIREFOX, GECKODRIVER_PROGRAM] {
            let row = format!(
                "| `{}` | `{}` |",
                wanted.variable,
                wanted.names.join("`, `")
            );
            assert!(page.contains(&row), "{row}");
            let package = wanted.package.map(|package| format!("`{package}`"));
            assert!(package.is_none_or(|package| page.contains(&package)));
        }
        assert!(page.contains(&format!("geckodriver {GECKODRIVER} |")));
    }

    #[test]
    fn a_program_that_is_something_else_is_refused() {
        let echo = find_program("echo").unwrap();
        let error = version(&CHROMEDRIVER, &echo).unwrap_err();
        assert!(
            error.to_string().contains("no version of chromedriver"),
            "{error}"
        );
    }
}
