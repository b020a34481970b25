//! On a user's own ground: a command that starts an experiment which nobody here knows, and a server that
//! already runs. Each test calls the real command; what is wrong is told once, with the system's own last
//! words, and nothing is left running.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use gymcheck::provision::{Home, target};
use gymcheck::run::find_root;
use gymcheck::target::{PINNED_RELEASE, Serving, TargetName};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::TURNS;
use crate::files::copy;

/// A user's folder, with an experiment of the user's own: `duet` as it is here, as far as anybody knows.
struct Study {
    folder: TempDir,
    python: PathBuf,
}

impl Study {
    fn new() -> Study {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("tmp")).expect("a folder");
        copy(&find_root().join("fixtures/experiments"), folder.path());
        let settings = r#"{"games": 2, "steps": 60, "reconnection_timeout_ms": 30000}"#;
        std::fs::write(folder.path().join("settings.json"), settings).expect("a file");
        let home = Home::locate().expect("a home");
        let release = TargetName::Release(PINNED_RELEASE);
        let release =
            target(&home, &release, None, Path::new("")).expect("run: gymcheck setup --yes");
        let Serving::Experiments(serving) = release.serving else {
            panic!("a release is started: {release:?}");
        };
        Study {
            folder,
            python: serving.python,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The command that starts it, with `{port}` or a port.
    fn command(&self, port: &str) -> String {
        format!(
            "{} duet/experiment.py --package mug --port {port} --settings settings.json",
            self.python.display()
        )
    }

    /// Replaces the one place of a text in a file.
    fn edit(&self, name: &str, find: &str, replace: &str) {
        let path = self.path().join(name);
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(text.matches(find).count(), 1, "{find}");
        std::fs::write(path, text.replace(find, replace)).expect("a file");
    }

    /// Calls gymcheck in the user's folder, without a terminal, and waits until that has ended.
    fn gymcheck(&self, arguments: &[&str]) -> Output {
        let _turn = TURNS.take();
        let output = Command::new(env!("CARGO_BIN_EXE_gymcheck"))
            .arg("run")
            .args(arguments)
            .args([
                "--pairs",
                "chrome+chrome",
                "--retry-broken",
                "2",
                "--out",
                "out",
            ])
            .current_dir(self.path())
            .env("GYMCHECK_ROOT", find_root())
            .env("TMPDIR", self.path().join("tmp"))
            .stdin(Stdio::null())
            .output()
            .expect("gymcheck starts");
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        eprintln!("{}", String::from_utf8_lossy(&output.stdout));
        let left: Vec<_> = std::fs::read_dir(self.path().join("tmp"))
            .expect("a folder")
            .collect();
        assert!(left.is_empty(), "{left:?}");
        output
    }

    fn results(&self) -> Value {
        let text = std::fs::read_to_string(self.path().join("out/results.json"));
        serde_json::from_str(&text.expect("results")).expect("JSON")
    }

    /// The checks of a spec's only run.
    fn checks(&self, spec: &str) -> Vec<Value> {
        let results = self.results();
        let mut runs = results["runs"].as_array().expect("runs").iter();
        let run = runs.find(|run| run["spec"] == spec).expect("it was run");
        run["checks"].as_array().expect("checks").clone()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// A server that a user has started.
struct OwnServer {
    child: Child,
    port: u16,
}

impl OwnServer {
    fn start(study: &Study) -> OwnServer {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let child = Command::new("sh")
            .args(["-c", &study.command(&port.to_string())])
            .current_dir(study.path())
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let server = OwnServer { child, port };
        let end = Instant::now() + Duration::from_secs(60);
        while !server.answers() {
            assert!(Instant::now() < end, "the server never listened");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn answers(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.child.id() as i32);
        killpg(group, Signal::SIGKILL).expect("it runs");
        self.child.wait().expect("it ends");
    }
}

#[test]
fn an_own_command_that_ends_at_once_is_told_with_its_last_words() {
    let study = Study::new();
    let output = study.gymcheck(&[
        "--experiment",
        "echo my database is not there; exit 7 # {port}",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("| my database is not there"),
        "{}",
        said(&output)
    );
    assert!(!study.path().join("out").exists(), "no run was begun");
}

#[test]
fn a_running_server_gets_no_participants_unless_somebody_says_so() {
    let study = Study::new();
    let server = OwnServer::start(&study);
    let output = study.gymcheck(&["walk", "--target", &server.address()]);
    assert_eq!(output.status.code(), Some(2));
    let said = said(&output);
    assert!(said.contains("3 participants come to it"), "{said}");
    assert!(said.contains("say --yes if it may"), "{said}");
    assert!(!study.path().join("out").exists(), "no run was begun");
}

#[test]
fn an_address_without_an_experiment_is_told() {
    let study = Study::new();
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", nobody.local_addr().expect("bound"));
    drop(nobody);
    let output = study.gymcheck(&["walk", "--yes", "--target", &address]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("Connection refused"),
        "{}",
        said(&output)
    );

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let page = || async { axum::response::Html("<h1>Some other site</h1>") };
    let router = axum::Router::new().route("/", axum::routing::get(page));
    runtime.spawn(async move { axum::serve(listener, router).await });
    let output = study.gymcheck(&["walk", "--yes", "--target", &address]);
    assert_eq!(output.status.code(), Some(2));
    let said = said(&output);
    assert!(said.contains("it is no interactive_gym server"), "{said}");
}

#[test]
fn an_environment_that_fails_in_the_browser_is_told_with_its_traceback() {
    let study = Study::new();
    study.edit(
        "duet/environment.py",
        "\nenv = Duet()\n",
        "\nraise ValueError('my environment is broken')\n",
    );
    let output = study.gymcheck(&["walk", "--experiment", &study.command("{port}")]);
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    let reason =
        "the environment failed in the survivor's browser: ValueError: my environment is broken";
    let partners = reason.replace("survivor", "partner");
    assert!(said.contains(reason) || said.contains(&partners), "{said}");
    assert!(
        said.contains("| page: ValueError: my environment is broken"),
        "{said}"
    );
    assert!(said.contains("| server: "), "{said}");
    let junit = std::fs::read_to_string(study.path().join("out/junit.xml")).expect("a report");
    assert!(junit.contains("my environment is broken"));
}

#[test]
#[ignore = "it waits for as long as a page may take to load: four minutes"]
fn a_game_that_nobody_can_start_is_told_with_what_the_page_says() {
    let study = Study::new();
    study.edit(
        "duet/experiment.py",
        "<p>Press start to find your partner.</p>",
        "<p>Wait until you are called.</p><style>#startButton { display: none !important; }</style>",
    );
    let output = study.gymcheck(&["walk", "--experiment", &study.command("{port}")]);
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(
        said.contains("for a #startButton that can be pressed: it is hidden; the page says: "),
        "{said}"
    );
    assert!(said.contains("Wait until you are called."), "{said}");
    assert!(said.contains("| server: "), "{said}");
}

#[test]
fn an_own_experiment_is_walked_to_its_end_and_judged() {
    let study = Study::new();
    let output = study.gymcheck(&["walk", "--experiment", &study.command("{port}")]);
    let checks = study.checks("walk/to-the-end");
    assert!(
        checks.iter().all(|check| check["verdict"] == "pass"),
        "{checks:?}"
    );
    assert_eq!(checks.len(), 6);
    assert_eq!(output.status.code(), Some(0));
    // What the server stores goes where it always does.
    assert!(study.path().join("data/duet/game-2").is_dir());
    let again = said(&output);
    assert!(
        !again.contains("--repair"),
        "it is played as it is: {again}"
    );
}

#[test]
fn a_running_server_is_tested_and_runs_on() {
    let study = Study::new();
    let server = OwnServer::start(&study);
    let spec = "scene-exit/partner-dies-on-survey";
    let output = study.gymcheck(&[spec, "walk", "--yes", "--target", &server.address()]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let headline = study.checks(spec);
    assert!(
        headline.iter().all(|check| check["verdict"] == "pass"),
        "{headline:?}"
    );
    let walk = study.checks("walk/to-the-end");
    let whole = walk
        .iter()
        .find(|check| check["check"] == "data-whole")
        .expect("asked");
    assert_eq!(whole["verdict"], "not-applicable");
    let account = whole["account"].as_str().expect("a text");
    assert!(account.contains("was running already"), "{account}");
    assert!(server.answers(), "it was not ended");
}
