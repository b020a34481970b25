//! Why a call cannot begin.

use thiserror::Error;

use crate::provision::{self, ProvisionError, Question};
use crate::stage::{GridError, StageError};
use crate::target::{EditError, Target, TargetError};

/// Why a call cannot begin.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// Something that runs need is not there.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The target cannot be looked into.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The text of a mutant or a repair is not in what the target serves.
    #[error("the target {target} does not have what is to be changed in it")]
    Edit {
        /// The target.
        target: String,
        /// What is wrong.
        source: Box<EditError>,
    },
    /// A mutant or a repair changes a file that the target does not have.
    #[error("`{edit}` changes {file}, which the target {target} does not have")]
    NoSuchFile {
        /// The mutant or the repair.
        edit: String,
        /// The target.
        target: String,
        /// The served file.
        file: String,
    },
    /// The target cannot be started, or serves no page.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The grid that is to give the browsers does not answer.
    #[error(transparent)]
    Grid(GridError),
    /// The page asks for what could not be got.
    #[error(
        "cannot get what the page of the target {target} asks for: {}; where the registries can be reached, \
         `{command}` gets it for later runs",
        asked.join(", ")
    )]
    NotGot {
        /// The target.
        target: String,
        /// Public addresses, and Python packages in the browser.
        asked: Vec<String>,
        /// The command that gets it.
        command: String,
        /// Why not.
        source: Box<ProvisionError>,
    },
    /// The page asks for what cannot be had.
    #[error(
        "the page of the target {target} asks for what cannot be had by rule from npm or the Python package \
         index:{}{}",
        listed(lacking),
        advice(lacking)
    )]
    Lacking {
        /// The target.
        target: String,
        /// Public addresses, and Python packages in the browser, each with the reason.
        lacking: Vec<String>,
    },
    /// The page asks for another version of the target's own package than it can be.
    #[error(
        "the page of the target {target} asks for {asked}, which the code that serves it cannot be: it says of \
         itself that its version is {said}; ask for a version with `==`, or for any"
    )]
    NoVersion {
        /// The target.
        target: String,
        /// What it asks for.
        asked: String,
        /// What its code says of itself.
        said: String,
    },
    /// A folder for what is made on the way cannot be written.
    #[error("cannot write into a folder of this call")]
    Folder(#[from] std::io::Error),
    /// There is no room for what runs write.
    #[error("{0}")]
    Full(String),
    /// The call was interrupted before its first run.
    #[error("interrupted (signal {signal})")]
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
}

/// The command that gets beforehand what the page of a target asks for.
fn setup_of(target: &Target) -> String {
    let facts = &target.facts;
    let mut command = "gymcheck setup".to_owned();
    // A user's own command is no target beside itself.
    if target.code.is_some() || facts.experiment.is_none() {
        let named = facts.path.as_ref().unwrap_or(&facts.name);
        command = format!("{command} --target {}", provision::quoted(named));
    }
    if let Some(experiment) = &facts.experiment {
        command = format!("{command} --experiment {}", provision::quoted(experiment));
    }
    command
}

fn listed(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n    {line}")).collect()
}

fn advice(lacking: &[String]) -> String {
    let any = |is: fn(&str) -> bool| lacking.iter().any(|line| is(line));
    let mut advice = String::new();
    if any(|line| line.starts_with("the Python package")) {
        advice += "\n  where a game does without a Python package: --without NAME leaves it out";
    }
    if any(|line| line.starts_with("http") || line.starts_with("//")) {
        advice +=
            "\n  where this machine reaches these addresses: --assets cdn takes them from there";
    }
    advice
}

impl PrepareError {
    /// The registries do not give what a page asks for. What is wrong with a lock is another matter.
    pub(super) fn not_got(
        target: &Target,
        question: &Question<'_>,
        error: ProvisionError,
    ) -> PrepareError {
        match error {
            ProvisionError::Command { .. } | ProvisionError::Start { .. } => PrepareError::NotGot {
                target: target.name().to_owned(),
                asked: [question.addresses, question.packages].concat(),
                command: setup_of(target),
                source: Box::new(error),
            },
            error => error.into(),
        }
    }

    /// The last words of the target, if it is the target that failed.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        match self {
            PrepareError::Stage(error) => error.as_broken().last_lines,
            _ => Vec::new(),
        }
    }

    /// Whether it is something that was asked for that is wrong, and not this machine.
    #[must_use]
    pub fn is_mistake(&self) -> bool {
        match self {
            PrepareError::Provision(ProvisionError::Target(_))
            | PrepareError::Target(_)
            | PrepareError::Edit { .. }
            | PrepareError::NoSuchFile { .. }
            | PrepareError::Lacking { .. }
            | PrepareError::NoVersion { .. } => true,
            PrepareError::Stage(error) => error.is_of_the_target(),
            PrepareError::Provision(_)
            | PrepareError::NotGot { .. }
            | PrepareError::Grid(_)
            | PrepareError::Folder(_)
            | PrepareError::Full(_)
            | PrepareError::Interrupted { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_told_with_what_can_be_done() {
        let said = |lacking: &str| {
            let error = PrepareError::Lacking {
                target: "mug@1".into(),
                lacking: vec![lacking.into()],
            };
            error.to_string()
        };
        let package = said("the Python package jax in the browser: no wheel");
        assert!(package.contains("--without NAME") && !package.contains("--assets cdn"));
        let address = said("//cdn.example/a.js: no rule");
        assert!(address.contains("--assets cdn") && !address.contains("--without"));
    }
}
