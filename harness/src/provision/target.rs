//! Finding or making what a target needs.

use std::path::Path;

use super::error::ProvisionError;
use super::home::Home;
use super::setup::usable_python;
use super::{checkout, release};
use crate::target::{Checkout, PINNED_RELEASE, Release, Target, TargetFacts, TargetName};

/// A target, ready to be started; `experiments` is the folder with what it is to serve.
///
/// The pinned release is only looked for, since [`super::setup`] gets it. What another release or a
/// checkout needs is installed here, the first time; that takes a minute, and is said on standard
/// error.
///
/// # Errors
/// There is no such target, it serves no page, or what it needs cannot be installed.
pub fn target(
    home: &Home,
    name: &TargetName,
    experiments: &Path,
) -> Result<Target, ProvisionError> {
    match name {
        TargetName::Release(release) => of_release(home, release, experiments),
        TargetName::Checkout(path) => of_checkout(home, &Checkout::open(path)?, experiments),
    }
}

fn of_release(
    home: &Home,
    release: &Release,
    experiments: &Path,
) -> Result<Target, ProvisionError> {
    let environment = release::environment_of(home, release);
    let python = if *release == PINNED_RELEASE {
        release::pinned_python(home)?
    } else {
        environment.python_or(home, |guard| {
            release::install(home, release, &usable_python()?.program, guard)
        })?
    };
    let folder = environment.site_packages()?.join(release.package.name());
    release.package.check(&folder, &release.to_string())?;
    Ok(Target {
        facts: TargetFacts::from(release),
        package: release.package,
        folder,
        python,
        search_path: None,
        experiments: experiments.into(),
    })
}

fn of_checkout(
    home: &Home,
    checkout: &Checkout,
    experiments: &Path,
) -> Result<Target, ProvisionError> {
    let host = usable_python()?;
    let environment = checkout::environment_of(home, checkout, &host)?;
    let python = environment.python_or(home, |guard| {
        checkout::install(home, checkout, &environment, &host.program, guard)
    })?;
    Ok(Target {
        facts: TargetFacts::from(checkout),
        package: checkout.package,
        folder: checkout.root.join(checkout.package.name()),
        python,
        search_path: Some(checkout.root.clone()),
        experiments: experiments.into(),
    })
}
