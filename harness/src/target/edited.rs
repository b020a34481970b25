//! A copy of the target's package with edits of its Python files.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Code, Edit, EditError, Serving, Target, apply_edit};

/// Why a target's package could not be copied and edited.
#[derive(Debug, Error)]
pub enum EditedCopyError {
    /// A file could not be read or written.
    #[error("cannot copy {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The target's code is not at hand.
    #[error("the code of the target {0} is not at hand")]
    NoCode(String),
    /// An edit could not be made.
    #[error(transparent)]
    Edit(#[from] EditError),
}

impl Target {
    /// The target with these edits of its Python files, in a copy of its package below `folder`.
    /// The other files are not copied but linked.
    ///
    /// # Errors
    /// The package cannot be copied, or an edit does not fit.
    pub fn edited(&self, edits: &[&Edit], folder: &Path) -> Result<Target, EditedCopyError> {
        let Some(code) = &self.code else {
            return Err(EditedCopyError::NoCode(self.name().to_owned()));
        };
        let copy = folder.join(code.package.name());
        copy_package(&code.folder, &copy)?;
        for edit in edits {
            let path = copy.join(&edit.file);
            let failed = || io(&path);
            let text = std::fs::read_to_string(&path).map_err(failed())?;
            let text = apply_edit(&text, edit)?;
            std::fs::write(&path, text).map_err(failed())?;
        }
        let mut edited = self.clone();
        edited.code = Some(Code {
            package: code.package,
            folder: copy,
        });
        match &mut edited.serving {
            Serving::Experiments(served) => served.search_path = Some(folder.to_owned()),
            Serving::Command(own) => own.search_path = Some(folder.to_owned()),
            Serving::Running(_) => {}
        }
        Ok(edited)
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> EditedCopyError {
    let path = path.to_owned();
    move |source| EditedCopyError::Io { path, source }
}

fn copy_package(from: &Path, to: &Path) -> Result<(), EditedCopyError> {
    std::fs::create_dir_all(to).map_err(io(to))?;
    for entry in std::fs::read_dir(from).map_err(io(from))? {
        let path = entry.map_err(io(from))?.path();
        let Some(name) = path.file_name() else {
            continue;
        };
        let copy = to.join(name);
        if path.is_dir() {
            copy_package(&path, &copy)?;
        } else if path.extension().is_some_and(|kind| kind == "py") {
            std::fs::copy(&path, &copy).map_err(io(&path))?;
        } else {
            std::os::unix::fs::symlink(&path, &copy).map_err(io(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::target::{Experiments, PINNED_RELEASE, Package, TargetFacts};

    #[test]
    fn python_is_edited_in_a_copy_and_the_rest_is_linked() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("site/mug");
        fs::create_dir_all(package.join("server/static")).unwrap();
        fs::write(package.join("server/app.py"), "def f():\n    return 1\n").unwrap();
        fs::write(package.join("server/static/a.js"), "a").unwrap();
        let target = Target {
            facts: TargetFacts::from(&PINNED_RELEASE),
            code: Some(Code {
                package: Package::Mug,
                folder: package.clone(),
            }),
            serving: Serving::Experiments(Experiments {
                python: PathBuf::new(),
                search_path: None,
                below: PathBuf::new(),
                instead: None,
            }),
        };
        let edit = |find: &str| Edit {
            name: "m".into(),
            file: "server/app.py".into(),
            find: find.into(),
            replace: "return 2".into(),
        };
        let copy = folder.path().join("stage");
        let edited = target.edited(&[&edit("return 1")], &copy).unwrap();
        let Serving::Experiments(served) = &edited.serving else {
            panic!("{edited:?}");
        };
        assert_eq!(served.search_path.as_deref(), Some(copy.as_path()));
        let text = edited.file("server/app.py").unwrap().unwrap();
        assert_eq!(text, "def f():\n    return 2\n");
        assert_eq!(edited.file("static/a.js").unwrap().unwrap(), "a");
        let original = fs::read_to_string(package.join("server/app.py")).unwrap();
        assert_eq!(original, "def f():\n    return 1\n");
        let other = folder.path().join("other");
        assert!(target.edited(&[&edit("return 3")], &other).is_err());
    }
}
