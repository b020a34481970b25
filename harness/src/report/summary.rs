//! `summary.md`, and what a hosted CI shows of a call: its job summary and its annotations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::html::answer::{sentence, surprises};
use super::results::Results;
use crate::run::{Fate, RunRecord};

/// How many annotations of each kind a hosted CI shows.
const SHOWN: usize = 10;

/// The answer in Markdown.
#[must_use]
pub(super) fn summary(results: &Results) -> String {
    let mut text = format!("## gymcheck: {}\n\n", escaped(&sentence(results)));
    text.push_str(&matrix(results));
    text.push_str(&unexpected(results));
    let alive = results
        .mutants
        .iter()
        .filter(|one| one.fate != Fate::Killed);
    let alive: Vec<_> = alive.collect();
    if !results.mutants.is_empty() {
        let all = results.mutants.len();
        let _ = writeln!(
            text,
            "\n### Mutants: {} of {all} killed\n",
            all - alive.len()
        );
        for one in alive {
            let _ = writeln!(
                text,
                "- **{}**: {}",
                escaped(&one.mutant),
                escaped(&one.account)
            );
        }
    }
    if !results.defects.is_empty() {
        let count = results.defects.len();
        let _ = writeln!(
            text,
            "\n<details><summary>{count} known defects of the target</summary>\n"
        );
        for one in &results.defects {
            let _ = writeln!(
                text,
                "- **{}** {} of {} on {}, {} of {} times: {}",
                escaped(&one.requirement),
                escaped(&one.check),
                escaped(&one.spec),
                escaped(&one.pair),
                one.seen,
                one.runs,
                escaped(&one.reason)
            );
        }
        text.push_str("\n</details>\n");
    }
    text.push_str("\nWhat happened is in `report.html`, which needs nothing else.\n");
    text
}

/// How often a verdict was passed, and whether it was unexpected.
type Counts = BTreeMap<(String, bool), usize>;

/// Requirements and pairs, and how often each verdict was passed.
fn matrix(results: &Results) -> String {
    let mut cells: BTreeMap<(&str, &str), Counts> = BTreeMap::new();
    for run in plain(results) {
        for check in &run.checks {
            let verdict = (check.verdict.to_string(), check.verdict != check.expected);
            let cell = cells.entry((&check.requirement, &run.pair)).or_default();
            *cell.entry(verdict).or_default() += 1;
        }
    }
    let pairs: BTreeSet<&str> = cells.keys().map(|(_, pair)| *pair).collect();
    let ids: BTreeSet<&str> = cells.keys().map(|(id, _)| *id).collect();
    if ids.is_empty() {
        return String::new();
    }
    let pairs: Vec<&str> = pairs.into_iter().collect();
    let mut text = format!("| requirement | {} |\n|---|", pairs.join(" | "));
    text.push_str(&"---|".repeat(pairs.len()));
    text.push('\n');
    for id in ids {
        let of_pair = |pair: &&str| {
            let counts = cells.get(&(id, *pair)).into_iter().flatten();
            let counts = counts.map(|((verdict, unexpected), count)| match unexpected {
                true => format!("**{count} {verdict}, unexpected**"),
                false => format!("{count} {verdict}"),
            });
            counts.collect::<Vec<String>>().join(", ")
        };
        let row: Vec<String> = pairs.iter().map(of_pair).collect();
        let _ = writeln!(text, "| {} | {} |", escaped(id), row.join(" | "));
    }
    text
}

fn unexpected(results: &Results) -> String {
    let mut text = String::new();
    for run in plain(results) {
        for told in told(run) {
            if text.is_empty() {
                text.push_str("\n### Not as expected\n\n");
            }
            let _ = writeln!(
                text,
                "- **{}**: {}",
                escaped(&told.title),
                escaped(&told.account)
            );
        }
    }
    text
}

/// The runs that are judged for themselves.
fn plain(results: &Results) -> impl Iterator<Item = &RunRecord> {
    results.runs.iter().filter(|run| run.mutant.is_none())
}

/// One thing that somebody must look at.
struct Told {
    title: String,
    account: String,
}

/// What is not as expected about a run, or that it decided nothing.
fn told(run: &RunRecord) -> Vec<Told> {
    let place = format!("{} on {}", run.spec, run.pair);
    if let Some(broken) = &run.broken {
        return vec![Told {
            title: format!("broken: {place}"),
            account: format!("{}: {}", broken.component, broken.reason),
        }];
    }
    if !run.is_unexpected() {
        return Vec::new();
    }
    let checks = surprises(run).map(|check| Told {
        title: format!(
            "{} {} {}: {place}",
            check.requirement, check.check, check.verdict
        ),
        account: check.account.clone(),
    });
    let missed = run.missed.iter().map(|missed| Told {
        title: format!("{}: {place}", run.verdict),
        account: format!("the run ended early at {missed}"),
    });
    checks.chain(missed).collect()
}

/// A text that Markdown and HTML take for nothing else.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for one in text.chars() {
        match one {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '|' | '[' | ']' | '~' => {
                escaped.push('\\');
                escaped.push(one);
            }
            '\n' | '\r' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Tells a hosted CI: annotations in its log (where `GITHUB_ACTIONS` is `true`), and the summary in the
/// file that it names (`GITHUB_STEP_SUMMARY`).
///
/// # Errors
/// The summary's file cannot be written.
pub fn tell_hosted_ci(results: &Results) -> io::Result<()> {
    if std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true") {
        for line in annotations(results) {
            println!("{line}");
        }
    }
    if let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty()) {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)?;
        file.write_all(summary(results).as_bytes())?;
    }
    Ok(())
}

/// Errors for what is not as expected, warnings for known defects.
fn annotations(results: &Results) -> Vec<String> {
    let mut errors: Vec<Told> = plain(results).flat_map(told).collect();
    let alive = results
        .mutants
        .iter()
        .filter(|one| one.fate != Fate::Killed);
    errors.extend(alive.map(|one| Told {
        title: format!("mutant {} was not killed", one.mutant),
        account: one.account.clone(),
    }));
    let warnings = results.defects.iter().map(|one| Told {
        title: format!(
            "known defect: {} {} of {}",
            one.requirement, one.check, one.spec
        ),
        account: one.account.clone(),
    });
    let warnings: Vec<Told> = warnings.collect();
    let mut lines = Vec::new();
    for (kind, all) in [("error", errors), ("warning", warnings)] {
        let shown = if all.len() > SHOWN { SHOWN - 1 } else { SHOWN };
        let rest = all.len().saturating_sub(shown);
        for one in all.iter().take(shown) {
            lines.push(annotation(kind, &one.title, &one.account));
        }
        if rest > 0 {
            lines.push(annotation(
                kind,
                "gymcheck",
                &format!("and {rest} more, see report.html"),
            ));
        }
    }
    lines
}

/// A workflow command: percent signs, line ends, and in its properties colons and commas are escaped.
fn annotation(kind: &str, title: &str, text: &str) -> String {
    let data = |text: &str| {
        text.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let title = data(title).replace(':', "%3A").replace(',', "%2C");
    format!("::{kind} title={title}::{}", data(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::verdict::Verdict;

    fn results(count: usize, expected: Verdict) -> Results {
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
        let text = summary(&results(1, Verdict::Pass));
        insta::assert_snapshot!(text, @r"
        ## gymcheck: 1 unexpected verdict

        | requirement | chrome+chrome |
        |---|---|
        | P2P-01 | **1 fail, unexpected** |

        ### Not as expected

        - **P2P-01 c fail: a/0 on chrome+chrome**: 100 %: &lt;b&gt;, \`x\` \| y z

        What happened is in `report.html`, which needs nothing else.
        ");
    }

    #[test]
    fn annotations_are_escaped_and_no_more_than_a_hosted_ci_shows() {
        let lines = annotations(&results(1, Verdict::Pass));
        assert_eq!(
            lines,
            ["::error title=P2P-01 c fail%3A a/0 on chrome+chrome::100 %25: <b>, `x` | y%0Az"]
        );
        let lines = annotations(&results(14, Verdict::Pass));
        assert_eq!(lines.len(), SHOWN);
        assert_eq!(
            lines[9],
            "::error title=gymcheck::and 5 more, see report.html"
        );
        let known = annotations(&results(2, Verdict::Fail));
        assert!(
            known.iter().all(|line| line.starts_with("::warning ")),
            "{known:?}"
        );
        assert_eq!(known.len(), 2);
    }
}
