//! Processes and their sockets, as the kernel has them.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getpid};
use procfs::process::{FDTarget, Process, Stat, all_processes};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::process::STAGE_VARIABLE;
use crate::evidence::{FrozenProcess, KernelProcess, UdpSocket};

/// The port of multicast DNS, RFC 6762: a socket on it is no peer connection.
const MULTICAST_DNS: u16 = 5353;

/// A process, told apart from a later one with the same id by its start time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Process id.
    pub pid: i32,
    /// Start time in clock ticks since boot.
    pub start: u64,
    /// Name in the process table.
    pub name: String,
}

impl From<Stat> for Member {
    fn from(stat: Stat) -> Member {
        Member {
            pid: stat.pid,
            start: stat.starttime,
            name: stat.comm,
        }
    }
}

impl Member {
    /// Whether this very process still runs (a zombie does not).
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.running().is_some()
    }

    /// What the process table says of it, if it still runs.
    fn running(&self) -> Option<Stat> {
        stat_of(self.pid).filter(|stat| stat.starttime == self.start && stat.state != 'Z')
    }

    /// The process that has this id now, if one has.
    #[must_use]
    pub fn of(pid: i32) -> Option<Member> {
        stat_of(pid).map(Member::from)
    }

    /// Sends it a signal, unless it has ended.
    fn signal(&self, signal: Signal) {
        if self.is_alive() {
            // It may end between the two calls: that is what is wanted.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

fn stat_of(pid: i32) -> Option<Stat> {
    Process::new(pid).and_then(|process| process.stat()).ok()
}

/// All descendants of a process, parents before their children, without the process itself; also
/// those that have ended and are not buried yet.
#[must_use]
pub fn descendants(root: i32) -> Vec<Member> {
    below([root])
}

/// All descendants of these processes, each once; one of these processes is among them if it descends from another.
#[must_use]
pub fn below(roots: impl IntoIterator<Item = i32>) -> Vec<Member> {
    let mut children: HashMap<i32, Vec<Member>> = HashMap::new();
    for stat in all_processes()
        .into_iter()
        .flatten()
        .filter_map(|process| process.ok()?.stat().ok())
    {
        children
            .entry(stat.ppid)
            .or_default()
            .push(Member::from(stat));
    }
    let mut found = Vec::new();
    let mut next: Vec<i32> = roots.into_iter().collect();
    while let Some(parent) = next.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            next.push(child.pid);
            found.push(child);
        }
    }
    found
}

/// The value of a variable in a process's environment.
pub(super) fn value_of(process: &Process, variable: &str) -> Option<OsString> {
    process.environ().ok()?.remove(OsStr::new(variable))
}

/// Whether a process is of a stage, by its own mark or by that of one above it: what a browser puts into a sandbox
/// lets nobody read it.
#[must_use]
pub fn is_of_a_stage(pid: i32) -> bool {
    let parent =
        |pid: &i32| Some(Process::new(*pid).ok()?.stat().ok()?.ppid).filter(|ppid| *ppid > 1);
    let is_marked =
        |pid| Process::new(pid).is_ok_and(|process| value_of(&process, STAGE_VARIABLE).is_some());
    std::iter::successors(Some(pid), parent).any(is_marked)
}

/// Processes whose environment has this variable with this value: those that left their tree.
#[must_use]
pub fn marked(variable: &str, value: &str) -> Vec<Member> {
    all_processes()
        .into_iter()
        .flatten()
        .flatten()
        .filter(|process| value_of(process, variable).is_some_and(|found| found == value))
        .filter_map(|process| {
            let stat = process.stat().ok()?;
            (stat.state != 'Z').then(|| Member::from(stat))
        })
        .collect()
}

/// Sends SIGKILL to a process group and to each of these processes.
pub fn kill_all(group: Option<i32>, members: &[Member]) {
    if let Some(group) = group {
        // It may be empty already.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    for member in members {
        member.signal(Signal::SIGKILL);
    }
}

/// These processes that run, each with its state: `T` where a signal has stopped it.
#[must_use]
pub fn states(members: &[Member]) -> Vec<FrozenProcess> {
    let running = members.iter().filter_map(Member::running);
    let states = running.map(|stat| FrozenProcess {
        pid: stat.pid,
        name: stat.comm,
        state: stat.state,
    });
    states.collect()
}

/// Sends SIGSTOP to each of these processes.
pub fn stop_all(members: &[Member]) {
    for member in members {
        member.signal(Signal::SIGSTOP);
    }
}

/// Makes this process the one to which orphans below it fall, so that it can bury them: not every
/// machine's first process does.
///
/// # Errors
/// The kernel does not know how.
pub fn adopt_orphans() -> std::io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Takes those of these processes out of the process table that have ended and are nobody's but
/// ours. Gives the number of those that are still there, ended or not.
pub fn bury(members: &[Member]) -> usize {
    let own = getpid().as_raw();
    let mut left = 0;
    for member in members {
        let Ok(stat) = Process::new(member.pid).and_then(|process| process.stat()) else {
            continue;
        };
        if stat.starttime != member.start {
            continue;
        }
        left += 1;
        if stat.state == 'Z' && stat.ppid == own {
            // Another thread may have been faster.
            let _ = waitpid(Pid::from_raw(member.pid), Some(WaitPidFlag::WNOHANG));
        }
    }
    left
}

/// Waits until the process table has none of these processes any more. Gives back those that
/// still run.
pub async fn gone(members: &[Member], deadline: Duration) -> Vec<Member> {
    let end = Instant::now() + deadline;
    loop {
        let alive: Vec<Member> = members
            .iter()
            .filter(|one| one.is_alive())
            .cloned()
            .collect();
        let left = bury(members);
        // What has ended below a parent that goes on is that parent's to bury.
        let nobody_waits = alive.is_empty() && !members.iter().any(|one| falls_to_us(one, members));
        if left == 0 || nobody_waits || Instant::now() >= end {
            return alive;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The same for where nothing can be awaited: blocks until the process table has none of these
/// processes any more.
pub fn gone_blocking(members: &[Member], deadline: Duration) {
    let end = std::time::Instant::now() + deadline;
    loop {
        let left = bury(members);
        let waited_for = members
            .iter()
            .any(|one| one.is_alive() || falls_to_us(one, members));
        if left == 0 || !waited_for || std::time::Instant::now() >= end {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether an ended process is ours to bury, or will be as soon as its parent, one of these, has
/// ended as well.
fn falls_to_us(member: &Member, members: &[Member]) -> bool {
    Process::new(member.pid)
        .and_then(|process| process.stat())
        .is_ok_and(|stat| {
            stat.starttime == member.start
                && (stat.ppid == getpid().as_raw()
                    || members.iter().any(|other| other.pid == stat.ppid))
        })
}

/// The UDP sockets that these processes hold, each once.
#[must_use]
pub fn udp_sockets(members: &[Member]) -> Vec<UdpSocket> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for member in members {
        let Ok(process) = Process::new(member.pid) else {
            continue;
        };
        let inodes: HashSet<u64> = process
            .fd()
            .into_iter()
            .flatten()
            .filter_map(|fd| match fd.ok()?.target {
                FDTarget::Socket(inode) => Some(inode),
                _ => None,
            })
            .collect();
        if inodes.is_empty() {
            continue;
        }
        // The tables of the process's own network namespace.
        let entries = process
            .udp()
            .into_iter()
            .flatten()
            .chain(process.udp6().into_iter().flatten());
        for entry in entries {
            if inodes.contains(&entry.inode) && seen.insert(entry.inode) {
                found.push(UdpSocket {
                    pid: member.pid,
                    inode: entry.inode,
                    local: entry.local_address.to_string(),
                    multicast_dns: entry.local_address.port() == MULTICAST_DNS,
                });
            }
        }
    }
    found
}

/// The processes, as evidence.
#[must_use]
pub fn as_evidence(members: &[Member]) -> Vec<KernelProcess> {
    members
        .iter()
        .map(|member| KernelProcess {
            pid: member.pid,
            name: member.name.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::UdpSocket as Bound;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    #[test]
    fn what_lets_nobody_read_its_mark_is_known_by_what_is_above_it() {
        let script = "import os, subprocess, sys\n\
                      own = {name: value for name, value in os.environ.items() if name != sys.argv[1]}\n\
                      child = subprocess.Popen(['tail', '-f', '/dev/null'], env=own)\n\
                      print(child.pid, flush=True)\n\
                      sys.stdin.read()\n\
                      child.kill()\n\
                      child.wait()";
        let child_of = |mark: &str| {
            let mut above = Command::new("python3")
                .args(["-c", script, STAGE_VARIABLE])
                .env(mark, "/tmp/a-stage")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("Python");
            let mut said = String::new();
            let told = above.stdout.take().expect("its output");
            BufReader::new(told).read_line(&mut said).expect("a line");
            let is_of_a_stage = is_of_a_stage(said.trim().parse().expect("a number"));
            drop(above.stdin.take());
            assert!(above.wait().expect("it ends").success());
            is_of_a_stage
        };
        assert!(child_of(STAGE_VARIABLE));
        assert!(!child_of("SOMETHING_ELSE"));
    }

    #[test]
    fn a_tree_is_found_and_ends_whole() {
        let shell = shell_with_sleepers(2);
        let tree = sleepers_below(&shell, 2);
        end(shell, &tree);
    }

    /// A shell in a group of its own, with so many below it that sleep.
    fn shell_with_sleepers(count: usize) -> Child {
        Command::new("sh")
            .args(["-c", &("sleep 600 & ".repeat(count) + "wait")])
            .process_group(0)
            .spawn()
            .expect("a shell")
    }

    /// All below a shell, once so many sleep.
    fn sleepers_below(shell: &Child, count: usize) -> Vec<Member> {
        loop {
            let tree = descendants(shell.id().cast_signed());
            if tree.iter().filter(|one| one.name == "sleep").count() == count {
                return tree;
            }
            std::thread::yield_now();
        }
    }

    fn end(mut shell: Child, tree: &[Member]) {
        kill_all(Some(shell.id().cast_signed()), tree);
        shell.wait().expect("it ends");
        while tree.iter().any(Member::is_alive) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_tree_that_is_stopped_is_seen_to_be_and_can_be_killed_all_the_same() {
        let shell = shell_with_sleepers(1);
        let mut tree = sleepers_below(&shell, 1);
        tree.extend(Member::of(shell.id().cast_signed()));
        let seen = |state: char| {
            states(&tree)
                .iter()
                .filter(|one| one.state == state)
                .count()
        };
        assert_eq!((tree.len(), seen('T')), (2, 0));
        stop_all(&tree);
        while seen('T') < 2 {
            std::thread::yield_now();
        }
        assert!(tree.iter().all(Member::is_alive));
        end(shell, &tree);
        assert!(states(&tree).is_empty());
    }

    #[test]
    fn a_process_that_has_ended_and_is_not_buried_yet_runs_no_more() {
        let mut child = Command::new("true").spawn().expect("it starts");
        let member = Member::of(child.id().cast_signed()).expect("it is there");
        while stat_of(member.pid).expect("nobody has buried it").state != 'Z' {
            std::thread::yield_now();
        }
        assert!(!member.is_alive());
        assert!(states(std::slice::from_ref(&member)).is_empty());
        child.wait().expect("it has ended");
    }

    #[test]
    fn a_udp_socket_is_seen_and_seen_to_close() {
        let own = Member {
            pid: std::process::id() as i32,
            start: 0,
            name: String::new(),
        };
        let count = |port: u16| {
            udp_sockets(std::slice::from_ref(&own))
                .iter()
                .filter(|socket| socket.local.ends_with(&format!(":{port}")))
                .count()
        };
        let socket = Bound::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("an address").port();
        assert_eq!(count(port), 1);
        drop(socket);
        assert_eq!(count(port), 0);
    }
}
