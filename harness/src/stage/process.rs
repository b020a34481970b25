//! A process of the stage: its group, its output, its end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::live;
use super::network::Host;
use super::output::{Line, Output};
use super::priority;
use super::tree::{self, Member};
use super::watchdog;
use crate::evidence::{BrokenFact, Fact, ProcessFact, ProcessPhase, Recorder, log_of};

/// The variable by which a stage knows its own processes, also those that left their group.
pub const STAGE_VARIABLE: &str = "GYMCHECK_STAGE";

/// How often a process that is not the stage's own child is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// How long a process that is dropped without having ended may take to end.
const DROP_WAIT: Duration = Duration::from_secs(5);

/// A process that the stage started, in a group of its own. Dropping it ends the whole group.
pub struct StageProcess {
    role: String,
    mark: String,
    pid: i32,
    ending: Arc<AtomicBool>,
    exit: watch::Receiver<Option<ExitStatus>>,
    output: Output,
}

/// What a process is started with.
pub struct Start<'a> {
    /// What it is to the stage: `server`, `driver`.
    pub role: &'a str,
    /// The player that it serves, if one.
    pub player: Option<&'a str>,
    /// The command, with its arguments and environment.
    pub command: Command,
    /// The host that it runs on, if that is not this machine.
    pub host: Option<&'a Host>,
    /// The stage's mark, for [`STAGE_VARIABLE`].
    pub mark: &'a str,
    /// The file that its output goes to.
    pub log: &'a Path,
    /// Whether its end breaks the run from the start on, or only after
    /// [`StageProcess::must_live`].
    pub must_live: bool,
}

impl StageProcess {
    /// Starts a process in a group of its own, which gives way to others until its stage's pages have loaded. Each
    /// line of its output goes to the log file and to `on_line`; the log file takes no more than is bearable, and the evidence says so. If it ends before it is told to, the run is broken.
    ///
    /// # Errors
    /// The program cannot be started, or the log file cannot be made.
    pub fn start(
        start: Start<'_>,
        recorder: &Recorder,
        on_line: impl Fn(Line<'_>) + Send + Sync + Clone + 'static,
    ) -> std::io::Result<StageProcess> {
        let Start {
            role,
            player,
            mut command,
            host,
            mark,
            log,
            must_live,
        } = start;
        let output = Output::new(File::create(log)?);
        live::refuse_when_ending()?;
        command
            .env(STAGE_VARIABLE, mark)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let runtime = Handle::current();
        let mut spawn = || {
            let _guard = runtime.enter();
            command.spawn()
        };
        let mut child = priority::giving_way(|| match host {
            None => spawn(),
            Some(host) => host.within(spawn),
        })?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .ok_or_else(|| std::io::Error::other("it ended before it could be watched"))?;
        watchdog::watch_process(mark, Member::of(pid));
        let on_full = {
            let (recorder, player) = (recorder.clone(), player.map(str::to_owned));
            let oracle = log_of(role);
            move |reason| {
                let oracle = oracle.clone();
                record(
                    &recorder,
                    player.as_deref(),
                    Fact::Absent { oracle, reason },
                );
            }
        };
        let outputs = [
            child.stdout.take().map(|out| {
                let reading = output.clone().read(out, on_line.clone(), on_full.clone());
                recorder.spawn(reading)
            }),
            child
                .stderr
                .take()
                .map(|out| recorder.spawn(output.clone().read(out, on_line, on_full))),
        ];
        let ending = Arc::new(AtomicBool::new(!must_live));
        let (sender, exit) = watch::channel(None);
        note(recorder, player, role, pid, ProcessPhase::Started, None);
        let process = StageProcess {
            role: role.to_owned(),
            mark: mark.to_owned(),
            pid,
            ending: ending.clone(),
            exit,
            output: output.clone(),
        };
        let (role, player, watcher) =
            (role.to_owned(), player.map(str::to_owned), recorder.clone());
        recorder.spawn(async move {
            let status = child.wait().await;
            // Its last words may still be in the pipes. A child of its own may hold them open.
            for output in outputs.into_iter().flatten() {
                let _ = tokio::time::timeout(Duration::from_millis(500), output).await;
            }
            let how = status
                .as_ref()
                .map_or_else(|error| error.to_string(), ToString::to_string);
            let detail = match output.finish() {
                Some(left_out) => format!("{how}; {left_out}"),
                None => how.clone(),
            };
            note(
                &watcher,
                player.as_deref(),
                &role,
                pid,
                ProcessPhase::Gone,
                Some(detail),
            );
            if !ending.load(Ordering::SeqCst) {
                let whose = player
                    .as_deref()
                    .map(|name| format!("{name}'s "))
                    .unwrap_or_default();
                watcher.record(Fact::Broken(BrokenFact {
                    component: role.clone(),
                    reason: format!("the {whose}{role} ended by itself ({how})"),
                    last_lines: output.last_lines(),
                    worth_a_retry: true,
                }));
            }
            sender.send_replace(status.ok());
        });
        Ok(process)
    }

    /// The process's id, which is also the id of its group.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The last lines that it wrote.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        self.output.last_lines()
    }

    /// Says that it is now allowed to end.
    pub fn may_end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    /// Says that from now on its end breaks the run.
    pub fn must_live(&self) {
        self.ending.store(false, Ordering::SeqCst);
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        // Its watcher may be gone with the runtime: then it is over as well.
        let _ = self.exit.clone().wait_for(Option::is_some).await;
    }

    /// Breaks the run when a process below this one ends by itself.
    pub fn watch(&self, member: Member, role: &str, player: &str, recorder: &Recorder) {
        let (ending, exit) = (self.ending.clone(), self.exit.clone());
        let (output, watcher) = (self.output.clone(), recorder.clone());
        let (role, reason) = (
            role.to_owned(),
            format!("the {player}'s {role} ended by itself"),
        );
        recorder.spawn(async move {
            // Nobody tells of the end of a process that is not one's own child.
            while member.is_alive() {
                tokio::time::sleep(WATCH_EVERY).await;
            }
            if !ending.load(Ordering::SeqCst) && exit.borrow().is_none() {
                watcher.record(Fact::Broken(BrokenFact {
                    component: role,
                    reason,
                    last_lines: output.last_lines(),
                    worth_a_retry: true,
                }));
            }
        });
    }

    /// Ends the whole group and waits until it is gone.
    pub async fn end(&mut self) {
        self.kill();
        let waited =
            tokio::time::timeout(Duration::from_secs(10), self.exit.wait_for(Option::is_some))
                .await;
        if waited.is_err() {
            live::tell(&format!(
                "gymcheck: the {} (process {}) does not end after SIGKILL",
                self.role, self.pid
            ));
        }
    }

    /// Kills the whole group, and waits for nothing.
    pub fn kill(&self) {
        self.may_end();
        if self.exit.borrow().is_none() {
            tree::kill_all(Some(self.pid), &tree::descendants(self.pid));
        }
    }
}

impl Drop for StageProcess {
    fn drop(&mut self) {
        if self.exit.borrow().is_some() {
            return;
        }
        live::remember(&self.mark);
        let below = tree::descendants(self.pid);
        self.kill();
        let end = std::time::Instant::now() + DROP_WAIT;
        // Its end is noticed by a task of its own.
        while self.exit.borrow().is_none() && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        tree::gone_blocking(&below, DROP_WAIT);
    }
}

fn note(
    recorder: &Recorder,
    player: Option<&str>,
    role: &str,
    pid: i32,
    phase: ProcessPhase,
    detail: Option<String>,
) {
    let fact = Fact::Process(ProcessFact {
        role: role.to_owned(),
        pid,
        phase,
        detail,
    });
    record(recorder, player, fact);
}

fn record(recorder: &Recorder, player: Option<&str>, fact: Fact) {
    match player {
        Some(player) => recorder.record_for(player, fact),
        None => recorder.record(fact),
    };
}

/// The path of a log file in a run's folder.
#[must_use]
pub fn log_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}
