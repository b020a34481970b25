//! `junit.xml`, as common CI systems read it.
//!
//! A check is a test case. It is red exactly where it makes the exit status of a call another than 0:
//! what is not as expected is a failure, what decided nothing an error. A known defect is no surprise
//! and no pass: it is skipped, and says so. A mutant's runs are none of the target's: what counts of
//! them is the kill matrix.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::results::Results;
use crate::run::{Change, Fate, RunRecord, changes};
use crate::verdict::{CheckResult, Says, Verdict};

/// Writes the results as JUnit XML.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_junit(results: &Results, mut writer: impl io::Write) -> io::Result<()> {
    let xml = report(results).to_string().map_err(io::Error::other)?;
    writer.write_all(without_total_of_skipped(&xml).as_bytes())
}

/// The root without its `skipped`: strict readers know that attribute of a suite only.
fn without_total_of_skipped(xml: &str) -> String {
    let root = xml.find("<testsuites").unwrap_or(0);
    let end = xml[root..].find('>').map_or(xml.len(), |end| root + end);
    let head = &xml[root..end];
    let Some((before, after)) = head.split_once(" skipped=\"") else {
        return xml.to_owned();
    };
    let after = after.split_once('"').map_or("", |(_, after)| after);
    [&xml[..root], before, after, &xml[end..]].concat()
}

fn report(results: &Results) -> Report {
    let mut report = Report::new("gymcheck");
    let mut names: HashMap<String, u32> = HashMap::new();
    for run in results.runs.iter().filter(|run| run.mutant.is_none()) {
        let mut name = suite_name(results, run);
        let times = names.entry(name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            name = format!("{name} #{times}");
        }
        report.add_test_suite(suite(results, run, name));
    }
    if results.runs.is_empty() || results.unfinished {
        let mut suite = TestSuite::new("gymcheck");
        let why = match results.unfinished {
            true => "the call was broken off before all runs were carried out",
            false => "nothing was run",
        };
        let nothing = non_success(NonSuccessKind::Error, "broken", why, "");
        suite.add_test_case(TestCase::new("runs", nothing));
        report.add_test_suite(suite);
    }
    if !results.mutants.is_empty() {
        report.add_test_suite(mutants(results));
    }
    if results.targets.len() == 2 {
        report.add_test_suite(differences(results));
    }
    report
}

fn suite_name(results: &Results, run: &RunRecord) -> String {
    let changes = changes(&run.repairs, None);
    let target = match results.targets.len() {
        0 | 1 => String::new(),
        _ => format!(" on {}", run.target),
    };
    let time = match run.repetition {
        1 => String::new(),
        time => format!(" time {time}"),
    };
    format!("{}.{}{changes}{target}{time}", run.spec, run.pair)
}

fn suite(results: &Results, run: &RunRecord, name: String) -> TestSuite {
    let mut suite = TestSuite::new(name.clone());
    suite.set_time(Duration::from_secs_f64(run.seconds.max(0.0)));
    suite.add_property(("target", run.target.as_str()));
    suite.add_property(("folder", run.folder.to_string_lossy().as_ref()));
    if !run.repairs.is_empty() {
        suite.add_property(("repairs", run.repairs.join(" ").as_str()));
    }
    let is_measure = results.is_measure(run);
    for check in &run.checks {
        let mut case = TestCase::new(
            format!("{} {}", check.requirement, check.check),
            status(check, is_measure),
        );
        case.set_classname(name.as_str());
        suite.add_test_case(case);
    }
    // Its checks may all be as expected, and it was still not played to its end.
    let told = run
        .checks
        .iter()
        .any(|check| check.verdict != check.expected);
    if run.is_unexpected() && !told && !is_measure {
        let missed = run
            .missed
            .as_deref()
            .unwrap_or("the run is not as expected");
        let kind = run.verdict.to_string();
        let status = non_success(NonSuccessKind::Failure, &kind, missed, "");
        let mut case = TestCase::new("the run", status);
        case.set_classname(name.as_str());
        suite.add_test_case(case);
    }
    suite
}

fn status(check: &CheckResult, is_measure: bool) -> TestCaseStatus {
    let account = &check.account;
    let known = check.known.as_deref().unwrap_or_default();
    let as_expected = check.verdict == check.expected;
    match check.verdict {
        Verdict::Broken => non_success(NonSuccessKind::Error, "broken", account, &findings(check)),
        Verdict::Pass if as_expected => TestCaseStatus::success(),
        Verdict::NotApplicable if as_expected => skipped(&format!("not applicable: {account}")),
        verdict if as_expected => skipped(&format!("known {verdict}: {known}; seen: {account}")),
        verdict if is_measure => skipped(&format!("{verdict} on the measure: {account}")),
        Verdict::Pass => non_success(
            NonSuccessKind::Failure,
            "unexpected-pass",
            &format!("it passes, and {} was expected: {known}", check.expected),
            &findings(check),
        ),
        verdict @ (Verdict::Fail
        | Verdict::Vacuous
        | Verdict::NotApplicable
        | Verdict::Unstable) => {
            let kind = verdict.to_string().replace(' ', "-");
            non_success(NonSuccessKind::Failure, &kind, account, &findings(check))
        }
    }
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

/// What each stimulus and oracle says.
fn findings(check: &CheckResult) -> String {
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
    stimuli.chain(oracles).collect::<Vec<String>>().join("\n")
}

fn mutants(results: &Results) -> TestSuite {
    let mut suite = TestSuite::new("mutants");
    for one in &results.mutants {
        let status = match one.fate {
            Fate::Killed => TestCaseStatus::success(),
            Fate::Survived => non_success(NonSuccessKind::Failure, "survived", &one.account, ""),
            Fate::Undecided => non_success(NonSuccessKind::Error, "undecided", &one.account, ""),
        };
        let name = format!(
            "{} by {} of {} on {}",
            one.mutant, one.check, one.spec, one.pair
        );
        let mut case = TestCase::new(name, status);
        case.set_classname(format!("mutants.{}", one.requirement));
        suite.add_test_case(case);
    }
    suite
}

/// What differs between two targets: only what got worse is red.
fn differences(results: &Results) -> TestSuite {
    let mut suite = TestSuite::new("differences");
    for one in &results.differences {
        let account = format!("{} -> {}: {}", one.target, one.against, one.account);
        let status = match one.change {
            Change::Worse => non_success(NonSuccessKind::Failure, "worse", &account, ""),
            Change::Undecided => skipped(&format!("undecided: {account}")),
            Change::Better => TestCaseStatus::success(),
            Change::Other => skipped(&account),
        };
        let name = format!(
            "{} {} of {} on {}",
            one.requirement, one.check, one.spec, one.pair
        );
        let mut case = TestCase::new(format!("{name}, time {}", one.repetition), status);
        case.set_classname("differences");
        suite.add_test_case(case);
    }
    suite
}

#[cfg(test)]
mod tests {
    use quick_xml::Reader;
    use quick_xml::events::Event;
    use serde_json::json;

    use super::*;
    use crate::report::ExitStatus;

    const ALL: [Verdict; 6] = [
        Verdict::Pass,
        Verdict::Fail,
        Verdict::Vacuous,
        Verdict::Broken,
        Verdict::NotApplicable,
        Verdict::Unstable,
    ];

    fn run(verdict: Verdict, expected: Verdict) -> RunRecord {
        serde_json::from_value(json!({
            "spec": "a/b", "pair": "chrome+chrome", "target": "mug@1", "verdict": verdict,
            "expected": expected, "attempts": 1, "folder": "f", "seconds": 1.0,
            "checks": [{
                "check": "c", "requirement": "P2P-01", "verdict": verdict, "expected": expected,
                "account": "seen <&> \u{1b}[31m \u{0} ]]>", "known": "because",
                "stimuli": [{"what": "w", "seen": true, "evidence": [1]}],
                "oracles": [{"oracle": "o", "says": "violated", "account": "a", "evidence": []}],
            }],
        }))
        .expect("a run")
    }

    fn written(results: &Results) -> String {
        let mut bytes = Vec::new();
        write_junit(results, &mut bytes).expect("written");
        String::from_utf8(bytes).expect("UTF-8")
    }

    /// How often each element is there; the text is well-formed XML.
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

    #[test]
    fn it_is_red_exactly_where_the_exit_status_is_not_0() {
        for verdict in ALL {
            for expected in ALL {
                let mut results = Results::new(Vec::new());
                results.runs.push(run(verdict, expected));
                let xml = written(&results);
                let counts = elements(&xml);
                let is_red = counts.contains_key("failure") || counts.contains_key("error");
                let status = results.exit_status();
                assert_eq!(
                    is_red,
                    status != ExitStatus::AsExpected,
                    "{verdict} {expected}: {xml}"
                );
                let is_error = counts.contains_key("error");
                assert_eq!(
                    is_error,
                    status == ExitStatus::Broken,
                    "{verdict} {expected}"
                );
                let is_pass = !is_red && !counts.contains_key("skipped");
                assert_eq!(
                    is_pass,
                    (verdict, expected) == (Verdict::Pass, Verdict::Pass)
                );
            }
        }
        let mut results = Results::new(Vec::new());
        assert!(elements(&written(&results)).contains_key("error"));
        results.runs.push(run(Verdict::Pass, Verdict::Pass));
        assert!(!elements(&written(&results)).contains_key("error"));
        results.unfinished = true;
        assert_eq!(results.exit_status(), ExitStatus::Broken);
        assert!(elements(&written(&results)).contains_key("error"));
    }

    #[test]
    fn a_run_that_ended_early_is_red_though_its_checks_pass() {
        let mut early = run(Verdict::Pass, Verdict::Pass);
        early.verdict = Verdict::Vacuous;
        early.missed = Some("step 3: waited in vain".to_owned());
        let mut results = Results::new(Vec::new());
        results.runs.push(early);
        assert!(written(&results).contains("waited in vain"));
        assert_eq!(elements(&written(&results))["failure"], 1);
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
            let counts = elements(&written(&results));
            assert_eq!(counts["testcase"], 2);
            for element in ["failure", "error"] {
                assert_eq!(counts.contains_key(element), red == Some(element), "{fate}");
            }
        }
    }

    #[test]
    fn the_root_has_no_attribute_that_strict_readers_refuse() {
        let mut results = Results::new(Vec::new());
        results.runs.push(run(Verdict::Fail, Verdict::Fail));
        let xml = written(&results);
        let root = xml.lines().nth(1).expect("a root");
        assert_eq!(
            root,
            r#"<testsuites name="gymcheck" tests="1" failures="0" errors="0">"#
        );
        assert!(
            xml.contains(r#"tests="1" skipped="1""#),
            "a suite says it: {xml}"
        );
    }

    #[test]
    fn no_two_suites_have_the_same_name() {
        let mut results = Results::new(Vec::new());
        results.runs = vec![
            run(Verdict::Pass, Verdict::Pass),
            run(Verdict::Pass, Verdict::Pass),
        ];
        let xml = written(&results);
        assert!(
            xml.contains("\"a/b.chrome+chrome\"") && xml.contains("\"a/b.chrome+chrome #2\""),
            "{xml}"
        );
    }
}
