//! What a checkout needs: an environment with its dependencies, made once for all checkouts that
//! declare the same.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::environment::Environment;
use super::error::ProvisionError;
use super::home::{Home, HomeLock};
use super::progress::Step;
use super::python::HostPython;
use super::{files, release};
use crate::target::Checkout;

/// The file in which a project lists what it needs.
const LIST: &str = "requirements.txt";

/// The files that declare what a Python project needs. They come first, in this order: an environment that was made
/// from them alone is still right where there are no others.
const DECLARING: [&str; 4] = ["pyproject.toml", "setup.py", "setup.cfg", LIST];

/// What other files end in that those may name, or read.
const NAMED: [&str; 5] = ["toml", "py", "cfg", "txt", "in"];

/// The largest file of a checkout's top folder that its build may want to read.
const LARGEST: u64 = 1 << 20;

/// The environment for a checkout.
pub(super) fn environment_of(
    home: &Home,
    checkout: &Checkout,
    python: &HostPython,
) -> Result<Environment, ProvisionError> {
    let mut hasher = Sha256::new();
    hasher.update(format!("{}\n{}\n", python.version, release::constraints()));
    for name in declaring(&checkout.root)? {
        let path = checkout.root.join(&name);
        let text = fs::read(&path).map_err(ProvisionError::io("read", &path))?;
        hasher.update(format!("{name} {}\n", text.len()));
        hasher.update(text);
    }
    let made_from = hex::encode(hasher.finalize());
    let folder = home.targets().join(format!(
        "{}-needs-{}",
        checkout.package.name(),
        &made_from[..12]
    ));
    Ok(Environment { folder, made_from })
}

/// The names of the files of a checkout's top folder that decide what it needs, always in the same order.
fn declaring(root: &Path) -> Result<Vec<String>, ProvisionError> {
    let mut names = Vec::new();
    for path in files_of_project(root)? {
        let kind = path.extension().and_then(OsStr::to_str);
        let name = path.file_name().and_then(OsStr::to_str);
        if let Some(name) = name.filter(|_| kind.is_some_and(|kind| NAMED.contains(&kind))) {
            names.push(name.to_owned());
        }
    }
    let place = |name: &str| {
        let place = DECLARING.iter().position(|declaring| *declaring == name);
        place.unwrap_or(DECLARING.len())
    };
    names.sort_by(|one, other| (place(one), one).cmp(&(place(other), other)));
    Ok(names)
}

/// The files of a checkout's top folder that its build may want to read.
fn files_of_project(root: &Path) -> Result<Vec<PathBuf>, ProvisionError> {
    let mut found = Vec::new();
    let failed = || ProvisionError::io("look into", root);
    for entry in fs::read_dir(root).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        let is_wanted = |file: fs::Metadata| file.is_file() && file.len() <= LARGEST;
        if fs::metadata(&path).is_ok_and(is_wanted) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Makes the environment for a checkout. Nothing is written into the checkout: its project is
/// built from a copy of its top folder's files, without its package's content.
pub(super) fn install(
    home: &Home,
    checkout: &Checkout,
    environment: &Environment,
    host_python: &Path,
    guard: &HomeLock,
) -> Result<PathBuf, ProvisionError> {
    let step = Step::begin(format!(
        "installing what {} needs into {}",
        checkout.name(),
        environment.folder.display()
    ));
    let python = environment.make(home, host_python, guard, |python| {
        let copy = copy_of_project(checkout, &environment.folder)?;
        let wanted = wanted(&copy)?;
        // What is listed may be named from there.
        release::constrained(home, python, &environment.folder, &copy, guard, &wanted)?;
        files::remove_folder(&copy)
    })?;
    step.done();
    Ok(python)
}

/// What pip is asked for: the project with what its server needs, and what it lists besides.
fn wanted(copy: &Path) -> Result<Vec<OsString>, ProvisionError> {
    let mut project = copy.as_os_str().to_owned();
    project.push("[server]");
    let mut wanted = vec![project];
    let list = copy.join(LIST);
    if list.is_file() {
        let text = fs::read(&list).map_err(ProvisionError::io("read", &list))?;
        let text = without_editable(&String::from_utf8_lossy(&text));
        files::write_whole(&list, text.as_bytes())?;
        wanted.extend(["--requirement".into(), list.into()]);
    }
    Ok(wanted)
}

/// A list of what a project needs, in which the project itself is a package as any other: pip refuses it once
/// editable and once not, and the copy that would be edited goes.
fn without_editable(list: &str) -> String {
    let lines = list.lines().map(|line| {
        let editable = line
            .trim_start()
            .strip_prefix("--editable")
            .or_else(|| line.trim_start().strip_prefix("-e"));
        let path = editable.map(|path| path.trim_start_matches(['=', ' ', '\t']));
        path.filter(|path| path.starts_with('.')).unwrap_or(line)
    });
    lines.fold(String::new(), |text, line| text + line + "\n")
}

fn copy_of_project(checkout: &Checkout, folder: &Path) -> Result<PathBuf, ProvisionError> {
    let copy = folder.join("project");
    let package = copy.join(checkout.package.name());
    files::create_folder(&package)?;
    let failed = |path: &Path| ProvisionError::io("copy", path.to_owned());
    for path in files_of_project(&checkout.root)? {
        let name = path.file_name().unwrap_or_default();
        fs::copy(&path, copy.join(name)).map_err(failed(&path))?;
    }
    // Some projects read their version here.
    let init = checkout
        .root
        .join(checkout.package.name())
        .join("__init__.py");
    if init.is_file() {
        fs::copy(&init, package.join("__init__.py")).map_err(failed(&init))?;
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Package;

    fn checkout(root: &Path) -> Checkout {
        Checkout {
            root: root.into(),
            package: Package::Mug,
            revision: None,
        }
    }

    fn python() -> HostPython {
        HostPython {
            program: "/usr/bin/python3".into(),
            version: "3.11.2".into(),
            makes_environments: true,
        }
    }

    #[test]
    fn checkouts_that_declare_the_same_share_an_environment() {
        let home = Home::at("/nowhere");
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let digest = |index: usize| {
            let checkout = checkout(folders[index].path());
            environment_of(&home, &checkout, &python())
                .unwrap()
                .made_from
        };
        for folder in &folders {
            fs::write(folder.path().join("setup.py"), "needs flask").unwrap();
        }
        fs::write(folders[0].path().join("README.md"), "not a declaration").unwrap();
        assert_eq!(digest(0), digest(1));
        fs::write(folders[1].path().join("setup.py"), "needs quart").unwrap();
        assert_ne!(digest(0), digest(1));
    }

    #[test]
    fn what_a_declaration_names_decides_as_well() {
        let home = Home::at("/nowhere");
        let folder = tempfile::tempdir().unwrap();
        let checkout = checkout(folder.path());
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let digest = || {
            environment_of(&home, &checkout, &python())
                .unwrap()
                .made_from
        };
        write("pyproject.toml", "[project]");
        // Environments that were made by earlier builds are those of today.
        let mut hasher = Sha256::new();
        hasher.update(format!("3.11.2\n{}\n", release::constraints()));
        hasher.update("pyproject.toml 9\n[project]");
        let alone = digest();
        assert_eq!(alone, hex::encode(hasher.finalize()));
        write("requirements.txt", "-r base.txt");
        write("base.txt", "flask");
        let first = digest();
        write("base.txt", "quart");
        assert!(first != alone && digest() != first);
        assert_eq!(
            declaring(folder.path()).unwrap(),
            ["pyproject.toml", "requirements.txt", "base.txt"]
        );
    }

    #[test]
    fn the_project_itself_is_not_listed_as_editable() {
        let list = "-e .\n--editable=.[dev]\n -e  ./part\n-e git+https://host.example/a\nflask\n-r base.txt";
        assert_eq!(
            without_editable(list),
            ".\n.[dev]\n./part\n-e git+https://host.example/a\nflask\n-r base.txt\n"
        );
    }

    #[test]
    fn the_project_is_copied_without_its_packages_content() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("checkout");
        fs::create_dir_all(root.join("mug/server")).unwrap();
        fs::write(root.join("pyproject.toml"), "[project]").unwrap();
        fs::write(root.join("requirements.txt"), "flask").unwrap();
        fs::write(root.join("mug/__init__.py"), "__version__ = '1'").unwrap();
        fs::write(root.join("mug/server/app.py"), "").unwrap();
        let copy = copy_of_project(&checkout(&root), folder.path()).unwrap();
        assert!(copy.join("pyproject.toml").is_file());
        assert!(copy.join("mug/__init__.py").is_file());
        assert!(!copy.join("mug/server").exists());
        let wanted = wanted(&copy).unwrap();
        assert!(wanted[0].to_str().unwrap().ends_with("project[server]"));
        assert_eq!(wanted.len(), 3);
    }
}
