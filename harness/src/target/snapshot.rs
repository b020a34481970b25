//! Whether a target's code has changed since it was looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Code;

/// What Python itself keeps in a package's folders.
const KEPT_BY_PYTHON: &str = "__pycache__";

/// The files of a package's folder as they were at a moment, by size and time of their last change. What is
/// hidden, as editors' own files are, is no part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    folder: PathBuf,
    files: BTreeMap<PathBuf, (u64, Option<SystemTime>)>,
}

impl Code {
    /// Its files as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.folder)
    }
}

impl Snapshot {
    fn of(folder: &Path) -> Snapshot {
        let mut files = BTreeMap::new();
        add_files(folder, &mut files);
        Snapshot {
            folder: folder.to_owned(),
            files,
        }
    }

    /// A file that is not as it was then, or that is new or gone.
    #[must_use]
    pub fn changed(&self) -> Option<PathBuf> {
        let now = Snapshot::of(&self.folder);
        let all = self.files.keys().chain(now.files.keys());
        let mut changed = all.filter(|path| self.files.get(*path) != now.files.get(*path));
        changed.next().cloned()
    }
}

/// What cannot be looked at counts as not there.
fn add_files(folder: &Path, files: &mut BTreeMap<PathBuf, (u64, Option<SystemTime>)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        if name == KEPT_BY_PYTHON || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add_files(&path, files);
        } else if let Ok(file) = std::fs::metadata(&path) {
            files.insert(path, (file.len(), file.modified().ok()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::target::Package;

    #[test]
    fn a_file_that_changes_comes_or_goes_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let code = Code {
            package: Package::Mug,
            folder: folder.path().to_owned(),
        };
        let app = folder.path().join("server/app.py");
        fs::create_dir(folder.path().join("server")).unwrap();
        fs::write(&app, "1").unwrap();
        let before = code.snapshot();
        let kept = folder.path().join("server/__pycache__");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("app.pyc"), "").unwrap();
        fs::write(folder.path().join(".app.py.swp"), "").unwrap();
        assert_eq!(before.changed(), None);
        let file = fs::File::options().write(true).open(&app).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(before.changed(), Some(app.clone()));
        let before = code.snapshot();
        let new = folder.path().join("server/new.js");
        fs::write(&new, "").unwrap();
        assert_eq!(before.changed(), Some(new.clone()));
        fs::remove_file(new).unwrap();
        fs::remove_file(&app).unwrap();
        assert_eq!(before.changed(), Some(app));
    }
}
