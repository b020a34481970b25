//! What people see in the terminal when all is done.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use super::account::{account, one_line};
use super::defects::Defect;
use super::files::Reports;
use super::repeated::{Repeated, steady};
use super::results::Results;
use super::spent::{self, Totals};
use super::told::missing;
use crate::run::{Change, Difference, Fate, MutantRecord, RunRecord, changes};
use crate::verdict::{CheckResult, Verdict};

/// How much people see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loudness {
    /// Only what is not as expected, and where the reports are.
    Quiet,
    /// What goes on, and the table of verdicts.
    #[default]
    Normal,
    /// Also each step in a line that stays, and the account of each check.
    Verbose,
}

/// Prints the table of verdicts, and an account of whatever is not as expected.
pub fn print_results(results: &Results, out: &Path, loudness: Loudness) {
    let mut to = anstream::stdout().lock();
    // Whoever has closed the terminal, or reads no further, finds it in the reports.
    let _ = write_results(&mut to, results, out, loudness);
}

/// Prints where the results are.
pub fn print_reports(reports: &Reports) {
    let mut to = anstream::stdout().lock();
    let (results, html) = (reports.results.display(), reports.html.display());
    let _ = writeln!(to, "\nresults: {results}\nreport:  {html}");
}

fn write_results(
    to: &mut impl io::Write,
    results: &Results,
    out: &Path,
    loudness: Loudness,
) -> io::Result<()> {
    if let [first, second] = results.targets.as_slice() {
        write!(
            to,
            "{}",
            differences(&results.differences, &first.name, &second.name)
        )?;
    }
    match loudness {
        Loudness::Quiet => {}
        Loudness::Normal | Loudness::Verbose => {
            write!(to, "{}", table(results, loudness))?;
            write!(to, "{}", known_defects(&results.defects, out))?;
        }
    }
    write!(to, "{}", repetitions(&results.repeated, loudness))?;
    write!(to, "{}", time(results, loudness))?;
    for run in results
        .runs
        .iter()
        .filter(|run| run.mutant.is_none() && (run.is_unexpected() || run.broken.is_some()))
    {
        write!(to, "\n{}", account(results, run, out))?;
    }
    for mutant in results
        .mutants
        .iter()
        .filter(|mutant| mutant.fate != Fate::Killed)
    {
        writeln!(to, "\n{}: {}", mutant.mutant, one_line(&mutant.account))?;
    }
    for shard in &results.missing_shards {
        writeln!(to, "\nshard {shard}: {}", missing(shard))?;
    }
    Ok(())
}

/// What is different on the second target, the worst first.
fn differences(differences: &[Difference], first: &str, second: &str) -> String {
    let mut text = format!("{second} against {first}:\n");
    if differences.is_empty() {
        text.push_str("  no check differs\n");
    }
    for one in differences {
        let change = one.change;
        let colour = match change {
            Change::Worse => RED,
            Change::Better => GREEN,
            Change::Undecided | Change::Other => YELLOW,
        };
        let time = match one.repetition {
            1 => String::new(),
            repetition => format!(" (time {repetition})"),
        };
        let _ = writeln!(
            text,
            "  {colour}{change:<9}{RESET}  {:<10} {}: {} -> {}  {} {}{time}\n      {}",
            one.requirement,
            one.check,
            one.target,
            one.against,
            one.spec,
            one.pair,
            one_line(&one.account)
        );
    }
    text.push('\n');
    text
}

/// The table: a line for each run, below it one for each check, then the mutants.
fn table(results: &Results, loudness: Loudness) -> String {
    let mut text = String::new();
    let width = width_of_verdicts(&results.runs);
    for run in &results.runs {
        let changes = changes(&run.repairs, run.mutant.as_deref());
        let again = match run.attempts {
            1 => String::new(),
            attempts => format!(", attempt {attempts}"),
        };
        let _ = writeln!(
            text,
            "{}  {} {}{changes} ({}, {:.1} s{again})",
            coloured(run.verdict, width),
            run.spec,
            run.pair,
            run.target,
            run.seconds
        );
        for check in &run.checks {
            let _ = writeln!(
                text,
                "    {}  {:<10} {}{}",
                coloured(check.verdict, width),
                check.requirement,
                check.check,
                expected(check)
            );
            if loudness == Loudness::Verbose {
                let _ = writeln!(text, "    {:width$}  {}", "", one_line(&check.account));
            }
        }
    }
    for mutant in &results.mutants {
        let _ = writeln!(text, "{}", mutant_line(mutant, width));
    }
    text
}

/// How steady the verdicts are of what was carried out several times: whatever is unstable, and how much
/// is not.
fn repetitions(repeated: &[Repeated], loudness: Loudness) -> String {
    let mut text = String::new();
    for one in repeated {
        for (name, steadiness, apart) in one.unstable() {
            let (place, account) = (one.place(), steadiness.account());
            let _ = writeln!(
                text,
                "  {YELLOW}unstable{RESET}  {name} of {place} ({})\n      {account}",
                one.target
            );
            if let Some(apart) = apart {
                let _ = writeln!(text, "      {}", one_line(&apart.account()));
            }
        }
    }
    match loudness {
        Loudness::Quiet => {}
        Loudness::Normal | Loudness::Verbose => {
            for says in steady(repeated) {
                let _ = writeln!(text, "  steady    {says}");
            }
        }
    }
    match text.is_empty() {
        true => text,
        false => format!("\nrepetitions:\n{text}"),
    }
}

/// On what the time went.
fn time(results: &Results, loudness: Loudness) -> String {
    let Some(totals) = Totals::of(results).account() else {
        return String::new();
    };
    match (loudness, &results.effort) {
        (Loudness::Quiet, _) => String::new(),
        (Loudness::Verbose, Some(effort)) => {
            format!("\ntime: {totals}\n      {}\n", spent::account(effort))
        }
        (Loudness::Normal | Loudness::Verbose, _) => format!("\ntime: {totals}\n"),
    }
}

/// How wide the column of verdicts is: `not applicable` is rare, and long.
#[must_use]
pub fn width_of_verdicts(runs: &[RunRecord]) -> usize {
    let checks = runs.iter().flat_map(|run| &run.checks);
    let verdicts = checks.map(|check| check.verdict.to_string().len());
    verdicts.max().unwrap_or(0).max(8)
}

/// What is known of a check and is not `pass`.
fn expected(check: &CheckResult) -> String {
    match (&check.known, check.verdict == check.expected) {
        (Some(_), true) => "  (known)".to_owned(),
        (Some(reason), false) => format!("  (expected {}: {reason})", check.expected),
        (None, _) => String::new(),
    }
}

/// What is wrong with the target and was known: it is no surprise, and no less wrong.
fn known_defects(defects: &[Defect], out: &Path) -> String {
    let mut text = String::new();
    if !defects.is_empty() {
        let _ = writeln!(text, "\nknown defects of the target:");
    }
    for one in defects {
        let _ = writeln!(
            text,
            "  {RED}{:<8}{RESET}  {} {} on {}, {} of {} times: {}\n      seen: {}\n      again: {}\n      evidence: {}",
            one.requirement,
            one.spec,
            one.check,
            one.pair,
            one.seen,
            one.runs,
            one.reason,
            one_line(&one.account),
            one.again,
            out.join(&one.folder).display()
        );
    }
    text
}

fn mutant_line(mutant: &MutantRecord, width: usize) -> String {
    let fate = mutant.fate;
    let colour = match fate {
        Fate::Killed => GREEN,
        Fate::Survived => RED,
        Fate::Undecided | Fate::NotApplicable => YELLOW,
    };
    format!(
        "{colour}{fate:<width$}{RESET}  mutant {} by {} {} on {}",
        mutant.mutant, mutant.spec, mutant.check, mutant.pair
    )
}

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

fn coloured(verdict: Verdict, width: usize) -> String {
    let colour = match verdict {
        Verdict::Pass => GREEN,
        Verdict::Fail => RED,
        Verdict::Vacuous | Verdict::Broken | Verdict::Unstable | Verdict::NotApplicable => YELLOW,
    };
    format!("{colour}{verdict:<width$}{RESET}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::repeated::repeated;
    use crate::report::samples::run_on;

    #[test]
    fn repetitions_say_what_is_unstable_and_how_much_ten_equal_verdicts_show() {
        let of = |verdicts: &[Verdict]| {
            let runs = verdicts.iter();
            let runs = runs.map(|verdict| run_on("mug@1", *verdict, Verdict::Pass));
            repeated(&runs.collect::<Vec<RunRecord>>())
        };
        let steady = of(&[Verdict::Pass; 10]);
        assert_eq!(
            repetitions(&steady, Loudness::Normal),
            "\nrepetitions:\n  steady    1 check says the same 10 of 10 times: another verdict comes in \
             below 26 % of runs, with 95 % confidence\n"
        );
        assert_eq!(repetitions(&steady, Loudness::Quiet), "");
        assert_eq!(repetitions(&of(&[Verdict::Pass]), Loudness::Verbose), "");
        let differs = repetitions(&of(&[Verdict::Pass, Verdict::Fail]), Loudness::Quiet);
        assert!(
            differs.contains("P2P-01 c of a/b on chrome+chrome (mug@1)"),
            "{differs}"
        );
        assert!(differs.contains("1 pass, 1 fail of 2"), "{differs}");
    }
}
