//! Another experiment than a spec's own, as a call names it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::TargetError;

/// What stands in a user's command for the port on which the server is to listen.
pub const PORT: &str = "{port}";

/// The file of an experiment's folder that serves it.
pub(super) const SCRIPT: &str = "experiment.py";

/// Another experiment than a spec's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExperimentName {
    /// One of this project's, a folder under `fixtures/experiments/`.
    Known(String),
    /// A folder with an `experiment.py` that is called as those of this project are.
    Folder(PathBuf),
    /// A user's own command, which starts a server.
    Command(String),
}

impl fmt::Display for ExperimentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExperimentName::Known(name) => name.fmt(f),
            ExperimentName::Folder(path) => path.display().fmt(f),
            ExperimentName::Command(line) => line.fmt(f),
        }
    }
}

impl FromStr for ExperimentName {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<ExperimentName, TargetError> {
        let wrong = |advice: String| TargetError::Experiment {
            text: text.to_owned(),
            advice,
        };
        let path = Path::new(text);
        if path.is_dir() {
            return match path.join(SCRIPT).is_file() {
                true => Ok(ExperimentName::Folder(path.into())),
                false => Err(wrong(format!(
                    "the folder holds no {SCRIPT}; give the command that starts your server, as \
                     \"python -m my_study --port {PORT}\""
                ))),
            };
        }
        if text.trim().contains(char::is_whitespace) {
            return Ok(ExperimentName::Command(text.trim().to_owned()));
        }
        if path.is_file() {
            return Err(wrong(format!(
                "it is a file; give the command that starts it, as \"python {text} --port {PORT}\", or \
                 \"{text} {PORT}\""
            )));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if text.is_empty() || !text.chars().all(plain) {
            return Err(wrong(format!(
                "there is no such folder; give the name of an experiment of this project, a folder with \
                 an {SCRIPT}, or a command line, as \"python -m my_study --port {PORT}\""
            )));
        }
        Ok(ExperimentName::Known(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_experiment_is_a_name_a_folder_or_a_command() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let read = |text: &str| text.parse::<ExperimentName>();
        let said = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(read("duet").unwrap(), ExperimentName::Known("duet".into()));
        let command = "python study.py --port {port}";
        assert_eq!(
            read(&format!(" {command} ")).unwrap(),
            ExperimentName::Command(command.into())
        );
        assert!(said(path).contains("holds no experiment.py"));
        std::fs::write(folder.path().join(SCRIPT), "").unwrap();
        assert_eq!(read(path).unwrap(), ExperimentName::Folder(path.into()));
        assert!(said(&format!("{path}/{SCRIPT}")).contains("it is a file"));
        assert!(said("./no-such-folder").contains("no such folder"));
        assert!(said("").contains("no such folder"));
    }
}
