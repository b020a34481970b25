//! Faults of the harness's own world: drivers and browsers that die, tabs and servers that hang, a server that
//! floods its log, a machine that is busy. Each is brought about from outside, in a run that the real command
//! carries out. A run that they hit is `broken`, never a pass and never the target's failure; it says in one
//! sentence what happened, keeps what it had, leaves nothing running, and comes to its end within a bounded
//! time.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::TURNS;
use crate::support::following::{Following, is_in_game, is_of};
use crate::support::processes::{assert_nothing_left, end_of};
use crate::support::turns::Turn;
use crate::support::{Browser, Kind, scenarios};
use futures_util::{SinkExt, StreamExt};
use gymcheck::evidence::{Fact, Recorder};
use gymcheck::run::find_root;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::{Process, all_processes};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// For a run to come to the moment at which it is hit, on a machine that is busy besides.
const DEADLINE: Duration = Duration::from_secs(300);

/// For the end of a run whose fault is noticed at once: pictures that cannot be taken, and the end of all
/// processes.
const AT_ONCE: Duration = Duration::from_secs(60);

const MIB: usize = 1 << 20;

/// The spec that is played: a game that is long enough to be hit in, and what comes after it.
const SPEC: &str = r#"
title = "Both play to the end, and the survivor stands on the survey"
pairs = ["chrome+chrome"]

[experiment]
name = "duet"
steps = 240

[[steps]]
join = {}

# The survivor has to close its connection by itself.
[[steps]]
hold = { as = "partner-stays-behind", player = "partner", direction = "to-server", event = "advance_scene" }

[[steps]]
play = { until = "last-episode-ended" }

[[steps]]
arrive = { player = "survivor", at = "after-first-game" }

[[steps]]
observe = { as = "after-exit" }

[[checks]]
requirement = "PLAY-01"
ask = { played-peer-to-peer = {} }

[[checks]]
requirement = "P2P-01"
ask = { connections-closed = { at = "after-exit" } }
"#;

/// A call of gymcheck under way, in a folder of its own.
struct Call {
    folder: TempDir,
    child: Child,
    evidence: Following,
    _turn: Turn,
}

/// What a call has left.
struct Left {
    folder: TempDir,
    status: Option<i32>,
    /// What it said on the terminal.
    said: String,
    run: Value,
    events: Vec<Value>,
}

/// A folder for a call, with the spec.
fn ground() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("specs/own")).expect("a folder");
    std::fs::create_dir(folder.path().join("tmp")).expect("a folder");
    std::fs::write(folder.path().join("specs/own/world.toml"), SPEC).expect("a file");
    folder
}

impl Call {
    fn begin(pair: &str) -> Call {
        Call::begin_with(ground(), pair, &[], &[])
    }

    fn begin_with(
        folder: TempDir,
        pair: &str,
        arguments: &[&str],
        environment: &[(&str, &Path)],
    ) -> Call {
        Call::begin_in(TURNS.take(), folder, pair, arguments, environment)
    }

    fn begin_in(
        turn: Turn,
        folder: TempDir,
        pair: &str,
        arguments: &[&str],
        environment: &[(&str, &Path)],
    ) -> Call {
        let said = File::create(folder.path().join("said")).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_gymcheck"))
            .args(["run", "--specs", "specs", "--out", "out", "--pairs", pair])
            .args(arguments)
            .current_dir(folder.path())
            .env("GYMCHECK_ROOT", find_root())
            .env("TMPDIR", folder.path().join("tmp"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("a file"))
            .stderr(said)
            .spawn()
            .expect("gymcheck starts");
        Call {
            folder,
            child,
            evidence: Following::default(),
            _turn: turn,
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).expect("a file")
    }

    /// The folder of the run, once there is one.
    fn run_folder(&self) -> Option<PathBuf> {
        let runs = self.folder.path().join("out/runs/own/world");
        let entry = std::fs::read_dir(runs).ok()?.next()?;
        Some(entry.expect("an entry").path())
    }

    fn read_on(&mut self) {
        if let Some(run) = self.run_folder() {
            self.evidence.read_on(&run);
        }
    }

    /// Waits until the evidence has such an event.
    fn wait_for(&mut self, what: &str, question: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + DEADLINE;
        self.evidence.start_over();
        loop {
            self.read_on();
            if let Some(found) = self.evidence.newly(&question) {
                return found;
            }
            let ended = self.child.try_wait().expect("its status");
            assert!(
                ended.is_none() && Instant::now() < end,
                "no {what}: {ended:?} {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the game is played: some frames of it, as the player's page tells.
    fn wait_for_game(&mut self, player: &str) {
        self.wait_for("game", |event| is_in_game(event, player, 30));
    }

    /// Waits until a step has come so far.
    fn wait_for_step(&mut self, step: &str, phase: &str) {
        self.wait_for(step, |event| {
            event["kind"] == "step"
                && event["phase"] == phase
                && event["step"]
                    .as_str()
                    .is_some_and(|said| said.starts_with(step))
        });
    }

    /// The number of a process of the stage.
    fn process(&mut self, role: &str, player: &str) -> Pid {
        let started = self.wait_for(role, |event| {
            event["kind"] == "process"
                && event["role"] == role
                && event["phase"] == "started"
                && (player.is_empty() || is_of(event, player))
        });
        let pid = started["pid"].as_i64().expect("a number");
        Pid::from_raw(i32::try_from(pid).expect("a process"))
    }

    fn signal(&mut self, role: &str, player: &str, signal: Signal) {
        let process = self.process(role, player);
        kill(process, signal).expect("it runs");
    }

    /// Sends a signal to the processes in which a player's browser shows pages, and to nothing else of it.
    fn signal_tabs(&mut self, player: &str, signal: Signal) {
        let browser = self.process("browser", player);
        let shows_pages = |process: &Process| {
            // Chromium writes its command line anew, as one word.
            let words = process.cmdline().unwrap_or_default().join(" ");
            words.contains("--type=renderer")
                || words.contains("-contentproc") && words.trim_end().ends_with(" tab")
        };
        let all: Vec<Process> = all_processes().expect("processes").flatten().collect();
        let mut reached = 0;
        for process in &all {
            if is_below(process.pid, browser.as_raw()) && shows_pages(process) {
                kill(Pid::from_raw(process.pid), signal).expect("it runs");
                reached += 1;
            }
        }
        assert!(reached > 0, "no process shows a page");
    }

    /// Sends a player's page of Chromium into an endless loop, by the line that debuggers take: no driver
    /// knows of it.
    fn hang_tab(&mut self, player: &str) {
        let stages = std::fs::read_dir(self.folder.path().join("tmp")).expect("a folder");
        let ports = stages.map(|stage| {
            let profile = stage.expect("an entry").path().join(player).join("profile");
            std::fs::read_to_string(profile.join("DevToolsActivePort"))
        });
        let port = ports.flatten().next().expect("Chromium says where");
        let (port, path) = port.trim().split_once('\n').expect("a port and a path");
        let address = format!("ws://127.0.0.1:{port}{path}");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let (mut line, _) = connect_async(address).await.expect("a line");
            let targets = ask(&mut line, json!({"id": 1, "method": "Target.getTargets"})).await;
            let targets = targets["targetInfos"].as_array().expect("targets");
            let page = targets.iter().find(|target| target["type"] == "page");
            let page = &page.expect("a page")["targetId"];
            let attach = json!({"targetId": page, "flatten": true});
            let attach = json!({"id": 2, "method": "Target.attachToTarget", "params": attach});
            let session = ask(&mut line, attach).await["sessionId"].clone();
            let hang = json!({"expression": "setTimeout(() => { for (;;); })"});
            let hang = json!({"id": 3, "sessionId": session, "method": "Runtime.evaluate", "params": hang});
            ask(&mut line, hang).await;
        });
    }

    /// Waits until it has ended, for so long at most; nothing of it runs on, and no folder is left.
    fn end(mut self, within: Duration) -> Left {
        let said = self.folder.path().join("said");
        let said = || std::fs::read_to_string(&said).expect("a file");
        let status = end_of(&mut self.child, within, said);
        assert_nothing_left(self.folder.path());
        let results = std::fs::read_to_string(self.folder.path().join("out/results.json"));
        let results: Value = serde_json::from_str(&results.expect("results")).expect("JSON");
        self.read_on();
        let run = self.run_folder().expect("a run");
        // What was never begun has said nothing: a run may end before its partner's driver starts.
        let started = self.evidence.events.iter().filter_map(log_of_started);
        let started: BTreeSet<String> = started.collect();
        assert!(!started.is_empty(), "nothing was started");
        for name in started {
            assert!(run.join(&name).is_file(), "{name} is kept");
        }
        Left {
            status: status.code(),
            said: self.said(),
            run: results["runs"][0].clone(),
            events: std::mem::take(&mut self.evidence.events),
            folder: std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder")),
        }
    }
}

/// The file with what a process said, if an event tells that it was started and it is one that says something.
fn log_of_started(event: &Value) -> Option<String> {
    if event["kind"] != "process" || event["phase"] != "started" {
        return None;
    }
    match event["role"].as_str()? {
        "server" => Some("server.log".to_owned()),
        "driver" => Some(format!("driver-{}.log", event["player"].as_str()?)),
        _ => None,
    }
}

impl Drop for Call {
    /// A test that fails leaves nothing, either: a watchdog ends what a killed gymcheck had started.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Left {
    /// It is broken, for this reason, and says nothing of the target.
    fn assert_broken(&self, component: &str, words: &[&str]) {
        assert_eq!(self.run["verdict"], "broken", "{:#}", self.run);
        assert_eq!(self.status, Some(3));
        let broken = &self.run["broken"];
        assert_eq!(broken["component"], component, "{broken}");
        let reason = broken["reason"].as_str().expect("a text");
        for word in words {
            assert!(reason.contains(word), "{word}: {reason}");
        }
        assert!(!reason.contains('\n'), "{reason}");
        assert!(self.said.contains(reason), "the terminal says it");
        for check in self.run["checks"].as_array().expect("checks") {
            assert_eq!(check["verdict"], "broken");
        }
        assert_eq!(self.events.last().expect("evidence")["kind"], "finished");
    }

    /// Whether it says nothing of the target because this machine could not play.
    fn is_too_busy(&self) -> bool {
        let reason = self.run["broken"]["reason"].as_str().unwrap_or_default();
        reason.starts_with("the machine is too busy")
    }

    /// It was carried out, and what its server wrote without an end is kept as far as is bearable, in the log
    /// and in the evidence, both of which say so.
    fn assert_bounded(&self) {
        assert_eq!(self.run["verdict"], "pass", "{:#}", self.run);
        assert_eq!(self.status, Some(0));
        let run = self.folder.path().join("out");
        let run = run.join(self.run["folder"].as_str().expect("a folder"));
        let log = std::fs::read(run.join("server.log")).expect("a log");
        assert!(log.len() < 6 * MIB, "{} bytes", log.len());
        let log = String::from_utf8_lossy(&log);
        assert!(log.contains("gymcheck: what comes from here on is left out"));
        let end = log.lines().last().expect("a line");
        assert!(end.contains("bytes of its output were left out"), "{end}");
        let lines = |event: &&Value| event["kind"] == "server_log";
        let lines = self.events.iter().filter(lines).map(Value::to_string);
        let in_evidence: usize = lines.map(|line| line.len()).sum();
        assert!(in_evidence < 8 * MIB, "{in_evidence} bytes");
        let told =
            |event: &&Value| event["kind"] == "absent" && event["oracle"] == "the server's log";
        let told: Vec<&Value> = self.events.iter().filter(told).collect();
        let [told] = told[..] else {
            panic!("told once: {told:?}");
        };
        let reason = told["reason"].as_str().expect("a text");
        assert!(reason.contains("more than 4 MiB"), "{reason}");
        // The log is full long before the game is over.
        let later = |event: &&Value| {
            event["kind"] == "server_handled" && event["seq"].as_u64() > told["seq"].as_u64()
        };
        assert!(self.events.iter().filter(later).count() > 5);
    }
}

/// Asks Chromium, and gives its answer.
async fn ask(line: &mut WebSocketStream<MaybeTlsStream<TcpStream>>, command: Value) -> Value {
    let id = command["id"].clone();
    line.send(Message::text(command.to_string()))
        .await
        .expect("sent");
    loop {
        let said = line.next().await.expect("an answer").expect("a message");
        let said: Value = serde_json::from_str(said.to_text().expect("a text")).expect("JSON");
        if said["id"] == id {
            return said["result"].clone();
        }
    }
}

fn is_below(pid: i32, ancestor: i32) -> bool {
    let parent = |pid| {
        Process::new(pid)
            .and_then(|one| one.stat())
            .ok()
            .map(|stat| stat.ppid)
    };
    std::iter::successors(parent(pid), |one| parent(*one)).any(|one| one == ancestor)
}

/// A driver that answers when it is asked for its version, and then does something else.
fn driver_that(folder: &Path, does: &str) -> PathBuf {
    let driver = folder.join("chromedriver");
    let mut file = File::create(&driver).expect("a file");
    writeln!(
        file,
        "#!/bin/sh\n[ \"$1\" = --version ] && exec chromedriver --version\n{does}"
    )
    .expect("written");
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&driver, all).expect("a program");
    driver
}

/// The experiment `duet` in a folder of its own, whose server does as it is told by signals: it exits on
/// SIGUSR1, as if all were well, and its handlers hang on SIGUSR2. `more` is Python that runs at its start.
fn server_that_obeys(folder: &Path, more: &str) {
    let from = find_root().join("fixtures/experiments");
    for below in ["adapter", "duet"] {
        std::fs::create_dir_all(folder.join(below)).expect("a folder");
        for entry in std::fs::read_dir(from.join(below)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let to = folder.join(below).join(path.file_name().expect("a name"));
                std::fs::copy(&path, to).expect("a file");
            }
        }
    }
    let script = folder.join("duet/experiment.py");
    let text = std::fs::read_to_string(&script).expect("a file");
    let obeys = "\
import os
import signal

def hang(*_):
    while True:
        pass

signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
signal.signal(signal.SIGUSR2, hang)
";
    let place = "\nimport adapter\n";
    assert_eq!(text.matches(place).count(), 1);
    let text = text.replace(place, &format!("{place}{obeys}{more}"));
    std::fs::write(script, text).expect("a file");
}

#[test]
fn a_driver_that_dies_at_start_is_told_with_its_last_words() {
    let folder = ground();
    let driver = driver_that(
        folder.path(),
        "echo 'this is no machine for me' >&2; exit 7",
    );
    let call = Call::begin_with(folder, "chrome+chrome", &[], &[("CHROMEDRIVER", &driver)]);
    let left = call.end(DEADLINE);
    left.assert_broken(
        "environment",
        &[
            "the driver",
            "it ended by itself",
            "this is no machine for me",
        ],
    );
}

#[test]
fn a_driver_that_dies_in_the_game_breaks_the_run() {
    let mut call = Call::begin("chrome+chrome");
    call.wait_for_game("survivor");
    call.signal("driver", "survivor", Signal::SIGKILL);
    let left = call.end(AT_ONCE);
    left.assert_broken(
        "driver",
        &["the survivor's driver ended by itself", "SIGKILL"],
    );
}

#[test]
#[ignore = "real browsers, 40 s: cargo test --test live own_world -- --ignored"]
fn a_driver_of_firefox_that_dies_in_the_game_breaks_the_run_and_leaves_no_firefox() {
    let mut call = Call::begin("chrome+firefox");
    call.wait_for_game("partner");
    call.signal("driver", "partner", Signal::SIGKILL);
    let left = call.end(AT_ONCE);
    left.assert_broken(
        "driver",
        &["the partner's driver ended by itself", "SIGKILL"],
    );
}

#[test]
#[ignore = "real browsers, 40 s: cargo test --test live own_world -- --ignored"]
fn a_driver_that_dies_in_the_last_step_breaks_the_run() {
    let mut call = Call::begin("chrome+chrome");
    call.wait_for_step("observe `after-exit`", "begun");
    call.signal("driver", "survivor", Signal::SIGKILL);
    let left = call.end(AT_ONCE);
    left.assert_broken("driver", &["the survivor's driver ended by itself"]);
}

#[test]
fn a_browser_that_somebody_kills_in_the_game_breaks_the_run() {
    let mut call = Call::begin("chrome+chrome");
    call.wait_for_game("survivor");
    call.signal("browser", "survivor", Signal::SIGKILL);
    let left = call.end(AT_ONCE);
    left.assert_broken("browser", &["the survivor's browser ended by itself"]);
}

/// The evidence is whole by then. Whichever comes first, the end of the driver or that of the run: the target
/// is not blamed, and nothing is left.
#[test]
#[ignore = "real browsers, 40 s: cargo test --test live own_world -- --ignored"]
fn a_driver_that_dies_while_all_is_being_ended_is_not_blamed_on_the_target() {
    let mut call = Call::begin("chrome+chrome");
    call.wait_for_step("observe `after-exit`", "done");
    call.signal("driver", "survivor", Signal::SIGKILL);
    let left = call.end(AT_ONCE);
    match left.run["verdict"].as_str() {
        Some("pass") => assert_eq!(left.status, Some(0)),
        _ if left.is_too_busy() => {}
        _ => left.assert_broken("driver", &["the survivor's driver ended by itself"]),
    }
}

async fn a_browser_whose_driver_is_dead_is_ended_all_the_same(kind: Kind) {
    let recorder = Recorder::in_memory();
    let browser = Browser::start_for(kind, "tester", &recorder).await;
    let processes = browser.session().processes();
    assert!(processes.len() > 1, "{processes:?}");
    let log = recorder.log();
    let driver = log.events().iter().find_map(|event| match &event.fact {
        Fact::Process(process) if process.role == "driver" => Some(process.pid),
        _ => None,
    });
    kill(Pid::from_raw(driver.expect("a driver")), Signal::SIGKILL).expect("it runs");
    let ended = tokio::time::timeout(AT_ONCE, browser.close()).await;
    ended.expect("it ends in time");
    let left: Vec<_> = processes.iter().filter(|one| one.is_alive()).collect();
    assert!(left.is_empty(), "{left:?}");
}

scenarios! { a_browser_whose_driver_is_dead_is_ended_all_the_same }

fn a_tab_that_crashes(pair: &str, player: &str, step: Option<&str>) {
    let mut call = Call::begin(pair);
    match step {
        Some(step) => call.wait_for_step(step, "begun"),
        None => call.wait_for_game(player),
    }
    call.signal_tabs(player, Signal::SIGKILL);
    let left = call.end(AT_ONCE);
    // Firefox ends as a whole where it is driven.
    let said = match pair.contains("firefox") {
        true => format!("the {player}'s browser ended by itself"),
        false => format!("the {player}'s tab crashed"),
    };
    left.assert_broken("browser", &[&said]);
}

#[test]
#[ignore = "real browsers, 40 s: cargo test --test live own_world -- --ignored"]
fn a_tab_of_chromium_that_crashes_in_the_game_breaks_the_run() {
    a_tab_that_crashes("chrome+chrome", "survivor", None);
}

#[test]
#[ignore = "real browsers, 40 s: cargo test --test live own_world -- --ignored"]
fn a_tab_of_firefox_that_crashes_in_the_game_breaks_the_run() {
    a_tab_that_crashes("firefox+firefox", "survivor", None);
}

#[test]
fn a_tab_of_the_partner_that_crashes_while_nobody_asks_it_breaks_the_run() {
    a_tab_that_crashes("chrome+chrome", "partner", Some("observe `after-exit`"));
}

fn obedient(more: &str, pair: &str) -> Call {
    let folder = ground();
    server_that_obeys(folder.path(), more);
    let experiment = folder.path().join("duet");
    let experiment = experiment.to_string_lossy().into_owned();
    Call::begin_with(folder, pair, &["--experiment", &experiment], &[])
}

#[test]
fn a_server_that_is_killed_in_the_game_is_told_with_its_last_words() {
    let mut call = Call::begin("chrome+chrome");
    call.wait_for_game("survivor");
    call.signal("server", "", Signal::SIGKILL);
    let left = call.end(AT_ONCE);
    left.assert_broken("server", &["the server ended by itself", "SIGKILL"]);
    // Its log's lines begin with the date, and name the module.
    let mut lines = left.said.lines().map(str::trim_start);
    assert!(
        lines.any(|line| line.starts_with("| 20") && line.contains("mug.server")),
        "{}",
        left.said
    );
}

#[test]
fn a_server_that_exits_in_the_game_breaks_the_run_also_if_it_says_that_all_is_well() {
    let mut call = obedient("", "chrome+chrome");
    call.wait_for_game("survivor");
    call.signal("server", "", Signal::SIGUSR1);
    let left = call.end(AT_ONCE);
    left.assert_broken("server", &["the server ended by itself (exit status: 0)"]);
}

/// For the end of a run in which something hangs: a step that waits in vain, and then for a sign of life.
const HANGS: Duration = Duration::from_secs(240);

#[test]
#[ignore = "real browsers, 190 s: cargo test --test live own_world -- --ignored"]
fn a_tab_that_hangs_while_its_page_is_awaited_breaks_the_run() {
    let mut call = Call::begin("chrome+chrome");
    call.wait_for_step("survivor arrives", "begun");
    call.hang_tab("survivor");
    let left = call.end(HANGS);
    left.assert_broken(
        "browser",
        &["the survivor's page does not answer, its tab hangs"],
    );
}

#[test]
#[ignore = "real browsers, 100 s: cargo test --test live own_world -- --ignored"]
fn a_tab_that_hangs_in_the_game_breaks_the_run() {
    let mut call = Call::begin("chrome+chrome");
    call.wait_for_game("survivor");
    call.hang_tab("survivor");
    let left = call.end(HANGS);
    left.assert_broken("driver", &["the survivor", "did not return within 60 s"]);
}

#[test]
#[ignore = "real browsers, 100 s: cargo test --test live own_world -- --ignored"]
fn a_tab_of_firefox_that_hangs_in_the_game_breaks_the_run() {
    let mut call = Call::begin("firefox+firefox");
    call.wait_for_game("survivor");
    call.signal_tabs("survivor", Signal::SIGSTOP);
    let left = call.end(HANGS);
    left.assert_broken("driver", &["the survivor", "did not return within 60 s"]);
}

#[test]
#[ignore = "real browsers, 150 s: cargo test --test live own_world -- --ignored"]
fn a_server_that_is_stopped_breaks_the_run() {
    let mut call = Call::begin("chrome+chrome");
    call.wait_for_game("survivor");
    call.signal("server", "", Signal::SIGSTOP);
    let left = call.end(HANGS);
    left.assert_broken("server", &["the server does not answer"]);
}

#[test]
#[ignore = "real browsers, 150 s: cargo test --test live own_world -- --ignored"]
fn a_server_whose_handlers_hang_breaks_the_run() {
    let mut call = obedient("", "chrome+chrome");
    call.wait_for_step("survivor arrives", "begun");
    call.signal("server", "", Signal::SIGUSR2);
    let left = call.end(HANGS);
    left.assert_broken("server", &["the server does not answer"]);
}

/// A megabyte a second on each of standard output and error, in lines and in one line without an end.
const FLOOD: &str = r#"
import time

from eventlet import patcher

def flood():
    line = b"x" * 999 + b"\n"
    while True:
        for _ in range(100):
            os.write(1, line)
            os.write(2, b"y" * 1000)
        patcher.original("time").sleep(0.1)

patcher.original("threading").Thread(target=flood, daemon=True).start()
"#;

#[test]
#[ignore = "real browsers, 40 s: cargo test --test live own_world -- --ignored"]
fn a_server_that_prints_two_megabytes_a_second_is_played_on_and_its_log_is_bounded() {
    let mut call = obedient(FLOOD, "chrome+chrome");
    call.wait_for_game("survivor");
    let left = call.end(DEADLINE);
    left.assert_bounded();
}

/// A process that keeps a core busy, until it is dropped.
struct Neighbour(Child);

impl Neighbour {
    fn begin() -> Neighbour {
        let spins = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn();
        Neighbour(spins.expect("it starts"))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

#[test]
#[ignore = "real browsers, 60 s: cargo test --test live own_world -- --ignored"]
fn a_busy_neighbour_on_each_core_is_not_blamed_on_the_target() {
    let cores = std::thread::available_parallelism().expect("cores").get();
    let alone = TURNS.take_all();
    let _neighbours: Vec<Neighbour> = (0..cores).map(|_| Neighbour::begin()).collect();
    let call = Call::begin_in(alone, ground(), "chrome+chrome", &[], &[]);
    let left = call.end(2 * DEADLINE);
    match left.run["verdict"].as_str() {
        Some("pass") => assert_eq!(left.status, Some(0)),
        _ => assert!(left.is_too_busy(), "{:#}", left.run),
    }
}
