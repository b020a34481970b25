//! Getting everything that runs need.

use std::path::{Path, PathBuf};

use super::browsers;
use super::command::find_program;
use super::error::ProvisionError;
use super::home::{Home, HomeLock};
use super::python::{HostPython, host_python, missing_python};
use super::system::{self, Part};
use super::{assets, grid, progress, release, target::target};
use crate::spec::BrowserKind;
use crate::target::TargetName;

/// What a setup is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupOptions {
    /// Whether missing system packages may be installed.
    pub install_system_packages: bool,
    /// The browsers that are wanted, with their drivers.
    pub browsers: Vec<BrowserKind>,
    /// Targets besides the pinned release, whose dependencies are to be installed.
    pub targets: Vec<TargetName>,
    /// Whether the Selenium Grid is wanted against which gymcheck is tested.
    pub grid: bool,
}

impl Default for SetupOptions {
    /// Every browser; no change to the system.
    fn default() -> SetupOptions {
        SetupOptions {
            install_system_packages: false,
            browsers: BrowserKind::ALL.into(),
            targets: Vec::new(),
            grid: false,
        }
    }
}

/// Gets everything that runs need and that is not there yet: system packages (only if allowed), the
/// target, the page's third-party assets, geckodriver. Says on standard error what it does. Blocks,
/// for minutes the first time.
///
/// # Errors
/// Something is missing that it may not or cannot install; a run needs what is to be made anew; a command
/// failed, took too long or was interrupted; what a registry served is not what is pinned. Nothing
/// half-made is left that a later call would take for whole.
pub fn setup(home: &Home, options: &SetupOptions) -> Result<(), ProvisionError> {
    let guard = home.lock()?;
    let state = State::of(home, options)?;
    let missing = browsers::installable(&state.missing);
    if !missing.is_empty() {
        if !options.install_system_packages {
            return Err(system::missing(&missing));
        }
        system::install(home, &missing)?;
    }
    let python = match state.target {
        Some(python) => python,
        None => {
            let _alone = home.alone_where_there_is(&release::pinned_folder(home))?;
            release::install_pinned(home, &usable_python()?.program, &guard)?
        }
    };
    if !state.assets_are_whole {
        let _alone = home.alone_where_there_is(&assets::stamp(home))?;
        assets::get(home, &python, &guard)?;
    }
    if options.grid {
        grid::get(home, &guard)?;
    }
    provide_browsers(home, options, &guard)?;
    // Each takes the home for itself.
    drop(guard);
    for name in &options.targets {
        target(home, name, None, Path::new(""))?;
    }
    progress::line(&format!("all is ready in {}", home.root().display()));
    Ok(())
}

/// What is there and what is missing.
struct State {
    /// The target's Python.
    target: Option<PathBuf>,
    assets_are_whole: bool,
    missing: Vec<Part>,
}

impl State {
    fn of(home: &Home, options: &SetupOptions) -> Result<State, ProvisionError> {
        let target = release::pinned_python(home).ok();
        let assets_are_whole = assets::verify(home).is_ok();
        let mut missing = Vec::new();
        if target.is_none() {
            match host_python()? {
                Some(python) => missing.extend(python.missing()),
                None => missing.extend(missing_python()),
            }
        }
        if !assets_are_whole {
            missing.extend(missing_npm());
        }
        if options.grid {
            missing.extend(grid::missing_java());
            missing.extend(missing_npm());
        }
        for kind in &options.browsers {
            missing.extend(browsers::missing(home, *kind)?);
        }
        Ok(State {
            target,
            assets_are_whole,
            missing,
        })
    }
}

/// npm, if it is missing.
pub(super) fn missing_npm() -> Option<Part> {
    find_program("npm").is_none().then(npm)
}

fn npm() -> Part {
    Part {
        what: "npm".into(),
        package: Some("npm"),
    }
}

/// Every Debian package that setup may name.
#[cfg(test)]
pub(super) fn packages() -> std::collections::BTreeSet<&'static str> {
    let parts = missing_python().into_iter().chain([npm()]);
    let of_parts = parts.filter_map(|part| part.package);
    of_parts.chain(browsers::packages()).collect()
}

/// The machine's Python, which can make environments.
pub(super) fn usable_python() -> Result<HostPython, ProvisionError> {
    match host_python()? {
        None => Err(system::missing(&missing_python())),
        Some(python) => match python.missing() {
            Some(part) => Err(system::missing(&[part])),
            None => Ok(python),
        },
    }
}

/// Builds the driver that no system package has, and sees that browsers and drivers answer.
fn provide_browsers(
    home: &Home,
    options: &SetupOptions,
    guard: &HomeLock,
) -> Result<(), ProvisionError> {
    for kind in &options.browsers {
        let left = browsers::missing(home, *kind)?;
        if left.iter().any(|part| part.package.is_none()) {
            browsers::build_geckodriver(home, guard)?;
        }
        let browser = browsers::find_browser(home, *kind)?;
        progress::line(&format!(
            "{kind} {} at {}, driver {} at {}",
            browser.version,
            browser.program.display(),
            browser.driver_version,
            browser.driver.display()
        ));
    }
    Ok(())
}
