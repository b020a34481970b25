//! The watchdog's own side: it listens until its pipe ends, and then ends what still stands.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::keeper::{can_watch, is_called_as_watchdog};
use super::left_over::end_left_over;
use super::{WATCHING, Word};
use crate::stage::grid::{Claim, give_back_all};
use crate::stage::tree::Member;

/// Its name in the process table.
const NAME: &std::ffi::CStr = c"gymcheck-watch";

/// How long killed processes may take to vanish, and a folder to be removed.
const DEADLINE: Duration = Duration::from_secs(20);

/// For how long a word may take to be said.
const LONGEST_WORD: Duration = Duration::from_secs(1);
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// A folder that stands.
struct Standing {
    keep: bool,
    /// Processes that serve it.
    processes: Vec<Member>,
    /// What was asked of a grid for it.
    claims: Vec<Claim>,
}

type AllStanding = BTreeMap<PathBuf, Standing>;

/// To be asked first by every `main` whose program sets stages: whether the program was called as a
/// watchdog. If so, it has been one when this returns, and ends with this status.
#[must_use]
pub fn watchdog() -> Option<ExitCode> {
    // Whoever types it has no pipe: it is a mistake in the call then.
    let stdin = std::io::stdin();
    let argument = std::env::args_os().nth(1);
    if !is_called_as_watchdog(argument.as_deref()) || stdin.is_terminal() {
        can_watch();
        return None;
    }
    Some(match watch(stdin.lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("the watchdog cannot watch: {error}"));
            ExitCode::FAILURE
        }
    })
}

fn watch(told: impl BufRead) -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Nobody looks at it: the signal does not end the program, that is all.
        signal_hook::flag::register(signal, Arc::<AtomicBool>::default())?;
    }
    // For people: nothing goes by it.
    let _ = nix::sys::prctl::set_name(NAME);
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{WATCHING}")?;
    stdout.flush()?;
    let standing = listen(told);
    if !standing.is_empty() {
        end(&standing);
    }
    Ok(())
}

/// Takes down what it is told, until the pipe ends. Gives what stands then.
fn listen(told: impl BufRead) -> AllStanding {
    let mut standing = AllStanding::new();
    for line in told.split(b'\n').map_while(Result::ok) {
        // A parent that is killed may not have finished its last word.
        let Ok(word) = serde_json::from_slice(&line) else {
            continue;
        };
        match word {
            Word::Stands { folder, keep } => {
                let new = Standing {
                    keep,
                    processes: Vec::new(),
                    claims: Vec::new(),
                };
                standing.insert(folder, new);
            }
            Word::Started { folder, process } => {
                if let Some(standing) = standing.get_mut(&folder) {
                    standing.processes.push(process);
                }
            }
            Word::Claimed { folder, claim } => {
                if let Some(standing) = standing.get_mut(&folder) {
                    standing.claims.retain(|one| one.name != claim.name);
                    standing.claims.push(claim);
                }
            }
            Word::GivenBack { folder, claim } => {
                if let Some(standing) = standing.get_mut(&folder) {
                    standing.claims.retain(|one| one.name != claim.name);
                }
            }
            Word::Gone { folder } => drop(standing.remove(&folder)),
        }
    }
    standing
}

/// Ends what still stands. Processes first: they write into the folders.
fn end(standing: &AllStanding) {
    let deadline = Instant::now() + DEADLINE;
    let marks: Vec<&Path> = standing.keys().map(PathBuf::as_path).collect();
    let known = standing.values().flat_map(|one| &one.processes);
    let known: Vec<Member> = known.cloned().collect();
    let ended = end_left_over(&marks, &known, deadline);
    let (kept, others): (Vec<_>, Vec<_>) = standing.iter().partition(|(_, one)| one.keep);
    for (folder, _) in others {
        remove(folder, deadline);
    }
    // Folders alone are nothing to speak of.
    if ended.count > 0 {
        tell(&format!(
            "gymcheck ended without ending what it had started: {} processes were ended in its stead",
            ended.count
        ));
    }
    let claims = standing.values().flat_map(|one| one.claims.clone());
    let given_back = give_back_all(&claims.collect::<Vec<_>>());
    if given_back > 0 {
        tell(&format!(
            "gymcheck ended without giving back what it had of a grid: {given_back} sessions were ended in its stead"
        ));
    }
    for (folder, _) in kept {
        tell(&format!("kept the stage's folder {}", folder.display()));
    }
    if !ended.alive.is_empty() {
        tell(&format!("processes do not end: {:?}", ended.alive));
    }
}

/// Removes a folder, if it is still there.
fn remove(folder: &Path, deadline: Instant) {
    loop {
        match std::fs::remove_dir_all(folder) {
            Ok(()) => return,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) if Instant::now() > deadline => {
                tell(&format!("cannot remove {}: {error}", folder.display()));
                return;
            }
            Err(_) => std::thread::sleep(BETWEEN_TRIES),
        }
    }
}

/// Says something, if anybody is there who could hear it. A terminal that nobody reads takes no more at some
/// time: that keeps nobody from ending.
fn tell(what: &str) {
    let line = format!("gymcheck: {what}\n");
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = std::io::stderr().write_all(line.as_bytes());
        let _ = told.send(());
    });
    let _ = heard.recv_timeout(LONGEST_WORD);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(word: &Word) -> String {
        serde_json::to_string(word).unwrap() + "\n"
    }

    fn process() -> Member {
        Member {
            pid: 4711,
            start: 99,
            name: "server".to_owned(),
        }
    }

    #[test]
    fn what_was_taken_back_stands_no_more_and_a_last_word_may_be_cut_off() {
        let [first, second]: [PathBuf; 2] = ["/tmp/first".into(), "/tmp/second".into()];
        let stands = |folder: &PathBuf, keep| {
            let folder = folder.clone();
            line(&Word::Stands { folder, keep })
        };
        let started = |folder: &PathBuf| {
            let (folder, process) = (folder.clone(), process());
            line(&Word::Started { folder, process })
        };
        let gone = |folder: &PathBuf| {
            let folder = folder.clone();
            line(&Word::Gone { folder })
        };
        let told = stands(&first, false) + &stands(&second, true) + &started(&second);
        let all = listen(told.as_bytes());
        assert_eq!(all.len(), 2);
        assert!(!all[&first].keep && all[&first].processes.is_empty());
        assert!(all[&second].keep && all[&second].processes == [process()]);

        let told = told + &gone(&first) + &started(&first);
        let cut = told.clone() + &gone(&second)[..8];
        let rest = listen(cut.as_bytes());
        assert_eq!(rest.keys().collect::<Vec<_>>(), [&second]);
        assert!(listen((told + &gone(&second)).as_bytes()).is_empty());
    }

    #[test]
    fn what_was_asked_of_a_grid_stands_until_it_is_given_back() {
        let folder = PathBuf::from("/tmp/first");
        let claim = |session: Option<&str>| -> Claim {
            let claim = serde_json::json!({
                "endpoint": "http://grid.example:4444", "name": "n", "session": session, "node": null,
            });
            serde_json::from_value(claim).unwrap()
        };
        let stands = line(&Word::Stands {
            folder: folder.clone(),
            keep: false,
        });
        let claimed = |session| {
            let folder = folder.clone();
            line(&Word::Claimed {
                folder,
                claim: claim(session),
            })
        };
        let known = stands + &claimed(None) + &claimed(Some("s1"));
        let standing = listen(known.as_bytes());
        assert_eq!(standing[&folder].claims, [claim(Some("s1"))]);
        let given_back = line(&Word::GivenBack {
            folder: folder.clone(),
            claim: claim(Some("s1")),
        });
        let standing = listen((known + &given_back).as_bytes());
        assert!(standing[&folder].claims.is_empty());
    }
}
