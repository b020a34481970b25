//! `summary.md`: the answer in Markdown, for the job's page of a hosted CI.

use super::defects::Defect;
use super::html::answer::sentence;
use super::matrix::{Count, Matrix};
use super::repeated::steady;
use super::results::Results;
use super::told::{Told, of_differences, of_mutants, of_repeated, of_runs, shortened};
use crate::run::{Change, Fate};

/// How many things a list names before it counts the rest: a hosted CI refuses a summary of more than
/// 1 MiB.
const LISTED: usize = 50;

/// The answer in Markdown.
#[must_use]
pub(super) fn summary(results: &Results) -> String {
    let parts = [
        heading(results),
        differences(results),
        matrix(results),
        section("Unstable", &of_repeated(results)),
        repetitions(results),
        section("Not as expected", &of_runs(results)),
        mutants(results),
        defects(&results.defects),
        OPEN.to_owned(),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

const OPEN: &str = "\
To see what happened, open `report.html` in a browser; it needs nothing else. It lies in the folder of \
`--out`, beside `results.json`; of a hosted CI it is in the job's artifacts, if the workflow keeps that \
folder. Each run has the command there that plays it again.
";

fn heading(results: &Results) -> String {
    let targets: Vec<String> = results
        .targets
        .iter()
        .map(|one| escaped(&one.name))
        .collect();
    let tested = match targets.is_empty() {
        true => String::new(),
        false => format!(" ({})", targets.join(" and ")),
    };
    format!("## gymcheck: {}{tested}\n", escaped(&sentence(results)))
}

/// What is different on the second of two targets.
fn differences(results: &Results) -> String {
    let [first, second] = results.targets.as_slice() else {
        return String::new();
    };
    let count = |change: Change| {
        let all = results.differences.iter();
        all.filter(|one| one.change == change).count()
    };
    let counts = [
        Change::Worse,
        Change::Undecided,
        Change::Better,
        Change::Other,
    ];
    let counts = counts.map(|change| (count(change), change));
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(count, change)| format!("{count} {change}"))
        .collect();
    let counts = match counts.is_empty() {
        true => "no check differs".to_owned(),
        false => counts.join(", "),
    };
    let title = format!(
        "{} against {}: {counts}",
        escaped(&second.name),
        escaped(&first.name)
    );
    format!("### {title}\n{}", list(&of_differences(results)))
}

/// Requirements and pairs, and how often each verdict was passed. Two targets have a column each.
fn matrix(results: &Results) -> String {
    let matrix = Matrix::new(results);
    if matrix.rows.is_empty() {
        return String::new();
    }
    let line = |first: &str, cells: Vec<String>| format!("| {first} | {} |\n", cells.join(" | "));
    let columns = matrix.columns.iter();
    let mut text = line("requirement", columns.map(|name| escaped(name)).collect());
    text.push_str(&line("---", vec!["---".to_owned(); matrix.columns.len()]));
    for row in &matrix.rows {
        let cells = row.cells.iter().map(|cell| {
            let counts: Vec<String> = cell.iter().map(counted).collect();
            counts.join("; ")
        });
        text.push_str(&line(&escaped(&row.requirement), cells.collect()));
    }
    text
}

fn counted(count: &Count) -> String {
    let (times, verdict) = (count.times, count.verdict);
    match (count.known, count.unexpected) {
        (true, _) => format!("{times} {verdict}, known"),
        (false, true) => format!("**{times} {verdict}, unexpected**"),
        (false, false) => format!("{times} {verdict}"),
    }
}

/// What is steady of all that was carried out several times.
fn repetitions(results: &Results) -> String {
    let steady = steady(&results.repeated);
    let items = steady.iter().map(|says| format!("- {}\n", escaped(says)));
    let items = items_of(items.collect());
    match items.is_empty() {
        true => String::new(),
        false => format!("### Steady\n{items}"),
    }
}

fn section(title: &str, all: &[Told]) -> String {
    match all.is_empty() {
        true => String::new(),
        false => format!("### {title}\n{}", list(all)),
    }
}

fn list(all: &[Told]) -> String {
    let items = all.iter().map(|one| {
        let (title, account) = (escaped(&one.title), escaped(&shortened(&one.account)));
        format!("- **{title}**: {account}\n")
    });
    items_of(items.collect())
}

/// The items of a list behind an empty line, the rest of a long one counted.
fn items_of(mut items: Vec<String>) -> String {
    if items.is_empty() {
        return String::new();
    }
    let rest = items.len().saturating_sub(LISTED);
    items.truncate(LISTED);
    if rest > 0 {
        items.push(format!("- and {rest} more\n"));
    }
    format!("\n{}", items.concat())
}

fn mutants(results: &Results) -> String {
    let all = results.mutants.len();
    if all == 0 {
        return String::new();
    }
    let killed = results.mutants_that_are(Fate::Killed);
    let not_applicable = match results.mutants_that_are(Fate::NotApplicable) {
        0 => String::new(),
        some => format!(", {some} not applicable"),
    };
    let alive = list(&of_mutants(results));
    format!("### Mutants: {killed} of {all} killed{not_applicable}\n{alive}")
}

/// The known defects, folded: they are no surprise, and no less wrong.
fn defects(defects: &[Defect]) -> String {
    if defects.is_empty() {
        return String::new();
    }
    let items = defects.iter().map(|one| {
        format!(
            "- **{} {}** of {} on {} ({}), {} of {} times: {}\n  - seen: {}\n  - again: <code>{}</code>\n",
            escaped(&one.requirement),
            escaped(&one.check),
            escaped(&one.spec),
            escaped(&one.pair),
            escaped(&one.target),
            one.seen,
            one.runs,
            escaped(&shortened(&one.reason)),
            escaped(&shortened(&one.account)),
            escaped(&one.again)
        )
    });
    format!(
        "<details><summary>Known defects of the target that were seen: {}</summary>\n{}\n</details>\n",
        defects.len(),
        items_of(items.collect())
    )
}

/// A text that Markdown and HTML take for nothing else, in one line. It never stands at the beginning
/// of a line.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for one in text.chars() {
        match one {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '|' | '[' | ']' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(one);
            }
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::repeated::repeated;
    use crate::report::samples::facts;
    use crate::verdict::Verdict;

    /// That many runs that fail, where this is expected.
    pub(in crate::report) fn results(count: usize, expected: Verdict) -> Results {
        let mut results = Results::new(Vec::new());
        for number in 0..count {
            let run = json!({
                "spec": format!("a/{number}"), "pair": "chrome+chrome", "target": "mug@1",
                "verdict": "fail", "expected": expected, "attempts": 1, "folder": "f",
                "seconds": 1.0,
                "checks": [{
                    "check": "c", "requirement": "P2P-01", "verdict": "fail", "expected": expected,
                    "known": "because", "account": "100 %: <b>, `x` | y\nz", "stimuli": [],
                    "oracles": [],
                }],
            });
            results
                .runs
                .push(serde_json::from_value(run).expect("a run"));
        }
        results.defects = crate::report::defects(&results.runs, &[]);
        results
    }

    #[test]
    fn the_summary_says_what_is_not_as_expected_and_lets_no_markup_through() {
        let mut results = results(1, Verdict::Pass);
        for (mutant, fate) in [("good_one", "killed"), ("bad_one", "survived")] {
            let row = json!({
                "mutant": mutant, "requirement": "P2P-01", "spec": "a/b", "pair": "chrome+chrome",
                "check": "c", "fate": fate, "account": "c says pass", "changed": {},
            });
            results
                .mutants
                .push(serde_json::from_value(row).expect("a row"));
        }
        insta::assert_snapshot!(summary(&results), @r"
        ## gymcheck: 1 unexpected verdict, 1 mutant survived

        | requirement | chrome+chrome |
        | --- | --- |
        | P2P-01 | **1 fail, unexpected** |

        ### Not as expected

        - **P2P-01 c fail: a/0 on chrome+chrome**: 100 %: &lt;b&gt;, \`x\` \| y z

        ### Mutants: 1 of 2 killed

        - **mutant bad\_one survived**: c says pass

        To see what happened, open `report.html` in a browser; it needs nothing else. It lies in the folder of `--out`, beside `results.json`; of a hosted CI it is in the job's artifacts, if the workflow keeps that folder. Each run has the command there that plays it again.
        ");
    }

    #[test]
    fn what_did_not_always_decide_the_same_is_told_with_its_rate() {
        let mut results = results(3, Verdict::Fail);
        for run in &mut results.runs {
            run.spec = "a/b".to_owned();
        }
        results.repeated = repeated(&results.runs);
        let steady = "### Steady\n\n- 1 check says the same 3 of 3 times: another verdict comes in below \
                      64 % of runs, with 95 % confidence\n";
        assert!(summary(&results).contains(steady), "{}", summary(&results));
        results.runs[1].checks[0].verdict = Verdict::Pass;
        results.repeated = repeated(&results.runs);
        let unstable = "### Unstable\n\n- **unstable: P2P-01 c of a/b on chrome+chrome**: 2 fail, 1 pass \
                        of 3: another verdict in 33 % of runs, below 87 % with 95 % confidence\n";
        assert!(
            summary(&results).contains(unstable),
            "{}",
            summary(&results)
        );
        assert!(!summary(&results).contains("### Steady"));
    }

    #[test]
    fn known_defects_are_folded() {
        insta::assert_snapshot!(summary(&results(1, Verdict::Fail)), @r"
        ## gymcheck: Every verdict is as expected

        | requirement | chrome+chrome |
        | --- | --- |
        | P2P-01 | 1 fail, known |

        <details><summary>Known defects of the target that were seen: 1</summary>

        - **P2P-01 c** of a/0 on chrome+chrome (mug@1), 1 of 1 times: because
          - seen: 100 %: &lt;b&gt;, \`x\` \| y z
          - again: <code>gymcheck run a/0 --target mug@1 --pairs chrome+chrome</code>

        </details>

        To see what happened, open `report.html` in a browser; it needs nothing else. It lies in the folder of `--out`, beside `results.json`; of a hosted CI it is in the job's artifacts, if the workflow keeps that folder. Each run has the command there that plays it again.
        ");
    }

    #[test]
    fn two_targets_are_told_by_their_differences() {
        let mut results = results(2, Verdict::Pass);
        results.targets = vec![facts("mug@1"), facts("mug@2")];
        results.runs[1].spec = "a/0".to_owned();
        results.runs[1].target = "mug@2".to_owned();
        results.runs[0].verdict = Verdict::Pass;
        results.runs[0].checks[0].verdict = Verdict::Pass;
        let (first, second) = (results.runs[0].clone(), results.runs[1].clone());
        results.compare(&[first], &[second]);
        insta::assert_snapshot!(summary(&results), @r"
        ## gymcheck: 1 unexpected verdict, 1 check got worse (mug@1 and mug@2)

        ### mug@2 against mug@1: 1 worse

        - **worse: P2P-01 c of a/0 on chrome+chrome**: pass -&gt; fail: 100 %: &lt;b&gt;, \`x\` \| y z

        | requirement | chrome+chrome, mug@1 | chrome+chrome, mug@2 |
        | --- | --- | --- |
        | P2P-01 | 1 pass | **1 fail, unexpected** |

        ### Not as expected

        - **P2P-01 c fail: a/0 on chrome+chrome, mug@2**: 100 %: &lt;b&gt;, \`x\` \| y z

        To see what happened, open `report.html` in a browser; it needs nothing else. It lies in the folder of `--out`, beside `results.json`; of a hosted CI it is in the job's artifacts, if the workflow keeps that folder. Each run has the command there that plays it again.
        ");
    }

    #[test]
    fn what_fails_on_the_target_that_another_one_is_compared_with_is_no_surprise() {
        let mut results = results(2, Verdict::Pass);
        results.targets = vec![facts("mug@1"), facts("mug@2")];
        results.runs[1].target = "mug@2".to_owned();
        results.runs[1].checks[0].verdict = Verdict::Pass;
        let of = |results: &Results| {
            let table = matrix(results);
            table.lines().last().unwrap_or_default().to_owned()
        };
        assert_eq!(of(&results), "| P2P-01 | 1 fail | 1 pass |");
        results.runs[0].checks[0].verdict = Verdict::Broken;
        assert_eq!(
            of(&results),
            "| P2P-01 | **1 broken, unexpected** | 1 pass |"
        );
    }

    #[test]
    fn a_summary_is_not_longer_than_a_hosted_ci_takes() {
        let mut long = results(2000, Verdict::Pass);
        for run in &mut long.runs {
            run.checks[0].account = "<".repeat(10_000);
        }
        long.defects = results(2000, Verdict::Fail).defects;
        for defect in &mut long.defects {
            defect.account = "<".repeat(10_000);
            defect.reason = "<".repeat(10_000);
        }
        let text = summary(&long);
        assert!(text.len() < 1 << 20, "{}", text.len());
        assert_eq!(text.matches("- and 1950 more\n").count(), 2);
    }
}
