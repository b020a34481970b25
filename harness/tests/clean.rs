//! `gymcheck clean`, as a user calls it: what it says, what it removes, and where it refuses.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use gymcheck::provision::Home;
use nix::pty::openpty;
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A cache and a folder for temporary files of its own.
struct World {
    folder: TempDir,
}

impl World {
    /// With a cache as setup leaves it, in little, the folder of a killed run, and something of the
    /// user's own in both.
    fn new() -> World {
        let world = World {
            folder: tempfile::tempdir().expect("a folder"),
        };
        for environment in ["mug-0.1.3", "mug-needs-a693249b533c"] {
            let folder = format!("home/targets/{environment}");
            world.write(&format!("{folder}/pyvenv.cfg"), "home = /usr/bin");
            world.write(&format!("{folder}/complete.sha256"), "00");
        }
        world.write("home/lock", "");
        world.write("home/assets/complete.sha256", "00");
        world.write("home/assets/cdn.jsdelivr.net/lib.js", "alert(1)");
        world.write("home/bin/geckodriver", "a program");
        world.write("home/downloads/.partial-Ab1Cd2/half", "half");
        world.write("home/downloads/thesis.pdf", "years of work");
        world.write("home/logs/target.log", "$ pip");
        world.write("tmp/gymcheck-report/report.html", "a report");
        world.write("tmp/gymcheck-Ab1Cd2/.gymcheck-stage", "");
        world.write("tmp/gymcheck-Ab1Cd2/data/rows.csv", "1,2");
        world.age(&world.stage(), DAY);
        world
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn stage(&self) -> PathBuf {
        self.path("tmp/gymcheck-Ab1Cd2")
    }

    fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn age(&self, path: &Path, by: Duration) {
        let file = File::open(path).expect("a file or folder");
        file.set_modified(SystemTime::now() - by).expect("a time");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gymcheck"));
        command
            .arg("clean")
            .args(arguments)
            .env("GYMCHECK_HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"));
        command
    }

    /// Calls it with nobody at a terminal.
    fn clean(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).output().expect("it starts")
    }

    /// Calls it at a terminal, where somebody gives this answer.
    fn answer(&self, arguments: &[&str], answer: &str) -> Output {
        let terminal = openpty(None, None).expect("a terminal");
        let mut command = self.command(arguments);
        let child = command
            .stdin(terminal.slave)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut keyboard = File::from(terminal.master);
        writeln!(keyboard, "{answer}").expect("the answer is read");
        child.wait_with_output().expect("it ends")
    }

    /// Every file that is there, by its path below the world.
    fn files(&self) -> Vec<String> {
        let mut found: Vec<String> = walkdir::WalkDir::new(self.folder.path())
            .into_iter()
            .map(|entry| entry.expect("an entry"))
            .filter(|entry| entry.file_type().is_file() && entry.file_name() != "in-use")
            .map(|entry| {
                let below = entry.path().strip_prefix(self.folder.path());
                below.expect("a path below").display().to_string()
            })
            .collect();
        found.sort();
        found
    }

    /// Those files that are there no more.
    fn gone(&self, before: &[String]) -> Vec<String> {
        let now = self.files();
        let gone = before.iter().filter(|file| !now.contains(file));
        gone.cloned().collect()
    }
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

/// A process that lives until its test ends.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Process {
        Process(command.spawn().expect("it starts"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn without_a_selection_it_says_what_is_kept_and_removes_nothing() {
    let world = World::new();
    let before = world.files();
    let output = world.clean(&[]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for told in [
        "\ntargets ",
        "\n  mug-0.1.3 ",
        "\n  mug-needs-a693249b533c ",
        "\nassets ",
        "\nlogs ",
        "\nleft-overs ",
        "\nstages ",
        "\n  gymcheck-Ab1Cd2 ",
        "left by a run that was killed",
        "left alone, since gymcheck did not make it: ",
        "downloads/thesis.pdf",
        "--unused",
    ] {
        assert!(said.contains(told), "{told:?} is not in {said}");
    }
    assert!(!said.contains("gymcheck-report"), "{said}");
    assert_eq!(world.gone(&before), [""; 0]);
}

#[test]
fn everything_goes_but_what_gymcheck_did_not_make() {
    let world = World::new();
    let output = world.clean(&["--all", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("removed targets mug-0.1.3"));
    // Cargo does not say that it was gymcheck's geckodriver.
    assert_eq!(
        world.files(),
        [
            "home/bin/geckodriver",
            "home/downloads/thesis.pdf",
            "home/lock",
            "tmp/gymcheck-report/report.html"
        ]
    );
}

#[test]
fn a_name_selects_a_part_or_a_thing() {
    let world = World::new();
    let before = world.files();
    let output = world.clean(&["mug-0.1.3", "logs", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(
        world.gone(&before),
        [
            "home/logs/target.log",
            "home/targets/mug-0.1.3/complete.sha256",
            "home/targets/mug-0.1.3/pyvenv.cfg"
        ]
    );
    let output = world.clean(&["downloads", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("nothing to remove"));
}

#[test]
fn what_is_unused_goes_and_what_was_used_stays() {
    let world = World::new();
    let stamp =
        |environment: &str, name: &str| world.path(&format!("home/targets/{environment}/{name}"));
    for environment in ["mug-0.1.3", "mug-needs-a693249b533c"] {
        world.age(&stamp(environment, "complete.sha256"), 40 * DAY);
    }
    fs::write(stamp("mug-0.1.3", "last-used"), "").expect("a file");
    world.age(&stamp("mug-0.1.3", "last-used"), 20 * DAY);
    let before = world.files();
    let output = world.clean(&["--unused", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(
        world.gone(&before),
        [
            "home/downloads/.partial-Ab1Cd2/half",
            "home/targets/mug-needs-a693249b533c/complete.sha256",
            "home/targets/mug-needs-a693249b533c/pyvenv.cfg",
            "tmp/gymcheck-Ab1Cd2/.gymcheck-stage",
            "tmp/gymcheck-Ab1Cd2/data/rows.csv",
        ]
    );
    let output = world.clean(&["--unused=10", "--yes"]);
    assert!(said(&output).contains("removed targets mug-0.1.3"));
}

#[test]
fn with_nobody_to_ask_it_refuses() {
    let world = World::new();
    let before = world.files();
    let output = world.clean(&["--all"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("Say --yes if they may go"));
    assert_eq!(world.gone(&before), [""; 0]);
}

#[test]
fn at_a_terminal_the_answer_decides() {
    let world = World::new();
    let before = world.files();
    for no in ["n", "", "all"] {
        let output = world.answer(&["logs"], no);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(said(&output).contains("nothing was removed"));
        assert_eq!(world.gone(&before), [""; 0], "the answer was {no:?}");
    }
    let output = world.answer(&["logs"], "y");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("[y/N] "));
    assert_eq!(world.gone(&before), ["home/logs/target.log"]);
}

#[test]
fn a_name_that_nothing_has_is_a_mistake() {
    let world = World::new();
    let output = world.clean(&["tragets", "--yes"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("did you mean `targets`?"));
    for wrong in [
        ["--all", "logs"],
        ["--all", "--unused"],
        ["--unused", "logs"],
    ] {
        let output = world.clean(&wrong);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{wrong:?}: {}",
            said(&output)
        );
    }
}

#[test]
fn nothing_is_removed_from_under_a_run_or_a_setup() {
    let world = World::new();
    let before = world.files();
    let refused = |why: &str| {
        let output = world.clean(&["targets", "--yes"]);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains(why), "{}", said(&output));
        assert_eq!(world.gone(&before), [""; 0]);
    };
    let run = Home::at(world.path("home")).in_use().expect("a lock");
    refused("a run is using");
    drop(run);
    let setup = File::options().write(true).open(world.path("home/lock"));
    let setup = setup.expect("the lock");
    setup.lock().expect("a lock");
    refused("a setup is using");
    drop(setup);
    let output = world.clean(&["targets", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn a_stage_that_somebody_needs_stays_and_the_rest_goes() {
    let world = World::new();
    let mut command = Command::new("tail");
    command.args(["-f", "/dev/null"]);
    let process = Process::start(command.env("GYMCHECK_STAGE", world.stage()));
    let output = world.clean(&["stages", "logs", "--yes"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let named = format!("{} (tail); end them first", process.0.id());
    assert!(said(&output).contains(&named), "{}", said(&output));
    assert!(world.stage().exists());
    assert!(!world.path("home/logs").exists());
    drop(process);
    // One that stands is locked by its gymcheck.
    let lock = File::open(world.stage()).expect("a folder");
    lock.lock().expect("a lock");
    let output = world.clean(&["stages", "--yes"]);
    assert!(said(&output).contains("nothing to remove"));
    drop(lock);
    let output = world.clean(&["stages", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!world.stage().exists());
    assert!(world.path("tmp/gymcheck-report/report.html").exists());
}

#[test]
fn a_folder_that_is_no_cache_is_left_alone() {
    let world = World::new();
    fs::remove_file(world.path("home/lock")).expect("a file");
    fs::remove_dir_all(world.path("tmp")).expect("a folder");
    fs::create_dir(world.path("tmp")).expect("a folder");
    let before = world.files();
    let output = world.clean(&["--all", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("nothing to remove"));
    assert_eq!(world.files(), before);
    assert!(!world.path("home/in-use").exists());
}
