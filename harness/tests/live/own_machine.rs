//! A machine that fails the run: no port, no room on a disk, a clock that is set, a user who ends it, and a
//! mistake in gymcheck itself. Each is `broken`, with the reason and what to do, never `pass` and never
//! `fail`; what there was is kept, and nothing is left running.
//!
//! Each test runs the real command on the real server and browsers. Networks and disks are the test's own:
//! namespaces that end with their processes. The machine's clock is nobody's to set: a library that is loaded
//! into gymcheck and all that it starts sets it for those alone.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gymcheck::run::{Invocation, Selection, Wanted, find_root};
use gymcheck::spec::{BrowserKind, Catalogue};
use gymcheck::target::{PINNED_RELEASE, TargetName};
use gymcheck::verdict::Verdict;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use procfs::process::all_processes;
use serde_json::Value;
use tempfile::TempDir;

use crate::TURNS;
use crate::support::turns::Turn;

const IN_GAME: &str = "mid-game/partner-dies-in-game";
const ON_SURVEY: &str = "scene-exit/partner-dies-on-survey";

/// For a run to come to a moment.
const DEADLINE: Duration = Duration::from_secs(400);
/// For a run to end once its machine has failed it: it must not wait for what will never come.
const END_WITHIN: Duration = Duration::from_secs(60);

/// The namespaces that a call gets for itself.
#[derive(Clone, Copy, PartialEq)]
enum Own {
    Nothing,
    /// Small disks at some of the call's folders.
    Disks,
    /// A network with an interface that has a default route.
    Network,
}

/// What a shell does before it becomes gymcheck.
const NETWORK: &str = "ip link set lo up && ip link add v0 type veth peer name v1 && \
    ip addr add 10.99.0.1/24 dev v0 && ip link set v0 up && ip link set v1 up && \
    ip route add default via 10.99.0.2";

/// Of all ports that are given out without being asked for by number, this many are left.
fn ports(many: u32) -> String {
    // The kernel looks at an even number of them.
    let (last, reserved) = match many % 2 {
        0 => (40_001 + many, "40000,40001"),
        _ => (40_000 + many, "40000"),
    };
    format!(
        "echo 40000 {last} > /proc/sys/net/ipv4/ip_local_port_range && \
         echo {reserved} > /proc/sys/net/ipv4/ip_local_reserved_ports"
    )
}

fn disk(at: &Path, options: &str) -> String {
    format!(
        "mount -t tmpfs -o {options} gymcheck-test '{}'",
        at.display()
    )
}

/// A place of a call's own: its name is in the environment of all that it starts.
struct World {
    folder: TempDir,
    _turn: Turn,
}

impl World {
    fn new() -> World {
        let turn = TURNS.take();
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["tmp", "out", "kept"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        World {
            folder,
            _turn: turn,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A call of `gymcheck run`, after what a shell does first. What it leaves in `out` is in `kept` in the end.
    fn call(&self, own: Own, first: &str, arguments: &[&str]) -> Call<'_> {
        self.call_by("", own, first, arguments)
    }

    /// The same, started by another program.
    fn call_by(&self, by: &str, own: Own, first: &str, arguments: &[&str]) -> Call<'_> {
        let mut command = match own {
            Own::Nothing => Command::new("sh"),
            Own::Disks | Own::Network => unshared(own),
        };
        let first = if first.is_empty() { "true" } else { first };
        // Small disks go with the namespace: what is in them is kept elsewhere.
        let script = match own {
            Own::Disks => format!(
                "{first} || exit 99; \"$0\" \"$@\"; status=$?; cp -a '{}/.' '{}'; ls '{}' > '{}'; exit $status",
                self.path("out").display(),
                self.path("kept").display(),
                self.path("tmp").display(),
                self.path("left").display(),
            ),
            Own::Nothing | Own::Network => format!("{first} || exit 99; exec {by} \"$0\" \"$@\""),
        };
        let said = File::create(self.path("said")).expect("a file");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_gymcheck"), "run"]);
        self.complete(&mut command, arguments)
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("a file"))
            .stderr(said)
            .process_group(0);
        Call::of(self, own, command)
    }

    /// What a call of `gymcheck run` in this world needs besides.
    fn complete<'a>(&self, command: &'a mut Command, arguments: &[&str]) -> &'a mut Command {
        command
            .args(arguments)
            .arg("--out")
            .arg(self.path("out"))
            .env("TMPDIR", self.path("tmp"))
    }

    /// Processes that were started in this world and run.
    fn running(&self) -> Vec<String> {
        let mark = self.folder.path().to_string_lossy().into_owned();
        let all = all_processes().expect("processes").flatten();
        let ours = all.filter(|process| {
            let environment = process.environ().unwrap_or_default();
            let mut values = environment.values();
            values.any(|value| value.to_string_lossy().contains(&mark))
        });
        let named = ours.filter_map(|process| {
            let stat = process.stat().ok().filter(|stat| stat.state != 'Z')?;
            Some(format!("{} {}", process.pid, stat.comm))
        });
        named.collect()
    }

    fn assert_nothing_left(&self) {
        // Whoever ended it is not waited for by us: the watchdog may end a moment later.
        let end = Instant::now() + Duration::from_secs(5);
        while !self.running().is_empty() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(self.running(), Vec::<String>::new());
        let left = std::fs::read_dir(self.path("tmp")).expect("a folder");
        let mut left: Vec<String> = left
            .map(|entry| entry.expect("an entry").path().display().to_string())
            .collect();
        left.extend(std::fs::read_to_string(self.path("left")).ok());
        left.retain(|name| !name.is_empty() && name != "filler\n");
        assert_eq!(left, Vec::<String>::new());
    }
}

/// A shell in namespaces of its own; also for a user who is not root, where the system lets users have some.
fn unshared(own: Own) -> Command {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg(match own {
        Own::Network => "--net",
        Own::Disks | Own::Nothing => "--mount",
    });
    command.arg("sh");
    command
}

/// A call that goes on.
struct Call<'a> {
    world: &'a World,
    own: Own,
    child: Child,
}

/// How a call ended.
struct End {
    status: Option<i32>,
    said: String,
    results: Option<Value>,
}

impl<'a> Call<'a> {
    fn of(world: &'a World, own: Own, mut command: Command) -> Call<'a> {
        let child = command.spawn().expect("it starts");
        Call { world, own, child }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// gymcheck itself, where a shell waits for it.
    fn gymcheck(&self) -> Pid {
        let pid = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.expect("its children");
        Pid::from_raw(children.trim().parse().expect("one child"))
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.world.path("said")).unwrap_or_default()
    }

    /// A path as gymcheck sees it, with the disks that only it has.
    fn seen(&self, path: &Path) -> PathBuf {
        match self.own {
            Own::Disks => Path::new(&format!("/proc/{}/root", self.child.id()))
                .join(path.strip_prefix("/").expect("an absolute path")),
            Own::Nothing | Own::Network => path.to_owned(),
        }
    }

    fn log_of(&self, spec: &str, name: &str) -> String {
        let path = self.world.path("out/runs").join(spec);
        let path = path.join("chrome+chrome").join(name);
        std::fs::read_to_string(self.seen(&path)).unwrap_or_default()
    }

    /// Waits for a moment of the run.
    fn wait_for(&mut self, what: &str, has_come: impl Fn(&Call<'_>) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !has_come(self) {
            let ended = self.child.try_wait().expect("its status");
            assert!(
                ended.is_none() && Instant::now() < end,
                "it never came to {what}: {ended:?}\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the run says that it is at a step.
    fn wait_for_step(&mut self, step: &str) {
        self.wait_for(step, |call| call.said().contains(step));
    }

    /// Writes into a folder until nothing more goes into it.
    fn fill(&self, folder: &str) {
        let path = self.seen(&self.world.path(folder)).join("filler");
        let mut file = File::create(path).expect("a file");
        let mut zeros = std::io::repeat(0);
        std::io::copy(&mut zeros, &mut file).expect_err("it is full");
    }

    /// Waits for its end, which must come soon. Nothing may be left of it.
    fn end(mut self) -> End {
        let end = Instant::now() + END_WITHIN;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("its status") {
                break status;
            }
            assert!(Instant::now() < end, "it does not end:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        };
        self.world.assert_nothing_left();
        let kept = match self.own {
            Own::Disks => "kept/results.json",
            Own::Nothing | Own::Network => "out/results.json",
        };
        let results = std::fs::read(self.world.path(kept)).ok();
        End {
            status: status.code(),
            said: self.said(),
            results: results.map(|text| serde_json::from_slice(&text).expect("whole results")),
        }
    }
}

impl Drop for Call<'_> {
    /// A test that fails leaves nothing, either.
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = killpg(self.pid(), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

impl End {
    /// Whether it ended as broken, and said why in these words.
    fn assert_broken(&self, words: &[&str]) {
        assert_eq!(self.status, Some(3), "{}", self.said);
        for word in words {
            assert!(
                self.said.contains(word),
                "{word:?} is not in:\n{}",
                self.said
            );
        }
    }

    /// The same; and the results say it, too.
    fn assert_told(&self, words: &[&str]) {
        self.assert_broken(words);
        let run = &self.results.as_ref().expect("results")["runs"][0];
        assert_eq!(run["verdict"], "broken", "{}", self.said);
        let reason = run["broken"]["reason"].as_str().expect("a reason");
        for word in words {
            assert!(reason.contains(word), "{word:?} is not in: {reason}");
        }
    }
}

const CALL: [&str; 3] = [IN_GAME, "--pairs", "chrome+chrome"];

#[test]
fn without_a_free_port_a_run_is_broken_whatever_wanted_one() {
    // None at all; one for the stage itself; two for the players' ways to the gateway; another two, of which a
    // driver makes nothing.
    for (many, words) in [
        (0, ["cannot start the stage", "no port is free"]),
        (1, ["cannot start the gateway", "no port is free"]),
        (3, ["cannot start the target", "no port is free"]),
        (5, ["cannot start the driver", "port not available"]),
    ] {
        let world = World::new();
        let first = format!("{NETWORK} && {}", ports(many));
        let call = world.call(Own::Network, &first, &CALL);
        call.end().assert_told(&words);
    }
}

#[test]
fn ports_that_run_out_in_mid_run_are_not_the_targets_fault() {
    let world = World::new();
    let mut call = world.call(Own::Network, NETWORK, &CALL);
    call.wait_for_step("survivor and partner join");
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &call.child.id().to_string(), "--net"]);
    if !nix::unistd::geteuid().is_root() {
        enter.args(["--user", "--preserve-credentials"]);
    }
    let narrowed = enter.args(["sh", "-c", &ports(0)]).status();
    assert!(narrowed.expect("it starts").success());
    // The gateway may want one before anybody has looked whether there is one.
    call.end().assert_told(&["no port"]);
}

#[test]
fn a_full_disk_is_told_with_its_path_and_what_to_do() {
    for (folder, advice) in [("out", "--out"), ("tmp", "TMPDIR")] {
        let world = World::new();
        let path = world.path(folder);
        let first = format!(
            "{} && (cat /dev/zero > '{}/filler' 2> /dev/null; true)",
            disk(&path, "size=2m"),
            path.display()
        );
        let call = world.call(Own::Disks, &first, &CALL);
        call.end().assert_broken(&[&path.to_string_lossy(), advice]);
    }
}

#[test]
fn a_disk_that_fills_up_in_mid_run_is_told_and_what_there_was_is_kept() {
    for (folder, advice) in [("out", "--out"), ("tmp", "TMPDIR")] {
        let world = World::new();
        let path = world.path(folder);
        let mut call = world.call(Own::Disks, &disk(&path, "size=400m"), &CALL);
        call.wait_for_step("survivor and partner join");
        call.fill(folder);
        call.end().assert_broken(&[&path.to_string_lossy(), advice]);
        let kept = world
            .path("kept/runs")
            .join(IN_GAME)
            .join("chrome+chrome/evidence.jsonl");
        let kept = std::fs::read_to_string(kept).expect("evidence");
        assert!(kept.contains("\"kind\":\"process\""), "{kept}");
    }
}

#[test]
fn reports_that_cannot_be_written_are_told_with_the_verdicts() {
    let world = World::new();
    let out = world.path("out");
    let first = disk(&out, "size=400m,nr_inodes=64");
    let mut call = world.call(Own::Disks, &first, &CALL);
    call.wait_for_step("survivor and partner join");
    // There is room, but for no further file: what is open goes on being written.
    let folder = call.seen(&out);
    let made = (0..64).take_while(|name| File::create(folder.join(name.to_string())).is_ok());
    assert!(made.count() < 64);
    kill(call.gymcheck(), Signal::SIGINT).expect("a signal");
    let end = call.end();
    end.assert_broken(&[
        "interrupted",
        &out.to_string_lossy(),
        "No space left",
        "--out",
    ]);
    assert!(end.results.is_none());
}

/// Sets the clock of whoever loads it: by as many seconds as a file says now.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real)(clockid_t, struct timespec *);
static volatile long *by;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CLOCK_SET_BY");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        void *seconds = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
        by = seconds == MAP_FAILED ? 0 : seconds;
        close(file);
    }
    real = dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && by && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *by;
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    int failed = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}
"#;

/// The clock of a world.
struct Clock {
    library: PathBuf,
    set_by: PathBuf,
}

impl Clock {
    fn of(world: &World) -> Clock {
        let (source, library) = (world.path("clock.c"), world.path("clock.so"));
        std::fs::write(&source, CLOCK).expect("a file");
        // Rust needs a C compiler to link with: it is there.
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status();
        assert!(made.expect("cc").success());
        let clock = Clock {
            library,
            set_by: world.path("set-by"),
        };
        clock.set_by(0);
        clock
    }

    /// Sets it, for all who go by it.
    fn set_by(&self, seconds: i64) {
        use std::os::unix::fs::FileExt;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.set_by);
        let written = file.and_then(|file| file.write_all_at(&seconds.to_ne_bytes(), 0));
        written.expect("it is set");
    }

    /// What a shell does to go by it.
    fn loaded(&self) -> String {
        format!(
            "export CLOCK_SET_BY='{}' LD_PRELOAD='{}'",
            self.set_by.display(),
            self.library.display()
        )
    }
}

#[test]
fn a_clock_that_is_set_in_mid_run_breaks_the_run() {
    for (by, told) in [(3600, "s forward"), (-3600, "s back")] {
        let world = World::new();
        let clock = Clock::of(&world);
        let mut call = world.call(Own::Nothing, &clock.loaded(), &CALL);
        call.wait_for_step("survivor and partner join");
        clock.set_by(by);
        let end = call.end();
        end.assert_told(&["the machine's clock jumped", told, "run it again"]);
    }
}

#[test]
#[ignore = "plays two whole games: cargo test --test live clock -- --ignored"]
fn a_clock_that_is_wrong_but_runs_on_changes_no_verdict() {
    const YEARS: i64 = 10 * 365 * 24 * 3600;
    for by in [YEARS, -YEARS] {
        let world = World::new();
        let clock = Clock::of(&world);
        clock.set_by(by);
        let mut call = world.call(Own::Nothing, &clock.loaded(), &CALL);
        call.wait_for_step("ending server and browsers");
        let end = call.end();
        assert_eq!(end.status, Some(0), "{}", end.said);
        let run = &end.results.as_ref().expect("results")["runs"][0];
        assert_eq!(run["verdict"], "pass");
        let year = if by > 0 { "203" } else { "201" };
        let started = run["started_at"].as_str().expect("a time");
        assert!(
            started.starts_with(year),
            "{started}: it had the machine's clock"
        );
    }
}

/// A phase of a run, by what shows that it has begun.
struct Phase {
    name: &'static str,
    spec: &'static str,
    has_begun: fn(&Call<'_>) -> bool,
}

fn has_started(call: &Call<'_>, spec: &str, role: &str) -> bool {
    let log = call.log_of(spec, "evidence.jsonl");
    log.contains(&format!("\"role\":\"{role}\"")) && log.contains("\"phase\":\"started\"")
}

const PHASES: [Phase; 8] = [
    Phase {
        name: "the server is starting",
        spec: IN_GAME,
        has_begun: |call| has_started(call, IN_GAME, "server"),
    },
    Phase {
        name: "the drivers are starting",
        spec: IN_GAME,
        has_begun: |call| has_started(call, IN_GAME, "driver"),
    },
    Phase {
        name: "the browsers are starting",
        spec: IN_GAME,
        has_begun: |call| {
            call.log_of(IN_GAME, "driver-survivor.log")
                .contains("started successfully on port")
        },
    },
    Phase {
        name: "the players are joining",
        spec: IN_GAME,
        has_begun: |call| call.said().contains("survivor and partner join"),
    },
    Phase {
        name: "they play",
        spec: IN_GAME,
        has_begun: |call| call.said().contains("play until mid-game"),
    },
    Phase {
        name: "the survivor stands on the survey",
        spec: ON_SURVEY,
        has_begun: |call| call.said().contains("observe `after-exit`"),
    },
    Phase {
        name: "all is being ended",
        spec: IN_GAME,
        has_begun: |call| call.said().contains("ending server and browsers"),
    },
    Phase {
        name: "the reports are being written",
        spec: IN_GAME,
        has_begun: |call| {
            call.log_of(IN_GAME, "evidence.jsonl")
                .contains("\"kind\":\"finished\"")
        },
    },
];

/// Ends a run in a phase by a signal. A run that was over has its verdict; any other one is broken.
fn end_by(signal: Signal, phase: &Phase) {
    let world = World::new();
    let call = [phase.spec, "--pairs", "chrome+chrome"];
    let mut call = world.call(Own::Nothing, "", &call);
    call.wait_for(phase.name, phase.has_begun);
    kill(call.pid(), signal).expect("a signal");
    let signalled = Instant::now();
    let end = call.end();
    eprintln!(
        "{signal} while {}: ended after {:?}",
        phase.name,
        signalled.elapsed()
    );
    let results = end.results.as_ref().expect("results");
    let run = &results["runs"][0];
    if run["verdict"] == "broken" {
        let number = format!("interrupted (signal {})", signal as i32);
        end.assert_told(&[&number]);
    } else {
        let is_over = phase.name.starts_with("the reports") || phase.name.starts_with("all is");
        assert!(is_over && run["verdict"] == "pass", "{}", end.said);
        assert!(matches!(end.status, Some(0 | 3)), "{:?}", end.status);
    }
    for file in ["report.html", "junit.xml", "summary.md"] {
        assert!(world.path("out").join(file).is_file(), "{file}");
    }
    let evidence = world
        .path("out/runs")
        .join(phase.spec)
        .join("chrome+chrome");
    assert!(evidence.join("evidence.jsonl").is_file());
}

#[test]
fn a_signal_while_the_stage_is_being_set_leaves_nothing() {
    end_by(Signal::SIGTERM, &PHASES[0]);
    end_by(Signal::SIGHUP, &PHASES[2]);
}

#[test]
fn a_signal_in_the_game_leaves_results_and_nothing_else() {
    end_by(Signal::SIGINT, &PHASES[4]);
    end_by(Signal::SIGTERM, &PHASES[4]);
}

#[test]
#[ignore = "24 runs, many of them whole: cargo test --test live signal -- --ignored"]
fn a_signal_in_any_phase_leaves_results_and_nothing_else() {
    for phase in &PHASES {
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            end_by(signal, phase);
        }
    }
}

#[test]
fn a_terminal_that_is_closed_takes_no_results_with_it() {
    let world = World::new();
    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    let ours_alone = FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC);
    fcntl(&terminal.master, ours_alone).expect("it can be set so");
    let slave = || Stdio::from(terminal.slave.try_clone().expect("a terminal"));
    let mut command = Command::new("setsid");
    command.args(["--ctty", env!("CARGO_BIN_EXE_gymcheck"), "run"]);
    world
        .complete(&mut command, &CALL)
        .stdin(slave())
        .stdout(slave())
        .stderr(slave());
    let mut call = Call::of(&world, Own::Nothing, command);
    drop(terminal.slave);
    let window = Window::at(terminal.master.into());
    call.wait_for("join", |call| {
        call.log_of(IN_GAME, "evidence.jsonl")
            .contains("\"step\":\"survivor and partner join\"")
    });
    window.close();
    let end = call.end();
    assert_eq!(end.status, Some(3));
    let run = &end.results.as_ref().expect("results")["runs"][0];
    assert_eq!(
        run["broken"]["reason"],
        "the run was interrupted (signal 1)"
    );
    assert!(world.path("out/report.html").is_file());
}

/// As `less` does with what nobody scrolls to: the pipe is full before the run begins.
#[test]
fn who_does_not_read_on_holds_no_run_up() {
    let world = World::new();
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    let full = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).expect("a size");
    let full = usize::try_from(full).expect("a size");
    writer.write_all(&vec![b'.'; full]).expect("it is full");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gymcheck"));
    command.arg("run");
    world
        .complete(&mut command, &CALL)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().expect("a pipe"))
        .stderr(writer)
        .process_group(0);
    let mut call = Call::of(&world, Own::Nothing, command);
    call.wait_for("its reports", |_| world.path("out/report.html").is_file());
    let run = world.path("out/results.json");
    let results: Value =
        serde_json::from_slice(&std::fs::read(run).expect("results")).expect("JSON");
    assert_eq!(results["runs"][0]["verdict"], "pass");
    // Who reads on in the end hears all of it, in order.
    let reading = std::thread::spawn(move || {
        let mut said = String::new();
        reader.read_to_string(&mut said).expect("a text");
        said
    });
    let end = call.end();
    assert_eq!(end.status, Some(0), "{}", end.said);
    let said = reading.join().expect("no panic");
    let places =
        ["begins", "partner leaves", "pass after", "results: "].map(|word| said.find(word));
    assert!(places.is_sorted() && places[0].is_some(), "{said}");
}

/// What shows a terminal: a program that writes to one that nobody looks at waits for ever.
struct Window {
    is_open: Arc<AtomicBool>,
    looking: std::thread::JoinHandle<()>,
}

impl Window {
    fn at(mut terminal: File) -> Window {
        let is_open = Arc::new(AtomicBool::new(true));
        let nonblocking = FcntlArg::F_SETFL(OFlag::O_NONBLOCK);
        fcntl(&terminal, nonblocking).expect("it can be set so");
        let looking = {
            let is_open = Arc::clone(&is_open);
            std::thread::spawn(move || {
                while is_open.load(Ordering::SeqCst) {
                    if terminal.read(&mut [0; 4096]).is_err() {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                }
            })
        };
        Window { is_open, looking }
    }

    /// SIGHUP, and nobody hears what is said.
    fn close(self) {
        self.is_open.store(false, Ordering::SeqCst);
        self.looking.join().expect("no panic");
    }
}

/// Where the program that panics is told its world, and at which step.
const PANICS_IN: &str = "OWN_MACHINE_TEST_PANICS_IN";
const PANICS_AT: &str = "OWN_MACHINE_TEST_PANICS_AT";

/// What the other tests run: a program with a mistake in it, which shows at one step of a run.
#[test]
#[ignore = "a part of the other tests"]
fn the_program_that_panics() {
    let (Some(world), Ok(at)) = (std::env::var_os(PANICS_IN), std::env::var(PANICS_AT)) else {
        return;
    };
    let catalogue = Catalogue::read(&find_root()).expect("specs");
    let pair = "chrome+chrome".parse().expect("a pair");
    let items = Selection {
        specs: &[IN_GAME.to_owned()],
        pairs: Some(&[pair]),
        repairs: &[],
        mutants: &[],
        repeat: 1,
        against: false,
        pinned: [true, false],
    };
    let items = items.items(&catalogue).expect("a run");
    let invocation = Invocation::prepare(Wanted {
        catalogue: &catalogue,
        target: TargetName::Release(PINNED_RELEASE),
        experiment: None,
        without: Vec::new(),
        cdn: None,
        browsers: vec![BrowserKind::Chrome],
        grid: None,
        out: PathBuf::from(world).join("out"),
        runs: "runs".into(),
        retries: 2,
        headed: false,
        keep: false,
    });
    let invocation = invocation.expect("all that a run needs");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let run = invocation.run(&items[0], |step| {
        assert!(!step.contains(&at), "on purpose, at {step}");
    });
    let records = runtime.block_on(run).expect("evidence");
    let Some([record]) = records.as_deref() else {
        panic!("one record: {records:?}")
    };
    assert_eq!((record.verdict, record.attempts), (Verdict::Broken, 1));
    let broken = record.broken.as_ref().expect("a reason");
    assert_eq!(broken.component, "harness");
    assert!(broken.reason.contains(&at), "{}", broken.reason);
}

fn panic_at(step: &str) {
    let world = World::new();
    let program = std::env::current_exe().expect("this program");
    let said = File::create(world.path("said")).expect("a file");
    let mut command = Command::new(program);
    command
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("own_machine::the_program_that_panics")
        .env(PANICS_IN, world.folder.path())
        .env(PANICS_AT, step)
        .env("TMPDIR", world.path("tmp"))
        .stdin(Stdio::null())
        .stdout(said.try_clone().expect("a file"))
        .stderr(said)
        .process_group(0);
    let mut call = Call::of(&world, Own::Nothing, command);
    call.wait_for_step("on purpose");
    let end = call.end();
    assert_eq!(end.status, Some(0), "{}", end.said);
    assert!(end.said.contains("1 passed"), "{}", end.said);
    let evidence = world
        .path("out/runs")
        .join(IN_GAME)
        .join("chrome+chrome/evidence.jsonl");
    let evidence = std::fs::read_to_string(evidence).expect("evidence");
    assert!(evidence.contains("gymcheck itself failed"));
}

#[test]
fn a_panic_breaks_the_run_and_leaves_nothing() {
    panic_at("survivor and partner join");
}

#[test]
#[ignore = "plays whole games: cargo test --test live panic_at_any_step -- --ignored"]
fn a_panic_at_any_step_breaks_the_run_and_leaves_nothing() {
    for step in [
        "starting server and browsers",
        "play until mid-game",
        "partner leaves",
        "ending server and browsers",
    ] {
        panic_at(step);
    }
}
