//! What people see of a sweep in the terminal.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::account::one_line;
use super::results::Results;
use super::terminal::Loudness;
use crate::run::sweep::{SweepRecord, Track, Window};
use crate::verdict::Verdict;

/// Prints the windows of failure that a sweep found, with their edges.
pub fn print_sweep(results: &Results, out: &Path, loudness: Loudness) {
    let mut text = String::new();
    if let Some(sweep) = &results.sweep {
        text = words(sweep, out, loudness);
    }
    for run in &results.runs {
        if let Some(broken) = &run.broken {
            let what = one_line(&broken.reason);
            let _ = writeln!(text, "broken: {} ({}): {what}", run.spec, run.pair);
        }
    }
    // A terminal that is gone reads nothing more.
    let _ = anstream::stdout().write_all(text.as_bytes());
}

fn words(sweep: &SweepRecord, out: &Path, loudness: Loudness) -> String {
    let mut text = String::new();
    for track in &sweep.tracks {
        let is_calm = track.windows.is_empty() && track.session.is_some();
        if !(is_calm && loudness == Loudness::Quiet) {
            of_track(track, out, &mut text);
        }
    }
    if let Some(why) = &sweep.unfinished {
        let _ = writeln!(
            text,
            "not finished: {why}; `gymcheck sweep --continue --out {}` goes on",
            out.display()
        );
    }
    text
}

fn of_track(track: &Track, out: &Path, text: &mut String) {
    let count = |verdict: Verdict| {
        let samples = track.samples.iter();
        samples.filter(|one| one.verdict() == verdict).count()
    };
    let length = track
        .session
        .as_ref()
        .map_or(0.0, |one| one.end_ms / 1000.0);
    let _ = writeln!(
        text,
        "{track}: {} runs over a session of {length:.1} s; {} pass, {} fail, {} decide nothing",
        track.samples.len(),
        count(Verdict::Pass),
        count(Verdict::Fail),
        track.samples.len() - count(Verdict::Pass) - count(Verdict::Fail)
    );
    if track.windows.is_empty() {
        let _ = writeln!(text, "  no window of failure");
    }
    for window in &track.windows {
        of_window(window, out, text);
    }
}

fn of_window(window: &Window, out: &Path, text: &mut String) {
    let place = match window.is_chance() {
        true => "by chance, where other runs pass".to_owned(),
        false => format!("in a window of {:.0} ms", window.width_ms),
    };
    let _ = writeln!(
        text,
        "  {} fails {place}, {} runs: {}",
        window.check,
        window.runs,
        one_line(&window.account)
    );
    let edges = [
        ("begins", &window.from, "with the first instant"),
        ("ends", &window.to, "with the last instant"),
    ];
    for (what, edge, otherwise) in edges {
        let _ = match edge {
            Some(edge) => writeln!(text, "    {what}: {edge}"),
            None => writeln!(text, "    {what}: {otherwise}"),
        };
    }
    if let Some(pinned) = &window.pinned {
        let _ = writeln!(text, "    pinned by {}", out.join(pinned).display());
    }
}
