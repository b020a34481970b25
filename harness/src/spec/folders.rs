//! Where the files stand that say what must hold.

use std::path::{Path, PathBuf};

use super::error::SpecError;

/// Folders beside those of the concerns in a user's own folder.
const MUTANTS: &str = "mutants";
const REPAIRS: &str = "repairs";
const EXPECTATIONS: &str = "expectations";
const REQUIREMENTS: &str = "requirements.toml";

/// The folders of a checkout whose files say what must hold.
#[must_use]
pub fn checkout_folders(root: &Path) -> [PathBuf; 3] {
    let folders = Folders::of_checkout(root);
    [folders.specs, folders.mutants, folders.repairs]
}

/// The user's own folder that a file or folder of it belongs to.
#[must_use]
pub fn own_folder_of(path: &Path) -> PathBuf {
    let up = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    let is_requirements = |path: &Path| path.file_name().is_some_and(|name| name == REQUIREMENTS);
    if path.is_file() {
        return match is_requirements(path) {
            true => up(path),
            false => up(&std::path::absolute(up(path)).unwrap_or_else(|_| up(path))),
        };
    }
    let files = toml_files(path).unwrap_or_default();
    match files.iter().any(|file| !is_requirements(file)) {
        true => up(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
        false => path.to_owned(),
    }
}

/// The TOML files at or below a place.
#[must_use]
pub fn files_below(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let folders = sorted_entries(place).unwrap_or_default().into_iter();
    let folders = folders.filter(|path| path.is_dir() && !is_hidden(path));
    let mut files = toml_files(place).unwrap_or_default();
    files.extend(folders.flat_map(|folder| files_below(&folder)));
    files
}

/// Names that no concern can have: folders of something else.
pub(super) const RESERVED: [&str; 3] = [EXPECTATIONS, MUTANTS, REPAIRS];

/// Where the files of one origin stand: of a checkout, or of a user's own folder.
pub(super) struct Folders {
    /// The specs, one folder for each concern.
    pub(super) specs: PathBuf,
    pub(super) requirements: PathBuf,
    pub(super) expectations: PathBuf,
    pub(super) mutants: PathBuf,
    pub(super) repairs: PathBuf,
    /// Whether it is a user's own.
    pub(super) is_own: bool,
}

impl Folders {
    pub(super) fn of_checkout(root: &Path) -> Folders {
        Folders {
            mutants: root.join("fixtures").join(MUTANTS),
            repairs: root.join("fixtures").join(REPAIRS),
            is_own: false,
            ..Folders::of_own(&root.join("specs"))
        }
    }

    pub(super) fn of_own(folder: &Path) -> Folders {
        Folders {
            specs: folder.to_owned(),
            requirements: folder.join(REQUIREMENTS),
            expectations: folder.join(EXPECTATIONS),
            mutants: folder.join(MUTANTS),
            repairs: folder.join(REPAIRS),
            is_own: true,
        }
    }

    /// Whether this is a folder of specs. Hidden folders belong to other programs.
    pub(super) fn is_concern(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_dir() && !is_hidden(path) && !RESERVED.contains(&&*name)
    }

    /// Whether this is a file beside the folders of the concerns that looks like a spec.
    pub(super) fn is_misplaced_spec(&self, path: &Path) -> bool {
        path.is_file() && is_toml(path) && !is_hidden(path) && *path != self.requirements
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "toml")
}

/// A file's name without its ending.
pub(super) fn stem(path: &Path) -> String {
    let name = match path.is_dir() {
        true => path.file_name(),
        false => path.file_stem(),
    };
    name.map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

pub(super) fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>, SpecError> {
    let io = |source| SpecError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut entries = std::fs::read_dir(folder)
        .map_err(io)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(io)?;
    entries.sort();
    Ok(entries)
}

/// The TOML files right in a folder. Hidden files belong to other programs, as `.taplo.toml` does.
pub(super) fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, SpecError> {
    Ok(sorted_entries(folder)?
        .into_iter()
        .filter(|path| path.is_file() && is_toml(path) && !is_hidden(path))
        .collect())
}

/// Whether this is a folder with TOML files in it.
pub(super) fn has_toml_files(folder: &Path) -> bool {
    folder.is_dir() && toml_files(folder).is_ok_and(|files| !files.is_empty())
}
