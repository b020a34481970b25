//! Finding and ending the processes that a killed gymcheck left, without anybody's help.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use procfs::process::{Process, Stat, all_processes};

use crate::stage::process::STAGE_VARIABLE;
use crate::stage::tree::{self, Member};

/// How long there is between two looks at processes that are about to vanish.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// What came of ending processes.
pub(super) struct Ended {
    /// How many were ended.
    pub(super) count: usize,
    /// Those that outlive SIGKILL.
    pub(super) alive: Vec<Member>,
}

/// Ends every process that carries one of these marks or is one of those known, with all that is below
/// them and all in the groups that they lead, until there is none.
pub(super) fn end_left_over(marks: &[&Path], known: &[Member], deadline: Instant) -> Ended {
    let mut ended: BTreeMap<i32, Member> = BTreeMap::new();
    loop {
        let found = stop_all(marks, known);
        tree::kill_all(None, &found);
        for member in &found {
            ended.insert(member.pid, member.clone());
        }
        if found.is_empty() || Instant::now() > deadline {
            let count = ended.len() - found.len();
            return Ended {
                count,
                alive: found,
            };
        }
        while found.iter().any(Member::is_alive) && Instant::now() <= deadline {
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }
}

/// Finds them all and stops them, until no new one is found: one that is stopped starts no other one, so
/// none that is just being started is missed when those above it are killed.
fn stop_all(marks: &[&Path], known: &[Member]) -> Vec<Member> {
    let mut stopped: Vec<Member> = Vec::new();
    loop {
        let found = look(marks, known);
        let new: Vec<Member> = found
            .into_iter()
            .filter(|one| !stopped.contains(one))
            .collect();
        if new.is_empty() {
            return stopped;
        }
        tree::stop_all(&new);
        stopped.extend(new);
    }
}

/// Those that run now.
fn look(marks: &[&Path], known: &[Member]) -> Vec<Member> {
    let own = std::process::id().cast_signed();
    let all: Vec<(Stat, bool)> = all_processes()
        .into_iter()
        .flatten()
        .filter_map(|process| {
            let process = process.ok().filter(|process| process.pid != own)?;
            let stat = process.stat().ok()?;
            let is_first = is_marked(&process, marks) || is_known(&stat, known);
            Some((stat, is_first))
        })
        .collect();
    let first = all.iter().filter(|(_, is_first)| *is_first);
    let mut ours: BTreeSet<i32> = first.map(|(stat, _)| stat.pid).collect();
    loop {
        let before = ours.len();
        for (stat, _) in &all {
            // The group of a leader that is ours: no other group can have its number.
            if ours.contains(&stat.ppid) || ours.contains(&stat.pgrp) {
                ours.insert(stat.pid);
            }
        }
        if ours.len() == before {
            break;
        }
    }
    let ours = |stat: &Stat| ours.contains(&stat.pid) && stat.state != 'Z';
    let running = all.into_iter().filter(|(stat, _)| ours(stat));
    running.map(|(stat, _)| Member::from(stat)).collect()
}

fn is_marked(process: &Process, marks: &[&Path]) -> bool {
    let mark = tree::value_of(process, STAGE_VARIABLE);
    mark.is_some_and(|mark| marks.iter().any(|one| one.as_os_str() == mark))
}

/// Whether it is one of these, and no later one that has got its number.
fn is_known(stat: &Stat, known: &[Member]) -> bool {
    let is_it = |one: &Member| one.pid == stat.pid && one.start == stat.starttime;
    known.iter().any(is_it)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use super::*;

    const MARK: &str = "/tmp/gymcheck-of-this-test";

    fn deadline() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn sleeping() -> Command {
        let mut command = Command::new("sleep");
        command.arg("600").process_group(0);
        command
    }

    fn member(child: &Child) -> Member {
        Member::of(child.id().cast_signed()).unwrap()
    }

    #[test]
    fn marked_and_known_processes_end_and_no_others() {
        let mark = format!("{MARK}-{}", std::process::id());
        let mut marked = sleeping().env(STAGE_VARIABLE, &mark).spawn().unwrap();
        let mut known = sleeping().spawn().unwrap();
        let mut others = [
            sleeping()
                .env(STAGE_VARIABLE, format!("{mark}x"))
                .spawn()
                .unwrap(),
            sleeping().env("HOME", &mark).spawn().unwrap(),
            // Known by its number only: the one that was known has ended long ago.
            sleeping().spawn().unwrap(),
        ];
        let mut reused = member(&others[2]);
        reused.start -= 1;
        let ended = end_left_over(&[Path::new(&mark)], &[member(&known), reused], deadline());
        assert_eq!(ended.count, 2);
        assert!(ended.alive.is_empty(), "{:?}", ended.alive);
        marked.wait().unwrap();
        known.wait().unwrap();
        for other in &mut others {
            assert_eq!(other.try_wait().unwrap(), None);
            other.kill().unwrap();
            other.wait().unwrap();
        }
    }
}
