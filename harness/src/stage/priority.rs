//! Who goes first: a stage whose pages load gives way to those whose games are played.
//!
//! A page that loads takes all that it gets, and finishes later with less. A game that gets too little of the
//! processors is played slowly, and slow play is not what is tested. So what a stage starts is nicer than all else
//! (`man 7 sched`), until its pages have loaded.
//!
//! Whoever may set priorities sets its own: Chromium does, for each of its threads, where it runs as root. What is
//! started here may not, as nothing may that another user than root starts.

use std::io;

use procfs::process::Process;
use rustix::process::{Pid, getpriority_process, setpriority_process};
use rustix::thread::{CapabilitySet, capabilities, remove_capability_from_bounding_set};

use super::own_thread::on_own_thread;
use super::process::STAGE_VARIABLE;
use super::tree;

/// How much nicer: beside one that is not, it gets a sixth of a processor, which is enough where others than
/// gymcheck keep all of them busy.
const STEP: i32 = 7;

/// The nicest value that there is.
const NICEST: i32 = 19;

/// What it takes to make something less nice again, and to see to it that it does not do so by itself
/// (`man 7 capabilities`).
const NEEDED: CapabilitySet = CapabilitySet::SYS_NICE.union(CapabilitySet::SETPCAP);

/// How often is looked for what was started meanwhile by something that had not gone back yet.
const MOST_LOOKS: usize = 5;

/// Whether this program may say who goes first.
#[must_use]
pub fn can_give_way() -> bool {
    capabilities(None).is_ok_and(|own| own.effective.contains(NEEDED))
}

/// The values of what gives way, and of what does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Values {
    giving_way: i32,
    own: i32,
}

impl Values {
    /// None where this program may not say who goes first, or is about as nice as can be.
    fn find() -> Option<Values> {
        let own = getpriority_process(None).ok()?;
        let giving_way = own + STEP;
        (can_give_way() && giving_way <= NICEST).then_some(Values { giving_way, own })
    }
}

/// Starts something that gives way, with all that it starts itself, until [`go_back`]. Where that cannot be, it is
/// started all the same.
///
/// # Errors
/// It cannot be started.
pub(super) fn giving_way<T: Send>(start: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let Some(values) = Values::find() else {
        return start();
    };
    // A process has both from the thread that starts it.
    on_own_thread("giving-way", || {
        if remove_capability_from_bounding_set(CapabilitySet::SYS_NICE).is_ok() {
            let _ = setpriority_process(None, values.giving_way);
        }
        start()
    })
}

/// Lets no process of a stage give way any more.
pub(super) fn go_back(mark: &str) {
    let Some(values) = Values::find() else { return };
    for _ in 0..MOST_LOOKS {
        if threads(mark).filter(|one| went_back(*one, values)).count() == 0 {
            return;
        }
    }
}

/// Takes a thread back, if it gives way.
fn went_back(thread: i32, values: Values) -> bool {
    let thread = Pid::from_raw(thread);
    // A thread may have ended meanwhile.
    getpriority_process(thread).is_ok_and(|now| now == values.giving_way)
        && setpriority_process(thread, values.own).is_ok()
}

/// The threads of all processes of a stage.
fn threads(mark: &str) -> impl Iterator<Item = i32> {
    let marked = tree::marked(STAGE_VARIABLE, mark);
    // What a browser puts into a sandbox carries no mark that can be read: those above it do.
    let below = tree::below(marked.iter().map(|one| one.pid));
    let mut pids: Vec<i32> = below.iter().map(|one| one.pid).collect();
    pids.extend(marked.iter().map(|one| one.pid));
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter().flat_map(|pid| {
        let tasks = Process::new(pid).and_then(|process| process.tasks());
        tasks.into_iter().flatten().flatten().map(|task| task.tid)
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    /// Tries to be as nice as others, and starts a thread when it is told to.
    const PROGRAM: &str = "import os, sys, threading, time\n\
                           try:\n    \
                               os.setpriority(os.PRIO_PROCESS, 0, 0)\n\
                           except OSError:\n    \
                               pass\n\
                           for line in sys.stdin:\n    \
                               threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n    \
                               print('one more', flush=True)\n";

    fn values_of(pid: i32) -> Vec<i32> {
        let tasks = Process::new(pid).and_then(|process| process.tasks());
        let tasks = tasks.expect("it runs").flatten();
        let values = tasks.map(|task| getpriority_process(Pid::from_raw(task.tid)));
        values.map(|value| value.expect("it runs")).collect()
    }

    #[test]
    fn what_gives_way_goes_back_with_all_that_it_has_started() {
        let Some(Values {
            giving_way: nicer,
            own,
        }) = Values::find()
        else {
            return;
        };
        let mark = format!("/a-stage-of-{}", std::process::id());
        let mut command = Command::new("python3");
        command
            .args(["-c", PROGRAM])
            .env(STAGE_VARIABLE, &mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = giving_way(|| command.spawn()).expect("Python");
        let pid = child.id().cast_signed();
        let mut stdin = child.stdin.take().expect("a pipe");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut more = || {
            std::io::Write::write_all(&mut stdin, b"\n").expect("it listens");
            said.next().expect("it answers").expect("a line")
        };
        more();
        let before = values_of(pid);
        go_back("/a-stage-of-another");
        let of_another = values_of(pid);
        go_back(&mark);
        let after = values_of(pid);
        more();
        let later = values_of(pid);
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        assert_eq!(before, [nicer; 2]);
        assert_eq!(of_another, before);
        assert_eq!(after, [own; 2]);
        assert_eq!(later, [own; 3]);
    }
}
