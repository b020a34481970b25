//! What is not as expected about a run, for somebody who was not there: what must hold, what was seen,
//! when, and by which oracle.

use std::fmt::Write as _;
use std::path::Path;

use super::html::folder_of;
use super::results::Results;
use super::timeline::{event_of, when};
use crate::evidence::{EVIDENCE, Log};
use crate::run::RunRecord;
use crate::verdict::{CheckResult, OracleFinding, Says, Verdict};

/// The account of a run whose folder is below `out`.
pub(super) fn account(results: &Results, run: &RunRecord, out: &Path) -> String {
    let folder = folder_of(run, out);
    let log = Log::read(&folder.join(EVIDENCE)).ok();
    let mut text = format!("{} {}: {}\n", run.spec, run.pair, run.verdict);
    if let Some(broken) = &run.broken {
        let _ = writeln!(text, "  {}: {}", broken.component, one_line(&broken.reason));
        for line in &broken.last_lines {
            let _ = writeln!(text, "    | {}", one_line(line));
        }
    }
    if let Some(missed) = &run.missed {
        let _ = writeln!(text, "  the run ended early at {}", one_line(missed));
        for line in &run.last_words {
            let _ = writeln!(text, "    | {}", one_line(line));
        }
    }
    if run.broken.is_none() {
        let unexpected = |check: &&CheckResult| check.verdict != check.expected;
        // Why a run that ended early proves nothing is said already.
        let idle = |check: &CheckResult| run.missed.is_some() && check.verdict == Verdict::Vacuous;
        let (unproven, other): (Vec<_>, Vec<_>) = run
            .checks
            .iter()
            .filter(unexpected)
            .partition(|check| idle(check));
        for check in other {
            let holds = results.requirements.get(&check.requirement);
            text.push_str(&of_check(check, holds.map(String::as_str), log.as_ref()));
        }
        if !unproven.is_empty() {
            let names: Vec<&str> = unproven.iter().map(|check| check.check.as_str()).collect();
            let _ = writeln!(text, "  nothing was proven by {}", names.join(", "));
        }
    }
    let _ = writeln!(text, "  evidence: {}", folder.display());
    let _ = writeln!(text, "  again: {}", run.again(&results.targets));
    text
}

fn of_check(check: &CheckResult, holds: Option<&str>, log: Option<&Log>) -> String {
    let (requirement, name, verdict) = (&check.requirement, &check.check, check.verdict);
    let mut text = format!("  {requirement} {name}: {verdict}\n");
    if let Some(holds) = holds {
        let _ = writeln!(text, "    must hold: {holds}");
    }
    if let Some(known) = &check.known {
        let _ = writeln!(text, "    expected {}: {known}", check.expected);
    }
    let stimuli = check.stimuli.iter();
    for why in stimuli.clone().filter_map(|one| one.not_given.as_ref()) {
        let _ = writeln!(text, "    {}", one_line(why));
    }
    for finding in &check.oracles {
        let says = match finding.says {
            Says::Holds => "holds",
            Says::Violated => "violated",
            Says::Absent => "absent",
        };
        let at = time_of(finding, log);
        let _ = writeln!(
            text,
            "    {} ({says}{at}): {}",
            finding.oracle,
            one_line(&finding.account)
        );
    }
    for stimulus in stimuli.filter(|stimulus| !stimulus.seen) {
        let _ = writeln!(text, "    not seen: {}", one_line(&stimulus.what));
    }
    text
}

/// When the first of the events happened that a finding rests on, and which they are.
fn time_of(finding: &OracleFinding, log: Option<&Log>) -> String {
    let events = finding.evidence.iter();
    let times = events.filter_map(|seq| event_of(log?, *seq)).map(when);
    match times.reduce(f64::min) {
        Some(first) => format!(" at {:.2} s, events {:?}", first / 1000.0, finding.evidence),
        None => String::new(),
    }
}

/// A text as one line of a terminal: what a page or a server said may hold escape sequences, and line ends
/// behind which a hosted CI would take commands.
pub(super) fn one_line(text: &str) -> String {
    let is_plain = |one: char| !one.is_control();
    text.chars()
        .map(|one| if is_plain(one) { one } else { ' ' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_said_stays_in_its_line() {
        let said = "oh\n::error::no\r\u{1b}[31mred\u{9b}2J";
        assert_eq!(one_line(said), "oh ::error::no  [31mred 2J");
    }
}
