//! Folders of stages that nobody needs any more: their gymcheck was killed, or was told to keep them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use procfs::process::{Process, all_processes};
use thiserror::Error;

use super::process::STAGE_VARIABLE;
use super::tree::{self, Member};
use crate::provision::{scratches, taken};

/// How the name of a stage's folder begins. What is added to it has this length.
pub(super) const PREFIX: &str = "gymcheck-";
const SUFFIX_LENGTH: usize = 6;

/// The file in a stage's folder that says whose it is, and what it says of one that is to stay.
const MARK: &str = ".gymcheck-stage";
const KEPT: &str = "kept\n";

/// What a stage of a gymcheck without that file has, and hardly another folder.
const OBSERVER: &str = "observer/sitecustomize.py";

/// A stage that begins makes its folder a moment before it can lock it.
const YOUNG: Duration = Duration::from_secs(60);

/// The folder of a stage that stands no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftStage {
    /// The folder.
    pub path: PathBuf,
    /// What it takes on the disk.
    pub bytes: u64,
    /// When it was last written into, at its top.
    pub since: SystemTime,
    /// Whether somebody asked for it to be kept.
    pub is_kept: bool,
    /// Its processes that still run. With any, the folder is not removed.
    pub alive: Vec<Member>,
}

/// Why the folder of a stage was not removed.
#[derive(Debug, Error)]
pub enum LeftStageError {
    /// Processes of the stage still run.
    #[error(
        "{} is not removed: processes that its gymcheck left are still running: {}; end them first", .path.display(), listed(.alive)
    )]
    Alive {
        /// The folder.
        path: PathBuf,
        /// The processes.
        alive: Vec<Member>,
    },
    /// It is not what it was when it was looked at.
    #[error("{} is not removed: it is no folder of a stage that was left behind", .path.display())]
    Other {
        /// The folder.
        path: PathBuf,
    },
    /// The system does not let it go.
    #[error("cannot remove {}", .path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Marks a folder as a stage's, and locks it. The lock ends with this process, whatever ends it; a
/// stage stands without it, too.
pub(super) fn mark(folder: &Path, keep: bool) -> Option<File> {
    let _ = fs::write(folder.join(MARK), if keep { KEPT } else { "" });
    let lock = File::open(folder).ok()?;
    lock.try_lock().ok().map(|()| lock)
}

/// The folders of stages that stand no more, wherever stages are set.
#[must_use]
pub fn left_stages() -> Vec<LeftStage> {
    let places = scratches();
    let left = places.iter().flat_map(|folder| left_in(folder, YOUNG));
    left.collect()
}

fn left_in(folder: &Path, young: Duration) -> Vec<LeftStage> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let left = paths.iter().filter_map(|path| look(path, young));
    left.collect()
}

impl LeftStage {
    /// Removes the folder with all in it.
    ///
    /// # Errors
    /// Processes of the stage still run; it is something else by now; the system does not let it go.
    pub fn remove(&self) -> Result<(), LeftStageError> {
        let path = self.path.clone();
        let Some(now) = look(&path, Duration::ZERO) else {
            return Err(LeftStageError::Other { path });
        };
        if !now.alive.is_empty() {
            let alive = now.alive;
            return Err(LeftStageError::Alive { path, alive });
        }
        fs::remove_dir_all(&path).map_err(|source| LeftStageError::Io { path, source })
    }
}

/// What is left of a stage, if this is the folder of one.
fn look(path: &Path, young: Duration) -> Option<LeftStage> {
    let name = path.file_name()?.to_str()?;
    let suffix = name.strip_prefix(PREFIX)?;
    let found = path.symlink_metadata().ok()?;
    let is_ours = suffix.len() == SUFFIX_LENGTH
        && found.is_dir()
        && found.uid() == nix::unistd::geteuid().as_raw()
        && (is_file(&path.join(MARK)) || is_file(&path.join(OBSERVER)));
    let since = found.modified().ok()?;
    let age = SystemTime::now().duration_since(since).unwrap_or_default();
    // One that can be locked stands no more.
    let lock = File::open(path).ok()?;
    if !is_ours || age < young || lock.try_lock().is_err() {
        return None;
    }
    // Not by being closed alone: a process that is just being started has it as well, until it runs a program.
    lock.unlock().ok()?;
    let kept = fs::read_to_string(path.join(MARK)).unwrap_or_default();
    Some(LeftStage {
        path: path.to_owned(),
        bytes: taken(path),
        since,
        is_kept: kept == KEPT,
        alive: alive(path),
    })
}

/// The processes that carry the stage's mark, work in its folder, or were started with a path in it:
/// some programs write over their environment.
fn alive(path: &Path) -> Vec<Member> {
    let mark = path.to_string_lossy();
    let mut alive = tree::marked(STAGE_VARIABLE, &mark);
    let names_it = |process: &Process| {
        let works_there = process.cwd().is_ok_and(|folder| folder.starts_with(path));
        let words = process.cmdline().unwrap_or_default();
        works_there || words.iter().any(|word| word.contains(&*mark))
    };
    for process in all_processes().into_iter().flatten().flatten() {
        let stat = process.stat();
        let is_own = process.pid.cast_unsigned() == std::process::id();
        if let (false, true, Ok(stat)) = (is_own, names_it(&process), stat) {
            let member = Member::from(stat);
            if !alive.contains(&member) {
                alive.push(member);
            }
        }
    }
    alive
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file())
}

fn listed(members: &[Member]) -> String {
    let names = members
        .iter()
        .map(|one| format!("{} ({})", one.pid, one.name));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::symlink;
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicBool, Ordering};

    use tempfile::TempDir;

    use super::*;

    /// A folder for temporary files with the folder of a stage in it, and what holds that.
    fn stage(keep: bool) -> (TempDir, PathBuf, Option<File>) {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("gymcheck-Ab1Cd2");
        fs::create_dir(&path).unwrap();
        let lock = mark(&path, keep);
        assert!(lock.is_some());
        (temporary, path, lock)
    }

    /// As when whoever holds it has ended.
    fn let_go(lock: Option<File>) {
        lock.unwrap().unlock().unwrap();
    }

    fn left(temporary: &TempDir) -> Vec<LeftStage> {
        left_in(temporary.path(), Duration::ZERO)
    }

    #[test]
    fn a_stage_that_stands_is_not_left_and_one_that_was_killed_is() {
        let (temporary, path, lock) = stage(false);
        assert_eq!(left(&temporary), []);
        let_go(lock);
        let [one] = &left(&temporary)[..] else {
            panic!("one is left")
        };
        assert!(one.path == path && !one.is_kept && one.alive.is_empty());
        assert_eq!(
            left_in(temporary.path(), YOUNG),
            [],
            "it may be about to be locked"
        );
        one.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_process_that_is_just_being_started_keeps_no_stage() {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let starting = scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let ended = Command::new("true").status().unwrap();
                    assert!(ended.success());
                }
            });
            let removed = (0..30).try_for_each(|_| {
                let (temporary, _, lock) = stage(false);
                let_go(lock);
                left(&temporary).remove(0).remove()
            });
            stop.store(true, Ordering::SeqCst);
            starting.join().unwrap();
            removed.unwrap();
        });
    }

    #[test]
    fn a_stage_that_stands_again_is_not_removed() {
        let (temporary, path, lock) = stage(false);
        let_go(lock);
        let left = left(&temporary);
        let lock = mark(&path, false);
        let error = left[0].remove().unwrap_err();
        assert!(matches!(error, LeftStageError::Other { .. }), "{error}");
        let_go(lock);
    }

    #[test]
    fn what_was_to_be_kept_is_told_so() {
        let (temporary, _, lock) = stage(true);
        let_go(lock);
        assert!(left(&temporary)[0].is_kept);
    }

    #[test]
    fn a_stage_of_which_a_process_runs_is_not_removed() {
        for is_marked in [true, false] {
            let (temporary, path, lock) = stage(false);
            let_go(lock);
            let mut command = Command::new("cat");
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            match is_marked {
                true => command.env(STAGE_VARIABLE, &path),
                false => command.current_dir(&path),
            };
            let mut process = command.spawn().unwrap();
            // It has been called before the kernel tells of its surroundings; once it answers, it does.
            process.stdin.as_mut().unwrap().write_all(b"?").unwrap();
            let mut answer = [0];
            let stdout = process.stdout.as_mut().unwrap();
            stdout.read_exact(&mut answer).unwrap();
            let one = left(&temporary).remove(0);
            let refused = one.remove();
            process.kill().unwrap();
            process.wait().unwrap();
            let error = refused.unwrap_err().to_string();
            assert!(
                error.contains(&format!("{} (cat)", process.id())),
                "{error}"
            );
            assert!(path.exists());
            one.remove().unwrap();
        }
    }

    #[test]
    fn other_folders_are_nobodys_stage() {
        let (temporary, path, lock) = stage(false);
        let_go(lock);
        fs::remove_file(path.join(MARK)).unwrap();
        assert_eq!(
            left(&temporary),
            [],
            "a folder of this name may be anybody's"
        );
        fs::create_dir(path.join("observer")).unwrap();
        fs::write(path.join(OBSERVER), "").unwrap();
        assert_eq!(left(&temporary).len(), 1);
        fs::rename(&path, temporary.path().join("gymcheck-reports")).unwrap();
        assert_eq!(left(&temporary), []);
        symlink(
            temporary.path().join("gymcheck-reports"),
            temporary.path().join("gymcheck-report"),
        )
        .unwrap();
        assert_eq!(left(&temporary), []);
    }
}
