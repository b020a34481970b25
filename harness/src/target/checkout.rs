//! Checkouts: a working tree of the target's repository.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Package, TargetError};

/// A working tree of the target's repository, of either age. Nothing is ever written into it.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// Its folder, absolute.
    pub root: PathBuf,
    /// The package that it holds.
    pub package: Package,
    /// What git says of it; nothing where the folder is no git checkout or there is no git.
    pub revision: Option<Revision>,
}

/// What git says of a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The whole id of the commit.
    pub commit: String,
    /// Whether files differ from it.
    pub dirty: bool,
}

impl Checkout {
    /// Recognises a checkout.
    ///
    /// # Errors
    /// There is no such folder, or it holds no package that serves a page.
    pub fn open(path: &Path) -> Result<Checkout, TargetError> {
        let root = path
            .canonicalize()
            .map_err(|source| TargetError::NoFolder {
                path: path.into(),
                source,
            })?;
        if !root.is_dir() {
            return Err(TargetError::NoFolder {
                path: path.into(),
                source: std::io::ErrorKind::NotADirectory.into(),
            });
        }
        let holds = |package: &Package| root.join(package.name()).is_dir();
        let Some(package) = Package::BOTH.into_iter().find(holds) else {
            return Err(TargetError::NoPackage {
                advice: advice(&root),
                path: root,
            });
        };
        let name = root.display().to_string();
        package.check(&root.join(package.name()), &name)?;
        Ok(Checkout {
            revision: revision(&root),
            root,
            package,
        })
    }

    /// Its name in reports: package, commit, and whether it differs from that.
    #[must_use]
    pub fn name(&self) -> String {
        let package = self.package.name();
        match &self.revision {
            None => format!("{package}@{}", self.root.display()),
            Some(Revision { commit, dirty }) => {
                let short = commit.get(..9).unwrap_or(commit);
                let dirty = if *dirty { "-dirty" } else { "" };
                format!("{package}@{short}{dirty}")
            }
        }
    }
}

/// What somebody may have meant who gave this folder.
fn advice(root: &Path) -> String {
    let is_package =
        |package: &Package| root.ends_with(package.name()) && root.join("server").is_dir();
    if let (true, Some(parent)) = (Package::BOTH.iter().any(is_package), root.parent()) {
        return format!("this is the package itself; give {}", parent.display());
    }
    match project_name(root) {
        Some(name) => format!("this is a checkout of {name}"),
        None => "give the folder of a checkout, or a release as mug@0.1.3".to_owned(),
    }
}

/// The name of the Python project in a folder.
fn project_name(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join("pyproject.toml")).ok()?;
    let project: toml::Table = text.parse().ok()?;
    let name = project.get("project")?.get("name")?.as_str()?;
    Some(name.to_owned())
}

fn revision(root: &Path) -> Option<Revision> {
    // Without optional locks: a status would otherwise write the refreshed index.
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["--no-optional-locks", "-c", "core.fsmonitor=false", "-C"])
            .arg(root)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    // A folder that merely lies inside another project's checkout is none of its own.
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root {
        return None;
    }
    Some(Revision {
        commit: git(&["rev-parse", "HEAD"])?,
        dirty: !git(&["status", "--porcelain"])?.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn package(root: &Path, name: &str) {
        for file in [
            "server/app.py",
            "server/static/js/index.js",
            "server/static/templates/index.html",
        ] {
            let path = root.join(name).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
    }

    fn git(root: &Path, arguments: &[&str]) {
        let done = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@localhost", "-C"])
            .arg(root)
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    #[test]
    fn both_ages_are_recognised() {
        for one in Package::BOTH {
            let folder = tempfile::tempdir().unwrap();
            package(folder.path(), one.name());
            let checkout = Checkout::open(folder.path()).unwrap();
            assert_eq!(checkout.package, one);
            assert_eq!(checkout.revision, None);
        }
    }

    #[test]
    fn commit_and_changes_are_told_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        package(folder.path(), "mug");
        git(folder.path(), &["init", "-q"]);
        git(folder.path(), &["add", "."]);
        git(folder.path(), &["commit", "-q", "-m", "a"]);
        let index = || fs::read(folder.path().join(".git/index")).unwrap();
        let clean = Checkout::open(folder.path()).unwrap();
        let revision = clean.revision.clone().unwrap();
        assert_eq!(revision.commit.len(), 40);
        assert!(!revision.dirty);
        assert_eq!(clean.name(), format!("mug@{}", &revision.commit[..9]));
        // The same content, written anew: git would refresh its index if it might.
        fs::write(folder.path().join("mug/server/app.py"), "").unwrap();
        let before = index();
        assert!(
            !Checkout::open(folder.path())
                .unwrap()
                .revision
                .unwrap()
                .dirty
        );
        assert_eq!(index(), before);
        fs::write(folder.path().join("new"), "").unwrap();
        let dirty = Checkout::open(folder.path()).unwrap();
        assert!(dirty.revision.clone().unwrap().dirty);
        assert!(dirty.name().ends_with("-dirty"), "{}", dirty.name());
    }

    #[test]
    fn what_is_no_checkout_of_the_target_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path| Checkout::open(path).unwrap_err().to_string();
        assert!(said(&folder.path().join("no")).contains("cannot look into"));
        assert!(said(folder.path()).contains("neither mug/ nor interactive_gym/"));
        fs::write(
            folder.path().join("pyproject.toml"),
            "[project]\nname = \"other\"\n",
        )
        .unwrap();
        assert!(said(folder.path()).ends_with("this is a checkout of other"));
        fs::create_dir(folder.path().join("mug")).unwrap();
        assert!(said(folder.path()).contains("has no server"));
        package(folder.path(), "mug");
        assert!(said(&folder.path().join("mug")).contains("this is the package itself; give "));
        fs::remove_file(folder.path().join("mug/server/static/js/index.js")).unwrap();
        assert!(said(folder.path()).contains("cannot serve a page"));
    }
}
