//! Runs whose browsers are a real Selenium Grid's: a hub and two nodes, each a host of its own where rights allow.
//! What holds on this machine holds there; what only this machine could do is replaced, or not applicable; and
//! whatever breaks, nothing is left on the grid.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::TURNS;
use crate::real_grid::{CHROME, FIREFOX, RealGrid};
use crate::support::following::{Following, is_in_game, is_of};
use crate::support::processes::{assert_nothing_left, end_of, running};
use gymcheck::run::find_root;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

const ON_SURVEY: &str = "scene-exit/partner-dies-on-survey";
const IN_GAME: &str = "mid-game/partner-dies-in-game";

/// For a call to come to a moment, or to its end.
const DEADLINE: Duration = Duration::from_secs(600);

/// For the end of a call whose fault is noticed at once.
const AT_ONCE: Duration = Duration::from_secs(90);

/// A call of gymcheck with a grid.
struct Call<'a> {
    grid: &'a RealGrid,
    folder: TempDir,
    child: Child,
    evidence: Following,
}

impl<'a> Call<'a> {
    fn begin(grid: &'a RealGrid, arguments: &[&str]) -> Call<'a> {
        Call::begin_at(grid, &grid.address(), arguments, &[])
    }

    fn begin_at(
        grid: &'a RealGrid,
        address: &str,
        arguments: &[&str],
        environment: &[(&str, &Path)],
    ) -> Call<'a> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("tmp")).expect("a folder");
        let said = std::fs::File::create(folder.path().join("said")).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gymcheck"));
        command
            .args(["run", "--out", "out", "--webdriver", address])
            .args(arguments)
            .current_dir(folder.path())
            .env("GYMCHECK_ROOT", find_root())
            .env("TMPDIR", folder.path().join("tmp"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("a file"))
            .stderr(said);
        Call {
            grid,
            child: grid.spawn(&mut command),
            folder,
            evidence: Following::default(),
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).expect("a file")
    }

    fn results(&self) -> Value {
        let results = std::fs::read_to_string(self.folder.path().join("out/results.json"));
        serde_json::from_str(&results.expect("results")).expect("JSON")
    }

    /// The folders of its runs.
    fn runs(&self) -> Vec<PathBuf> {
        let all = walkdir::WalkDir::new(self.folder.path().join("out/runs"));
        let files = all.into_iter().flatten();
        files
            .filter(|entry| entry.file_name() == "evidence.jsonl")
            .map(|entry| entry.path().parent().expect("a folder").to_owned())
            .collect()
    }

    /// Waits until the evidence of its only run has such an event.
    fn wait_for(&mut self, what: &str, question: impl Fn(&Value) -> bool) -> Value {
        self.evidence.start_over();
        self.wait(what, |call| {
            let run = call.runs().into_iter().next()?;
            call.evidence.read_on(&run);
            call.evidence.newly(&question)
        })
    }

    /// Waits until something is seen.
    fn wait<T>(&mut self, what: &str, mut seen: impl FnMut(&mut Self) -> Option<T>) -> T {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(seen) = seen(self) {
                return seen;
            }
            let ended = self.child.try_wait().expect("its status");
            assert!(
                ended.is_none() && Instant::now() < end,
                "no {what}: {ended:?} {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process");
        kill(Pid::from_raw(pid), signal).expect("it runs");
    }

    /// Waits until it has ended; nothing of it runs on, and no folder is left. Gives its status.
    fn end(&mut self, within: Duration) -> Option<i32> {
        let said = self.folder.path().join("said");
        let said = || std::fs::read_to_string(&said).expect("a file");
        let status = end_of(&mut self.child, within, said);
        assert_nothing_left(self.folder.path());
        status.code()
    }

    /// Waits for the end of what a signal was sent to. Where it could do nothing itself, its watchdog does.
    fn end_or_be_ended(&mut self, signal: Signal) {
        if signal != Signal::SIGKILL {
            assert_eq!(self.end(AT_ONCE), Some(3));
            return;
        }
        self.child.wait().expect("its status");
        let end = Instant::now() + AT_ONCE;
        while !running(self.folder.path()).is_empty() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_nothing_left(self.folder.path());
    }

    /// Its only run is broken by the grid, for this reason.
    fn assert_broken(&self, status: Option<i32>, words: &[&str]) {
        assert_eq!(status, Some(3), "{}", self.said());
        let results = self.results();
        let run = &results["runs"][0];
        assert_eq!(run["verdict"], "broken", "{run}");
        assert_eq!(run["broken"]["component"], "grid", "{run}");
        let reason = run["broken"]["reason"].as_str().expect("a reason");
        for word in words {
            assert!(reason.contains(word), "{word} in: {reason}");
        }
        assert!(self.said().contains(reason), "{}", self.said());
    }

    fn assert_nothing_on_the_grid(&self) {
        let (sessions, queue) = self.grid.holds();
        assert!(sessions.is_empty() && queue == 0, "{queue} {sessions:?}");
        assert_eq!(self.grid.browsers(), 0);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn evidence(run: &Path) -> Vec<Value> {
    let mut evidence = Following::default();
    evidence.read_on(run);
    evidence.events
}

/// The host of an address as `http://10.99.0.2:5555`.
fn host(address: &Value) -> String {
    let url: url::Url = address
        .as_str()
        .expect("an address")
        .parse()
        .expect("a URL");
    url.host_str().expect("a host").to_owned()
}

#[test]
fn the_headline_and_its_positive_control_pass_with_the_browsers_of_both_nodes() {
    let _turn = TURNS.take();
    let grid = RealGrid::start();
    let mut call = Call::begin(&grid, &[ON_SURVEY, IN_GAME, "--pairs", "chrome+firefox"]);
    let status = call.end(2 * DEADLINE);
    assert_eq!(status, Some(0), "{}", call.said());
    let results = call.results();
    let runs = results["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 2);
    for run in runs {
        assert_eq!(run["verdict"], "pass", "{run}");
        assert_eq!(run["grid"], grid.address());
        let events = evidence(
            &call
                .folder
                .path()
                .join("out")
                .join(run["folder"].as_str().unwrap()),
        );
        let one = |question: &dyn Fn(&Value) -> bool| {
            let found = events.iter().find(|event| question(event));
            found.unwrap_or_else(|| panic!("{run}")).clone()
        };
        let node_of = |player: &str| {
            host(&one(&|event| event["kind"] == "session" && is_of(event, player))["node"])
        };
        assert_eq!(node_of("survivor"), grid.node_address(CHROME).to_string());
        assert_eq!(node_of("partner"), grid.node_address(FIREFOX).to_string());
        // Killing takes the node's own machine: its session was ended instead, and is gone.
        let leaving = one(&|event| event["kind"] == "leaving");
        assert_eq!(
            (&leaving["how"], &leaving["instead_of"]),
            (&"quit".into(), &"kill".into())
        );
        let ended = one(&|event| event["kind"] == "session_ended" && is_of(event, "partner"));
        assert!(
            ended["said"].as_str().is_some_and(|said| !said.is_empty()),
            "{ended}"
        );
        // A page over plain HTTP from another machine is no secure context; from this one it is.
        let hello = one(&|event| event["event"] == "hello" && is_of(event, "survivor"));
        assert_eq!(hello["secure"], !grid.is_apart(), "{hello}");
        let agent = hello["user_agent"].as_str().expect("a name");
        assert!(
            agent.contains(" Chrome/") && !agent.contains("Headless"),
            "{agent}"
        );
        assert!(!events.iter().any(|event| event["kind"] == "kernel"));
        assert!(!events.iter().any(|event| event["kind"] == "stranger"));
    }
    // Of the headline's run, the kernel's part is named as missing, and the others carry it.
    let checks = runs
        .iter()
        .flat_map(|run| run["checks"].as_array())
        .flatten();
    let mut closed = checks.filter(|check| check["check"] == "connections-closed");
    let check = closed.next().expect("the headline's");
    assert!(closed.next().is_none());
    let oracles = check["oracles"].as_array().expect("oracles");
    let kernel = oracles
        .iter()
        .find(|one| one["oracle"] == "kernel")
        .expect("it");
    assert_eq!(kernel["says"], "absent");
    let why = kernel["account"].as_str().expect("words");
    assert!(why.contains("kernels are not asked"), "{why}");
    let others = oracles.iter().filter(|one| one["says"] == "holds");
    assert_eq!(others.count(), 2, "{check}");
    call.assert_nothing_on_the_grid();
}

#[test]
fn a_mutant_is_killed_on_the_grid() {
    let _turn = TURNS.take();
    let grid = RealGrid::start();
    // One that a single spec finds: each further one plays twice more.
    let mutant = ["--mutant", "flag-without-close", "--pairs", "chrome+chrome"];
    let mut call = Call::begin(&grid, &mutant);
    let status = call.end(2 * DEADLINE);
    assert_eq!(status, Some(0), "{}", call.said());
    let results = call.results();
    assert_eq!(
        results["mutants"][0]["fate"], "killed",
        "{}",
        results["mutants"]
    );
    call.assert_nothing_on_the_grid();
}

#[test]
fn what_takes_a_nodes_own_machine_is_not_applicable_and_nobody_is_asked_for_it() {
    let _turn = TURNS.take();
    let grid = RealGrid::start();
    let mut call = Call::begin(
        &grid,
        &["mid-game/partner-freezes", "--pairs", "chrome+chrome"],
    );
    let status = call.end(AT_ONCE);
    assert_eq!(status, Some(0), "{}", call.said());
    let run = &call.results()["runs"][0];
    assert_eq!(run["verdict"], "not-applicable", "{run}");
    let account = run["checks"][0]["account"].as_str().expect("words");
    assert!(
        account.contains("takes the machine on which a browser runs"),
        "{account}"
    );
    let told = call
        .runs()
        .iter()
        .flat_map(|run| evidence(run))
        .collect::<Vec<_>>();
    assert!(!told.is_empty() && !told.iter().any(|event| event["kind"] == "session"));
    call.assert_nothing_on_the_grid();
}

#[test]
fn a_hub_that_dies_breaks_the_run() {
    let _turn = TURNS.take();
    let grid = RealGrid::start();
    let mut call = Call::begin(&grid, &[IN_GAME, "--pairs", "chrome+chrome"]);
    call.wait_for("game", |event| is_in_game(event, "survivor", 5));
    grid.kill_hub();
    let status = call.end(AT_ONCE);
    let hub = grid.address();
    call.assert_broken(status, &["session at the node", &hub, "does not answer"]);
    // The nodes were asked to end the sessions, since the hub could not be.
    assert_eq!(grid.browsers(), 0);
}

#[test]
fn a_node_that_dies_breaks_the_run() {
    let _turn = TURNS.take();
    let grid = RealGrid::start();
    let mut call = Call::begin(&grid, &[IN_GAME, "--pairs", "chrome+firefox"]);
    call.wait_for("game", |event| is_in_game(event, "survivor", 5));
    grid.kill_node(FIREFOX);
    let status = call.end(AT_ONCE);
    let node = grid.node_address(FIREFOX).to_string();
    call.assert_broken(
        status,
        &["the partner's session at the node", &node, "is lost"],
    );
    let (sessions, queue) = grid.holds();
    let of_chrome = sessions
        .iter()
        .filter(|one| one["capabilities"]["browserName"] == "chrome");
    assert_eq!((of_chrome.count(), queue), (0, 0));
    assert_eq!(grid.browsers(), 0);
}

#[test]
fn where_no_slot_is_free_and_where_nobody_has_what_is_asked_for_the_run_is_broken() {
    let _turn = TURNS.take();
    let grid = RealGrid::start();
    let taken = grid.take_all_of_chrome();
    let chrome = ["--pairs", "chrome+chrome", "--session-wait", "5s"];
    let mut call = Call::begin(&grid, &[&[IN_GAME], &chrome[..]].concat());
    let status = call.end(AT_ONCE);
    call.assert_broken(
        status,
        &["waited for 5s", "all 2 of its slots for chrome are taken"],
    );
    let (sessions, queue) = grid.holds();
    assert_eq!((sessions.len(), queue), (taken.len(), 0));

    // Of the requests that were given up, none becomes a session once there is room for it.
    for session in &taken {
        grid.give_back(session);
    }
    call.assert_nothing_on_the_grid();

    let nobody = r#"{"platformName":"windows"}"#;
    let wish = [&[IN_GAME, "--capabilities", nobody], &chrome[..]].concat();
    let mut call = Call::begin(&grid, &wish);
    let status = call.end(AT_ONCE);
    call.assert_broken(status, &["windows", "2 of its 2 slots for chrome are free"]);
    call.assert_nothing_on_the_grid();

    // What a grid tells beforehand is not waited for.
    let version = r#"{"browserVersion":"1"}"#;
    let wish = [&[IN_GAME, "--capabilities", version], &chrome[..2]].concat();
    let mut call = Call::begin(&grid, &wish);
    let status = call.end(AT_ONCE);
    call.assert_broken(status, &["browserVersion", "it has"]);
    call.assert_nothing_on_the_grid();
}

#[test]
fn a_grid_behind_tls_is_trusted_by_what_the_machine_trusts() {
    let _turn = TURNS.take();
    let grid = RealGrid::start();
    let (address, authorities) = grid.behind_tls();
    let windows = [
        IN_GAME,
        "--pairs",
        "chrome+chrome",
        "--session-wait",
        "2s",
        "--capabilities",
        r#"{"platformName":"windows"}"#,
    ];
    let trusting = [("SSL_CERT_FILE", authorities.as_path())];
    let mut call = Call::begin_at(&grid, &address, &windows, &trusting);
    let status = call.end(AT_ONCE);
    // The status came, and the request was taken: it is the platform that nobody has.
    call.assert_broken(status, &["windows", "2 of its 2 slots for chrome are free"]);
    let mut call = Call::begin_at(&grid, &address, &windows, &[]);
    assert_eq!(call.end(AT_ONCE), Some(3));
    let said = call.said();
    assert!(
        said.contains("does not answer") && said.contains("certificate"),
        "{said}"
    );
    call.assert_nothing_on_the_grid();
}

#[test]
fn a_node_that_cannot_dial_this_machine_is_told_with_what_can_be_done() {
    let _turn = TURNS.take();
    let grid = RealGrid::start();
    let nowhere = ["--advertise", "0.0.0.1", "--pairs", "chrome+chrome"];
    let mut call = Call::begin(&grid, &[&[IN_GAME], &nowhere[..]].concat());
    let status = call.end(2 * AT_ONCE);
    call.assert_broken(status, &["http://0.0.0.1:", "--advertise names"]);
    call.assert_nothing_on_the_grid();
    if !grid.is_apart() {
        return;
    }
    // A node's own loopback interface, where nobody listens: the browser says so at once.
    let own = ["--advertise", "127.0.0.1", "--pairs", "chrome+chrome"];
    let mut call = Call::begin(&grid, &[&[IN_GAME], &own[..]].concat());
    let status = call.end(AT_ONCE);
    call.assert_broken(
        status,
        &[
            "http://127.0.0.1:",
            "--advertise names",
            "ERR_CONNECTION_REFUSED",
        ],
    );
    call.assert_nothing_on_the_grid();
}

#[test]
fn who_is_no_player_gets_in_nowhere_and_whoever_ends_a_call_leaves_no_session() {
    let _turn = TURNS.take();
    let grid = RealGrid::start();
    let mut call = Call::begin(&grid, &[IN_GAME, "--pairs", "chrome+chrome"]);
    let opened = call.wait_for("page", |event| {
        event["kind"] == "action"
            && event["action"]
                .as_str()
                .is_some_and(|it| it.starts_with("open "))
    });
    if grid.is_apart() {
        let action = opened["action"].as_str().expect("words");
        let at = action.trim_start_matches("open http://");
        for _ in 0..2 {
            let mut stranger = grid.connect_from(FIREFOX, at).expect("a connection");
            let said = ask_for_page(&mut stranger, at);
            assert!(said.is_empty(), "{said}");
        }
        let told = call.wait_for("stranger", |event| event["kind"] == "stranger");
        assert_eq!(told["address"], grid.node_address(FIREFOX).to_string());
    }
    call.wait_for("game", |event| is_in_game(event, "survivor", 5));
    call.signal(Signal::SIGINT);
    assert_eq!(call.end(AT_ONCE), Some(3));
    call.assert_nothing_on_the_grid();

    // While it waits for a slot, with a request in the queue of the grid.
    let taken = grid.take_all_of_chrome();
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let mut call = Call::begin(&grid, &[IN_GAME, "--pairs", "chrome+chrome"]);
        call.wait("request", |call| (call.grid.holds().1 == 2).then_some(()));
        call.signal(signal);
        call.end_or_be_ended(signal);
        let (sessions, queue) = grid.holds();
        assert_eq!((sessions.len(), queue), (taken.len(), 0), "{signal}");
    }
    for session in &taken {
        grid.give_back(session);
    }

    // Killed in the game, there is nobody but its watchdog to end the sessions.
    let mut call = Call::begin(&grid, &[IN_GAME, "--pairs", "chrome+chrome"]);
    call.wait_for("game", |event| is_in_game(event, "survivor", 5));
    call.signal(Signal::SIGKILL);
    call.end_or_be_ended(Signal::SIGKILL);
    call.assert_nothing_on_the_grid();
}

/// What is answered to who asks for a page, until the connection ends.
fn ask_for_page(connection: &mut TcpStream, host: &str) -> String {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    // It may be closed by now: then nothing is read, either.
    let _ = connection.write_all(request.as_bytes());
    let mut said = Vec::new();
    let _ = connection.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}
