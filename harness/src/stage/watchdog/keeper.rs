//! The program's side: it starts its watchdog, tells it what stands, and lets it go.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use super::{ARGUMENT, WATCHING, Word};
use crate::stage::grid::Claim;
use crate::stage::process::STAGE_VARIABLE;
use crate::stage::tree::Member;

/// This program itself, whatever has become of its file.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The file name of the command.
const COMMAND: &str = "gymcheck";

/// Whether this program's `main` asks first whether it is called as a watchdog.
static CAN_WATCH: AtomicBool = AtomicBool::new(false);

static KEEPER: Mutex<Keeper> = Mutex::new(Keeper {
    standing: BTreeMap::new(),
    watchdog: None,
});

/// What is watched over, and by whom.
struct Keeper {
    /// The folders that stand, and whether each stays.
    standing: BTreeMap<PathBuf, bool>,
    watchdog: Option<Watchdog>,
}

/// A watchdog that runs.
struct Watchdog {
    process: Child,
    pipe: ChildStdin,
}

/// A temporary folder that goes when this is dropped, and also when this program is killed.
#[derive(Debug)]
pub struct TemporaryFolder {
    folder: Option<TempDir>,
    path: PathBuf,
}

impl TemporaryFolder {
    /// Makes one.
    ///
    /// # Errors
    /// It cannot be made, or not be watched over.
    pub fn new() -> io::Result<TemporaryFolder> {
        let folder = TempDir::new()?;
        watch_folder(folder.path(), false)?;
        Ok(TemporaryFolder {
            path: folder.path().to_owned(),
            folder: Some(folder),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        drop(self.folder.take());
        forget(&self.path);
    }
}

/// Says that from now on this program can be its own watchdog.
pub(super) fn can_watch() {
    CAN_WATCH.store(true, Ordering::SeqCst);
}

/// Has a folder watched over, and all processes that carry its path as their mark.
///
/// # Errors
/// There is no watchdog, and none can be started.
pub(in crate::stage) fn watch_folder(folder: &Path, keep: bool) -> io::Result<()> {
    let mut keeper = keeper();
    keeper.standing.insert(folder.to_owned(), keep);
    let watched = keeper.tell_of(folder, keep);
    if watched.is_err() {
        keeper.standing.remove(folder);
    }
    watched
}

/// Has a process watched over that serves a folder, also where it writes over its own mark.
pub(in crate::stage) fn watch_process(folder: &str, process: Option<Member>) {
    let (mut keeper, folder) = (keeper(), PathBuf::from(folder));
    if let (true, Some(process)) = (keeper.standing.contains_key(&folder), process) {
        // The mark alone is enough for nearly all.
        let _ = keeper.tell(&Word::Started { folder, process });
    }
}

/// Has what was asked of a grid for a folder watched over.
pub(in crate::stage) fn watch_claim(folder: &Path, claim: &Claim) {
    let (folder, claim) = (folder.to_owned(), claim.clone());
    // A grid that hears nothing more of a session ends it by itself, in its time.
    let _ = keeper().tell(&Word::Claimed { folder, claim });
}

/// Takes back what was given back to a grid.
pub(in crate::stage) fn forget_claim(folder: &Path, claim: &Claim) {
    let (folder, claim) = (folder.to_owned(), claim.clone());
    let _ = keeper().tell(&Word::GivenBack { folder, claim });
}

/// Takes a folder back that is gone with its processes. With nothing left, the watchdog ends.
pub(in crate::stage) fn forget(folder: &Path) {
    let mut keeper = keeper();
    keeper.standing.remove(folder);
    let folder = folder.to_owned();
    // One that has ended needs not be told.
    let _ = keeper.tell(&Word::Gone { folder });
    if keeper.standing.is_empty() {
        keeper.let_go();
    }
}

fn keeper() -> MutexGuard<'static, Keeper> {
    KEEPER.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keeper {
    /// Tells of a folder; if nobody is there to be told, starts a watchdog and tells it of all.
    fn tell_of(&mut self, folder: &Path, keep: bool) -> io::Result<()> {
        let folder = folder.to_owned();
        if self.watchdog.is_some() && self.tell(&Word::Stands { folder, keep }).is_ok() {
            return Ok(());
        }
        self.let_go();
        self.watchdog = Some(Watchdog::start()?);
        for (folder, keep) in self.standing.clone() {
            self.tell(&Word::Stands { folder, keep })?;
        }
        Ok(())
    }

    fn tell(&mut self, word: &Word) -> io::Result<()> {
        let Some(watchdog) = &mut self.watchdog else {
            return Ok(());
        };
        let mut line = serde_json::to_vec(word)?;
        line.push(b'\n');
        watchdog.pipe.write_all(&line)
    }

    /// Lets the watchdog go, and waits for its end.
    fn let_go(&mut self) {
        if let Some(Watchdog { mut process, pipe }) = self.watchdog.take() {
            drop(pipe);
            // Whatever ended it: it is gone.
            let _ = process.wait();
        }
    }
}

impl Watchdog {
    fn start() -> io::Result<Watchdog> {
        let program = program()?;
        let cannot = |why: String| {
            let program = program.display();
            io::Error::other(format!("the watchdog {program} does not start: {why}"))
        };
        let started = Command::new(&program)
            .arg0(COMMAND)
            .arg(ARGUMENT)
            // Where it is keeps nothing from being removed or unmounted.
            .current_dir("/")
            // It is no process of a stage, not even where this program is one.
            .env_remove(STAGE_VARIABLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn();
        let mut process = started.map_err(|error| cannot(error.to_string()))?;
        let (pipe, said) = (process.stdin.take(), process.stdout.take());
        let mut line = String::new();
        if let Some(said) = said {
            BufReader::new(said).read_line(&mut line)?;
        }
        match pipe {
            Some(pipe) if line.trim_end() == WATCHING => Ok(Watchdog { process, pipe }),
            Some(_) | None => {
                let _ = process.kill();
                let _ = process.wait();
                Err(cannot(
                    "it is another gymcheck than this one; build it again".to_owned(),
                ))
            }
        }
    }
}

/// What can be called as a watchdog: this program, or, for a test, the command that Cargo built beside it.
fn program() -> io::Result<PathBuf> {
    if CAN_WATCH.load(Ordering::SeqCst) {
        return Ok(OWN_PROGRAM.into());
    }
    let own = std::env::current_exe()?;
    let beside = own.ancestors().skip(1).take(2);
    let mut commands = beside.map(|folder| folder.join(COMMAND));
    commands
        .find(|command| command.file_name() != own.file_name() && command.is_file())
        .ok_or_else(|| {
            io::Error::other(format!(
                "there is no {COMMAND} beside {} to be the watchdog; run: cargo build",
                own.display()
            ))
        })
}

/// Whether the arguments of a call are those of a watchdog.
pub(super) fn is_called_as_watchdog(argument: Option<&OsStr>) -> bool {
    argument == Some(OsStr::new(ARGUMENT))
}
