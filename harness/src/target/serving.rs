//! How a target comes to serve an experiment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::experiment::SCRIPT;
use super::{ExperimentName, PORT, Package, Target, settings_of};
use crate::spec::Experiment;

/// How a target comes to serve an experiment.
#[derive(Debug, Clone)]
pub enum Serving {
    /// Each run starts it with an experiment of this project's kind.
    Experiments(Experiments),
    /// Each run starts it with a user's own command.
    Command(OwnCommand),
    /// It runs at this address, and nothing of it is started or ended.
    Running(SocketAddr),
}

/// Experiments that are called as those of this project are.
#[derive(Debug, Clone)]
pub struct Experiments {
    /// The Python that has what the target needs.
    pub python: PathBuf,
    /// Where Python finds the target's package, if not among what is installed.
    pub search_path: Option<PathBuf>,
    /// The folder that holds the experiments, by name.
    pub below: PathBuf,
    /// What is served instead of each spec's own experiment.
    pub instead: Option<ExperimentName>,
}

/// A user's own command.
#[derive(Debug, Clone)]
pub struct OwnCommand {
    /// The command line, for a shell.
    pub line: String,
    /// The folder where it is started.
    pub folder: PathBuf,
    /// Where Python finds the target's package before it looks anywhere else, if it was edited.
    pub search_path: Option<PathBuf>,
    /// Whether something tells of it from inside its process; so it is thought until it was looked at.
    pub is_observed: bool,
}

impl OwnCommand {
    /// Whether it is told the port on which to listen.
    #[must_use]
    pub fn takes_port(&self) -> bool {
        self.line.contains(PORT)
    }
}

/// A command that starts a target.
#[derive(Debug)]
pub struct ServerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Folders where Python looks for modules before it looks anywhere else.
    pub search_path: Vec<PathBuf>,
    /// The folder where it is started.
    pub folder: PathBuf,
    /// The folder where it stores its data.
    pub data: PathBuf,
    /// Whether it is a user's own, which gets the user's environment.
    pub is_own: bool,
}

impl Target {
    /// The command that serves an experiment, on a port that the system chooses; a user's own one gets
    /// `port`. `None` for a server that runs already.
    ///
    /// `folder` is the stage's own: settings are written there.
    ///
    /// # Errors
    /// The settings cannot be written.
    pub fn serve(
        &self,
        experiment: &Experiment,
        folder: &Path,
        port: u16,
    ) -> std::io::Result<Option<ServerCommand>> {
        match &self.serving {
            Serving::Experiments(experiments) => {
                let package = self.code.as_ref().map_or(Package::Mug, |code| code.package);
                experiments.serve(package, experiment, folder).map(Some)
            }
            Serving::Command(own) => Ok(Some(own.serve(port))),
            Serving::Running(_) => Ok(None),
        }
    }
}

impl Experiments {
    fn serve(
        &self,
        package: Package,
        experiment: &Experiment,
        folder: &Path,
    ) -> std::io::Result<ServerCommand> {
        let settings = folder.join("settings.json");
        std::fs::write(&settings, settings_of(experiment).to_string())?;
        let script = match &self.instead {
            Some(ExperimentName::Folder(path)) => path.canonicalize()?,
            Some(name) => self.below.join(name.to_string()),
            None => self.below.join(&experiment.name),
        };
        let script = script.join(SCRIPT);
        Ok(ServerCommand {
            program: self.python.clone(),
            arguments: vec![
                script.to_string_lossy().into_owned(),
                "--package".to_owned(),
                package.name().to_owned(),
                "--port".to_owned(),
                "0".to_owned(),
                "--settings".to_owned(),
                settings.to_string_lossy().into_owned(),
            ],
            search_path: self.search_path.iter().cloned().collect(),
            folder: folder.to_owned(),
            data: folder.join("data"),
            is_own: false,
        })
    }
}

impl OwnCommand {
    fn serve(&self, port: u16) -> ServerCommand {
        ServerCommand {
            program: "sh".into(),
            arguments: vec!["-c".to_owned(), self.line.replace(PORT, &port.to_string())],
            search_path: self.search_path.iter().cloned().collect(),
            folder: self.folder.clone(),
            data: self.folder.join("data"),
            is_own: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{PINNED_RELEASE, TargetFacts};

    #[test]
    fn an_own_command_gets_the_port_and_keeps_its_folder() {
        let command = OwnCommand {
            line: "python study.py --port {port}".into(),
            folder: "/study".into(),
            search_path: None,
            is_observed: true,
        };
        assert!(command.takes_port());
        let target = Target {
            facts: TargetFacts::from(&PINNED_RELEASE),
            code: None,
            serving: Serving::Command(command),
        };
        assert!(!target.takes_one_run_at_a_time());
        let stage = Path::new("/stage");
        let served = target
            .serve(&Experiment::default(), stage, 4711)
            .unwrap()
            .unwrap();
        assert_eq!(served.arguments[1], "python study.py --port 4711");
        assert_eq!(served.folder, Path::new("/study"));
        assert_eq!(served.data, Path::new("/study/data"));
    }

    #[test]
    fn another_experiment_takes_the_place_of_each_specs_own() {
        let stage = tempfile::tempdir().unwrap();
        let served = |instead: Option<&str>| {
            let experiments = Experiments {
                python: "python".into(),
                search_path: None,
                below: "/experiments".into(),
                instead: instead.map(|name| ExperimentName::Known(name.into())),
            };
            let command = experiments.serve(Package::Mug, &Experiment::default(), stage.path());
            command.unwrap().arguments.remove(0)
        };
        assert_eq!(served(None), "/experiments/duet/experiment.py");
        assert_eq!(served(Some("other")), "/experiments/other/experiment.py");
    }
}
