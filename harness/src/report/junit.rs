//! `junit.xml`, as common CI systems read it.
//!
//! A check is a test case. It is red exactly where it makes the exit status of a call another than 0:
//! what is not as expected is a failure, what decided nothing an error. A known defect is no surprise
//! and no pass: it is skipped, and says so. A mutant's runs are none of the target's: what counts of
//! them is the kill matrix.
//!
//! `schema/junit.xsd` of the checkout says what such a file may hold; the tests hold what is written against it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::Duration;

use chrono::DateTime;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::results::Results;
use super::told::{missing, of_repeated};
use crate::run::{Change, Fate, RunRecord, changes};
use crate::verdict::{CheckResult, Says, Verdict};

/// Writes the results as JUnit XML.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_junit(results: &Results, mut writer: impl io::Write) -> io::Result<()> {
    let report = report(results);
    let xml = report.to_string().map_err(io::Error::other)?;
    // The sum of what was skipped stands in the first element, where the schema does not know it.
    let sum = format!(" skipped=\"{}\"", report.skipped);
    let xml = xml.replacen(&sum, "", 1);
    // XML knows these two characters as little as control characters, which are left out already.
    let xml = xml.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    writer.write_all(xml.as_bytes())
}

fn report(results: &Results) -> Report {
    let mut report = Report::new("gymcheck");
    let mut names = Names::default();
    for run in results.runs.iter().filter(|run| run.mutant.is_none()) {
        report.add_test_suite(suite(results, run, &mut names));
    }
    let lacking = lacking(results);
    if !lacking.test_cases.is_empty() {
        report.add_test_suite(lacking);
    }
    let unstable = unstable(results);
    if !unstable.test_cases.is_empty() {
        report.add_test_suite(unstable);
    }
    if !results.mutants.is_empty() {
        report.add_test_suite(mutants(results));
    }
    if results.targets.len() == 2 {
        report.add_test_suite(differences(results));
    }
    if let Some(time) = time_of_all(results) {
        report.set_time(time);
    }
    report
}

/// The time of all runs. Specs that judge the same run share its time.
fn time_of_all(results: &Results) -> Option<Duration> {
    let runs = results.runs.iter().map(|run| (&run.folder, run.seconds));
    let runs: BTreeMap<_, _> = runs.collect();
    duration(runs.values().sum())
}

/// Nothing, for what is no time.
fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// Gives each name once: one that was given before gets a number.
#[derive(Default)]
struct Names(HashMap<String, u32>);

impl Names {
    fn unique(&mut self, name: String) -> String {
        let times = self.0.entry(name.clone()).or_default();
        *times += 1;
        match *times {
            1 => name,
            times => format!("{name} #{times}"),
        }
    }
}

/// Which run it is, but for its spec: browsers, repairs, the target where there are two, which time.
fn variant(results: &Results, run: &RunRecord) -> String {
    let changes = changes(&run.repairs, None);
    let target = match results.targets.len() {
        0 | 1 => String::new(),
        _ => format!(" on {}", run.target),
    };
    let time = match run.repetition {
        1 => String::new(),
        time => format!(" time {time}"),
    };
    format!("{}{changes}{target}{time}", run.pair)
}

/// CI systems take what stands before the last dot for a package, and show a tree of packages: the
/// only dot is the one between the spec and the run.
fn without_dots(name: &str) -> String {
    name.replace('.', "_")
}

fn suite(results: &Results, run: &RunRecord, names: &mut Names) -> TestSuite {
    let variant = variant(results, run);
    let name = names.unique(format!("{}.{variant}", run.spec));
    let variant = name.get(run.spec.len() + 1..).unwrap_or(&variant);
    let class = format!("{}.{}", without_dots(&run.spec), without_dots(variant));
    let mut suite = TestSuite::new(name.clone());
    if let Some(time) = duration(run.seconds) {
        suite.set_time(time);
    }
    let started_at = run.started_at.as_deref();
    if let Some(Ok(started_at)) = started_at.map(DateTime::parse_from_rfc3339) {
        suite.set_timestamp(started_at);
    }
    add_properties(&mut suite, results, run);
    let checks = run.checks.iter();
    let checks = checks.map(|check| {
        let name = format!("{} {}", check.requirement, check.check);
        (name, status(results, run, check))
    });
    let run = of_the_run(results, run).map(|status| ("the run".to_owned(), status));
    for (name, status) in checks.chain(run) {
        let mut case = TestCase::new(name, status);
        case.set_classname(class.as_str());
        suite.add_test_case(case);
    }
    suite
}

fn add_properties(suite: &mut TestSuite, results: &Results, run: &RunRecord) {
    suite.add_property(("target", run.target.as_str()));
    if !run.repairs.is_empty() {
        suite.add_property(("repairs", run.repairs.join(" ").as_str()));
    }
    suite.add_property(("folder", run.folder.to_string_lossy().as_ref()));
    suite.add_property(("again", run.again(&results.targets).as_str()));
    suite.add_property(("attempts", run.attempts.to_string().as_str()));
    let attempts = run.broken_attempts.iter().enumerate();
    let attempts = attempts.map(|(index, broken)| {
        let (component, reason) = (&broken.component, &broken.reason);
        format!("attempt {} was broken: {component}: {reason}", index + 1)
    });
    let attempts: Vec<String> = attempts.collect();
    if !attempts.is_empty() {
        suite.set_system_out(attempts.join("\n"));
    }
}

/// What must be said of a run itself, since none of its checks says it: it decided nothing, or was not
/// played to its end.
fn of_the_run(results: &Results, run: &RunRecord) -> Option<TestCaseStatus> {
    let is_told = match run.verdict {
        Verdict::Broken => {
            let mut checks = run.checks.iter();
            checks.any(|check| check.verdict == Verdict::Broken)
        }
        Verdict::Pass
        | Verdict::Fail
        | Verdict::Vacuous
        | Verdict::NotApplicable
        | Verdict::Unstable => {
            let mut checks = run.checks.iter();
            !run.is_unexpected() || checks.any(|check| check.verdict != check.expected)
        }
    };
    if is_told {
        return None;
    }
    let broken = run.broken.as_ref().map(|broken| broken.reason.as_str());
    let why = broken.or(run.missed.as_deref());
    let why = why.unwrap_or("the run is not as expected");
    let text = details(results, run, None);
    Some(match run.verdict {
        Verdict::Broken => non_success(NonSuccessKind::Error, "broken", why, &text),
        verdict if results.is_measure(run) => on_the_measure(verdict, why),
        verdict => non_success(NonSuccessKind::Failure, &kind(verdict), why, &text),
    })
}

/// What keeps a call from proving what it says: it did not come to its end, or a part of it is missing.
fn lacking(results: &Results) -> TestSuite {
    let mut suite = TestSuite::new("gymcheck");
    let mut add = |name: String, why: &str| {
        let status = non_success(NonSuccessKind::Error, "broken", why, "");
        let mut case = TestCase::new(name, status);
        case.set_classname("gymcheck");
        suite.add_test_case(case);
    };
    if results.unfinished {
        let why = "the call was broken off before all runs were carried out";
        add("runs".to_owned(), why);
    } else if results.runs.is_empty() {
        add("runs".to_owned(), "nothing was run");
    }
    for shard in &results.missing_shards {
        add(format!("shard {shard}"), &missing(shard));
    }
    suite
}

fn status(results: &Results, run: &RunRecord, check: &CheckResult) -> TestCaseStatus {
    let account = &check.account;
    let known = check.known.as_deref().unwrap_or("no reason is given");
    let as_expected = check.verdict == check.expected;
    let red = |of: NonSuccessKind, kind: &str, message: &str| {
        non_success(of, kind, message, &details(results, run, Some(check)))
    };
    match check.verdict {
        Verdict::Broken => red(NonSuccessKind::Error, "broken", account),
        Verdict::Pass if as_expected => TestCaseStatus::success(),
        Verdict::NotApplicable if as_expected => skipped(&format!("not applicable: {account}")),
        // As tests are skipped that are expected to fail: CI is not red for what its people know, and
        // does not take it for a pass.
        Verdict::Fail if as_expected => skipped(&format!("known defect: {known}; seen: {account}")),
        verdict if as_expected => skipped(&format!("known {verdict}: {known}; seen: {account}")),
        verdict if results.is_measure(run) => on_the_measure(verdict, account),
        Verdict::Pass => red(
            NonSuccessKind::Failure,
            "unexpected-pass",
            &format!("it passes, and {} was expected: {known}", check.expected),
        ),
        verdict @ (Verdict::Fail
        | Verdict::Vacuous
        | Verdict::NotApplicable
        | Verdict::Unstable) => red(NonSuccessKind::Failure, &kind(verdict), account),
    }
}

/// A verdict as the type of a failure.
fn kind(verdict: Verdict) -> String {
    verdict.to_string().replace(' ', "-")
}

/// What is not as expected on the first of two targets is no surprise, and no pass.
fn on_the_measure(verdict: Verdict, account: &str) -> TestCaseStatus {
    skipped(&format!(
        "{verdict} on the target that the other one is compared with: {account}"
    ))
}

fn non_success(kind: NonSuccessKind, name: &str, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status
        .set_type(name)
        .set_message(message)
        .set_description(text);
    status
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}

/// What somebody needs who sees nothing else: what each stimulus and oracle says, what broke, where
/// the evidence is, and how to see it again.
fn details(results: &Results, run: &RunRecord, check: Option<&CheckResult>) -> String {
    let mut lines: Vec<String> = Vec::new();
    if let Some(holds) = check.and_then(|one| results.requirements.get(&one.requirement)) {
        lines.push(format!("must hold: {holds}"));
    }
    lines.extend(check.into_iter().flat_map(findings));
    if let Some(broken) = &run.broken {
        lines.push(format!("{}: {}", broken.component, broken.reason));
        lines.extend(broken.last_lines.iter().map(|line| format!("    | {line}")));
    }
    if let Some(missed) = &run.missed {
        lines.push(format!("the run ended early at {missed}"));
        lines.extend(run.last_words.iter().map(|line| format!("    | {line}")));
    }
    lines.push(format!("evidence: {}", run.folder.display()));
    lines.push(format!("again: {}", run.again(&results.targets)));
    lines.join("\n")
}

/// What each stimulus and oracle says.
fn findings(check: &CheckResult) -> Vec<String> {
    let stimuli = check.stimuli.iter().map(|one| {
        let seen = if one.seen { "seen" } else { "not seen" };
        format!("stimulus {seen}: {}", one.what)
    });
    let oracles = check.oracles.iter().map(|one| {
        let says = match one.says {
            Says::Holds => "holds",
            Says::Violated => "violated",
            Says::Absent => "could not be asked",
        };
        format!("{} {says}: {}", one.oracle, one.account)
    });
    stimuli.chain(oracles).collect()
}

/// What did not always decide the same.
fn unstable(results: &Results) -> TestSuite {
    let mut suite = TestSuite::new("repetitions");
    let mut names = Names::default();
    for told in of_repeated(results) {
        let status = non_success(NonSuccessKind::Failure, "unstable", &told.account, "");
        let mut case = TestCase::new(names.unique(told.title), status);
        case.set_classname("repetitions");
        suite.add_test_case(case);
    }
    suite
}

fn mutants(results: &Results) -> TestSuite {
    let mut suite = TestSuite::new("mutants");
    let mut names = Names::default();
    for one in &results.mutants {
        let status = match one.fate {
            Fate::Killed => TestCaseStatus::success(),
            Fate::Survived => non_success(NonSuccessKind::Failure, "survived", &one.account, ""),
            Fate::Undecided => non_success(NonSuccessKind::Error, "undecided", &one.account, ""),
            Fate::NotApplicable => skipped(&format!("not applicable: {}", one.account)),
        };
        let (mutant, check, spec) = (&one.mutant, &one.check, &one.spec);
        let name = format!("{mutant} by {check} of {spec} on {}", one.pair);
        let mut case = TestCase::new(names.unique(name), status);
        case.set_classname(format!("mutants.{}", without_dots(&one.requirement)));
        suite.add_test_case(case);
    }
    suite
}

/// What differs between two targets: only what got worse is red.
fn differences(results: &Results) -> TestSuite {
    let mut suite = TestSuite::new("differences");
    let mut names = Names::default();
    for one in &results.differences {
        let account = format!("{} -> {}: {}", one.target, one.against, one.account);
        let status = match one.change {
            Change::Worse => non_success(NonSuccessKind::Failure, "worse", &account, ""),
            Change::Undecided => skipped(&format!("undecided: {account}")),
            Change::Better => TestCaseStatus::success(),
            Change::Other => skipped(&account),
        };
        let (requirement, check, spec) = (&one.requirement, &one.check, &one.spec);
        let name = format!("{requirement} {check} of {spec} on {}", one.pair);
        let name = match one.repetition {
            1 => name,
            time => format!("{name} time {time}"),
        };
        let mut case = TestCase::new(names.unique(name), status);
        case.set_classname("differences");
        suite.add_test_case(case);
    }
    suite
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use quick_xml::Reader;
    use quick_xml::events::Event;
    use serde_json::json;

    use super::*;
    use crate::report::repeated::repeated;
    use crate::report::samples::{ALL, facts, run_on};
    use crate::report::{ExitStatus, junit_schema};

    fn run(verdict: Verdict, expected: Verdict) -> RunRecord {
        run_on("mug@1", verdict, expected)
    }

    /// What is written of these results, which is always as the schema wants it.
    fn written(results: &Results) -> String {
        let mut bytes = Vec::new();
        write_junit(results, &mut bytes).expect("written");
        let xml = String::from_utf8(bytes).expect("UTF-8");
        assert_eq!(junit_schema::check(&xml), Ok(()), "{xml}");
        xml
    }

    /// How often each element is there.
    fn elements(xml: &str) -> HashMap<String, usize> {
        let mut reader = Reader::from_str(xml);
        let mut counts = HashMap::new();
        loop {
            match reader.read_event().expect("well-formed") {
                Event::Start(one) | Event::Empty(one) => {
                    let name = String::from_utf8_lossy(one.name().as_ref()).into_owned();
                    *counts.entry(name).or_default() += 1;
                }
                Event::Eof => return counts,
                _ => {}
            }
        }
    }

    /// The values of an attribute of all elements with a name.
    fn values(xml: &str, element: &str, attribute: &str) -> Vec<String> {
        let (element, attribute) = (format!("<{element} "), format!("{attribute}=\""));
        let parts = xml.split(&element).skip(1);
        let values = parts.filter_map(|part| {
            let (_, rest) = part.split_once(&attribute)?;
            Some(rest.split_once('"')?.0.to_owned())
        });
        values.collect()
    }

    /// Whether failures or errors are there: exactly where the exit status is not 0.
    fn assert_agrees(results: &Results, what: &str) -> HashMap<String, usize> {
        let xml = written(results);
        let counts = elements(&xml);
        let is_red = counts.contains_key("failure") || counts.contains_key("error");
        let status = results.exit_status();
        assert_eq!(
            is_red,
            status != ExitStatus::AsExpected,
            "{what}: {status:?} {xml}"
        );
        counts
    }

    #[test]
    fn it_is_red_exactly_where_the_exit_status_is_not_0() {
        for verdict in ALL {
            for expected in ALL {
                let what = format!("{verdict} {expected}");
                let mut results = Results::new(Vec::new());
                results.runs.push(run(verdict, expected));
                let counts = assert_agrees(&results, &what);
                let is_error = counts.contains_key("error");
                assert_eq!(
                    is_error,
                    results.exit_status() == ExitStatus::Broken,
                    "{what}"
                );
                let is_pass = ["failure", "error", "skipped"]
                    .iter()
                    .all(|one| !counts.contains_key(*one));
                let is_plain_pass = (verdict, expected) == (Verdict::Pass, Verdict::Pass);
                assert_eq!(is_pass, is_plain_pass, "{what}");
            }
        }
        let mut results = Results::new(Vec::new());
        results.runs = vec![
            run(Verdict::Pass, Verdict::Pass),
            run(Verdict::NotApplicable, Verdict::NotApplicable),
        ];
        assert!(!assert_agrees(&results, "as expected").contains_key("failure"));
        results.repeated = repeated(&results.runs);
        assert!(assert_agrees(&results, "unstable").contains_key("failure"));
        let mut results = Results::new(Vec::new());
        assert!(assert_agrees(&results, "nothing").contains_key("error"));
        results.runs.push(run(Verdict::Pass, Verdict::Pass));
        assert!(!assert_agrees(&results, "one run").contains_key("error"));
        results.unfinished = true;
        assert_eq!(results.exit_status(), ExitStatus::Broken);
        assert!(assert_agrees(&results, "unfinished").contains_key("error"));
    }

    #[test]
    fn it_is_red_exactly_where_the_exit_status_is_not_0_also_where_targets_are_compared() {
        let pairs = || ALL.iter().flat_map(|one| ALL.map(|other| (*one, other)));
        for (verdict, expected) in pairs() {
            for (against, expected_against) in pairs() {
                let mut results = Results::new(vec![facts("mug@1.0.0"), facts("mug@1.0.1")]);
                let first = run_on("mug@1.0.0", verdict, expected);
                let second = run_on("mug@1.0.1", against, expected_against);
                results.compare(std::slice::from_ref(&first), std::slice::from_ref(&second));
                results.runs = vec![first, second];
                let what = format!("{verdict} ({expected}), {against} ({expected_against})");
                let counts = assert_agrees(&results, &what);
                let broken = [verdict, against].contains(&Verdict::Broken);
                assert_eq!(counts.contains_key("error"), broken, "{what}");
            }
        }
    }

    #[test]
    fn a_known_defect_is_skipped_with_its_reason_and_what_was_seen() {
        let mut results = Results::new(Vec::new());
        results.runs.push(run(Verdict::Fail, Verdict::Fail));
        let xml = written(&results);
        let messages = values(&xml, "skipped", "message");
        assert!(
            messages[0].starts_with("known defect: because; seen: seen &lt;&amp;&gt;"),
            "{xml}"
        );
    }

    #[test]
    fn what_is_red_says_why_and_how_to_see_it_again() {
        let mut broken = run(Verdict::Broken, Verdict::Pass);
        broken.broken = serde_json::from_value(json!({
            "component": "driver", "reason": "it died", "last_lines": ["its last words"],
            "worth_a_retry": true,
        }))
        .expect("a reason");
        broken.broken_attempts = broken.broken.iter().cloned().collect();
        let mut results = Results::new(Vec::new());
        results.runs = vec![broken, run(Verdict::Pass, Verdict::Fail)];
        let xml = written(&results);
        for text in [
            "o violated: a",
            "driver: it died",
            "its last words",
            "attempt 1 was broken",
            "evidence: runs/mug@1",
            "again: gymcheck run a/b --target mug@1 --pairs chrome+chrome",
            "2026-01-02T03:04:05.678+00:00",
            "type=\"unexpected-pass\"",
        ] {
            assert!(xml.contains(text), "{text}: {xml}");
        }
    }

    #[test]
    fn a_run_that_ended_early_is_red_though_its_checks_pass() {
        let mut early = run(Verdict::Pass, Verdict::Pass);
        early.verdict = Verdict::Vacuous;
        early.missed = Some("step 3: waited in vain".to_owned());
        let mut results = Results::new(Vec::new());
        results.runs.push(early.clone());
        assert!(written(&results).contains("waited in vain"));
        assert_eq!(assert_agrees(&results, "early")["failure"], 1);
        // On the first of two targets it is no surprise; it is no pass either.
        results.targets = vec![facts("mug@1"), facts("mug@2")];
        let counts = assert_agrees(&results, "early on the measure");
        assert_eq!(counts["skipped"], 1);
    }

    #[test]
    fn a_broken_run_without_checks_is_red() {
        let mut broken = run(Verdict::Broken, Verdict::Pass);
        broken.checks.clear();
        let mut results = Results::new(Vec::new());
        results.runs.push(broken);
        assert_eq!(assert_agrees(&results, "no checks")["error"], 1);
    }

    #[test]
    fn a_mutant_counts_in_the_kill_matrix_alone() {
        let mut mutated = run(Verdict::Fail, Verdict::Pass);
        mutated.mutant = Some("m".to_owned());
        let mut results = Results::new(Vec::new());
        results.runs = vec![run(Verdict::Pass, Verdict::Pass), mutated];
        for (fate, red) in [
            ("killed", None),
            ("survived", Some("failure")),
            ("undecided", Some("error")),
        ] {
            let row = json!({
                "mutant": "m", "requirement": "P2P-01", "spec": "a/b", "pair": "chrome+chrome",
                "check": "c", "fate": fate, "account": "why", "changed": {},
            });
            results.mutants = vec![serde_json::from_value(row).expect("a row")];
            let counts = assert_agrees(&results, fate);
            assert_eq!(counts["testcase"], 2);
            for element in ["failure", "error"] {
                assert_eq!(counts.contains_key(element), red == Some(element), "{fate}");
            }
        }
    }

    #[test]
    fn no_two_have_the_same_name_and_only_the_spec_ends_with_a_dot() {
        let mut results = Results::new(vec![facts("mug@1.0.0"), facts("mug@1.0.1")]);
        let first = run_on("mug@1.0.0", Verdict::Pass, Verdict::Pass);
        let mut repaired = first.clone();
        repaired.repairs = vec!["r".to_owned()];
        let mut repeated = first.clone();
        repeated.repetition = 2;
        let second = run_on("mug@1.0.1", Verdict::Pass, Verdict::Pass);
        results.runs = vec![first.clone(), first, repaired, repeated, second];
        let row = json!({
            "mutant": "m", "requirement": "P2P-01", "spec": "a/b", "pair": "chrome+chrome",
            "check": "c", "fate": "killed", "account": "why", "changed": {},
        });
        let row = serde_json::from_value(row).expect("a row");
        results.mutants = vec![row; 2];
        results.mutants[1].account = "the second time".to_owned();
        let xml = written(&results);
        let suites = values(&xml, "testsuite", "name");
        assert_eq!(
            suites,
            [
                "a/b.chrome+chrome on mug@1.0.0",
                "a/b.chrome+chrome on mug@1.0.0 #2",
                "a/b.chrome+chrome + r on mug@1.0.0",
                "a/b.chrome+chrome on mug@1.0.0 time 2",
                "a/b.chrome+chrome on mug@1.0.1",
                "mutants",
                "differences",
            ]
        );
        let classes = values(&xml, "testcase", "classname");
        let names = values(&xml, "testcase", "name");
        let cases: BTreeSet<_> = classes.iter().zip(&names).collect();
        assert_eq!(cases.len(), names.len(), "{cases:?}");
        for class in &classes[..5] {
            let (spec, _) = class.rsplit_once('.').expect("a dot");
            assert_eq!(spec, "a/b");
        }
    }

    /// Hostile or damaged results are written, too.
    #[test]
    fn a_time_that_is_none_is_left_out() {
        let mut endless = run(Verdict::Pass, Verdict::Pass);
        endless.seconds = 1e30;
        endless.started_at = Some("yesterday".to_owned());
        let mut results = Results::new(Vec::new());
        results.runs = vec![endless];
        let xml = written(&results);
        assert!(
            !xml.contains(" time=") && !xml.contains("timestamp"),
            "{xml}"
        );
    }
}
