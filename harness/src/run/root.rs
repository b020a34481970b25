//! Where specs and fixtures are.

use std::path::{Path, PathBuf};

/// The folder of the checkout that holds specs and fixtures: `GYMCHECK_ROOT`, or the nearest one
/// at or above the working folder, or the one that this program was built from.
#[must_use]
pub fn find_root() -> PathBuf {
    checkout_around_here().unwrap_or_else(built_from)
}

/// The folder of the checkout at or above the working folder, or `GYMCHECK_ROOT`: the one that somebody
/// works in.
#[must_use]
pub fn checkout_around_here() -> Option<PathBuf> {
    if let Some(root) = std::env::var_os("GYMCHECK_ROOT") {
        return Some(root.into());
    }
    // A folder of a user's own specs may have requirements as well, but no experiments.
    let is_checkout = |folder: &&Path| {
        folder.join("specs/requirements.toml").is_file()
            && folder.join("fixtures/experiments").is_dir()
    };
    let here = std::env::current_dir().unwrap_or_default();
    here.ancestors().find(is_checkout).map(Path::to_owned)
}

fn built_from() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}
