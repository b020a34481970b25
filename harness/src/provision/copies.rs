//! Copying what lies in a folder, file by file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// The files in a folder below a root, by their paths below that root.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn files_below(root: &Path, folder: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in WalkDir::new(root.join(folder)) {
        let entry = entry?;
        if entry.file_type().is_file() {
            let inside = entry.path().strip_prefix(root);
            files.push(inside.map_err(io::Error::other)?.to_owned());
        }
    }
    Ok(files)
}

/// Copies a file, by its path below one root, to the same place below another one.
///
/// # Errors
/// It cannot be read or written.
pub(crate) fn copy_below(file: &Path, from: &Path, to: &Path) -> io::Result<()> {
    let copy = to.join(file);
    if let Some(folder) = copy.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from.join(file), copy).map(drop)
}
