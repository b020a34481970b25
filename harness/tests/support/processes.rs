//! The processes of a call.

use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use procfs::process::all_processes;

/// Processes that were started in a folder and run, watchdogs among them.
pub(crate) fn running(folder: &Path) -> Vec<String> {
    let mark = folder.to_string_lossy().into_owned();
    let all = all_processes().expect("processes").flatten();
    let named = all.filter_map(|process| {
        let environment = process.environ().ok()?;
        let mut values = environment.values();
        let is_of_it = values.any(|value| value.to_string_lossy().contains(&mark));
        let runs = process.stat().is_ok_and(|stat| stat.state != 'Z');
        let words = process.cmdline().unwrap_or_default();
        (is_of_it && runs).then(|| format!("{} {}", process.pid, words.join(" ")))
    });
    named.collect()
}

/// Waits until a call has ended, for so long at most, and tells what it said.
pub(crate) fn end_of(call: &mut Child, within: Duration, said: impl Fn() -> String) -> ExitStatus {
    let began = Instant::now();
    let status = loop {
        if let Some(status) = call.try_wait().expect("its status") {
            break status;
        }
        assert!(
            began.elapsed() < within,
            "after {within:?} it goes on: {}",
            said()
        );
        std::thread::sleep(Duration::from_millis(20));
    };
    eprintln!(
        "ended {:.1} s later: {}",
        began.elapsed().as_secs_f64(),
        said()
    );
    status
}

/// Of a call that ran in a folder, neither a process nor a temporary folder is left.
pub(crate) fn assert_nothing_left(folder: &Path) {
    assert_eq!(running(folder), Vec::<String>::new());
    let left: Vec<_> = std::fs::read_dir(folder.join("tmp"))
        .expect("a folder")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
