//! How many runs a machine can carry out at once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use procfs::process::{Stat, all_processes};
use rustix::process::getpriority_process;

use crate::provision::{free_memory, processors};
use crate::stage::{can_give_way, is_of_a_stage};

/// The memory that one run takes: a server, two browsers with Python in each of them.
const BYTES: u64 = 2 << 30;

/// So many runs are begun besides those that go on: each waits for its turn, which comes when another one ends,
/// or waits for a time-out of the target's itself.
pub const IN_LINE: usize = 2;

/// For how long is looked at what else the machine has to do.
const LOOK: Duration = Duration::from_millis(300);

/// The scheduling policy SCHED_IDLE, by its number (`man 7 sched`).
const IDLE: u32 = 5;

/// As many runs at once as the processors and the free memory allow, one at least: a machine that is
/// too busy plays slowly, and slow play is not what is tested.
#[must_use]
pub fn default_jobs() -> u8 {
    jobs_for(processors(), can_give_way(), free_memory())
}

/// How many runs so many processors can carry out at once. Each keeps less than one of them busy on average, and two
/// while its pages load: if those that load give way to those that play, there can be more of them.
pub(super) fn runs(processors: usize, give_way: bool) -> usize {
    processors * if give_way { 2 } else { 1 }
}

/// Of how many runs so many processors can load the pages at once: two of them are kept busy by it.
pub(super) fn loads(processors: usize) -> usize {
    (processors / 2).max(1)
}

fn jobs_for(cores: usize, give_way: bool, free: Option<u64>) -> u8 {
    let by_cores = runs(cores, give_way);
    let by_memory = free.map_or(usize::MAX, |free| {
        usize::try_from(free / BYTES).unwrap_or(1)
    });
    u8::try_from(by_cores.min(by_memory).max(1)).unwrap_or(u8::MAX)
}

/// How many processors are kept busy now by what is no run of gymcheck, without what gives way to this one
/// (`nice`, SCHED_IDLE). Takes a moment.
pub(super) async fn busy_besides_runs() -> f64 {
    let (before, began) = (worked(), Instant::now());
    tokio::time::sleep(LOOK).await;
    let ticks: u64 = besides(&before, worked()).map(|(_, ticks)| ticks).sum();
    ticks as f64 / procfs::ticks_per_second() as f64 / began.elapsed().as_secs_f64()
}

/// How long each process that is of no run has worked between two looks.
fn besides(before: &HashMap<i32, u64>, now: HashMap<i32, u64>) -> impl Iterator<Item = (i32, u64)> {
    let since = now.into_iter().map(|(pid, now)| {
        let before = before.get(&pid).copied().unwrap_or(now);
        (pid, now.saturating_sub(before))
    });
    since.filter(|(pid, ticks)| *ticks > 0 && !is_of_a_stage(*pid))
}

/// How long each process has worked so far, in the system's ticks.
fn worked() -> HashMap<i32, u64> {
    let processes = all_processes().into_iter().flatten().flatten();
    let stats = processes.filter_map(|process| process.stat().ok());
    let own = own_nice();
    let gives_way = |stat: &Stat| stat.nice > own || stat.policy == Some(IDLE);
    let stats = stats.filter(|stat| !gives_way(stat));
    stats
        .map(|stat| (stat.pid, stat.utime + stat.stime))
        .collect()
}

/// How nice this program is itself: who gives way to all others may be started in that way as a whole.
fn own_nice() -> i64 {
    getpriority_process(None).map_or(0, i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::STAGE_VARIABLE;

    #[test]
    fn the_scarcer_of_cores_and_memory_decides() {
        assert_eq!(jobs_for(1, false, None), 1);
        assert_eq!(jobs_for(2, false, Some(24 << 30)), 2);
        assert_eq!(jobs_for(2, true, Some(24 << 30)), 4);
        assert_eq!(jobs_for(16, false, Some(64 << 30)), 16);
        assert_eq!(jobs_for(16, true, Some(5 << 30)), 2);
        assert_eq!(jobs_for(16, true, Some(1 << 30)), 1);
    }

    /// Nobody can be nicer.
    const NICEST: i64 = 19;

    /// A process that does nothing but work.
    fn neighbour() -> std::process::Command {
        let mut neighbour = std::process::Command::new("python3");
        neighbour.args(["-c", "while True: pass"]);
        neighbour
    }

    /// How much of what a process works is counted, in ticks: until some is, or for so many looks.
    async fn counted(mut neighbour: std::process::Command, looks: usize) -> u64 {
        let mut child = neighbour.spawn().expect("Python");
        let pid = child.id().cast_signed();
        let mut counted = 0;
        for _ in 0..looks {
            let before = worked();
            tokio::time::sleep(LOOK).await;
            counted = besides(&before, worked())
                .filter(|(counted, _)| *counted == pid)
                .map(|(_, ticks)| ticks)
                .sum();
            if counted > 0 {
                break;
            }
        }
        child.kill().expect("it was there");
        child.wait().expect("it ends");
        counted
    }

    #[tokio::test]
    async fn a_busy_neighbour_is_seen_and_a_run_or_what_gives_way_is_none() {
        assert!(counted(neighbour(), 100).await > 0);
        let mut of_a_run = neighbour();
        of_a_run.env(STAGE_VARIABLE, "/tmp/a-stage");
        assert_eq!(counted(of_a_run, 3).await, 0);
        if own_nice() == NICEST {
            return;
        }
        let mut nice = std::process::Command::new("nice");
        nice.args(["python3", "-c", "while True: pass"]);
        assert_eq!(counted(nice, 3).await, 0);
    }
}
