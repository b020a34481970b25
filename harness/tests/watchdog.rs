//! A gymcheck that is killed leaves nothing: what it had started ends within two seconds, and its temporary
//! folders go.
//!
//! Most of these tests need no browser. They kill a program that stands for gymcheck: this test program once
//! more, which starts a server that never listens, as a stage does.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gymcheck::spec::Experiment;
use gymcheck::stage::preview;
use gymcheck::target::{OwnCommand, Serving, Target};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use procfs::process::{Process, all_processes};
use serde_json::json;
use tempfile::TempDir;

/// What the README promises.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// For what has to happen before anybody is killed.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where the program that is killed is told its world.
const WORLD: &str = "WATCHDOG_TEST_WORLD";

/// A server that never listens, with all that a browser can do to its processes: a group of its own, a session
/// of its own, an environment of its own, and an orphan. Each says its number in a file of its own.
const SERVER: &str = r#"
set -m
says() { echo "echo \$\$ > '$WORLD/pid-$1'; exec sleep 600"; }
sh -c "$(says group)" &
setsid sh -c "$(says session)" &
env -i PATH="$PATH" sh -c "$(says bare)" &
setsid env -i PATH="$PATH" sh -c "$(says bare-session)" &
set +m
(env -i PATH="$PATH" sh -c "$(says orphan)" &)
echo $$ > "$WORLD/pid-server"
wait
"#;

const PROCESSES: usize = 6;

/// A place where a gymcheck has its temporary folders, and where its processes are known by it.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("tmp")).expect("a folder");
        std::fs::write(folder.path().join("server.sh"), SERVER).expect("a file");
        World { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn tmp(&self) -> PathBuf {
        self.path().join("tmp")
    }

    /// A stage in a program of its own, in a group of its own, all of whose processes run.
    fn stage(&self) -> Standing<'_> {
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program)
            .args(["--ignored", "--exact", "the_program_that_is_killed"])
            .env(WORLD, self.path())
            .env("TMPDIR", self.tmp())
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("it starts");
        let mut standing = Standing {
            world: self,
            child,
            processes: Vec::new(),
        };
        let end = Instant::now() + DEADLINE;
        while standing.processes.len() < PROCESSES {
            assert!(Instant::now() < end, "only {:?} run", standing.processes);
            std::thread::sleep(Duration::from_millis(10));
            standing.processes = self.processes();
        }
        assert_eq!(self.folders().len(), 1);
        standing
    }

    /// The processes of the stage that have told their numbers.
    fn processes(&self) -> Vec<i32> {
        let entries = std::fs::read_dir(self.path()).expect("a folder");
        let said = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            path.file_name()?.to_str()?.strip_prefix("pid-")?;
            std::fs::read_to_string(path).ok()?.trim().parse().ok()
        });
        said.collect()
    }

    fn folders(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.tmp()).expect("a folder");
        entries
            .map(|entry| entry.expect("an entry").path())
            .collect()
    }

    /// Processes that were started in this world and run, watchdogs among them.
    fn running(&self) -> Vec<String> {
        let mark = self.path().to_string_lossy().into_owned();
        let all = all_processes().expect("processes").flatten();
        let named = all.filter_map(|process| {
            let environment = process.environ().ok()?;
            let mut values = environment.values();
            let is_of_it = values.any(|value| value.to_string_lossy().contains(&mark));
            (is_of_it && runs(process.pid)).then(|| named(&process))
        });
        named.collect()
    }

    /// Waits until nothing is left of it. It may take no longer than is promised.
    fn assert_nothing_left(&self, killed: Instant, processes: &[i32]) {
        loop {
            let left: Vec<&i32> = processes.iter().filter(|pid| runs(**pid)).collect();
            let (running, folders) = (self.running(), self.folders());
            if left.is_empty() && running.is_empty() && folders.is_empty() {
                return;
            }
            assert!(
                killed.elapsed() < GONE_WITHIN,
                "after {GONE_WITHIN:?} there are still {left:?}, {running:?} and {folders:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A stage that stands.
struct Standing<'a> {
    world: &'a World,
    child: Child,
    processes: Vec<i32>,
}

impl Standing<'_> {
    /// Kills the program, and waits until nothing is left of what it had started.
    fn kill(mut self, kill: impl FnOnce(Pid)) {
        let killed = Instant::now();
        kill(Pid::from_raw(self.child.id().cast_signed()));
        self.child.wait().expect("it ends");
        self.world.assert_nothing_left(killed, &self.processes);
    }

    /// Lets the program end by itself, and see to the end of what it had started.
    fn finish(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("it ends").success());
        // No watchdog is needed for that, and none is left to end later.
        let left = self.processes.iter().filter(|pid| runs(**pid)).count();
        assert_eq!(left, 0);
        assert_eq!(self.world.running(), Vec::<String>::new());
        assert_eq!(self.world.folders(), Vec::<PathBuf>::new());
    }

    fn watchdogs(&self) -> Vec<Pid> {
        watchdogs_of(self.child.id())
    }
}

impl Drop for Standing<'_> {
    /// A test that fails leaves nothing, either.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in &self.processes {
            if runs(*pid) && std::thread::panicking() {
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
        }
    }
}

fn watchdogs_of(program: u32) -> Vec<Pid> {
    let all = all_processes().expect("processes").flatten();
    let watchdogs = all.filter(|process| {
        let stat = process.stat();
        stat.is_ok_and(|stat| stat.ppid == program.cast_signed())
            && named(process).contains("__watch-over-stages")
    });
    let watchdogs = watchdogs.map(|process| Pid::from_raw(process.pid));
    watchdogs.collect()
}

fn runs(pid: i32) -> bool {
    let stat = Process::new(pid).and_then(|process| process.stat());
    stat.is_ok_and(|stat| stat.state != 'Z')
}

fn named(process: &Process) -> String {
    let words = process.cmdline().unwrap_or_default();
    format!("{} {}", process.pid, words.join(" "))
}

/// What the other tests kill. It ends by itself when its standard input does.
#[test]
#[ignore = "a part of the other tests"]
fn the_program_that_is_killed() {
    let Some(world) = std::env::var_os(WORLD).map(PathBuf::from) else {
        return;
    };
    let target = Target {
        facts: serde_json::from_value(json!({"name": "a server that never listens"})).unwrap(),
        code: None,
        serving: Serving::Command(OwnCommand {
            line: format!("WORLD='{0}' exec sh '{0}/server.sh'", world.display()),
            folder: world.clone(),
            search_path: None,
            is_observed: false,
        }),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let experiment = Experiment::default();
        let (ended, has_ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = ended.send(());
        });
        tokio::select! {
            looked = preview(&target, &experiment, &world) => {
                panic!("it listens: {:?}", looked.map(|_| ()).unwrap_err());
            }
            _ = has_ended => {}
        }
    });
    // With the last stage its watchdog has ended, and not only with this program.
    assert_eq!(watchdogs_of(std::process::id()), []);
}

#[test]
fn what_a_killed_program_left_ends_and_its_folder_goes() {
    let world = World::new();
    world.stage().kill(|pid| {
        kill(pid, Signal::SIGKILL).expect("it is killed");
    });
}

#[test]
fn a_signal_to_the_whole_group_does_not_reach_the_watchdog() {
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGKILL,
    ] {
        let world = World::new();
        // The program handles none of them.
        world.stage().kill(|group| {
            killpg(group, signal).expect("it is killed");
        });
    }
}

#[test]
fn the_watchdog_heeds_no_signal_that_asks_it_to_end() {
    let world = World::new();
    let stage = world.stage();
    let watchdogs = stage.watchdogs();
    assert_eq!(watchdogs.len(), 1);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        kill(watchdogs[0], signal).expect("it is there");
    }
    stage.kill(|pid| {
        kill(pid, Signal::SIGKILL).expect("it is killed");
    });
}

#[test]
fn who_ends_in_order_leaves_no_watchdog() {
    let world = World::new();
    let stage = world.stage();
    assert_eq!(stage.watchdogs().len(), 1);
    stage.finish();
}

#[test]
fn of_two_at_once_only_the_killed_one_loses_what_it_has() {
    let [killed, other] = [World::new(), World::new()];
    let (gone, stays) = (killed.stage(), other.stage());
    gone.kill(|pid| {
        kill(pid, Signal::SIGKILL).expect("it is killed");
    });
    assert_eq!(other.folders().len(), 1);
    for pid in &stays.processes {
        assert!(runs(*pid), "{pid} was ended with another's");
    }
    stays.finish();
}

/// The real thing: two browsers in a game, on this machine and on hosts of their own.
#[test]
#[ignore = "starts browsers, and wants the machine for itself: cargo test --test watchdog -- --ignored"]
fn a_gymcheck_that_is_killed_in_the_game_leaves_nothing() {
    const PLAYED: &str = "mid-game/partner-dies-in-game";
    for (spec, pair) in [
        (PLAYED, "chrome+chrome"),
        (PLAYED, "firefox+firefox"),
        ("mid-game/partner-loses-network", "chrome+chrome"),
    ] {
        let world = World::new();
        let path = world.path().join("said");
        let said = File::create(&path).expect("a file");
        // Between two steps there is little to end; this one takes seconds.
        let is_played = || {
            let said = std::fs::read_to_string(&path).expect("a file");
            said.contains("play until mid-game")
        };
        let mut gymcheck = Command::new(env!("CARGO_BIN_EXE_gymcheck"))
            .args(["run", spec, "--pairs", pair])
            .arg("--out")
            .arg(world.path().join("out"))
            .env("TMPDIR", world.tmp())
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("a file"))
            .stderr(said)
            .spawn()
            .expect("gymcheck starts");
        let end = Instant::now() + 4 * DEADLINE;
        while !is_played() {
            let ended = gymcheck.try_wait().expect("its status");
            assert!(
                ended.is_none() && Instant::now() < end,
                "no game: {ended:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(world.running().len() > 6, "{:?}", world.running());
        let killed = Instant::now();
        gymcheck.kill().expect("it is killed");
        gymcheck.wait().expect("it ends");
        world.assert_nothing_left(killed, &[]);
        eprintln!(
            "{spec} {pair}: nothing is left after {:?}",
            killed.elapsed()
        );
    }
}
