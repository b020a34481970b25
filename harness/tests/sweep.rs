//! `gymcheck sweep` as a user calls it, without a browser: mistakes, and what a sweep's results show.

use std::path::Path;
use std::process::{Command, Output};

use gymcheck::report::{Results, write_reports};
use gymcheck::run::find_root;
use gymcheck::run::sweep::{Scene, SweepRecord, Track, spec_text, undisturbed_text, windows};
use gymcheck::spec::{Catalogue, WayToLeave};
use serde_json::json;

fn sweep(arguments: &[&str]) -> Output {
    // Where a mistake would be told too late, results would be in this folder.
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gymcheck"));
    command
        .arg("sweep")
        .args(arguments)
        .current_dir(folder.path());
    command
        .env("GYMCHECK_ROOT", find_root())
        .env("NO_COLOR", "1");
    let output = command.output().expect("gymcheck runs");
    let made = std::fs::read_dir(folder.path())
        .expect("the folder")
        .count();
    assert_eq!(made, 0, "{arguments:?} has left something");
    output
}

#[track_caller]
fn is_mistake(arguments: &[&str], says: &str) {
    let output = sweep(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(says), "expected `{says}`: {said}");
}

#[test]
fn a_mistake_in_the_call_is_told_before_anything_is_started() {
    is_mistake(&["--roles", "behnd"], "did you mean `behind`?");
    is_mistake(&["--leave", "kil"], "did you mean `kill`?");
    is_mistake(&["--budget", "soon"], "expected a time as 90s, 30m or 2h");
    is_mistake(&["--pairs", "chrome"], "is no pair of browsers");
    is_mistake(&["--repair", "no-such"], "no repair `no-such`");
    is_mistake(
        &["--target", "http://localhost:1"],
        "a sweep plays a server that it starts itself",
    );
    is_mistake(
        &["--target", ".", "--experiment", "python study.py {port}"],
        "starts its own server: name no target beside it",
    );
}

#[test]
fn what_is_no_sweep_cannot_be_continued() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("nowhere");
    let out = out.to_str().expect("a path");
    is_mistake(&["--continue", "--out", out], "there is no sweep in");
    let mut results = Results::new(Vec::new());
    results.unfinished = true;
    write_reports(&results, folder.path()).expect("reports");
    let out = folder.path().to_str().expect("a path");
    is_mistake(&["--continue", "--out", out], "there is no sweep in");
}

/// A sweep of a session with one window between two phases.
fn record() -> SweepRecord {
    let phase = |event: &str, at: f64| json!({ "game": 1, "event": event, "at_ms": at });
    let sample = |offset: f64, verdict: &str| {
        let passed = [
            ("game-started", 4000.0),
            ("last-episode-ended", 6000.0),
            ("scene-activated", 9000.0),
        ];
        let passed: Vec<_> = passed
            .iter()
            .filter(|(_, at)| *at <= offset)
            .map(|(event, at)| json!({ "game": 1, "event": event, "before_ms": offset - at }))
            .collect();
        json!({
            "wanted": { "game": 1, "after": "game-started", "offset_ms": offset - 4000.0 },
            "passed": passed,
            "verdicts": { "sound-after-departure": verdict },
            "accounts": { "sound-after-departure": "DOM history: <script>alert(1)</script>" },
            "spec": format!("sweep/at-{offset}"),
            "repetition": 1,
        })
    };
    let verdict = |at: f64| match (6000.0..9000.0).contains(&at) {
        true => "fail",
        false => "pass",
    };
    let times = [
        5960.0, 5970.0, 5975.0, 5980.0, 5990.0, 6010.0, 6020.0, 6030.0, 6040.0, 6050.0,
    ];
    let times = times.into_iter().chain([7500.0, 8990.0, 9010.0]);
    serde_json::from_value(json!({
        "instants": 16,
        "tracks": [{
            "how": "kill", "role": "behind", "pair": "chrome+chrome", "run_seconds": 40.0,
            "session": {
                "phases": [
                    phase("game-started", 4000.0), phase("last-episode-ended", 6000.0),
                    phase("scene-activated", 9000.0),
                ],
                "end_ms": 11_000.0,
            },
            "samples": times.map(|at| sample(at, verdict(at))).collect::<Vec<_>>(),
        }],
    }))
    .expect("a record")
}

#[test]
fn a_window_is_told_with_what_was_measured_on_either_side() {
    let record = record();
    let found = windows(&record.tracks[0], "sound-after-departure");
    assert_eq!(found.len(), 1);
    let from = found[0].from.as_ref().expect("an edge");
    assert!(from.is_settled());
    assert_eq!(
        from.to_string(),
        "passes 1960 to 1990 ms after game-started of game 1 (5 runs), \
         fails 10 to 50 ms after last-episode-ended of game 1 (5 runs)"
    );
    let to = found[0].to.as_ref().expect("an edge");
    assert!(!to.is_settled(), "one run is not enough: {to}");
}

#[test]
fn the_report_has_a_chart_and_escapes_what_it_shows() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut record = record();
    let found = windows(&record.tracks[0], "sound-after-departure");
    record.tracks[0].windows = found;
    record.unfinished = Some("its budget was used up".into());
    let mut results = Results::new(Vec::new());
    results.sweep = Some(record);
    write_reports(&results, folder.path()).expect("reports");
    let page = std::fs::read_to_string(folder.path().join("report.html")).expect("the report");
    let circles = page.matches("<circle").count();
    assert_eq!(circles, 13, "one for each run");
    assert_eq!(page.matches("class=\"window\"").count(), 1);
    for text in ["last-episode-ended", "its budget was used up", "--continue"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("<script>alert(1)"));
}

/// Every spec that a sweep writes is one that anybody can run.
#[test]
fn the_specs_of_instants_can_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| write_spec(folder.path(), name, text);
    let mut written = 0;
    for how in WayToLeave::ALL {
        for role in gymcheck::run::sweep::Role::ALL {
            let track = Track::new(how, role, "chrome+firefox".parse().expect("a pair"));
            let scene = Scene {
                track: &track,
                games: 2,
                among_pairs: false,
            };
            let session = record().tracks.remove(0).session.expect("a session");
            for (number, point) in session.evenly(8).iter().enumerate() {
                write(&format!("{how}-{role}-{number}"), &spec_text(scene, point));
                written += 1;
            }
            write(&format!("{how}-{role}"), &undisturbed_text(scene));
            written += 1;
        }
    }
    let read = Catalogue::read_with(&find_root(), Some(folder.path())).expect("no mistake");
    assert_eq!(read.own.expect("a folder").specs.len(), written);
}

fn write_spec(folder: &Path, name: &str, text: &str) {
    let file = folder.join("sweep").join(format!("{name}.toml"));
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(file, text).expect("a file");
}
