//! What is tested: the target, and the experiment that it serves.

mod checkout;
mod edited;
mod edits;
mod error;
mod facts;
mod package;
mod release;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::json;

use crate::spec::Experiment;

pub use checkout::{Checkout, Revision};
pub use edited::EditedCopyError;
pub use edits::{Edit, EditError, apply_edit};
pub use error::TargetError;
pub use facts::TargetFacts;
pub use package::Package;
pub use release::{PINNED_RELEASE, Release};

/// What gymcheck sees from inside the target's process: a module that Python imports at start.
pub const OBSERVER: &str = include_str!("sitecustomize.py");

/// The Socket.IO events of which [`OBSERVER`] does not tell that they were handled: they come every
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
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetName::Release(release) => release.fmt(f),
            TargetName::Checkout(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for TargetName {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<TargetName, TargetError> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Err(TargetError::Address { text: text.into() });
        }
        let looks_like_a_path = text.contains('/') || text.starts_with('.');
        if looks_like_a_path || Path::new(text).is_dir() {
            return Ok(TargetName::Checkout(text.into()));
        }
        text.parse().map(TargetName::Release)
    }
}

/// The server under test, installed and ready to be started.
#[derive(Debug, Clone)]
pub struct Target {
    /// What reports say of it.
    pub facts: TargetFacts,
    /// What Python imports.
    pub package: Package,
    /// The folder of that package.
    pub folder: PathBuf,
    /// The Python that has what it needs.
    pub python: PathBuf,
    /// Where Python finds the package, if not among what is installed.
    pub search_path: Option<PathBuf>,
    /// The folder that holds the experiments, by name.
    pub experiments: PathBuf,
}

/// A command that starts a target.
#[derive(Debug)]
pub struct ServerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Folders where Python looks for modules, besides what is installed.
    pub search_path: Vec<PathBuf>,
}

impl Target {
    /// Its name in reports: `mug@0.1.3`, `interactive_gym@07480b2e5`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// The command that serves an experiment on a port that the system chooses.
    ///
    /// `folder` is the stage's own: the settings are written there.
    ///
    /// # Errors
    /// The settings cannot be written.
    pub fn serve(&self, experiment: &Experiment, folder: &Path) -> std::io::Result<ServerCommand> {
        let settings = folder.join("settings.json");
        std::fs::write(&settings, settings_of(experiment).to_string())?;
        let script = self
            .experiments
            .join(&experiment.name)
            .join("experiment.py");
        Ok(ServerCommand {
            program: self.python.clone(),
            arguments: vec![
                script.to_string_lossy().into_owned(),
                "--package".to_owned(),
                self.package.name().to_owned(),
                "--port".to_owned(),
                "0".to_owned(),
                "--settings".to_owned(),
                settings.to_string_lossy().into_owned(),
            ],
            search_path: self.search_path.iter().cloned().collect(),
        })
    }

    /// The text of a file that an edit may name: one that the target serves, by the end of its path,
    /// as `static/js/index.js`, or a Python file of its package, as `server/app.py`; `None` if there
    /// is no such file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn file(&self, file: &str) -> Result<Option<String>, TargetError> {
        let path = match file.ends_with(".py") {
            true => self.folder.join(file),
            false => self.folder.join("server").join(file),
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
        assert!(said("http://127.0.0.1:8000").contains("cannot be tested yet"));
        assert!(said("nowhere").contains("names no target"));
    }
}
