//! Checkouts as targets, each made here from the files of the installed release: what is wrong with
//! one is told once, before any browser starts, and leaves nothing behind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gymcheck::provision::{Home, target};
use gymcheck::run::find_root;
use gymcheck::target::{PINNED_RELEASE, TargetName};
use tempfile::TempDir;

#[path = "support/files.rs"]
mod files;

use files::copy;

/// A checkout of the target as it is released, in a world of its own.
struct Checkout {
    world: TempDir,
}

impl Checkout {
    fn new() -> Checkout {
        let world = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(world.path().join("tmp")).expect("a folder");
        let home = Home::locate().expect("a home");
        let release = TargetName::Release(PINNED_RELEASE);
        let release =
            target(&home, &release, None, Path::new("")).expect("run: gymcheck setup --yes");
        let code = release.code.expect("it is installed");
        let checkout = Checkout { world };
        copy(&code.folder, &checkout.file("mug"));
        // All checkouts here declare the same: their environment is made once.
        std::fs::write(
            checkout.file("pyproject.toml"),
            "[build-system]\nrequires = [\"setuptools\"]\nbuild-backend = \"setuptools.build_meta\"\n\
             [project]\nname = \"multi-user-gymnasium\"\nversion = \"0.9\"\n\
             [project.optional-dependencies]\nserver = [\"eventlet\", \"flask\", \"flask-login\", \
             \"flask-socketio\", \"gymnasium\", \"msgpack\", \"pandas\", \"flatten_dict\", \"numpy\"]\n\
             [tool.setuptools.packages.find]\ninclude = [\"mug*\"]\n",
        )
        .expect("a file");
        checkout
    }

    fn root(&self) -> PathBuf {
        self.world.path().join("checkout")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Replaces the one place of a text in a file.
    fn edit(&self, name: &str, find: &str, replace: &str) {
        let text = std::fs::read_to_string(self.file(name)).expect("a file");
        assert_eq!(text.matches(find).count(), 1, "{find}");
        std::fs::write(self.file(name), text.replace(find, replace)).expect("a file");
    }

    /// Asks gymcheck to test it, and waits until that has ended.
    fn run(&self) -> Output {
        self.run_on(&self.root())
    }

    fn run_with(&self, arguments: &[&str]) -> Output {
        self.call(&self.root(), arguments)
    }

    fn run_on(&self, path: &Path) -> Output {
        self.call(path, &[])
    }

    fn call(&self, path: &Path, arguments: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_gymcheck"))
            .args(["run", "mid-game", "--target"])
            .arg(path)
            .args(arguments)
            .arg("--out")
            .arg(self.world.path().join("out"))
            .env("TMPDIR", self.world.path().join("tmp"))
            .output()
            .expect("gymcheck starts");
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// What is left in the folder where stages are set, and of processes that were started there.
    fn left(&self) -> Vec<String> {
        let tmp = self.world.path().join("tmp");
        let folders = std::fs::read_dir(&tmp).expect("a folder");
        let folders = folders.map(|entry| entry.expect("an entry").path().display().to_string());
        let mark = tmp.to_string_lossy().into_owned();
        let processes = procfs::process::all_processes().expect("processes");
        let marked = processes.filter_map(|process| {
            let process = process.ok()?;
            let environment = process.environ().ok()?;
            let is_marked = environment
                .values()
                .any(|value| value.to_string_lossy().starts_with(&mark));
            is_marked.then(|| format!("process {}", process.pid))
        });
        folders.chain(marked).collect()
    }
}

/// Each file below a folder, with its content.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let content = std::fs::read(&path).expect("a file");
                found.insert(path, content);
            }
        }
    }
    found
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Ended as a mistake, said once, with no run, and with nothing left.
fn assert_refused(checkout: &Checkout, output: &Output) {
    assert_eq!(output.status.code(), Some(2), "{}", said(output));
    assert_eq!(said(output).matches("gymcheck: ").count(), 1);
    assert!(!said(output).contains("starting server and browsers"));
    assert_eq!(checkout.left(), Vec::<String>::new());
}

#[test]
fn a_server_that_ends_at_start_is_told_with_its_last_words() {
    let checkout = Checkout::new();
    let app = "mug/server/app.py";
    let text = std::fs::read_to_string(checkout.file(app)).expect("a file");
    std::fs::write(
        checkout.file(app),
        text + "\nraise RuntimeError('no game today')\n",
    )
    .expect("a file");
    let before = contents(&checkout.root());
    let output = checkout.run();
    assert_refused(&checkout, &output);
    assert!(said(&output).contains("ended by itself (exit status: 1)"));
    assert!(said(&output).contains("| RuntimeError: no game today"));
    assert!(
        contents(&checkout.root()) == before,
        "nothing may be written into a checkout"
    );
}

#[test]
fn a_server_that_serves_no_page_is_told() {
    let checkout = Checkout::new();
    checkout.edit(
        "mug/server/static/templates/index.html",
        "<!DOCTYPE html>",
        "{{ no_such_name.at_all }}",
    );
    let output = checkout.run();
    assert_refused(&checkout, &output);
    assert!(said(&output).contains("serves no page that could be looked at"));
    assert!(said(&output).contains("500 Internal Server Error"));
    assert!(said(&output).contains("UndefinedError: 'no_such_name' is undefined"));
}

#[test]
fn what_no_registry_has_is_named_with_its_address() {
    let checkout = Checkout::new();
    checkout.edit(
        "mug/server/static/templates/index.html",
        "/phaser/3.80.1/",
        "/phaser/3.999.0/",
    );
    checkout.edit(
        "mug/server/static/templates/index.html",
        "/pyodide/v0.26.2/full/pyodide.js",
        "/pyodide/v0.999.0/full/pyodide.js",
    );
    let output = checkout.run();
    assert_refused(&checkout, &output);
    let said = said(&output);
    assert!(said.contains("/phaser/3.999.0/phaser.min.js"), "{said}");
    assert_eq!(
        said.matches("/pyodide/v0.999.0/full/pyodide.js").count(),
        1,
        "{said}"
    );
    assert!(
        said.contains("the npm registry has no phaser 3.999.0"),
        "{said}"
    );
    assert!(!said.contains("jquery"), "{said}");
    // Its own package, of a version that nobody published, is made from its files.
    assert!(!said.contains("multi-user-gymnasium"), "{said}");
}

#[test]
fn a_python_package_that_cannot_be_had_is_named() {
    let checkout = Checkout::new();
    checkout.edit(
        "mug/scenes/gym_scene.py",
        "self.packages_to_install.append(self.DEFAULT_MUG_PACKAGE)",
        "self.packages_to_install.extend([self.DEFAULT_MUG_PACKAGE, 'numpy==1.26.4'])",
    );
    let output = checkout.run();
    assert_refused(&checkout, &output);
    let wanted = "the Python package numpy==1.26.4 in the browser: nothing goes together with what alone \
                  can be had for Pyodide 0.26.2: numpy 2.0.2";
    assert!(said(&output).contains(wanted));
    assert!(said(&output).contains("--without NAME"));
}

#[test]
fn a_package_that_is_imported_in_place_of_the_target_is_told() {
    let checkout = Checkout::new();
    let experiments = find_root().join("fixtures/experiments");
    let own = checkout.world.path().join("own");
    for name in ["adapter", "duet"] {
        copy(&experiments.join(name), &own.join(name));
    }
    let beside = own.join("duet/mug");
    copy(&checkout.file("mug"), &beside);
    let output = checkout.run_with(&["--experiment", own.join("duet").to_str().expect("a path")]);
    assert_refused(&checkout, &output);
    let package = checkout.file("mug");
    let wanted = format!(
        "Python imports mug from {} and not from {}; rename",
        beside.display(),
        package.display()
    );
    assert!(said(&output).contains(&wanted));
}

#[test]
fn a_folder_that_is_no_checkout_is_told() {
    let checkout = Checkout::new();
    std::fs::remove_dir_all(checkout.file("mug")).expect("a folder");
    let output = checkout.run();
    assert_refused(&checkout, &output);
    assert!(said(&output).contains("this is a checkout of multi-user-gymnasium"));
    let output = checkout.run_on(&checkout.file("pyproject.toml"));
    assert_refused(&checkout, &output);
    let output = checkout.run_on(&checkout.file("nowhere"));
    assert_refused(&checkout, &output);
}
