//! The reports of a folder whose runs are judged again, as the command makes them: what cannot be judged is
//! broken, and nothing is lost that only `results.json` tells.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use gymcheck::evidence::BrokenFact;
use gymcheck::report::{Results, judge_again, read_results, write_reports};
use gymcheck::run::{Fate, RunRecord, equivalents, fate_of, find_root};
use gymcheck::spec::Catalogue;
use gymcheck::verdict::Verdict;
use serde_json::json;

#[path = "support/reporting.rs"]
mod reporting;

use reporting::{End, report};

const SURVEY: &str = "scene-exit/partner-dies-on-survey";
const IN_GAME: &str = "mid-game/partner-dies-in-game";

/// The runs of the call: which spec they play, with which browsers and changes, and the recorded log.
const RUNS: [(&str, &str, &str); 2] = [
    (SURVEY, "chrome+chrome", "good"),
    (IN_GAME, "chrome+chrome", "in-game"),
];

/// The folder that a call has written into.
struct Call {
    folder: tempfile::TempDir,
}

impl Call {
    /// A call that asked for these specs alone.
    fn new() -> Call {
        let call = Call {
            folder: tempfile::tempdir().expect("a folder"),
        };
        let mut results = Results::new(Vec::new());
        for (spec, played, log) in RUNS {
            let (records, target) = call.lay_down(spec, played, log);
            results.targets = target;
            results
                .runs
                .extend(records.into_iter().filter(|run| run.spec == spec));
        }
        write_reports(&results, call.folder.path()).expect("written");
        call
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A run's folder, below that of the call.
    fn lay_down(
        &self,
        spec: &str,
        played: &str,
        log: &str,
    ) -> (Vec<RunRecord>, Vec<gymcheck::target::TargetFacts>) {
        let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
        let folder = Path::new("runs").join(spec).join(played);
        let evidence = self.folder.path().join(&folder).join("evidence.jsonl");
        std::fs::create_dir_all(self.folder.path().join(&folder)).expect("a folder");
        let recorded = find_root().join(format!("fixtures/evidence/{log}.jsonl"));
        std::fs::copy(recorded, &evidence).expect("evidence");
        let judged = judge_again(&catalogue, &evidence).expect("a recorded log");
        let records = judged.records.into_iter().map(|run| RunRecord {
            folder: folder.clone(),
            ..run
        });
        (records.collect(), judged.target.into_iter().collect())
    }

    fn evidence(&self, spec: &str, played: &str) -> PathBuf {
        self.path(&format!("runs/{spec}/{played}/evidence.jsonl"))
    }

    /// `gymcheck report` of the folder.
    fn report(&self, options: &[&str]) -> End {
        let path = self.folder.path();
        let options = options.iter().map(OsStr::new);
        report(path, [path.as_os_str()].into_iter().chain(options))
    }

    fn results(&self) -> Results {
        read_results(self.folder.path()).expect("results")
    }

    /// Of each run its spec and its verdict.
    fn verdicts(&self) -> Vec<(String, Verdict)> {
        let runs = self.results().runs.into_iter();
        runs.map(|run| (run.spec, run.verdict)).collect()
    }

    /// That one run is broken for this reason, wherever somebody may look.
    fn assert_broken(&self, end: &End, spec: &str, why: &str) {
        assert_eq!(end.status, Some(3), "{}", end.said);
        assert!(end.said.contains(why), "{why}: {}", end.said);
        let broken = (spec.to_owned(), Verdict::Broken);
        assert!(self.verdicts().contains(&broken), "{:?}", self.verdicts());
        for file in ["junit.xml", "summary.md", "report.html"] {
            let text = std::fs::read_to_string(self.path(file)).expect("a report");
            assert!(text.contains(why), "{file}: {why}");
            assert!(!text.contains("Every verdict is as expected"), "{file}");
        }
        let path = self.folder.path().display().to_string();
        let text = std::fs::read_to_string(self.path("results.json")).expect("results");
        assert!(!text.contains(&path), "results.json names {path}");
    }
}

#[test]
fn a_log_without_a_header_is_a_broken_run() {
    let call = Call::new();
    std::fs::write(call.evidence(IN_GAME, "chrome+chrome"), "").expect("written");
    let end = call.report(&["--judge"]);
    call.assert_broken(&end, IN_GAME, "its first line is no header");
    // What it was, the results of the call have told.
    let broken = call.results().runs.into_iter();
    let broken = broken.filter(|run| run.verdict == Verdict::Broken);
    let broken: Vec<RunRecord> = broken.collect();
    assert_eq!(broken.len(), 1);
    assert!(!broken[0].checks.is_empty());
    assert_eq!(broken[0].target, "mug@0.1.3");

    // Where there are none, its folder has a name.
    std::fs::remove_file(call.path("results.json")).expect("it goes");
    let end = call.report(&[]);
    call.assert_broken(&end, IN_GAME, "its first line is no header");
    let broken = call.results().runs.into_iter();
    let broken = broken.filter(|run| run.spec == IN_GAME);
    let broken: Vec<RunRecord> = broken.collect();
    assert_eq!(broken.len(), 1);
    assert_eq!(
        (broken[0].pair.as_str(), broken[0].target.as_str()),
        ("chrome+chrome", "mug@0.1.3")
    );
}

#[test]
fn a_run_whose_spec_has_another_name_now_is_broken() {
    let call = Call::new();
    let evidence = call.evidence(IN_GAME, "chrome+chrome");
    let text = std::fs::read_to_string(&evidence).expect("evidence");
    let renamed = text.replace(IN_GAME, "mid-game/partner-is-gone");
    std::fs::write(&evidence, renamed).expect("written");
    std::fs::remove_file(call.path("results.json")).expect("it goes");
    let end = call.report(&[]);
    call.assert_broken(&end, "mid-game/partner-is-gone", "there is no spec");
}

#[test]
fn a_run_that_is_gone_is_broken() {
    let call = Call::new();
    let folder = call.path("runs/mid-game");
    std::fs::remove_dir_all(folder).expect("it goes");
    for _ in 0..2 {
        let end = call.report(&["--judge"]);
        call.assert_broken(&end, IN_GAME, "its evidence is gone");
        let runs = call.verdicts().into_iter();
        assert_eq!(runs.filter(|(spec, _)| spec == IN_GAME).count(), 1);
    }
    // An attempt that did not count says nothing of the one that did.
    let call = Call::new();
    let mut results = call.results();
    for run in &mut results.runs {
        run.folder = PathBuf::from(format!("{}.attempt-2", run.folder.display()));
        run.attempts = 2;
    }
    write_reports(&results, call.folder.path()).expect("written");
    let end = call.report(&["--judge"]);
    call.assert_broken(&end, IN_GAME, "its evidence is gone");
    assert_eq!(call.verdicts().len(), 2);
}

#[test]
fn what_can_be_judged_is_judged_as_before_by_the_specs_that_were_asked_for() {
    let call = Call::new();
    let mut before = call.verdicts();
    before.sort_by(|one, other| one.0.cmp(&other.0));
    let end = call.report(&["--judge"]);
    assert_eq!(end.status, Some(0), "{}", end.said);
    assert_eq!(call.verdicts(), before);
    // Where nobody knows which those were, all that can judge a run do.
    std::fs::remove_file(call.path("results.json")).expect("it goes");
    assert_eq!(call.report(&[]).status, Some(0));
    assert!(call.verdicts().len() > before.len());
}

#[test]
fn what_a_spec_of_the_call_cannot_judge_any_more_is_broken() {
    let call = Call::new();
    let mut results = call.results();
    let mut renamed = results.runs[0].clone();
    renamed.spec = "data/that-was".to_owned();
    results.runs.push(renamed);
    write_reports(&results, call.folder.path()).expect("written");
    let end = call.report(&["--judge"]);
    call.assert_broken(&end, "data/that-was", "by data/that-was");
    assert_eq!(call.verdicts().len(), 3);
}

/// The mutant of a recorded run, and the folder of that run.
const MUTANT: &str = "cleanup-not-called";
const MUTATED: &str = "chrome+chrome~cleanup-not-called";

impl Call {
    /// A call that tried a mutant.
    fn with_a_mutant() -> Call {
        let call = Call {
            folder: tempfile::tempdir().expect("a folder"),
        };
        let catalogue = Catalogue::read(&find_root()).expect("the checkout's specs");
        let (base, target) = call.lay_down(SURVEY, "chrome+chrome", "good");
        let (mutated, _) = call.lay_down(SURVEY, MUTATED, MUTANT);
        let mut results = Results::new(target);
        let mutant = &catalogue.mutant(MUTANT).expect("a mutant")[0];
        results.mutants = vec![fate_of(mutant, &base, &mutated)];
        results.equivalents = equivalents(&catalogue);
        results.runs = base.into_iter().chain(mutated).collect();
        write_reports(&results, call.folder.path()).expect("written");
        call
    }

    /// That nothing is decided about the mutant, wherever somebody may look.
    fn assert_undecided(&self, end: &End, why: &str) {
        assert_eq!(end.status, Some(3), "{}", end.said);
        assert!(end.said.contains(why), "{why}: {}", end.said);
        let mutants = self.results().mutants;
        assert!(!mutants.is_empty());
        for one in &mutants {
            assert_eq!((one.mutant.as_str(), one.fate), (MUTANT, Fate::Undecided));
            assert!(one.account.contains(why), "{}", one.account);
        }
        for file in ["junit.xml", "summary.md", "report.html"] {
            let text = std::fs::read_to_string(self.path(file)).expect("a report");
            assert!(text.contains(why), "{file}: {why}");
        }
    }
}

#[test]
fn a_mutant_whose_runs_are_there_has_the_fate_that_it_had() {
    let call = Call::with_a_mutant();
    let before = call.results();
    assert_eq!(before.mutants[0].fate, Fate::Killed);
    assert!(!before.equivalents.is_empty());
    let end = call.report(&["--judge"]);
    assert_eq!(end.status, Some(0), "{}", end.said);
    let after = call.results();
    assert_eq!(after.mutants[0].fate, Fate::Killed);
    // Those that nobody tried are in no evidence.
    assert_eq!(after.equivalents.len(), before.equivalents.len());
}

#[test]
fn nothing_is_decided_about_a_mutant_without_the_run_that_it_is_compared_with() {
    let call = Call::with_a_mutant();
    let base = call.evidence(SURVEY, "chrome+chrome");
    std::fs::remove_dir_all(base.parent().expect("a folder")).expect("it goes");
    let end = call.report(&["--judge"]);
    call.assert_undecided(&end, "its evidence is gone");
    std::fs::remove_file(call.path("results.json")).expect("it goes");
    let end = call.report(&[]);
    call.assert_undecided(&end, "was not asked without it");
}

#[test]
fn nothing_is_decided_about_a_mutant_whose_run_is_lost() {
    let call = Call::with_a_mutant();
    std::fs::write(call.evidence(SURVEY, MUTATED), "").expect("written");
    let end = call.report(&["--judge"]);
    call.assert_undecided(&end, "its first line is no header");
    std::fs::remove_file(call.path("results.json")).expect("it goes");
    let end = call.report(&[]);
    call.assert_undecided(&end, "its first line is no header");
    // Nor where the other run is lost, too, or that one alone.
    let base = call.evidence(SURVEY, "chrome+chrome");
    std::fs::write(base, "").expect("written");
    let end = call.report(&["--judge"]);
    call.assert_undecided(&end, "its first line is no header");
    call.lay_down(SURVEY, MUTATED, MUTANT);
    std::fs::remove_file(call.path("results.json")).expect("it goes");
    let end = call.report(&[]);
    call.assert_undecided(&end, "its first line is no header");
}

#[test]
fn nothing_is_decided_about_a_mutant_that_is_not_there_any_more() {
    let call = Call::with_a_mutant();
    let evidence = call.evidence(SURVEY, MUTATED);
    let text = std::fs::read_to_string(&evidence).expect("evidence");
    std::fs::write(&evidence, text.replace(MUTANT, "mutant-that-was")).expect("written");
    for there in [true, false] {
        let end = call.report(&["--judge"]);
        assert_eq!(end.status, Some(3), "{}", end.said);
        let mutants = call.results().mutants;
        assert_eq!(mutants.len(), 1);
        assert_eq!(
            (mutants[0].mutant.as_str(), mutants[0].fate),
            ("mutant-that-was", Fate::Undecided)
        );
        let why = "no mutant of this name";
        assert!(mutants[0].account.contains(why), "{}", mutants[0].account);
        assert!(end.said.contains(why), "{}", end.said);
        if there {
            std::fs::remove_file(call.path("results.json")).expect("it goes");
        }
    }
}

#[test]
fn attempts_that_did_not_count_are_told_as_before() {
    let call = Call::new();
    let mut results = call.results();
    let broken = BrokenFact {
        component: "driver".to_owned(),
        reason: "it died".to_owned(),
        last_lines: Vec::new(),
        worth_a_retry: true,
    };
    results.runs[0].broken_attempts = vec![broken];
    let spec = results.runs[0].spec.clone();
    write_reports(&results, call.folder.path()).expect("written");
    assert_eq!(call.report(&["--judge"]).status, Some(0));
    let run = call.results().runs.into_iter().find(|run| run.spec == spec);
    let run = run.expect("the run");
    assert_eq!(run.broken_attempts.len(), 1);
    assert_eq!(run.broken_attempts[0].reason, "it died");
}

#[test]
fn a_run_that_no_spec_has_judged_is_judged_by_all_when_they_are_there() {
    let call = Call::new();
    let evidence = call.evidence(SURVEY, "chrome+chrome");
    let log = std::fs::read(&evidence).expect("evidence");
    std::fs::remove_file(call.path("results.json")).expect("it goes");
    std::fs::write(&evidence, "").expect("written");
    let end = call.report(&[]);
    call.assert_broken(&end, SURVEY, "its first line is no header");
    let before = call.verdicts().len();
    std::fs::write(&evidence, log).expect("written");
    let end = call.report(&["--judge"]);
    assert_eq!(end.status, Some(0), "{}", end.said);
    assert!(call.verdicts().len() > before, "{:?}", call.verdicts());
}

#[test]
fn a_sweep_is_judged_by_the_specs_that_it_has_written() {
    let call = Call::new();
    let mut results = call.results();
    let wanted = json!({ "game": 1, "after": "game-started", "offset_ms": 1.0 });
    let sample = |spec: &str| {
        json!({
            "wanted": wanted, "passed": [], "verdicts": { "overlay-shown": "pass" }, "spec": spec,
            "repetition": 1,
        })
    };
    // One is of an instant, the other one pins what was found.
    let specs = [("specs", SURVEY, "good"), ("found", IN_GAME, "in-game")];
    for (folder, spec, name) in specs {
        let own = format!("sweep/{name}");
        let file = call.path(&format!("{folder}/{own}.toml"));
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::copy(find_root().join(format!("specs/{spec}.toml")), file).expect("a spec");
        let evidence = call.evidence(spec, "chrome+chrome");
        let text = std::fs::read_to_string(&evidence).expect("evidence");
        std::fs::write(&evidence, text.replace(spec, &own)).expect("written");
        for run in results.runs.iter_mut().filter(|run| run.spec == spec) {
            run.spec.clone_from(&own);
            run.specs = Some(call.path("specs"));
        }
    }
    let record = json!({
        "instants": 1,
        "tracks": [{
            "how": "kill", "role": "behind", "pair": "chrome+chrome", "run_seconds": 40.0,
            "samples": [sample("sweep/in-game")],
        }],
    });
    results.sweep = serde_json::from_value(record).expect("a sweep");
    write_reports(&results, call.folder.path()).expect("written");
    let end = call.report(&["--judge"]);
    assert_eq!(end.status, Some(0), "{}", end.said);
    let after = call.results();
    assert_eq!(after.runs.len(), 2);
    // The command that plays a run again names its folder as before.
    assert!(
        after
            .runs
            .iter()
            .all(|run| run.specs == Some(call.path("specs")))
    );
    let sweep = after.sweep.expect("a sweep");
    let verdicts = &sweep.tracks[0].samples[0].verdicts;
    assert_eq!(verdicts["overlay-shown"], Verdict::Pass);
}
