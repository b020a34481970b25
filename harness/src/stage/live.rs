//! The stages that stand now, so that a signal or a panic can end them all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::iterator::Signals;
use tempfile::TempDir;
use tokio::sync::watch;

use super::grid::end_claims;
use super::left;
use super::process::STAGE_VARIABLE;
use super::tree::{self, Member};
use super::watchdog;
use crate::provision::{heeded, noted_elsewhere};

/// The folders of the stages that stand now: each path is also the mark of its processes.
static LIVE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Processes of the stages that were seen before their drivers were killed: those that had left
/// their tree end by themselves then, and carry no mark any more when they are looked for.
static REMEMBERED: Mutex<BTreeMap<PathBuf, Vec<Member>>> = Mutex::new(BTreeMap::new());

/// Whether everything is being ended: nothing may be started any more.
static ENDING: AtomicBool = AtomicBool::new(false);

/// How long a stage that is dropped waits for its processes to vanish.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// The folder of a stage. When it is dropped, every process that carries its mark ends, and the
/// folder goes, unless it is to stay.
pub(super) struct StageFolder {
    folder: Option<TempDir>,
    path: PathBuf,
    mark: String,
    keep: bool,
    /// Held while the stage stands: see [`super::left`].
    _lock: Option<File>,
}

impl StageFolder {
    /// # Errors
    /// It cannot be watched over.
    pub(super) fn new(folder: TempDir, keep: bool) -> std::io::Result<StageFolder> {
        let path = folder.path().to_owned();
        watchdog::watch_folder(&path, keep)?;
        live().push(path.clone());
        let lock = left::mark(&path, keep);
        Ok(StageFolder {
            folder: Some(folder),
            mark: path.to_string_lossy().into_owned(),
            path,
            keep,
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the stage's processes carry in their environment.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }
}

impl Drop for StageFolder {
    fn drop(&mut self) {
        end_marked(&self.path);
        live().retain(|path| *path != self.path);
        if let Some(folder) = self.folder.take() {
            if self.keep {
                tell(&format!(
                    "kept the stage's folder {}",
                    folder.keep().display()
                ));
            } else if let Err(error) = folder.close() {
                tell(&format!(
                    "gymcheck: cannot remove the stage's folder: {error}"
                ));
            }
        }
        watchdog::forget(&self.path);
    }
}

/// Says something. A terminal that is gone hears nothing more, and that ends nobody's work.
pub(super) fn tell(what: &str) {
    let _ = writeln!(anstream::stderr(), "{what}");
}

fn live() -> MutexGuard<'static, Vec<PathBuf>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remembered() -> MutexGuard<'static, BTreeMap<PathBuf, Vec<Member>>> {
    REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers the processes that carry a stage's mark now, so that they are buried with it.
pub(super) fn remember(mark: &str) {
    let members = tree::marked(STAGE_VARIABLE, mark);
    let mut remembered = remembered();
    let known = remembered.entry(PathBuf::from(mark)).or_default();
    for one in members {
        if !known.contains(&one) {
            known.push(one);
        }
    }
}

/// Kills every process that carries a stage's mark, until there is none.
fn end_marked(path: &Path) {
    let end = Instant::now() + LAST_WAIT;
    let mut seen = remembered().remove(path).unwrap_or_default();
    loop {
        let mut left = tree::marked(STAGE_VARIABLE, &path.to_string_lossy());
        // Some programs write over their own environment: their parents do not.
        let children = tree::below(left.iter().map(|one| one.pid));
        left.extend(children);
        tree::kill_all(None, &left);
        for one in left {
            if !seen.contains(&one) {
                seen.push(one);
            }
        }
        let alive: Vec<&Member> = seen.iter().filter(|one| one.is_alive()).collect();
        let buried = tree::bury(&seen) == 0;
        if alive.is_empty() && buried {
            return;
        }
        if Instant::now() > end {
            if !alive.is_empty() {
                tell(&format!(
                    "gymcheck: processes of a stage do not end: {alive:?}"
                ));
            }
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Refuses to start anything once everything is being ended.
pub(super) fn refuse_when_ending() -> std::io::Result<()> {
    if ENDING.load(Ordering::SeqCst) {
        return Err(std::io::Error::other("everything is being ended"));
    }
    Ok(())
}

/// Ends every stage at once, and lets none begin any more: for a program that is about to exit.
pub fn end_everything() {
    ENDING.store(true, Ordering::SeqCst);
    let stages = std::mem::take(&mut *live());
    for path in stages {
        end_marked(&path);
        // Processes are gone; what they wrote is of no use to anybody. What another thread of this program
        // writes there until its end goes with the watchdog, which is not told that the folder is gone.
        let _ = std::fs::remove_dir_all(&path);
    }
    end_claims();
}

/// A signal asked this program to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted {
    /// The signal's number.
    pub signal: i32,
}

static SIGNAL: AtomicI32 = AtomicI32::new(0);

fn channel() -> &'static watch::Sender<i32> {
    static CHANNEL: OnceLock<watch::Sender<i32>> = OnceLock::new();
    CHANNEL.get_or_init(|| watch::Sender::new(0))
}

/// Calls `then` on a thread of its own when SIGINT, SIGTERM or SIGHUP (unless it is ignored) comes. A second signal ends
/// the program at once, with everything it started.
///
/// # Errors
/// The signals cannot be handled.
pub fn on_signal(then: impl Fn(Interrupted) + Send + 'static) -> std::io::Result<()> {
    let mut signals = Signals::new(heeded())?;
    // What is installed meanwhile notes them as well, and does not give them their default effect.
    noted_elsewhere();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if SIGNAL.swap(signal, Ordering::SeqCst) != 0 {
                    end_everything();
                    std::process::exit(128 + signal);
                }
                channel().send_replace(signal);
                then(Interrupted { signal });
            }
        })?;
    Ok(())
}

/// Waits until a signal asks this program to end.
pub async fn interrupted() -> Interrupted {
    let mut signal = channel().subscribe();
    loop {
        let seen = *signal.borrow_and_update();
        if seen != 0 {
            return Interrupted { signal: seen };
        }
        if signal.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
