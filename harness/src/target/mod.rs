//! What is tested: the target, and the experiment that it serves.

mod address;
mod checkout;
mod edited;
mod edits;
mod error;
mod experiment;
mod facts;
mod package;
mod release;
mod serving;
mod snapshot;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::json;

use crate::evidence::Source;
use crate::spec::Experiment;

pub use address::Address;
pub use checkout::{Checkout, Revision};
pub use edited::EditedCopyError;
pub use edits::{Edit, EditError, apply_edit};
pub use error::TargetError;
pub use experiment::{ExperimentName, PORT};
pub use facts::TargetFacts;
pub use package::Package;
pub use release::{PINNED_RELEASE, Release};
pub use serving::{Experiments, OwnCommand, ServerCommand, Serving};
pub use snapshot::Snapshot;

/// What gymcheck sees from inside the target's process: a module that Python imports at start.
const OBSERVER: &str = include_str!("sitecustomize.py");

/// What stands in [`OBSERVER`], once, in the place of its token.
const TOKEN: &str = "GYMCHECK_TOKEN";

/// The module that tells of the target from inside its process, each time with this token.
#[must_use]
pub fn observer(token: &str) -> String {
    OBSERVER.replace(TOKEN, token)
}

/// The Socket.IO events of which [`observer`] does not tell that they were handled: they come every
/// second or oftener, and store nothing.
pub const UNTOLD: [&str; 4] = [
    "ping",
    "client_console_log",
    "webrtc_signal",
    "p2p_health_report",
];

/// A target as a call names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetName {
    /// A release: `mug@0.1.3`.
    Release(Release),
    /// The path of a checkout.
    Checkout(PathBuf),
    /// A server that already runs: `http://localhost:8000`.
    Running(Address),
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetName::Release(release) => release.fmt(f),
            TargetName::Checkout(path) => path.display().fmt(f),
            TargetName::Running(address) => address.fmt(f),
        }
    }
}

impl FromStr for TargetName {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<TargetName, TargetError> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return text.parse().map(TargetName::Running);
        }
        let looks_like_a_path = text.contains('/') || text.starts_with('.');
        if looks_like_a_path || Path::new(text).is_dir() {
            return Ok(TargetName::Checkout(text.into()));
        }
        text.parse().map(TargetName::Release)
    }
}

/// The server under test, ready to be started, or running.
#[derive(Debug, Clone)]
pub struct Target {
    /// What reports say of it.
    pub facts: TargetFacts,
    /// Its code, where it is at hand.
    pub code: Option<Code>,
    /// How it comes to serve an experiment.
    pub serving: Serving,
}

/// The code of a target.
#[derive(Debug, Clone)]
pub struct Code {
    /// What Python imports.
    pub package: Package,
    /// The folder of that package.
    pub folder: PathBuf,
}

impl Code {
    /// The version that is said where the package stands: by the project that it is of, by what has installed
    /// it, or by itself.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        let around = self.folder.parent()?;
        version_of_project(around)
            .or_else(|| self.installed_version(around))
            .or_else(|| {
                let text = std::fs::read_to_string(self.folder.join("__init__.py")).ok()?;
                let line = text.lines().find_map(|line| {
                    let (name, value) = line.split_once('=')?;
                    (name.trim() == "__version__").then(|| value.trim())
                })?;
                let quote = line.chars().next().filter(|first| "\"'".contains(*first))?;
                let (version, _) = line[1..].split_once(quote)?;
                Some(version.to_owned())
            })
    }

    /// As pip notes it beside what it installs.
    fn installed_version(&self, folder: &Path) -> Option<String> {
        let begin = format!("{}-", self.package.distribution().replace('-', "_"));
        std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name.strip_prefix(&begin)?.strip_suffix(".dist-info")?;
            Some(version.to_owned())
        })
    }
}

/// The version of the Python project in a folder.
fn version_of_project(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("pyproject.toml")).ok()?;
    let project: toml::Table = text.parse().ok()?;
    let version = project.get("project")?.get("version")?.as_str()?;
    Some(version.to_owned())
}

impl Target {
    /// Its name in reports: `mug@0.1.3`, `interactive_gym@07480b2e5`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// What serves the experiment, where that is not the spec's own.
    #[must_use]
    pub fn served(&self) -> Option<String> {
        match &self.serving {
            Serving::Experiments(experiments) => {
                experiments.instead.as_ref().map(ExperimentName::to_string)
            }
            Serving::Command(command) => Some(command.line.clone()),
            Serving::Running(_) => Some(self.name().to_owned()),
        }
    }

    /// What is not at hand of it, and why.
    #[must_use]
    pub fn lacks(&self) -> BTreeMap<Source, String> {
        let why = match &self.serving {
            Serving::Running(_) => {
                "the server was running already, and is not gymcheck's to look into"
            }
            Serving::Command(own) if !own.is_observed => {
                "what the command starts runs in no Python that could be looked into"
            }
            Serving::Experiments(_) | Serving::Command(_) => return BTreeMap::new(),
        };
        let missing = match &self.serving {
            Serving::Running(_) => vec![Source::Handlers, Source::Log, Source::Data],
            Serving::Experiments(_) | Serving::Command(_) => vec![Source::Handlers],
        };
        let each = missing.into_iter();
        each.map(|source| (source, why.to_owned())).collect()
    }

    /// Its code, where that is no release of which the page could get a published package.
    #[must_use]
    pub fn own_code(&self) -> Option<&Code> {
        let is_release = match &self.serving {
            Serving::Experiments(experiments) => experiments.search_path.is_none(),
            Serving::Command(_) | Serving::Running(_) => false,
        };
        self.code.as_ref().filter(|_| !is_release)
    }

    /// Takes note of what a first look at a user's own command has shown.
    pub fn learn(&mut self, is_observed: bool, code: Option<Code>) {
        if let Serving::Command(own) = &mut self.serving {
            own.is_observed = is_observed;
            self.facts.package = code.as_ref().map(|code| code.package.name().to_owned());
            self.code = code;
        }
    }

    /// Where it already listens, if it runs.
    #[must_use]
    pub fn running(&self) -> Option<SocketAddr> {
        match self.serving {
            Serving::Running(address) => Some(address),
            Serving::Experiments(_) | Serving::Command(_) => None,
        }
    }

    /// Whether two runs at once would get into each other's way: on one server that runs already, or on one
    /// whose command does not take the port that it gets.
    #[must_use]
    pub fn takes_one_run_at_a_time(&self) -> bool {
        match &self.serving {
            Serving::Experiments(_) => false,
            Serving::Command(command) => !command.takes_port(),
            Serving::Running(_) => true,
        }
    }

    /// The text of a file that an edit may name: one that the target serves, by the end of its path,
    /// as `static/js/index.js`, or a Python file of its package, as `server/app.py`; `None` if there
    /// is no such file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn file(&self, file: &str) -> Result<Option<String>, TargetError> {
        let Some(code) = &self.code else {
            return Ok(None);
        };
        let path = match file.ends_with(".py") {
            true => code.folder.join(file),
            false => code.folder.join("server").join(file),
        };
        if !path.is_file() {
            return Ok(None);
        }
        std::fs::read_to_string(path)
            .map(Some)
            .map_err(|source| TargetError::Unreadable {
                target: self.name().to_owned(),
                file: file.to_owned(),
                source,
            })
    }
}

/// The settings that an experiment is called with.
#[must_use]
pub fn settings_of(experiment: &Experiment) -> serde_json::Value {
    json!({
        "games": experiment.games,
        "surveys": experiment.surveys,
        "solo_between": experiment.solo_between,
        "episodes": experiment.episodes,
        "steps": experiment.steps,
        "frame_rate": experiment.frame_rate,
        "load_ms": experiment.load_ms,
        "restart_pyodide": experiment.restart_pyodide,
        "max_rtt_ms": experiment.max_rtt_ms,
        "reconnection_timeout_ms": experiment.reconnection_timeout_ms,
        "focus_loss_timeout_ms": experiment.focus_loss_timeout_ms,
        "pause_on_partner_background": experiment.pause_on_partner_background,
        "monitoring": experiment.monitoring,
        "disconnect_message": experiment.disconnect_message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_observer_tells_of_all_events_but_those_that_are_named() {
        let list = OBSERVER.split_once("_FREQUENT = (").expect("the list").1;
        let list = list.split_once(')').expect("its end").0;
        assert_eq!(list, UNTOLD.map(|name| format!("\"{name}\"")).join(", "));
    }

    #[test]
    fn code_has_the_version_that_is_said_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let code = Code {
            package: Package::Mug,
            folder: folder.path().join("mug"),
        };
        std::fs::create_dir(&code.folder).unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(code.version(), None);
        write("mug/__init__.py", "__version__ = version(\"a\")\n");
        assert_eq!(code.version(), None);
        write("mug/__init__.py", "import a\n__version__ = '0.1'\n");
        assert_eq!(code.version().unwrap(), "0.1");
        let installed = "multi_user_gymnasium-0.2.dist-info";
        std::fs::create_dir(folder.path().join(installed)).unwrap();
        assert_eq!(code.version().unwrap(), "0.2");
        write("pyproject.toml", "[project]\nversion = \"0.3\"\n");
        assert_eq!(code.version().unwrap(), "0.3");
    }

    #[test]
    fn what_the_observer_tells_fits_into_a_line_that_is_kept() {
        const LONGEST: usize = 4000;
        let folder = tempfile::tempdir().expect("a folder");
        let module = folder.path().join("sitecustomize.py");
        std::fs::write(module, observer("a-token")).expect("written");
        let tell = "import sitecustomize as own
long = '\\U0001f600\\0' * 5000
own._tell(handled=long, sid=long, error=long, reason=long)
own._tell(held={'rooms': {str(game): 2 for game in range(5000)}})
own._tell(handled='advance_scene', sid='s', error='short', reason=None)";
        let python = std::process::Command::new("python3")
            .env("PYTHONPATH", folder.path())
            .args(["-c", tell])
            .output()
            .expect("Python runs");
        let told = String::from_utf8(python.stderr).expect("text");
        let told: Vec<&str> = told.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        for line in &told {
            assert!(line.len() <= LONGEST, "{} characters", line.len());
        }
        let json = |line: &str| -> serde_json::Value {
            serde_json::from_str(line.strip_prefix("@gymcheck a-token ").expect("its mark"))
                .expect("JSON")
        };
        let cut = json(told[0]);
        for name in ["handled", "sid", "error", "reason"] {
            let text = cut[name].as_str().expect("a text");
            assert!(
                text.starts_with("\u{1f600}\0") && text.ends_with('…'),
                "{text}"
            );
        }
        assert!(json(told[1])["unseen"].is_string(), "{}", told[1]);
        let whole = json!({
            "handled": "advance_scene", "sid": "s", "error": "short", "reason": null
        });
        assert_eq!(json(told[2]), whole);
    }

    #[test]
    fn a_target_is_a_release_or_a_path() {
        let read = |text: &str| text.parse::<TargetName>();
        assert_eq!(
            read("mug@0.1.3").unwrap(),
            TargetName::Release(PINNED_RELEASE)
        );
        assert_eq!(
            read("../mug").unwrap(),
            TargetName::Checkout("../mug".into())
        );
        assert_eq!(read(".").unwrap(), TargetName::Checkout(".".into()));
        let said = |text: &str| read(text).unwrap_err().to_string();
        let running = read("http://127.0.0.1:8000").unwrap();
        assert_eq!(running.to_string(), "http://127.0.0.1:8000");
        assert!(said("https://127.0.0.1:8000").contains("plain http"));
        assert!(said("nowhere").contains("names no target"));
    }
}
