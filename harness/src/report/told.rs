//! What somebody must look at: whatever makes the exit status of a call another than 0, and nothing
//! else.

use super::html::answer::surprises;
use super::results::Results;
use super::timeline::cut;
use crate::run::{Change, Fate, MissingShard, RunRecord};
use crate::verdict::Verdict;

/// One thing that somebody must look at.
#[derive(Debug)]
pub(super) struct Told {
    /// What it is, in a few words.
    pub(super) title: String,
    /// What was seen.
    pub(super) account: String,
}

/// All of it, what is known of the target before what is not known.
pub(super) fn told(results: &Results) -> Vec<Told> {
    let mut all = of_repeated(results);
    all.extend(of_runs(results));
    all.extend(of_mutants(results));
    all.extend(of_differences(results));
    all
}

/// What is not as expected about runs, then what is broken. Mutants' runs are judged by the kill
/// matrix, and the first of two targets is the measure for the other.
pub(super) fn of_runs(results: &Results) -> Vec<Told> {
    let runs = || results.runs.iter().filter(|run| run.mutant.is_none());
    let surprising = runs().filter(|run| run.verdict != Verdict::Broken);
    let surprising = surprising.filter(|run| run.is_unexpected() && !results.is_measure(run));
    let broken = runs().filter(|run| run.verdict == Verdict::Broken);
    let mut all: Vec<Told> = surprising
        .flat_map(|run| of_run(results, run))
        .chain(broken.map(|run| of_broken(results, run)))
        .collect();
    if results.unfinished || results.runs.is_empty() {
        all.push(Told {
            title: "broken: the call".to_owned(),
            account: match results.unfinished {
                true => "it was broken off before all runs were carried out".to_owned(),
                false => "nothing was run".to_owned(),
            },
        });
    }
    all.extend(results.missing_shards.iter().map(|shard| Told {
        title: format!("broken: shard {shard}"),
        account: missing(shard),
    }));
    all
}

/// What is known of a shard that is not there, or not whole.
pub(super) fn missing(shard: &MissingShard) -> String {
    let runs = shard.runs.len();
    format!(
        "results are missing, nothing is known of {runs} {}: {}",
        if runs == 1 { "run" } else { "runs" },
        shard.runs.join("; ")
    )
}

fn of_run(results: &Results, run: &RunRecord) -> Vec<Told> {
    let place = place(results, run);
    let mut all: Vec<Told> = surprises(run)
        .map(|check| Told {
            title: format!(
                "{} {} {}: {place}",
                check.requirement, check.check, check.verdict
            ),
            account: match (check.verdict.is_pass(), &check.known) {
                (true, Some(known)) => format!("{} was expected: {known}", check.expected),
                _ => check.account.clone(),
            },
        })
        .collect();
    if run.missed.is_some() || all.is_empty() {
        let missed = run.missed.as_ref();
        all.push(Told {
            title: format!("{}: {place}", run.verdict),
            account: missed.map_or("the run is not as expected".to_owned(), |missed| {
                format!("the run ended early at {missed}")
            }),
        });
    }
    all
}

fn of_broken(results: &Results, run: &RunRecord) -> Told {
    let why = run.broken.as_ref();
    Told {
        title: format!("broken: {}", place(results, run)),
        account: why.map_or("the run decided nothing".to_owned(), |broken| {
            format!("{}: {}", broken.component, broken.reason)
        }),
    }
}

fn place(results: &Results, run: &RunRecord) -> String {
    let target = match results.targets.len() {
        0 | 1 => String::new(),
        _ => format!(", {}", run.target),
    };
    format!("{} on {}{target}", run.spec, run.pair)
}

/// What did not always decide the same, and where the runs part.
pub(super) fn of_repeated(results: &Results) -> Vec<Told> {
    let told = results.unstable().flat_map(|one| {
        let place = match results.targets.len() {
            0 | 1 => one.place(),
            _ => format!("{}, {}", one.place(), one.target),
        };
        one.unstable().map(move |(name, steadiness, apart)| Told {
            title: format!("unstable: {name} of {place}"),
            account: match apart {
                Some(apart) => format!("{}; {}", steadiness.account(), apart.account()),
                None => steadiness.account(),
            },
        })
    });
    told.collect()
}

/// The mutants that are not killed, although their check can be asked.
pub(super) fn of_mutants(results: &Results) -> Vec<Told> {
    let all = results.mutants.iter();
    let alive = all.filter(|one| match one.fate {
        Fate::Survived | Fate::Undecided => true,
        Fate::Killed | Fate::NotApplicable => false,
    });
    let told = alive.map(|one| Told {
        title: format!("mutant {} {}", one.mutant, one.fate),
        account: one.account.clone(),
    });
    told.collect()
}

/// What is worse on the second of two targets.
pub(super) fn of_differences(results: &Results) -> Vec<Told> {
    let worse = results.differences.iter();
    let worse = worse.filter(|one| one.change == Change::Worse);
    let told = worse.map(|one| Told {
        title: format!(
            "worse: {} {} of {} on {}",
            one.requirement, one.check, one.spec, one.pair
        ),
        account: format!("{} -> {}: {}", one.target, one.against, one.account),
    });
    told.collect()
}

/// The most characters of a text from a run that summaries and annotations show.
const MOST_CHARACTERS: usize = 600;

/// A text that is not longer than a summary should have.
pub(super) fn shortened(text: &str) -> String {
    cut(text, MOST_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::ExitStatus;
    use crate::report::html::answer::sentence;
    use crate::report::repeated::repeated;
    use crate::report::samples::{ALL, facts, run_on as run};

    fn assert_agrees(results: &Results) {
        let told = told(results);
        let as_expected = results.exit_status() == ExitStatus::AsExpected;
        assert_eq!(told.is_empty(), as_expected, "{told:?} {:?}", results.runs);
        let sentence = sentence(results);
        let good = [
            "Every verdict is as expected",
            "All 1 mutants killed",
            "0 of 1 mutants killed, 1 not applicable",
        ];
        let is_good = good.contains(&sentence.as_str());
        assert_eq!(is_good, as_expected, "{sentence} {:?}", results.runs);
    }

    #[test]
    fn something_is_told_exactly_where_the_exit_status_is_not_0() {
        assert_agrees(&Results::new(Vec::new()));
        let pairs = || ALL.iter().flat_map(|one| ALL.map(|other| (*one, other)));
        for (verdict, expected) in pairs() {
            let mut results = Results::new(vec![facts("mug@1")]);
            results.runs = vec![run("mug@1", verdict, expected)];
            assert_agrees(&results);
            results.unfinished = true;
            assert_agrees(&results);
            for (against, expected_against) in pairs() {
                let mut results = Results::new(vec![facts("mug@1"), facts("mug@2")]);
                let first = run("mug@1", verdict, expected);
                let second = run("mug@2", against, expected_against);
                results.compare(std::slice::from_ref(&first), std::slice::from_ref(&second));
                results.runs = vec![first, second];
                assert_agrees(&results);
            }
        }
    }

    #[test]
    fn what_did_not_always_decide_the_same_is_told_even_where_each_run_was_expected() {
        use Verdict::{Broken, Fail, NotApplicable, Pass, Unstable};
        let results = |runs: &[(Verdict, Verdict)]| {
            let mut results = Results::new(vec![facts("mug@1")]);
            let runs = runs
                .iter()
                .map(|(verdict, expected)| run("mug@1", *verdict, *expected));
            results.runs = runs.collect();
            results.repeated = repeated(&results.runs);
            assert_agrees(&results);
            results
        };
        let both = results(&[(Pass, Pass), (NotApplicable, NotApplicable)]);
        assert_eq!(both.exit_status(), ExitStatus::Unexpected);
        assert_eq!(sentence(&both), "1 unstable verdict");
        assert_eq!(
            told(&both)[0].title,
            "unstable: P2P-01 c of a/b on chrome+chrome"
        );
        assert_eq!(
            told(&both)[0].account,
            "1 pass, 1 not applicable of 2: another verdict in 50 % of runs, below 98 % with 95 % \
             confidence"
        );
        assert_eq!(both.repeated[0].checks[0].steadiness.verdict, Unstable);
        assert_eq!(
            results(&[(Fail, Fail), (Fail, Fail)]).exit_status(),
            ExitStatus::AsExpected
        );
        // What is broken is no other verdict.
        let broken = results(&[(Pass, Pass), (Broken, Pass), (Pass, Pass)]);
        assert_eq!(broken.exit_status(), ExitStatus::Broken);
        assert_eq!(broken.unstable().count(), 0);
    }

    #[test]
    fn what_is_unstable_on_the_target_that_another_one_is_compared_with_counts_not() {
        let mut results = Results::new(vec![facts("mug@1"), facts("mug@2")]);
        for verdict in [Verdict::Pass, Verdict::Fail] {
            results.runs.push(run("mug@1", verdict, Verdict::Pass));
            results
                .runs
                .push(run("mug@2", Verdict::Pass, Verdict::Pass));
        }
        results.repeated = repeated(&results.runs);
        assert_eq!(results.repeated.len(), 2);
        assert_agrees(&results);
        assert_eq!(results.exit_status(), ExitStatus::AsExpected);
        results.targets.swap(0, 1);
        assert_agrees(&results);
        assert_eq!(results.exit_status(), ExitStatus::Unexpected);
    }

    #[test]
    fn a_run_that_ended_early_and_a_mutant_that_lives_are_told() {
        let mut results = Results::new(vec![facts("mug@1")]);
        let mut early = run("mug@1", Verdict::Pass, Verdict::Pass);
        early.verdict = Verdict::Vacuous;
        early.missed = Some("step 3".to_owned());
        results.runs = vec![early];
        assert_agrees(&results);
        assert_eq!(told(&results)[0].account, "the run ended early at step 3");
        results.runs = vec![run("mug@1", Verdict::Pass, Verdict::Pass)];
        for fate in ["killed", "survived", "undecided", "not-applicable"] {
            let row = json!({
                "mutant": "m", "requirement": "P2P-01", "spec": "a/b", "pair": "chrome+chrome",
                "check": "c", "fate": fate, "account": "why", "changed": {},
            });
            results.mutants = vec![serde_json::from_value(row).expect("a row")];
            assert_agrees(&results);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "ä".repeat(2 * MOST_CHARACTERS);
        assert_eq!(shortened(&long).chars().count(), MOST_CHARACTERS + 1);
        assert_eq!(shortened("short"), "short");
    }
}
