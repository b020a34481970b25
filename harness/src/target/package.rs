//! The target's Python package, under its two names.

use std::path::Path;

use super::TargetError;

/// The target's Python package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Package {
    /// `mug`, since spring 2026.
    Mug,
    /// `interactive_gym`, before.
    InteractiveGym,
}

/// What a package must have to serve a page.
const SERVER: &str = "server/app.py";
const PAGE: [&str; 2] = [
    "server/static/templates/index.html",
    "server/static/js/index.js",
];

impl Package {
    /// Both, the newer first.
    pub const BOTH: [Package; 2] = [Package::Mug, Package::InteractiveGym];

    /// The name by which Python imports it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Package::Mug => "mug",
            Package::InteractiveGym => "interactive_gym",
        }
    }

    /// The name under which it is published.
    #[must_use]
    pub fn distribution(self) -> &'static str {
        match self {
            Package::Mug => "multi-user-gymnasium",
            Package::InteractiveGym => "interactive-gym",
        }
    }

    /// The package that somebody means by one of its names.
    #[must_use]
    pub fn named(name: &str) -> Option<Package> {
        let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
        Package::BOTH.into_iter().find(|package| {
            plain(name) == package.name() || plain(name) == plain(package.distribution())
        })
    }

    /// Looks whether the package in `folder` can serve a page. `target` is its name in the error.
    ///
    /// # Errors
    /// Its server or its page is not there.
    pub fn check(self, folder: &Path, target: &str) -> Result<(), TargetError> {
        let is_there = |file: &str| folder.join(file).is_file();
        if !is_there(SERVER) {
            return Err(TargetError::NoServer {
                target: target.into(),
                package: self.name(),
                missing: SERVER,
            });
        }
        match PAGE.iter().find(|file| !is_there(file)) {
            None => Ok(()),
            Some(missing) => Err(TargetError::NoPage {
                target: target.into(),
                package: self.name(),
                missing,
            }),
        }
    }
}
