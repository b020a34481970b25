//! What is tested: the target, and the experiment that it serves.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::spec::Experiment;

/// What gymcheck sees from inside the target's process: a module that Python imports at start.
pub const OBSERVER: &str = include_str!("sitecustomize.py");

/// The server under test, installed and ready to be started.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name in reports, as `mug@0.1.3`.
    pub name: String,
    /// The Python that has it installed.
    pub python: PathBuf,
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
}

impl Target {
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
                "--port".to_owned(),
                "0".to_owned(),
                "--settings".to_owned(),
                settings.to_string_lossy().into_owned(),
            ],
        })
    }
}

/// The settings that an experiment is called with.
#[must_use]
pub fn settings_of(experiment: &Experiment) -> serde_json::Value {
    json!({
        "games": experiment.games,
        "episodes": experiment.episodes,
        "steps": experiment.steps,
        "frame_rate": experiment.frame_rate,
        "reconnection_timeout_ms": experiment.reconnection_timeout_ms,
        "focus_loss_timeout_ms": experiment.focus_loss_timeout_ms,
        "disconnect_message": experiment.disconnect_message,
    })
}

/// Why a target cannot be looked into.
#[derive(Debug, thiserror::Error)]
#[error("cannot look into the target {target}; run `gymcheck setup`")]
pub struct TargetError {
    target: String,
    source: std::io::Error,
}

impl Target {
    /// The text of a file that the target serves, by the end of its path, as
    /// `static/js/index.js`; `None` if it serves no such file.
    ///
    /// # Errors
    /// The target's Python or its files cannot be read.
    pub fn served_file(&self, file: &str) -> Result<Option<String>, TargetError> {
        let failed = |source| TargetError {
            target: self.name.clone(),
            source,
        };
        let path = self.package().map_err(failed)?.join("server").join(file);
        if !path.is_file() {
            return Ok(None);
        }
        std::fs::read_to_string(path).map(Some).map_err(failed)
    }

    /// The folder of the target's Python package.
    fn package(&self) -> std::io::Result<PathBuf> {
        let script =
            "import importlib.util as u; print(u.find_spec('mug').submodule_search_locations[0])";
        let output = std::process::Command::new(&self.python)
            .args(["-c", script])
            .output()?;
        if !output.status.success() {
            return Err(std::io::Error::other(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            ));
        }
        Ok(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ))
    }
}
