//! The processes of a call.

use std::path::Path;

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
