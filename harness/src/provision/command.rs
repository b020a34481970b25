//! External commands: each in its own process group, with a deadline, and with an end that says
//! what happened.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::error::{Outcome, ProvisionError};
use super::home::HomeLock;
use super::interrupt::Attention;
use super::{disk, files};

/// How often a running command is looked at.
const POLL: Duration = Duration::from_millis(20);

/// How long a command that was told to end may take over it.
const GRACE: Duration = Duration::from_secs(5);

/// How many of its last lines a failed command's error shows, and from how many bytes at most.
const TAIL_LINES: usize = 15;
const TAIL_BYTES: u64 = 16 * 1024;

/// How much a command may say whose output is wanted, in bytes.
const MOST_OUTPUT: u64 = 1 << 20;

/// An external command to be.
#[derive(Debug)]
pub(super) struct Tool {
    command: Command,
    deadline: Duration,
}

impl Tool {
    /// This program, which may take this long.
    pub(super) fn new(program: impl AsRef<OsStr>, deadline: Duration) -> Tool {
        let mut command = Command::new(program);
        command.process_group(0);
        Tool { command, deadline }
    }

    /// With these arguments more.
    pub(super) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Tool {
        self.command.args(args);
        self
    }

    /// With this environment variable.
    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Tool {
        self.command.env(name, value);
        self
    }

    /// In this folder.
    pub(super) fn within(mut self, folder: &Path) -> Tool {
        self.command.current_dir(folder);
        self
    }

    /// Runs it to its end as a part of a setup; adds what it says to the file `log`. It holds
    /// `lock` as long as it runs; give none to a command that may start services, which would hold
    /// it for ever.
    ///
    /// # Errors
    /// It cannot be started, fails, takes too long, or gymcheck is told to end.
    pub(super) fn run(mut self, log: &Path, lock: Option<&HomeLock>) -> Result<(), ProvisionError> {
        let failed = || ProvisionError::io("write", log);
        if let Some(folder) = log.parent() {
            files::create_folder(folder)?;
        }
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(failed())?;
        writeln!(file, "$ {}", self.line()).map_err(failed())?;
        let begin = file.stream_position().map_err(failed())?;
        let input = match lock {
            Some(lock) => lock.as_input().map_err(failed())?,
            None => Stdio::null(),
        };
        self.command
            .stdin(input)
            .stdout(file.try_clone().map_err(failed())?)
            .stderr(file);
        let attention = Attention::begin().map_err(failed())?;
        let ended = self.attend(|| attention.interrupted());
        // A signal may come as the command ends by itself: it has ended nothing yet.
        let ended = match attention.end() {
            true => ended.and(Err(Ended::Outcome(Outcome::Interrupted))),
            false => ended,
        };
        ended.map_err(|ended| {
            let said = File::open(log);
            ended.explain(
                &self,
                Some(log.into()),
                said.and_then(|file| tail(file, begin)),
            )
        })
    }

    /// Runs it to its end and gives what it wrote to its standard output.
    ///
    /// # Errors
    /// It cannot be started, fails or takes too long.
    pub(super) fn output(mut self) -> Result<String, ProvisionError> {
        // On a full disk it would say nothing, and succeed.
        let folder = std::env::temp_dir();
        if disk::is_full(&folder, MOST_OUTPUT) {
            return Err(ProvisionError::Io {
                action: "keep what programs say in the folder for temporary files (TMPDIR)",
                path: folder,
                source: std::io::ErrorKind::StorageFull.into(),
            });
        }
        let scratch = || tempfile::tempfile().map_err(self.no_scratch());
        let (mut output, errors) = (scratch()?, scratch()?);
        let clone = |file: &File| file.try_clone().map_err(self.no_scratch());
        let (to_output, to_errors) = (clone(&output)?, clone(&errors)?);
        self.command
            .stdin(Stdio::null())
            .stdout(to_output)
            .stderr(to_errors);
        self.attend(|| false)
            .map_err(|ended| ended.explain(&self, None, tail(errors, 0)))?;
        let mut text = Vec::new();
        output
            .rewind()
            .and_then(|()| output.read_to_end(&mut text))
            .map_err(self.no_scratch())?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The command line, as one would type it.
    pub(super) fn line(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let words = words.map(|word| quoted(&word.to_string_lossy()));
        words.collect::<Vec<_>>().join(" ")
    }

    /// Starts it and waits for its end, its deadline or an interruption.
    fn attend(&mut self, interrupted: impl Fn() -> bool) -> Result<(), Ended> {
        let mut child = self.command.spawn().map_err(Ended::NotStarted)?;
        let begun = Instant::now();
        let outcome = loop {
            match child.try_wait().map_err(Ended::NotStarted)? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(Ended::Outcome(Outcome::Status(status))),
                None if interrupted() => break Outcome::Interrupted,
                None if begun.elapsed() > self.deadline => break Outcome::Deadline(self.deadline),
                None => thread::sleep(POLL),
            }
        };
        end_group(&mut child);
        Err(Ended::Outcome(outcome))
    }

    fn no_scratch(&self) -> impl FnOnce(std::io::Error) -> ProvisionError + use<> {
        let command = self.line();
        move |source| ProvisionError::Start { command, source }
    }
}

/// How a command failed, before it is put in words.
enum Ended {
    NotStarted(std::io::Error),
    Outcome(Outcome),
}

impl Ended {
    fn explain(
        self,
        tool: &Tool,
        log: Option<PathBuf>,
        tail: std::io::Result<String>,
    ) -> ProvisionError {
        let command = tool.line();
        match self {
            Ended::NotStarted(source) => ProvisionError::Start { command, source },
            Ended::Outcome(outcome) => ProvisionError::Command {
                command,
                outcome,
                log,
                // The end of the command is the news; that its words are lost is not.
                tail: tail.unwrap_or_default(),
            },
        }
    }
}

/// Ends a child with everything in its process group: asks first, then insists.
fn end_group(child: &mut Child) {
    let group = Pid::from_raw(child.id().cast_signed());
    let _ = killpg(group, Signal::SIGTERM);
    let begun = Instant::now();
    while begun.elapsed() < GRACE {
        // The leader must be reaped, or it would keep the group in being.
        let _: Option<ExitStatus> = child.try_wait().ok().flatten();
        if killpg(group, None) == Err(Errno::ESRCH) {
            return;
        }
        thread::sleep(POLL);
    }
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
}

/// The last lines of a file, none of them from before `begin`.
fn tail(mut file: File, begin: u64) -> std::io::Result<String> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(
        begin.max(length.saturating_sub(TAIL_BYTES)),
    ))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

/// A word of a command line, quoted where a shell would need it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=./@:+,~%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The program of this name on the `PATH`, or at this path if it has a slash; nothing if none can be
/// executed. An absolute path: it may be started in another folder.
pub(super) fn find_program(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    find_program_in(name.as_ref(), std::env::var_os("PATH"))
}

fn find_program_in(name: &OsStr, path: Option<OsString>) -> Option<PathBuf> {
    let name = Path::new(name);
    let found = if name.components().count() > 1 {
        is_program(name).then(|| name.into())
    } else {
        std::env::split_paths(&path?)
            .map(|folder| folder.join(name))
            .find(|path| is_program(path))
    };
    std::path::absolute(found?).ok()
}

/// Whether this is a file that we may execute.
pub(super) fn is_program(path: &Path) -> bool {
    path.is_file() && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, deadline: Duration) -> Tool {
        Tool::new("sh", deadline).args(["-c", script])
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn output_is_what_went_to_standard_output() {
        let tool = shell("echo out; echo err >&2", LONG);
        assert_eq!(tool.output().unwrap(), "out\n");
    }

    #[test]
    fn a_failure_says_the_command_its_status_and_its_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("logs/test.log");
        shell("echo an earlier command", LONG)
            .run(&log, None)
            .unwrap();
        let error = shell("seq 1 20; exit 3", LONG).run(&log, None).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("`sh -c 'seq 1 20; exit 3'` failed with exit status: 3"),
            "{text}"
        );
        assert!(text.contains("\n    6\n"), "{text}");
        assert!(!text.contains("\n    5\n"), "{text}");
        assert!(!text.contains("earlier"), "{text}");
        assert!(text.contains(log.to_str().unwrap()), "{text}");
    }

    #[test]
    fn a_deadline_ends_the_whole_group() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid_file.display());
        let error = shell(&script, Duration::from_millis(500))
            .output()
            .unwrap_err();
        assert!(
            matches!(
                error,
                ProvisionError::Command {
                    outcome: Outcome::Deadline(_),
                    ..
                }
            ),
            "{error}"
        );
        let grandchild: i32 = fs::read_to_string(pid_file)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let state = fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
        assert!(
            state.is_empty() || state.contains(") Z "),
            "still runs: {state}"
        );
    }

    #[test]
    fn a_program_that_is_not_there_cannot_be_started() {
        let error = Tool::new("/no/such/program", LONG).output().unwrap_err();
        assert!(matches!(error, ProvisionError::Start { .. }), "{error}");
        assert_eq!(find_program("/no/such/program"), None);
        assert!(find_program("sh").is_some());
    }

    #[test]
    fn a_program_is_found_at_an_absolute_path() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/bin/sh", folder.path().join("driver")).unwrap();
        let here = std::env::current_dir().unwrap();
        let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
        let relative = up.join(folder.path().strip_prefix("/").unwrap());
        let named = relative.join("driver");
        let on_path = find_program_in(OsStr::new("driver"), Some(relative.into()));
        for found in [find_program_in(named.as_os_str(), None), on_path] {
            let found = found.unwrap();
            assert!(found.is_absolute() && is_program(&found), "{found:?}");
        }
    }
}
