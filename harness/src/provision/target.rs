//! Finding or making what a target needs.

use std::path::{Path, PathBuf};

use super::error::ProvisionError;
use super::home::Home;
use super::setup::usable_python;
use super::{checkout, release};
use crate::target::{
    Checkout, Code, ExperimentName, Experiments, OwnCommand, PINNED_RELEASE, PORT, Release,
    Serving, Target, TargetError, TargetFacts, TargetName,
};

/// A target, ready to be started; `experiments` is the folder with what it is to serve, and `instead`
/// another experiment than each spec's own.
///
/// The pinned release is only looked for, since [`super::setup`] gets it. What another release or a
/// checkout needs is installed here, the first time; that takes a minute, and is said on standard
/// error.
///
/// # Errors
/// There is no such target or experiment, it serves no page, or what it needs cannot be installed.
pub fn target(
    home: &Home,
    name: &TargetName,
    instead: Option<&ExperimentName>,
    experiments: &Path,
) -> Result<Target, ProvisionError> {
    if let Some(ExperimentName::Command(line)) = instead {
        return of_command(line);
    }
    if let Some(ExperimentName::Known(name)) = instead {
        is_known(name, experiments)?;
    }
    let serving = |python, search_path| {
        Serving::Experiments(Experiments {
            python,
            search_path,
            below: experiments.into(),
            instead: instead.cloned(),
        })
    };
    let mut target = match name {
        TargetName::Release(release) => of_release(home, release, serving)?,
        TargetName::Checkout(path) => of_checkout(home, &Checkout::open(path)?, serving)?,
        TargetName::Running(address) => Target {
            facts: TargetFacts::from(address),
            code: None,
            serving: Serving::Running(address.resolve()?),
        },
    };
    if let Serving::Experiments(served) = &target.serving {
        target.facts.experiment = served.instead.as_ref().map(ExperimentName::to_string);
    }
    Ok(target)
}

/// A user's own command is started where gymcheck is called.
fn of_command(line: &str) -> Result<Target, ProvisionError> {
    let here = Path::new(".");
    let folder = here.canonicalize();
    Ok(Target {
        facts: TargetFacts::of_command(line),
        code: None,
        serving: Serving::Command(OwnCommand {
            line: line.to_owned(),
            folder: folder.map_err(ProvisionError::io("look into", here))?,
            search_path: None,
            is_observed: true,
        }),
    })
}

fn is_known(name: &str, experiments: &Path) -> Result<(), ProvisionError> {
    let is_there = |folder: &Path| folder.join("experiment.py").is_file();
    if is_there(&experiments.join(name)) {
        return Ok(());
    }
    let mut known: Vec<String> = std::fs::read_dir(experiments)
        .map_err(ProvisionError::io("look into", experiments))?
        .flatten()
        .filter(|entry| is_there(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    known.sort();
    Err(TargetError::Experiment {
        text: name.to_owned(),
        advice: format!(
            "this project has {}; give one of these, a folder with an experiment.py, or the command that \
             starts your server, as \"python -m my_study --port {PORT}\"",
            known.join(", ")
        ),
    }
    .into())
}

fn of_release(
    home: &Home,
    release: &Release,
    serving: impl Fn(PathBuf, Option<PathBuf>) -> Serving,
) -> Result<Target, ProvisionError> {
    let environment = release::environment_of(home, release);
    let python = if *release == PINNED_RELEASE {
        release::pinned_python(home)?
    } else {
        environment.python_or(home, |guard| {
            release::install(home, release, &usable_python()?.program, guard)
        })?
    };
    environment.note_use();
    let folder = environment.site_packages()?.join(release.package.name());
    release.package.check(&folder, &release.to_string())?;
    Ok(Target {
        facts: TargetFacts::from(release),
        code: Some(Code {
            package: release.package,
            folder,
        }),
        serving: serving(python, None),
    })
}

fn of_checkout(
    home: &Home,
    checkout: &Checkout,
    serving: impl Fn(PathBuf, Option<PathBuf>) -> Serving,
) -> Result<Target, ProvisionError> {
    let host = usable_python()?;
    let environment = checkout::environment_of(home, checkout, &host)?;
    let python = environment.python_or(home, |guard| {
        checkout::install(home, checkout, &environment, &host.program, guard)
    })?;
    environment.note_use();
    Ok(Target {
        facts: TargetFacts::from(checkout),
        code: Some(Code {
            package: checkout.package,
            folder: checkout.root.join(checkout.package.name()),
        }),
        serving: serving(python, Some(checkout.root.clone())),
    })
}
