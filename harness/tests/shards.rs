//! One report of several shards, as the command makes it.

use std::path::PathBuf;

use gymcheck::evidence::Log;
use gymcheck::report::{Results, defects, read_results, write_reports};
use gymcheck::run::{ShardRecord, find_root, record};
use gymcheck::spec::Catalogue;
use gymcheck::target::{PINNED_RELEASE, TargetFacts};
use serde_json::{Value, json};

#[path = "support/files.rs"]
mod files;

#[path = "support/reporting.rs"]
mod reporting;

use files::copy;
use reporting::{End, report};

/// Recorded runs, by the names of their logs.
const RUNS: [&str; 3] = ["good", "in-game", "late-end-not-guarded"];

const PAIRS: [&str; 3] = ["chrome+chrome", "firefox+firefox", "chrome+firefox"];

/// What the run of a shard is called in the plan of the call.
fn planned(number: usize) -> String {
    format!("{} {}", RUNS[number - 1], PAIRS[number - 1])
}

/// The folders of shards, each with one recorded run.
struct Call {
    folder: tempfile::TempDir,
}

impl Call {
    fn new() -> Call {
        let call = Call {
            folder: tempfile::tempdir().expect("a folder"),
        };
        for number in 1..=RUNS.len() {
            call.lay_down(number, |_| {});
        }
        call
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The results of a shard, as `gymcheck run --shard` leaves them.
    fn lay_down(&self, number: usize, change: impl Fn(&mut Results)) {
        let name = RUNS[number - 1];
        let out = self.path(&format!("shard-{number}"));
        let folder = format!("runs/{name}/{}", PAIRS[number - 1]);
        std::fs::create_dir_all(out.join(&folder)).expect("a folder");
        let recorded = find_root().join(format!("fixtures/evidence/{name}.jsonl"));
        let evidence = out.join(&folder).join("evidence.jsonl");
        std::fs::copy(&recorded, evidence).expect("evidence");

        let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
        let log = Log::read(&recorded).expect("a recorded log");
        let spec = catalogue
            .spec(&log.run().expect("a run").spec)
            .expect("its spec");
        let mut results = Results::new(vec![TargetFacts::from(&PINNED_RELEASE)]);
        let mut run = record(spec, &log, &[], folder.into());
        // As if it were of the target itself, and nobody expected anything else of it.
        run.mutant = None;
        run.pair = PAIRS[number - 1].into();
        run.expected = run.verdict;
        for check in &mut run.checks {
            check.expected = check.verdict;
        }
        results.runs.push(run);
        results.shard = Some(ShardRecord {
            number,
            plan: [1, 2, 3].map(|number| vec![planned(number)]).to_vec(),
        });
        results.defects = defects(&results.runs, &results.targets);
        results.explain(&catalogue);
        change(&mut results);
        write_reports(&results, &out).expect("written");
    }

    fn report(&self, shards: &[&str], options: &[&str]) -> End {
        report(self.folder.path(), shards.iter().chain(options))
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }
}

fn verdicts(results: &Results) -> Vec<(String, String)> {
    let runs = results.runs.iter();
    runs.map(|run| (run.spec.clone(), run.verdict.to_string()))
        .collect()
}

const ALL: [&str; 3] = ["shard-1", "shard-2", "shard-3"];

#[test]
fn shards_are_put_together_to_one_report() {
    let call = Call::new();
    let end = call.report(&ALL, &["--out", "all"]);
    assert_eq!(end.status, Some(0), "{}", end.said);
    let merged = read_results(&call.path("all")).expect("results");
    let apart: Vec<_> = ALL
        .iter()
        .flat_map(|shard| verdicts(&read_results(&call.path(shard)).expect("results")))
        .collect();
    assert_eq!(verdicts(&merged), apart);
    assert!(merged.shard.is_none() && merged.missing_shards.is_empty());
    for run in &merged.runs {
        assert!(
            call.path("all")
                .join(&run.folder)
                .join("evidence.jsonl")
                .is_file()
        );
    }
    for file in ["report.html", "junit.xml", "summary.md"] {
        assert!(call.path("all").join(file).is_file(), "{file}");
    }
    // The order of the call is no matter, and what is there is written anew.
    let again = call.report(&["shard-3", "shard-1", "shard-2"], &["--out", "all"]);
    assert_eq!(again.status, Some(0), "{}", again.said);
    let again = read_results(&call.path("all")).expect("results");
    assert_eq!(verdicts(&again), apart);
}

#[test]
fn a_missing_shard_is_told_everywhere_and_is_no_pass() {
    let call = Call::new();
    std::fs::remove_dir_all(call.path("shard-2")).expect("it goes");
    for shards in [&["shard-1", "shard-3"][..], &ALL] {
        let end = call.report(shards, &["--out", "all"]);
        assert_eq!(end.status, Some(3), "{}", end.said);
        let missing = planned(2);
        assert!(end.said.contains("shard 2/3"), "{}", end.said);
        assert!(end.said.contains(&missing), "{}", end.said);
        for file in ["results.json", "report.html", "junit.xml", "summary.md"] {
            let text = call.read(&format!("all/{file}"));
            assert!(text.contains(&missing), "{file}");
        }
        let results: Value = serde_json::from_str(&call.read("all/results.json")).expect("JSON");
        let shards = json!([{ "number": 2, "of": 3, "runs": [missing] }]);
        assert_eq!(results["missing_shards"], shards);
    }
    // Nor is it forgotten when all is judged again.
    let judged = call.report(&["all"], &["--judge"]);
    assert!(judged.said.contains("shard 2/3"), "{}", judged.said);
    assert_ne!(judged.status, Some(0), "{}", judged.said);
    // One alone is not taken for all, either, when it is said that it is one of several.
    let alone = call.report(&["shard-1"], &["--out", "one"]);
    assert_eq!(alone.status, Some(3), "{}", alone.said);
    assert!(alone.said.contains("shard 3/3"), "{}", alone.said);
}

#[test]
fn a_shard_that_lacks_a_run_of_its_plan_is_no_pass() {
    let call = Call::new();
    call.lay_down(2, |results| results.runs.clear());
    let end = call.report(&ALL, &["--out", "all"]);
    assert_eq!(end.status, Some(3), "{}", end.said);
    assert!(end.said.contains("shard 2/3"), "{}", end.said);
    for file in ["results.json", "report.html", "junit.xml", "summary.md"] {
        let text = call.read(&format!("all/{file}"));
        assert!(text.contains(&planned(2)), "{file}");
    }
    let results: Value = serde_json::from_str(&call.read("all/results.json")).expect("JSON");
    let shards = json!([{ "number": 2, "of": 3, "runs": [planned(2)] }]);
    assert_eq!(results["missing_shards"], shards);
}

#[test]
fn a_shard_that_is_not_as_expected_or_was_broken_off_decides() {
    use gymcheck::verdict::Verdict;
    let call = Call::new();
    call.lay_down(2, |results| results.unfinished = true);
    assert_eq!(call.report(&ALL, &["--out", "all"]).status, Some(3));
    call.lay_down(3, |results| results.runs[0].expected = Verdict::Vacuous);
    assert_eq!(call.report(&ALL, &["--out", "all"]).status, Some(1));
}

#[test]
fn what_is_not_of_one_call_is_a_mistake() {
    let call = Call::new();
    let mistake = |shards: &[&str], options: &[&str], words: &[&str]| {
        let end = call.report(shards, options);
        assert_eq!(end.status, Some(2), "{}", end.said);
        for word in words {
            assert!(end.said.contains(word), "{word}: {}", end.said);
        }
    };
    copy(&call.path("shard-1"), &call.path("again"));
    let twice = ["shard 1/3 is there twice", "shard-1", "again"];
    mistake(&["shard-1", "again"], &["--out", "all"], &twice);
    mistake(&ALL, &["--out", "shard-2"], &["shard-2", "own folder"]);
    mistake(
        &["no", "nowhere"],
        &["--out", "all"],
        &["none of these folders"],
    );
    mistake(&ALL, &["--judge"], &["--judge"]);
    call.lay_down(2, |results| results.shard = None);
    mistake(&ALL, &["--out", "all"], &["shard-2", "whole call"]);
    call.lay_down(2, |results| {
        results.targets[0].version = Some("0.0.1".into())
    });
    mistake(&ALL, &["--out", "all"], &["shard-1", "shard-2", "targets"]);
    call.lay_down(2, |results| {
        let shard = results.shard.as_mut().expect("a shard");
        shard.plan[0][0].push('!');
    });
    mistake(&ALL, &["--out", "all"], &["runs differ"]);
    // None of it has cost the shards anything.
    for shard in ALL {
        assert!(call.path(shard).join("results.json").is_file());
    }
    assert!(!call.path("all").exists());
}
