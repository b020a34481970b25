//! What breaks in the harness's own world is `broken`, never `pass` and never `fail`; it says what
//! died, and leaves nothing running.
//!
//! Each test runs the real command on the real server and browsers, and kills something in the
//! middle of the game.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use gymcheck::evidence::{Fact, Log, ProcessPhase};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::TURNS;
use crate::support::turns::Turn;

const SPEC: &str = "mid-game/partner-dies-in-game";
const IN_THE_GAME: &str = "play until mid-game";

/// For the run to come into the game, and for it to end after something died.
const DEADLINE: Duration = Duration::from_secs(400);

/// A call of gymcheck in a world of its own: everything that it makes lies below one folder, whose
/// name everything that it starts carries in its environment.
struct Call {
    child: Option<Child>,
    folder: Arc<TempDir>,
    steps: mpsc::Receiver<String>,
    _turn: Turn,
}

impl Call {
    fn run(arguments: &[&str]) -> Call {
        let turn = TURNS.take();
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir(folder.path().join("tmp")).expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_gymcheck"))
            .arg("run")
            .args(arguments)
            .arg("--out")
            .arg(folder.path().join("out"))
            .env("TMPDIR", folder.path().join("tmp"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("gymcheck starts");
        let (sender, steps) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("{line}");
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Call {
            child: Some(child),
            folder,
            steps,
            _turn: turn,
        }
    }

    /// Waits until the run says that it is at a step.
    fn wait_for(&self, step: &str) {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.steps.recv_timeout(left) {
                Ok(line) if line.contains(step) => return,
                Ok(_) => {}
                Err(error) => panic!("the run never came to {step:?}: {error}"),
            }
        }
    }

    /// The process of a role, as the evidence names it.
    fn process(&self, role: &str, player: Option<&str>) -> Pid {
        let log = self.log_so_far();
        let pid = log.events().iter().find_map(|event| match &event.fact {
            Fact::Process(process)
                if process.role == role
                    && process.phase == ProcessPhase::Started
                    && event.player.as_deref() == player =>
            {
                Some(process.pid)
            }
            _ => None,
        });
        Pid::from_raw(pid.expect("it was started"))
    }

    fn log_so_far(&self) -> Log {
        let path = self.evidence();
        let text = std::fs::read_to_string(path).expect("evidence");
        // The last line may be in the middle of being written.
        let whole = &text[..=text.rfind('\n').expect("a line")];
        let copy = self.folder.path().join("copy.jsonl");
        std::fs::write(&copy, whole).expect("a file");
        Log::read(&copy).expect("a log")
    }

    fn evidence(&self) -> PathBuf {
        let run = Path::new("out/runs").join(SPEC).join("chrome+chrome");
        self.folder.path().join(run).join("evidence.jsonl")
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill(Pid::from_raw(child.id() as i32), signal).expect("a signal");
    }

    /// Waits for the end of the call, and checks that it left nothing: no process that carries its
    /// folder's name, no folder of a stage.
    fn end(mut self) -> (Output, Arc<TempDir>) {
        let mut child = self.child.take().expect("it runs");
        let end = Instant::now() + DEADLINE;
        let status = loop {
            match child.try_wait().expect("its status") {
                Some(status) => break status,
                None if Instant::now() > end => {
                    let _ = child.kill();
                    panic!("gymcheck did not end");
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let mut stdout = Vec::new();
        let mut pipe = child.stdout.take().expect("a pipe");
        pipe.read_to_end(&mut stdout).expect("its output");
        let left = running_with(self.folder.path());
        assert!(left.is_empty(), "still running: {left:?}");
        let folders: Vec<_> = std::fs::read_dir(self.folder.path().join("tmp"))
            .expect("a folder")
            .flatten()
            .map(|entry| entry.path())
            .collect();
        assert!(folders.is_empty(), "left over: {folders:?}");
        let output = Output {
            status,
            stdout,
            stderr: Vec::new(),
        };
        (output, Arc::clone(&self.folder))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // A test that failed half-way: gymcheck ends what it started when it is asked to.
        if let Some(mut child) = self.child.take() {
            let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
            let _ = child.wait();
        }
    }
}

/// The processes whose environment mentions a folder.
fn running_with(folder: &Path) -> Vec<String> {
    let name = folder.to_string_lossy().into_owned();
    procfs::process::all_processes()
        .expect("a process table")
        .flatten()
        .filter(|process| {
            process.environ().is_ok_and(|environment| {
                environment
                    .values()
                    .any(|value| value.to_string_lossy().contains(&name))
            })
        })
        .filter_map(|process| Some(format!("{} {}", process.pid, process.stat().ok()?.comm)))
        .collect()
}

fn broken(output: &Output, says: &[&str]) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("broken"), "{text}");
    for part in says {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn a_server_that_dies_in_the_game_is_broken_with_its_last_words() {
    let call = Call::run(&[SPEC]);
    call.wait_for(IN_THE_GAME);
    kill(call.process("server", None), Signal::SIGKILL).expect("a signal");
    let (output, _folder) = call.end();
    // Its log's lines begin with the date, and name the module.
    broken(
        &output,
        &[
            "the server ended by itself",
            "SIGKILL",
            "| 20",
            "mug.server",
        ],
    );
}

#[test]
fn a_driver_that_dies_in_the_game_is_broken() {
    let call = Call::run(&[SPEC]);
    call.wait_for(IN_THE_GAME);
    kill(call.process("driver", Some("survivor")), Signal::SIGKILL).expect("a signal");
    let (output, _folder) = call.end();
    broken(
        &output,
        &["the survivor's driver ended by itself", "SIGKILL"],
    );
}

#[test]
fn a_browser_that_dies_without_being_asked_to_is_broken() {
    let call = Call::run(&[SPEC]);
    call.wait_for(IN_THE_GAME);
    kill(call.process("browser", Some("partner")), Signal::SIGKILL).expect("a signal");
    let (output, _folder) = call.end();
    broken(&output, &["partner"]);
}

#[test]
fn an_interrupted_run_leaves_its_results_and_nothing_else() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let call = Call::run(&[SPEC]);
        call.wait_for(IN_THE_GAME);
        call.signal(signal);
        let (output, folder) = call.end();
        broken(&output, &["interrupted"]);
        assert!(folder.path().join("out/results.json").is_file());
    }
}

#[test]
fn mistakes_in_the_call_say_where_they_are_before_anything_starts() {
    let mistakes: [(&[&str], &str); 5] = [
        (&["scene-exit/partner-dies-on-surve"], "did you mean"),
        (&["--pairs", "chrome+opera"], "chrome+opera"),
        (&["--mutant", "nobody"], "no mutant `nobody`"),
        (
            &["--mutant", "worker-not-stopped-first"],
            "is proven equivalent, and is not tried",
        ),
        (&["--repeat", "0"], "0"),
    ];
    for (arguments, says) in mistakes {
        let output = Command::new(env!("CARGO_BIN_EXE_gymcheck"))
            .arg("run")
            .args(arguments)
            .output()
            .expect("gymcheck starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(says), "{text}");
    }
}
