//! Where specs and fixtures are.

use std::path::{Path, PathBuf};

/// The folder of the checkout that holds specs and fixtures: `GYMCHECK_ROOT`, or the nearest one
/// at or above the working folder, or the one that this program was built from.
#[must_use]
pub fn find_root() -> PathBuf {
    if let Some(root) = std::env::var_os("GYMCHECK_ROOT") {
        return root.into();
    }
    let holds_specs = |folder: &&Path| folder.join("specs/requirements.toml").is_file();
    let here = std::env::current_dir().unwrap_or_default();
    here.ancestors()
        .find(holds_specs)
        .map_or_else(built_from, Path::to_owned)
}

fn built_from() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}
